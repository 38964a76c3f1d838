-- What a GPU makes of densenet, in one command: builds, runs the specs of CUDA there, times training
-- steps in every memory mode and precision, and a peer's beside them, and writes it all down.
--
--   lua5.4 scripts/gpu_report.lua -peer torch_peer.py
--
-- Writes OUT.md, a page to read (gpu_report_page.lua), and OUT.json, all that was found. Both are written
-- anew after each step, so a report that is killed keeps what it had. Each measurement is a process of
-- its own and may fail alone. The most telling come first; what -minutes does not reach is listed.
--
-- With -check it measures nothing, and prints the page of what gpu_check.sh has found (gpu_check_page.lua).
--
-- A peer is a program that knows the options used below (peer_words) and prints a line of JSON:
--   median_s min_s   seconds a step
--   peak_mb          the most memory of the GPU it held, in MB of 2^20 bytes
--   peer             what it is, such as "torch 2.5.1"

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
local setup = dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local root, build, started = setup.root, setup.build, os.time()

-- These need no built module, which may not be there yet.
local CommandLine = require "densenet.train.command_line"
local checkPage = require "gpu_check_page"
local json = require "densenet.io.json"
local page = require "gpu_report_page"
local ranks = require "gpu_report_ranks"
local program = require "densenet.train.program"
local quote = require "shell_quote"

local commandLine = CommandLine.new {
  { title = "Report",
    { name = "device", type = "word", default = "cuda:0", choices = { "cuda", "cuda:N" }, pattern = "^cuda:%d+$",
      help = "the GPU" },
    { name = "out", type = "text", shown = "gpu_report in the build directory",
      help = "OUT.md and OUT.json are written" },
    { name = "minutes", type = "number", default = 8, min = 0,
      help = "for all of it, the build and the specs included" },
    { name = "skipBuild", type = "flag", help = "do not build first" },
    { name = "check", type = "text", shown = "none",
      help = "measure nothing: print the page of what gpu_check.sh left in this directory" },
  },
  { title = "Specs",
    { name = "specs", type = "text", shown = "those in spec/cuda", help = "spec files to run, separated by spaces" },
    { name = "specMinutes", type = "number", default = 2.5, min = 0, help = "their part of -minutes" },
    { name = "skipSuite", type = "flag", help = "do not run them" },
  },
  { title = "Measurements",
    { name = "skipRanks", type = "flag", help = "not several GPUs together" },
    { name = "steps", type = "integer", default = 20, min = 1, help = "timed steps; of large networks a quarter" },
    { name = "seconds", type = "integer", default = 120, min = 1, help = "for one measurement at most" },
    { name = "tiny", type = "flag", help = "a tiny network and few measurements, to try the report itself" },
  },
  { title = "Peer",
    { name = "peer", type = "text", shown = "none", help = "a program to time beside, such as torch_peer.py" },
    { name = "python", type = "text", default = "python3", help = "what runs it" },
  },
}

-- ---- What is measured ----

local BC_100 = { name = "DenseNet-BC(100,12)", batch = 64, size = 32, growth = 12, classes = 10, depth = 100 }
local BC_190 = { name = "DenseNet-BC(190,40)", batch = 64, size = 32, growth = 40, classes = 10, depth = 190,
  isLarge = true }
local D_121 = { name = "DenseNet-121", batch = 128, size = 224, growth = 32, classes = 1000, blocks = "6,12,24,16",
  netType = "densenet121", isLarge = true }
local TINY = { name = "DenseNet-BC(10,4)", batch = 8, size = 8, growth = 4, classes = 10, depth = 10 }
-- Takes 4 GB, twice what an emulated GPU has.
local TINY_MANY = { name = "DenseNet-BC(40,12)", batch = 30000, size = 8, growth = 12, classes = 10, depth = 40 }

-- By our names; and what the peer calls them.
local PEER_PRECISION = { single = "float", tf32 = "tf32", bfloat16 = "bf16", half = "half" }
local PRECISIONS = { "single", "bfloat16", "tf32", "half" }

-- A peer's configurations: memory, layout, compilation.
local NHWC, NCHW = { "standard", "nhwc" }, { "standard", "nchw" }
local EFFICIENT_NHWC, EFFICIENT_NCHW = { "efficient", "nhwc" }, { "efficient", "nchw" }
local COMPILED = { "standard", "nhwc", "reduce-overhead" }

-- Rounds of measurements, the most telling first. A round is every network in every precision, in these
-- memory modes of ours and configurations of the peer; what an earlier round has is not measured again.
local ROUNDS = {
  { { BC_100 }, { "single" }, { 4, 5 }, { NHWC, NCHW, EFFICIENT_NHWC, EFFICIENT_NCHW } },
  { { BC_100 }, PRECISIONS, { 4, 5 }, { NHWC, NCHW } },
  { { D_121, BC_190 }, { "single", "bfloat16" }, { 4, 5 }, { NHWC, EFFICIENT_NHWC } },
  { { BC_100 }, { "single" }, { 0, 3, 1, 2 }, {} },
  { { BC_100, D_121 }, { "bfloat16", "tf32" }, { 4 }, { COMPILED } },
  { { D_121, BC_190 }, PRECISIONS, { 4, 5 }, { NHWC } },
  { { BC_100, D_121, BC_190 }, PRECISIONS, { 0, 3, 1, 2 }, { NCHW, EFFICIENT_NHWC, EFFICIENT_NCHW, COMPILED } },
}
local TINY_ROUNDS = {
  { { TINY }, { "single" }, { 4 }, { NHWC, EFFICIENT_NHWC } },
  { { TINY_MANY }, { "single" }, { 4 }, {} },
  { { TINY }, { "half" }, { 5 }, {} },
}

local function absolute(path) return path:find("^/") and path or os.getenv("PWD") .. "/" .. path end

-- Options of bench.lua.
local function ourWords(opt, network, mode, precision)
  return { "-json", "-warmup", opt.tiny and 1 or 3, "-steps", opt.stepsOf(network), "-device", opt.device,
    "-precision", precision, "-optMemory", mode, "-batchSize", network.batch, "-size", network.size,
    "-netType", network.netType or "densenet", "-growthRate", network.growth, "-nClasses", network.classes,
    network.depth and "-depth " .. network.depth or "" }
end

local function peerWords(opt, network, configuration, precision)
  local memory, format, compile = table.unpack(configuration)
  return { "--device cuda", "--warmup", opt.tiny and 1 or 3, "--steps", opt.stepsOf(network), "--memory", memory,
    "--format", format, compile and "--compile " .. compile or "", "--precision", PEER_PRECISION[precision],
    "--batch", network.batch, "--size", network.size, "--growth", network.growth, "--classes", network.classes,
    network.blocks and "--blocks " .. network.blocks or "--depth " .. network.depth }
end

-- What makes `device` the only GPU that another program sees.
local function onlyGpu(device)
  local n, visible = tonumber(device:match("%d+")), {}
  for name in (os.getenv("CUDA_VISIBLE_DEVICES") or ""):gmatch("[^,]+") do visible[#visible + 1] = name end
  return "CUDA_VISIBLE_DEVICES=" .. (visible[n + 1] or n)
end

-- All there is to measure, in order: a list of { network =, batch =, ..., who =, memory =, precision =,
-- command = }, to which measure adds what it finds.
local function measurements(opt)
  local list, known = {}, {}
  local function add(network, precision, who, memory, command)
    if known[command] then return end
    known[command] = true
    list[#list + 1] = { network = network.name, batch = network.batch, size = network.size,
      classes = network.classes, steps = opt.stepsOf(network), who = who, memory = memory, precision = precision,
      command = command, state = "not run" }
  end
  local function each(networks, precisions, modes, configurations)
    for _, precision in ipairs(precisions) do
      for _, network in ipairs(networks) do
        for _, mode in ipairs(modes) do
          add(network, precision, "densenet", "-optMemory " .. mode, ("exec %s %s %s"):format(quote(opt.lua),
            quote(root .. "/scripts/bench.lua"), table.concat(ourWords(opt, network, mode, precision), " ")))
        end
        for _, configuration in ipairs(opt.peer and configurations or {}) do
          local command = ("exec env PYTHONWARNINGS=ignore %s %s %s %s"):format(onlyGpu(opt.device), quote(opt.python),
            quote(opt.peer), table.concat(peerWords(opt, network, configuration, precision), " "))
          add(network, precision, "peer", table.concat(configuration, ", "), command)
        end
      end
    end
  end
  for _, round in ipairs(opt.tiny and TINY_ROUNDS or ROUNDS) do each(table.unpack(round)) end
  return list
end

-- ---- Running ----

-- Starts a shell command that may run for `seconds`; finish waits for it. In the foreground Ctrl-C
-- reaches the command, too.
local function start(command, seconds)
  seconds = math.max(1, math.ceil(seconds))
  local line = ("timeout --foreground -k 5 %d sh -c %s 2>&1"):format(seconds, quote(command))
  return { pipe = assert(io.popen(line)), seconds = seconds }
end

-- Returns all that a command wrote; and how it ended where it did not end well ("took longer than 120 s",
-- "signal 11", "status 1"), and the status.
local function finish(running)
  local text = running.pipe:read("a")
  local done, how, status = running.pipe:close()
  if done then return text end
  if how == "exit" and status == 124 then return text, ("took longer than %d s"):format(running.seconds), status end
  if how == "exit" and status > 128 then how, status = "signal", status - 128 end
  return text, (how == "exit" and "status %d" or "signal %d"):format(status), status
end

local function run(command, seconds) return finish(start(command, seconds)) end

-- The first line that a command prints, or nil where it fails.
local function ask(command)
  local text, wrong = run(command, 60)
  return not wrong and text:match("[^\n]+") or nil
end

-- Why a program failed, from what it printed: its last line, or the one above a traceback of Lua's.
local function reasonIn(text)
  text = (text:match("^(.-)\nstack traceback:") or text):gsub("%s+$", "")
  return utf8.len(text) and text:match("[^\n]*$"):sub(1, 300) or ""
end

local function foundIn(text)
  local found
  for line in text:gmatch("[^\n]+") do
    local value = line:find("^{") and json.decode(line)
    if type(value) == "table" and type(value.median_s) == "number" then found = value end
  end
  return found
end

-- Runs a measurement and notes what came of it: state "measured", "out of memory", "failed" or "too slow",
-- and the reason for the last three.
local function measure(one, seconds)
  local before = os.time()
  local text, wrong, status = run(one.command, seconds)
  one.wall_s, one.result = os.time() - before, foundIn(text)
  if one.result then
    one.state = "measured"
    if wrong then one.reason = "measured, but it ended with " .. wrong end
    return
  end
  one.output = utf8.len(text) and text:sub(-4000) or nil
  one.reason = ("%s (%s)"):format(reasonIn(text), wrong or "it printed no result")
  if text:find("out of memory", 1, true) or text:find("OutOfMemory", 1, true) then
    one.state = "out of memory"
  elseif status == 124 then
    one.state, one.reason = "too slow", wrong
  else
    one.state = "failed"
    one.neverStarts = status == 126 or status == 127 or text:find("ModuleNotFoundError", 1, true) ~= nil
  end
end

local function specFiles(opt, core)
  local list = {}
  for file in (opt.specs or ""):gmatch("%S+") do list[#list + 1] = file end
  for _, name in ipairs(not opt.specs and core.directory_list(root .. "/spec/cuda") or {}) do
    if name:find("^cuda_.*_spec%.lua$") then list[#list + 1] = "spec/cuda/" .. name end
  end
  table.sort(list)
  return list
end

-- Starts a spec file in a process of its own. A GPU that tests see is cuda:0; those of NCCL see all.
local function startSpec(opt, file, seconds)
  local visible = file:find("cuda_nccl_", 1, true) and "" or onlyGpu(opt.device)
  return start(("unset DENSENET_TOTALS; export DENSENET_COMPLETE=1 DENSENET_DEVICES=cuda:0 DENSENET_BUILD=%s %s "
    .. "OMP_NUM_THREADS=1; cd %s && exec %s \"$(command -v busted)\" --ignore-lua --run=cuda %s </dev/null"):format(
    quote(absolute(build)), visible, quote(root), quote(opt.lua), quote(file)), seconds)
end

-- What came of it: state "passed", "failed", "crashed" or "too slow", and its counts where it got that far.
local function finishSpec(file, running)
  local text, wrong, status = finish(running)
  local one = { file = file, state = wrong and "failed" or "passed", reason = wrong }
  local passed, failed, skipped = text:match("(%d+) passed, (%d+) failed, (%d+) skipped%s*$")
  if passed then
    one.passed, one.failed, one.skipped = tonumber(passed), tonumber(failed), tonumber(skipped)
    one.seconds = tonumber(text:match("passed[^\n]*  ([%d.]+) s\n"))
  elseif wrong then
    one.state = status == 124 and "too slow" or "crashed"
  end
  if wrong and utf8.len(text) then one.output = text:sub(1, 8000) end
  return one
end

-- ---- The machine ----

local function commit()
  local git = "git -C " .. quote(root)
  local name = ask(git .. " rev-parse --short HEAD")
  if not name then return "unknown" end
  return name .. (ask(git .. " status --porcelain") and ", with changes that are not committed" or "")
end

-- What built the backend, from what configure_cuda.sh found.
local function compiler()
  local file = io.open(build .. "/config_cuda.mk")
  local text = file and file:read("a") or ""
  if file then file:close() end
  local nvcc = text:match("NVCC_FOUND := ([^\n]+)")
  local version = nvcc and ask(quote(nvcc) .. " --version | sed -n 's/^Cuda compilation tools, //p'")
  return version and ("nvcc, %s, for %s"):format(version,
    (text:match("CUDA_CODE := ([^\n]*)") or ""):gsub("%-gencode arch=%S-,code=(%S+)", "%1"):gsub("^ +", ""))
end

-- What the machine is and what is installed there; what is not known is left out.
local function describe(opt, gpu, dn)
  local lua = ask(quote(opt.lua) .. " -v")
  return {
    device = opt.device, product = gpu.product, capability = gpu.capability, memory_mb = gpu.memory / 2 ^ 20,
    free_mb = gpu.free / 2 ^ 20, cuda_driver = gpu.driver, cuda_runtime = gpu.runtime, cublas = gpu.cublas,
    cudnn = gpu.cudnn, driver = ask "nvidia-smi --query-gpu=driver_version --format=csv,noheader",
    compiler = compiler(), densenet = dn.version, commit = commit(), lua = lua and lua:match("^Lua [%d.]+"),
    system = ask "uname -srm", threads = dn.threads(),
    processor = ask "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1",
    peer = opt.peer and opt.peer:match("[^/]+$"),
    peer_libraries = opt.peer and ask(quote(opt.python) .. " -c " .. quote("import sys, torch; print('Python',"
      .. " sys.version.split()[0] + ', torch', torch.__version__ + ', CUDA', str(torch.version.cuda) + ', cuDNN',"
      .. " torch.backends.cudnn.version())")),
    command = table.concat(arg, " "), date = os.date("!%Y-%m-%d %H:%M UTC", started), minutes = opt.minutes,
  }
end

-- ---- The report ----

local function options()
  local opt, why = commandLine:parse(arg)
  if not opt then program.refuse(why) end
  if opt.help then return opt end
  if opt.device == "cuda" then opt.device = "cuda:0" end
  local file = opt.peer and io.open(opt.peer)
  if opt.peer and not file then program.refuse(("-peer %s: there is no such file"):format(opt.peer)) end
  if file then file:close() end
  opt.root = root
  opt.out, opt.lua = opt.out or build .. "/gpu_report", arg[-1] or "lua5.4"
  function opt.stepsOf(network) return network.isLarge and math.max(1, opt.steps // 4) or opt.steps end
  return opt
end

-- Planned memory of a network that had no room, in MB: what failed says nothing of it.
local function planned_mb(dn, one)
  local words = {}
  for name, value in one.command:gmatch("%-(%a+) (%w+)") do words[name] = value end
  local done, plan = pcall(function()
    return dn.models.withoutMemory({
      family = words.netType, depth = math.tointeger(words.depth),
      growthRate = math.tointeger(words.growthRate), nClasses = one.classes, precision = one.precision,
      optMemory = math.tointeger(words.optMemory),
    }, words.device):plan { one.batch, 3, one.size, one.size }
  end)
  return done and plan.totalBytes / 2 ^ 20 or nil
end

local function main()
  local opt = options()
  if opt.help then return print("lua scripts/gpu_report.lua [-option value ...]\n" .. commandLine:help()) end
  if opt.check then
    local parts = io.open(opt.check .. "/parts.txt")
    if not parts then program.refuse(("-check %s: gpu_check.sh left nothing there"):format(opt.check)) end
    parts:close()
    return print(checkPage(opt.check))
  end
  if not opt.skipBuild then
    local make = "make -C " .. quote(root) .. " -j\"$(getconf _NPROCESSORS_ONLN)\" all >&2"
    if not os.execute(make) then program.stop(1, "the build failed") end
  end
  local core, dn = require "densenet.core", require "densenet"
  local gpu = program.check(dn.device(opt.device))
  core.interrupt_install()

  local function left() return opt.minutes * 60 - (os.time() - started) end
  local function isStopped() return core.interrupted() > 0 end
  local report = { about = describe(opt, gpu, dn), specs = json.array {}, measurements = measurements(opt) }
  report.about.emulated = core.testing.cuda_emulation("reverse", 0)
  report.about.gpus = program.check(core.device_count "cuda")
  report.ranks = json.array(opt.skipRanks and {} or ranks.plan(opt, report.about.gpus))
  local function save(state)
    report.about.state, report.about.seconds = state, os.time() - started
    program.check(core.file_write(opt.out .. ".json", json.encode(report, " ") .. "\n", {}))
    program.check(core.file_write(opt.out .. ".md", page(report), {}))
  end
  local function say(format, ...)
    io.stderr:write(("[%d s left] "):format(math.max(0, left())), format:format(...), "\n")
  end
  save("under way")

  -- Side by side, as most of their time goes into the CPU's results to compare with.
  local files, running = opt.skipSuite and {} or specFiles(opt, core), {}
  local specSeconds = math.min(left(), opt.specMinutes * 60)
  for i, file in ipairs(specSeconds > 0 and files or {}) do running[i] = startSpec(opt, file, specSeconds) end
  for i, file in ipairs(files) do
    local one = running[i] and finishSpec(file, running[i]) or { file = file, state = "not run" }
    report.specs[i] = one
    say("%s: %s", file, page.specText(one))
    save("under way")
  end

  for i, one in ipairs(report.ranks) do
    if not isStopped() and left() > 0 then
      measure(one, math.min(left(), opt.seconds))
      say("%d of %d about several GPUs: %s", i, #report.ranks, ranks.text(one))
      save("under way")
    end
  end

  local peerReason
  for i, one in ipairs(report.measurements) do
    if isStopped() then break end
    if one.who == "peer" and peerReason then
      one.reason = peerReason
    elseif left() > 0 then
      local seconds = math.min(left(), opt.seconds)
      measure(one, seconds)
      if isStopped() then
        one.state, one.reason, one.output = "not run", nil, nil
      elseif one.state == "too slow" and seconds < opt.seconds then
        one.state, one.reason = "not run", nil
      elseif one.state == "out of memory" and one.who == "densenet" then
        one.planned_mb = planned_mb(dn, one)
      elseif one.neverStarts and one.who == "peer" then
        peerReason = "the peer does not start: " .. one.reason
      end
      say("%d of %d: %s", i, #report.measurements, page.measurementText(one))
      save("under way")
    end
  end
  local isCut = false
  for _, one in ipairs(report.measurements) do isCut = isCut or one.state == "not run" and not one.reason end
  save(isStopped() and "interrupted" or isCut and "out of time" or "complete")
  io.stdout:write(page(report))
  if isStopped() then return 128 + select(2, core.interrupted()) end
end

os.exit(program.run("gpu_report.lua",
  "usage: lua scripts/gpu_report.lua [-option value ...]      (--help lists the options)", main), true)
