-- What a GPU makes of densenet, in one command: builds, runs the specs of CUDA there, times training
-- steps in every memory mode and precision, and a peer's beside them, and writes it all down.
--
--   lua scripts/gpu_report.lua -out build/gpu_report -peer torch_peer.py
--
-- Writes OUT.md, a report to read, and OUT.json, what was measured. Each measurement is a process of its
-- own; the most telling come first, and what the time (-minutes) does not reach is listed as not run.
-- A peer is a Python script that prints a line of JSON with median_s, min_s and peak_mb and knows the
-- options used below.

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
if _VERSION ~= "Lua 5.4" then
  io.stderr:write("gpu_report.lua: needs Lua 5.4, and this is ", _VERSION, ". Run it as: lua5.4 ", arg[0], " ...\n")
  os.exit(1)
end

local root = (arg[0]:match("^(.*)/[^/]*$") or ".") .. "/.."
local build = os.getenv("DENSENET_BUILD") or root .. "/build"
package.path = root .. "/lua/?.lua;" .. root .. "/lua/?/init.lua;" .. package.path
package.cpath = build .. "/?.so;" .. package.cpath

local function quote(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

-- The module is asked for below, so it has to be there before anything else.
local skips_build = false
for _, word in ipairs(arg) do skips_build = skips_build or word == "-skipBuild" end
if not skips_build and not os.execute("make -C " .. quote(root) .. " -j\"$(getconf _NPROCESSORS_ONLN)\" all >&2") then
  io.stderr:write("gpu_report.lua: the build failed\n")
  os.exit(1)
end

local core = require "densenet.core"
local dn = require "densenet"
local CommandLine = require "densenet.train.command_line"
local program = require "densenet.train.program"

local command_line = CommandLine.new {
  { title = "Report",
    { name = "device", type = "word", default = "cuda:0", choices = { "cuda", "cuda:N" }, pattern = "^cuda:%d+$",
      help = "the GPU" },
    { name = "out", type = "text", default = "build/gpu_report", help = "OUT.md and OUT.json are written" },
    { name = "minutes", type = "number", default = 8, min = 0, help = "begin no measurement after so many" },
    { name = "steps", type = "integer", default = 20, min = 1, help = "timed steps of each" },
    { name = "skipBuild", type = "flag", help = "do not build first" },
    { name = "skipSuite", type = "flag", help = "do not run the specs" },
    { name = "tiny", type = "flag", help = "a tiny network instead, to try the report itself" },
  },
  { title = "Peer",
    { name = "peer", type = "text", shown = "none", help = "a Python script to time beside, such as torch_peer.py" },
    { name = "python", type = "text", default = "python3", help = "what runs it" },
  },
}

local NETWORKS = {
  { name = "DenseNet-BC(100,12)", batch = 64, size = 32, growth = 12, classes = 10, depth = 100 },
  { name = "DenseNet-BC(190,40)", batch = 64, size = 32, growth = 40, classes = 10, depth = 190 },
  { name = "DenseNet-121", batch = 128, size = 224, growth = 32, classes = 1000, blocks = "6,12,24,16",
    stem = "imagenet" },
}
local TINY = { { name = "DenseNet-BC(22,4)", batch = 2, size = 8, growth = 4, classes = 10, depth = 22 } }
local PRECISIONS = { "single", "bfloat16", "tf32", "half" }
local MODES = { 4, 5, 0, 3, 1, 2 }

-- Runs a command; its output and whether it ended well, in at most `seconds`.
local function run(command, seconds)
  local pipe = assert(io.popen(("timeout %d %s 2>&1"):format(seconds, command)))
  local text = pipe:read("a")
  local done, _, status = pipe:close()
  return text, done == true, status
end

local function last_line(text) return text:match("([^\n]+)%s*$") or "" end

-- A measurement is { network, who, mode or configuration, precision, command }.
local function ours(opt, network, mode, precision)
  local words = { quote(arg[-1] or "lua5.4"), quote(root .. "/scripts/bench.lua"), "-json", "-warmup 3",
    "-steps", opt.steps, "-device", opt.device, "-precision", precision, "-optMemory", mode,
    "-batchSize", network.batch, "-size", network.size, "-growthRate", network.growth, "-nClasses", network.classes,
    "-stem", network.stem or "cifar",
    network.blocks and "-blocks " .. network.blocks or "-depth " .. network.depth }
  return { network = network.name, batch = network.batch, who = "densenet", what = "-optMemory " .. mode,
    precision = precision, command = table.concat(words, " ") }
end

local function peers(opt, network, format, precision, memory)
  local words = { quote(opt.python), "-W ignore", quote(opt.peer), "--device cuda", "--warmup 3", "--steps", opt.steps,
    "--format", format, "--memory", memory, "--precision", precision, "--batch", network.batch,
    "--size", network.size, "--growth", network.growth, "--classes", network.classes,
    network.blocks and "--blocks " .. network.blocks or "--depth " .. network.depth }
  return { network = network.name, batch = network.batch, who = "peer", what = format .. " " .. memory,
    precision = precision, command = table.concat(words, " ") }
end

-- Everything there is to measure, the most telling first: the default modes of all networks, then the
-- peer, then the rest.
local function measurements(opt)
  local list, networks = {}, opt.tiny and TINY or NETWORKS
  local function each(modes)
    for _, mode in ipairs(modes) do
      for _, precision in ipairs(PRECISIONS) do
        for _, network in ipairs(networks) do list[#list + 1] = ours(opt, network, mode, precision) end
      end
    end
  end
  each { MODES[1], MODES[2] }
  for _, memory in ipairs(opt.peer and { "standard", "efficient" } or {}) do
    for _, precision in ipairs { "float", "bf16", "tf32", "half" } do
      for _, format in ipairs { "nhwc", "nchw" } do
        for _, network in ipairs(networks) do
          list[#list + 1] = peers(opt, network, format, precision, memory)
        end
      end
    end
  end
  each { table.unpack(MODES, 3) }
  return list
end

-- Adds what a measurement found, or why there is nothing.
local function measure(one, seconds)
  local text, done, status = run(one.command, seconds)
  local found = done and dn.json.decode(last_line(text))
  if type(found) == "table" then
    one.median_s, one.min_s, one.peak_mb = found.median_s, found.min_s, found.peak_mb
    one.planned_mb = found.planned_mb
    one.peer = found.peer
    return
  end
  one.failure = status == 124 and ("took longer than %d s"):format(seconds) or last_line(text)
  if text:find("out of memory", 1, true) or text:find("OutOfMemory", 1, true) then one.failure = "out of memory" end
end

local function number(format, value) return type(value) == "number" and format:format(value) or "" end

local function row(one)
  local rate = one.median_s and one.batch / one.median_s
  return ("| %s, %d images | %s | %s | %s | %s | %s | %s | %s |"):format(one.network, one.batch,
    one.who == "peer" and (one.peer or "peer") or "densenet", one.what, one.precision,
    number("%.1f", one.planned_mb), number("%.1f", one.peak_mb),
    one.median_s and number("%.2f", one.median_s * 1000) or one.failure or "not run", number("%.0f", rate))
end

local function report(about, list)
  local lines = {
    "# densenet on " .. about.product, "",
    ("%s, %.0f MB; driver of CUDA %s, runtime %s; compute capability %s. %s"):format(about.device,
      about.memory / 2 ^ 20, about.driver, about.runtime, about.capability, about.date),
    ("Commit %s."):format(about.commit), "",
    "Specs of CUDA: " .. about.suite, "",
    ("Training steps: forward, cross-entropy, backward, SGD on random images; medians of %d steps. MB are 2^20 bytes "
      .. "on the device: what was planned, and the most that was held."):format(about.steps), "",
    "| network | program | memory | precision | MB planned | MB | ms a step | images/s |",
    "|---|---|---|---|---|---|---|---|",
  }
  for _, one in ipairs(list) do lines[#lines + 1] = row(one) end
  return table.concat(lines, "\n") .. "\n"
end

local function main()
  local opt, why = command_line:parse(arg)
  if not opt then program.refuse(why) end
  if opt.help then return print("lua scripts/gpu_report.lua [-option value ...]\n" .. command_line:help()) end
  local gpu = program.check(dn.device(opt.device))
  local ends = os.time() + opt.minutes * 60
  local commit, known = run("git -C " .. quote(root) .. " rev-parse --short HEAD", 10)
  local about = {
    device = opt.device, product = gpu.product, memory = gpu.memory, driver = gpu.driver, runtime = gpu.runtime,
    capability = gpu.capability, date = os.date("%Y-%m-%d"), steps = opt.steps,
    commit = known and last_line(commit) or "unknown", suite = "not run",
  }
  if not opt.skipSuite then
    local text, done = run("make -C " .. quote(root) .. " test-cuda", math.max(60, opt.minutes * 60 // 2))
    about.suite = last_line(text)
    if not done then
      io.stderr:write(text:sub(-4000), "\n")
      about.suite = about.suite .. " (failed: `make test-cuda` says more)"
    end
  end
  io.stderr:write("specs of CUDA: ", about.suite, "\n")

  local list = measurements(opt)
  for i, one in ipairs(list) do
    local left = ends - os.time()
    if left > 0 then measure(one, math.max(30, math.min(left, 120))) end
    io.stderr:write(("[%d/%d, %d s left] %s\n"):format(i, #list, math.max(0, ends - os.time()), row(one)))
  end
  program.check(core.file_write(opt.out .. ".md", report(about, list), {}))
  program.check(core.file_write(opt.out .. ".json", dn.json.encode { about = about, measurements = list } .. "\n", {}))
  io.stdout:write(report(about, list))
end

os.exit(program.run("gpu_report.lua",
  "usage: lua scripts/gpu_report.lua [-option value ...]      (--help lists the options)", main), true)
