-- main.lua and scripts/bench.lua as their users meet them: processes with an exit status, stdout and
-- stderr.
local core = require "densenet.core"
local json = require "densenet.io.json"
local temporary = require "spec.support.temporary"

local tiny = "-dataset fashion-mnist -depth 10 -growthRate 4 -trainSize 256 -testSize 100 -batchSize 32 "
  .. "-nThreads 1 -nCores 1 "

local root = io.popen("pwd"):read("l")
local interpreter = temporary.interpreter()
if interpreter:find("/") and not interpreter:find("^/") then interpreter = root .. "/" .. interpreter end
local build = os.getenv("DENSENET_BUILD") or "build"
if not build:find("^/") then build = root .. "/" .. build end

describe("main.lua", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function read(name) return temporary.read(directory .. "/" .. name) end

  -- Runs in the background; wait gives the exit status.
  local function start(line, script)
    os.execute(("cd '%s'; rm -f status; : >stdout; export DENSENET_BUILD='%s'; "
      .. "{ '%s' '%s' %s >stdout 2>stderr & echo $! >pid; wait $!; echo $? >status.tmp; mv status.tmp status; } "
      .. "2>/dev/null &"):format(directory, build, interpreter, root .. "/" .. (script or "main.lua"), line))
  end

  local function wait()
    for _ = 1, 3000 do
      if core.file_exists(directory .. "/status") then return tonumber(read("status")) end
      os.execute("sleep 0.02")
    end
    error("the process does not end: " .. read("stdout") .. read("stderr"))
  end

  local function run(line, script)
    start(line, script)
    return wait(), read("stdout"), read("stderr")
  end

  local function signal(name) os.execute(("kill -%s $(cat '%s/pid')"):format(name, directory)) end

  -- Waits until stdout holds the text, or the process has ended.
  local function wait_for(text)
    for _ = 1, 3000 do
      if core.file_exists(directory .. "/status") then return false end
      local file = io.open(directory .. "/stdout")
      local output = file and file:read("a") or ""
      if file then file:close() end
      if output:find(text, 1, true) then return true end
      os.execute("sleep 0.01")
    end
    error("never printed: " .. text)
  end

  local bad_lines = {
    "-depth forty", "-depth 41", "-batchSize 0", "-testOnly maybe", "-nEpochs -3", "-dept 40", "-depth",
    "-nProcesses 2", "-device cpu -nGPU 2",
    "-device cuda -nGPU 0", "-precision tf32 -device cpu", "-optMemory 4 -memory minimal",
    "-tenCrop true", "-dataset imagenet", "-testOnly true",
  }
  it("refuses a bad command line with its reason, the usage, and status 2", function()
    for _, line in ipairs(bad_lines) do
      local status, stdout, stderr = run(line)
      assert.equal(2, status, line)
      assert.equal("", stdout)
      assert.is_truthy(stderr:find("^main.lua: ") and stderr:find(line:match("^%S+"), 1, true), stderr)
      assert.is_truthy(stderr:find("\nusage: ", 1, true))
      assert.is_nil(stderr:find("traceback", 1, true))
    end
  end)

  it("explains its options", function()
    for _, word in ipairs { "--help", "-help" } do
      local status, stdout, stderr = run(word)
      assert.equal(0, status)
      assert.equal("", stderr)
      assert.is_truthy(stdout:find("-growthRate N", 1, true))
    end
  end)

  it("says what the outside world refuses, with status 1 and no traceback", function()
    temporary.write(directory .. "/file", "")
    temporary.write(directory .. "/bad.safetensors", ("\255"):rep(40))
    core.directory_make(directory .. "/empty")
    for line, reason in pairs {
      [tiny .. "-save /proc/nowhere"] = "cannot save in '/proc/nowhere'",
      [tiny .. "-save file"] = "cannot save in 'file'",
      [tiny .. "-log missing/log.tsv"] = "missing/log.tsv",
      ["-resume empty"] = "nothing to resume in 'empty'",
      ["-resume nothing/here"] = "nothing to resume in 'nothing/here'",
      ["-retrain nothing.safetensors"] = "nothing.safetensors",
      ["-retrain bad.safetensors"] = "bad.safetensors",
      ["-data empty"] = "empty",
      [tiny .. "-valSize 256"] = "-valSize 256: expected fewer than the 256 training images",
      ["-trainSize 60001"] = "60000",
      [tiny .. "-nClasses 9"] = "9 classes",
      [tiny .. "-device cuda:15"] = "CUDA",
    } do
      local status, _, stderr = run(line)
      assert.equal(1, status, line)
      assert.is_truthy(stderr:find("^main.lua: ") and stderr:find(reason, 1, true), line .. "\n" .. stderr)
      assert.is_nil(stderr:find("traceback", 1, true), stderr)
    end
  end)

  it("trains, resumes, and tests one model file alone", function()
    local status, stdout, stderr = run(tiny .. "-nEpochs 1 -save run -valSize 56")
    assert.equal("", stderr)
    assert.equal(0, status)
    for _, text in ipairs { "train:     fashion-mnist", "validation:", "parameters", "saves in:  run",
      " | Epoch: [1][1/7]", "left ", " * Finished epoch # 1", "errors in %", "in run/model_best.safetensors" } do
      assert.is_truthy(stdout:find(text, 1, true), text .. " is missing in:\n" .. stdout)
    end
    local top1, top5 = stdout:match("Finished epoch # 1 +top1: +(%S+) +top5: +(%S+)")
    status, stdout = run("-testOnly true -testSize 100 -retrain run/model_best.safetensors")
    assert.equal(0, status)
    assert.same({ top1, top5 }, { stdout:match("Finished epoch # 1 +top1: +(%S+) +top5: +(%S+)") })
    -- A tensor of a dtype that nobody asks for is told of and spoils nothing.
    local text, first = string.unpack("<s8", read("run/model_best.safetensors"))
    local bytes = read("run/model_best.safetensors"):sub(first)
    text = text:gsub("}%s*$", (',"mask":{"dtype":"BOOL","shape":[1],"data_offsets":[%d,%d]}}'):format(
      #bytes, #bytes + 1))
    temporary.write(directory .. "/masked.safetensors", string.pack("<s8", text) .. bytes .. "\1")
    status, stdout = run("-testOnly true -testSize 100 -retrain masked.safetensors")
    assert.equal(0, status)
    assert.same({ top1, top5 }, { stdout:match("Finished epoch # 1 +top1: +(%S+) +top5: +(%S+)") })
    assert.is_truthy(stdout:find('retrains:  masked.safetensors: 1 of its tensors are left out, the first is "mask": '
      .. "dtype BOOL is not supported", 1, true), stdout)
    status, stdout = run("-testOnly true -resume run")
    assert.equal(0, status)
    assert.same({ top1, top5 }, { stdout:match("Finished epoch # 1 +top1: +(%S+) +top5: +(%S+)") })
    status, stdout, stderr = run("-resume run -growthRate 12")
    assert.equal("", stdout)
    assert.equal(2, status)
    assert.is_truthy(stderr:find("-growthRate 12 (the checkpoint has 4)", 1, true))
    status, stdout, stderr = run("-retrain run/model_best.safetensors -resetClassifier true -nClasses 12 "
      .. "-optimState run/optimState_1.safetensors -save other")
    assert.equal("", stdout)
    assert.equal(1, status)
    assert.is_truthy(stderr:find("main.lua: run/optimState_1.safetensors: the state does not fit the optimizer:\n"
      .. "  wrong shape (2): classifier.bias (expected 12, got 10)", 1, true), stderr)
    assert.is_nil(stderr:find("traceback", 1, true), stderr)
    assert.equal("classes.tsv latest.json log.tsv model_1.safetensors model_best.safetensors optimState_1.safetensors",
      table.concat(core.directory_list(directory .. "/run"), " "))
  end)

  it("prints lines of at most 80 characters into a file, and commands that are true at the end", function()
    local _, stdout = run(tiny .. "-nEpochs 1 -save 'my run' -valSize 56")
    for line in stdout:gmatch("\n( [|*][^\n]*)") do assert.is_true(#line <= 80, line) end
    assert.is_truthy(stdout:find("\nThe run took %d+s%. The best model is in my run/model_best%.safetensors\n"), stdout)
    local test, longer = stdout:match("\nTo test it:\n  ([^\n]*)\nTo train for longer[^\n]*\n  ([^\n]*)\n$")
    local function typed(command)
      local pipe = io.popen(("cd '%s' && DENSENET_BUILD='%s' %s -testSize 100 2>&1"):format(directory, build, command))
      local text = pipe:read("a")
      return text, pipe:close()
    end
    local text, done = typed(test)
    assert.is_true(done, text)
    assert.equal(stdout:match("Finished epoch # 1[^\n]*"), text:match("Finished epoch # 1[^\n]*"))
    text, done = typed(longer)
    assert.is_true(done, text)
    assert.is_truthy(text:find("\n * Finished epoch # 2 ", 1, true))
    assert.is_truthy(text:find("\nSince it was resumed the run took ", 1, true))
  end)

  it("redraws one line on a terminal, and clears it before it prints anything else", function()
    if not os.execute("script -qec true /dev/null >/dev/null 2>&1 </dev/null") then
      return pending("no script(1) here")
    end
    temporary.write(directory .. "/typed", ("stty columns 80; export TERM=xterm\nDENSENET_BUILD='%s' '%s' "
      .. "'%s/main.lua' %s -nEpochs 2 -save run\n"):format(build, interpreter, root, tiny))
    os.execute(("cd '%s' && SHELL=/bin/sh script -qec 'sh typed' /dev/null >stdout </dev/null"):format(directory))
    local stdout = read("stdout"):gsub("\r\n", "\n")
    local nShown = 0
    for text in stdout:gmatch("\r([^\r\27]+)\27%[K") do
      nShown = nShown + 1
      assert.is_true(#text <= 77, text)
    end
    assert.is_true(nShown >= 4, stdout) -- an epoch and a test, twice
    assert.is_truthy(stdout:find("\repoch 1/2 1/8  ", 1, true), stdout)
    -- What stays: a line that was drawn is drawn over or cleared.
    local left = stdout:gsub("\r[^\r\27\n]*\27%[K%f[\r]", ""):gsub("\r\27%[K", "")
    assert.is_nil(left:find("[\r\27]"), left)
    assert.is_nil(left:find("images/s", 1, true), left)
    assert.is_truthy(left:find("\n | Epoch: [1][8/8]  Time ", 1, true), left)
    assert.is_truthy(left:find("\n * Finished epoch # 2 ", 1, true))
  end)

  it("trains in half precision, and goes on in another one, with a note", function()
    local status, stdout, stderr = run(tiny .. "-device cpu -precision half -nEpochs 1 -save run")
    assert.equal("", stderr)
    assert.equal(0, status)
    assert.is_truthy(stdout:find("device:    cpu in half precision", 1, true), stdout)
    assert.is_truthy(stdout:find("half is slow on the CPU", 1, true))
    assert.is_truthy(stdout:find("\n | loss scale %d+, skipped %d+ steps that overflowed\n"), stdout)
    local header, row = read("run/log.tsv"):match("([^\n]*)\n([^\n]*)\n")
    assert.is_truthy(header:find("\tloss_scale\tskipped_steps\t", 1, true))
    assert.is_nil(row:find("best_top1"))
    status, stdout, stderr = run("-resume run -nEpochs 2 -precision single")
    assert.equal("", stderr)
    assert.equal(0, status)
    assert.is_truthy(stdout:find("cpu in single precision", 1, true))
    assert.is_truthy(stdout:find("it had -precision half: it goes on the same to rounding", 1, true), stdout)
    assert.is_nil(stdout:find("skipped", 1, true))
    status, stdout = run("-resume run -nEpochs 3 -device cpu")
    assert.equal(0, status)
    assert.is_truthy(stdout:find("cpu in single precision", 1, true))
    assert.is_nil(stdout:find("it had", 1, true))
  end)

  it("says where it computes, and why not on a GPU", function()
    if core.device_find("cuda") then return pending("there is a GPU here") end
    local _, stdout = run(tiny .. "-nEpochs 1 -save run")
    assert.is_truthy(stdout:find("device:    cpu in single precision", 1, true))
    assert.is_truthy(stdout:find("not on a GPU: ", 1, true), stdout)
    _, stdout = run("-resume run -nEpochs 2 -nGPU 0")
    assert.is_nil(stdout:find("not on a GPU", 1, true))
  end)

  it("saves and stops on Ctrl-C and on SIGTERM, and goes on", function()
    for name, expected in pairs { INT = 130, TERM = 143 } do
      start(tiny .. "-nEpochs 3 -save " .. name)
      assert.is_true(wait_for(" | Epoch: [1][1/8]"))
      signal(name)
      assert.equal(expected, wait())
      local stderr = read("stderr")
      assert.is_truthy(stderr:find("^main.lua: interrupted; saved after batch %d of epoch %d; "
        .. "to go on: [^\n]*main.lua %-resume " .. name .. "\n$"), stderr)
      local status, stdout = run("-resume " .. name)
      assert.equal(0, status)
      assert.is_truthy(stdout:find("resumes:", 1, true))
    end
  end)

  it("ends at once on a second signal", function()
    local slow = tiny:gsub("%-depth 10 %-growthRate 4", "-depth 40 -growthRate 12") -- steps outlast the pause between
    start(slow .. "-nEpochs 3 -save run")
    assert.is_true(wait_for(" | Epoch: [1][1/8]"))
    os.execute(("pid=$(cat '%s/pid'); kill -INT $pid; kill -TERM $pid"):format(directory))
    local status = wait() -- by whichever of the two was handled last
    assert.is_true(status == 130 or status == 143, status)
    assert.equal("", read("stderr"))
  end)

  it("killed at moments of all kinds and resumed, ends with the same model, byte for byte", function()
    local line = tiny .. "-nEpochs 2 -saveEvery 2 -dropRate 0.1 -save "
    assert.equal(0, (run(line .. "whole")))
    start(line .. "killed")
    local generator = 12345
    for _ = 1, 6 do
      generator = generator * 1103515245 + 12345 & 0x7fffffff
      wait_for("Training epoch")
      os.execute(("sleep 0.%03d"):format(generator >> 8 & 255))
      signal("KILL")
      local status = wait()
      if status == 0 then break end
      assert.equal(137, status)
      local can_resume = core.file_exists(directory .. "/killed/latest.json")
      start(can_resume and "-resume killed" or line .. "killed")
    end
    assert.equal(0, wait())
    for _, file in ipairs { "model_2.safetensors", "model_best.safetensors", "optimState_2.safetensors" } do
      assert.is_true(read("whole/" .. file) == read("killed/" .. file), file)
    end
    local function rows(name) return (read(name .. "/log.tsv"):gsub("\t[^\t\n]*\t[^\t\n]*\n", "\n")) end
    assert.equal(rows("whole"), rows("killed"))
  end)

  it("says which Lua it needs", function()
    if not os.execute("command -v lua5.1 >/dev/null 2>&1") then return pending("no lua5.1 here") end
    for _, script in ipairs { "main.lua", "scripts/bench.lua" } do
      os.execute(("cd '%s' && lua5.1 '%s/%s' -depth 40 >stdout 2>stderr; echo $? >status"):format(directory, root,
        script))
      assert.equal(1, tonumber(read("status")))
      assert.is_truthy(read("stderr"):find("needs Lua 5.4, and this is Lua 5.1. Run it as: lua5.4 ", 1, true))
    end
  end)

  it("is a table of contents", function()
    local _, n_lines = temporary.read(root .. "/main.lua"):gsub("\n", "\n")
    assert.is_true(n_lines < 70)
  end)
end)

describe("bench.lua", function()
  local function bench(line)
    local pipe = io.popen(("'%s' scripts/bench.lua %s 2>&1"):format(interpreter, line))
    local output = pipe:read("a")
    local _, _, status = pipe:close()
    return output, status
  end

  it("prints one line of JSON last", function()
    local output, status = bench("-device cpu -depth 10 -growthRate 4 -size 8 -batchSize 4 -optMemory 0 -steps 3 -json")
    assert.equal(0, status)
    local result = assert(json.decode(output:match("([^\n]*)\n$")))
    for _, field in ipairs { "median_s", "min_s", "first_s", "peak_mb", "params" } do
      assert.is_true(result[field] > 0, field)
    end
    assert.is_true(result.planned_mb > 0)
    assert.is_true(result.min_s <= result.median_s)
    assert.equal(0, result.allocations)
    for name, value in pairs { depth = 10, growthRate = 4, batchSize = 4, optMemory = 0, steps = 3, warmup = 2,
      device = "cpu", size = 8, channels = 3, nClasses = 10, infer = false } do
      assert.equal(value, result[name], name)
    end
  end)

  it("times the forward pass too, and takes any blocks", function()
    local output, status = bench("-d1 1 -d2 2 -growthRate 4 -size 8 -channels 1 -batchSize 2 -infer -steps 1 -json")
    assert.equal(0, status)
    local result = json.decode(output)
    assert.is_true(result.infer)
    assert.is_true(result.planned_mb > 0 and result.peak_mb <= result.planned_mb + 0.1)
    assert.same({ 1, 2 }, { table.unpack(result.network.blocks) })
    output, status = bench("-netType preresnet -depth 8 -size 8 -batchSize 2 -steps 1 -json")
    assert.equal(0, status, output)
    result = json.decode(output)
    assert.equal(8, result.network.depth)
    assert.equal(1, result.optMemory)
    assert.equal(0, result.allocations)
    assert.is_true(result.peak_mb <= result.planned_mb + 0.1)
  end)

  it("takes the tiles of an instruction set", function()
    local wanted = { avx512 = true, avx2 = true, portable = true }
    for _, set in ipairs(core.testing.tiles()) do
      local output, status = bench("-depth 10 -growthRate 4 -size 8 -batchSize 2 -steps 1 -json -tiles " .. set)
      assert.equal(0, status, output)
      assert.equal(set, json.decode(output).tiles)
      wanted[set] = nil
    end
    for set in pairs(wanted) do -- what this processor lacks
      local output, status = bench("-depth 10 -tiles " .. set)
      assert.equal(2, status)
      assert.is_truthy(output:find("this processor has", 1, true), output)
    end
  end)

  it("refuses what it does not understand", function()
    for line, reason in pairs { ["-depth 41"] = "40 and 46", ["-steps 0"] = "at least 1", ["-d2 2"] = "-d1 is missing",
      ["-netType preresnet -depth 9"] = "8 and 14", ["-netType preresnet -optMemory 3"] = "no mode of preresnet",
      ["-precision tf32"] = "is a GPU's", ["-optMemory 6"] = "at most 5",
      ["-tiles sse"] = "expected one of avx512, avx2, portable",
      ["-size 2"] = "-size 2: images of 2x2 are too small for this network",
      ["-size 2 -infer"] = "images of 2x2 are too small" } do
      local output, status = bench(line)
      assert.equal(2, status, line)
      assert.is_truthy(output:find(reason, 1, true), output)
      assert.is_nil(output:find("traceback", 1, true), output)
    end
    local output, status = bench("-device cuda:15")
    assert.equal(1, status)
    assert.is_truthy(output:find("^bench.lua: [^\n]*CUDA[^\n]*\n$"), output)
  end)

  it("times 16 bits", function()
    for _, precision in ipairs { "half", "bfloat16" } do
      local output, status = bench("-depth 10 -growthRate 4 -size 8 -batchSize 4 -steps 2 -json -precision "
        .. precision)
      assert.equal(0, status, output)
      local result = json.decode(output)
      assert.equal(precision, result.precision)
      assert.equal(0, result.allocations)
      assert.is_true(result.peak_mb <= result.planned_mb + 0.1)
    end
  end)
end)

describe("the command densenet", function()
  local function output(line)
    local pipe = assert(io.popen(("%s scripts/densenet %s 2>&1"):format(interpreter, line)))
    local text = pipe:read("a")
    local _, _, status = pipe:close()
    return text, status
  end

  it("starts the programs of this checkout by their words", function()
    local version = "densenet " .. require("densenet").version .. "\n"
    assert.same({ version, 0 }, { output("--version") })
    assert.same({ version, 0 }, { output("train --version") })
    local text, status = output("plan -depth 10 -growthRate 4")
    assert.equal(0, status)
    assert.matches("optMemory 5", text)
    assert.matches("^usage: densenet COMMAND", (output("--help")))
  end)

  it("refuses words that it does not know", function()
    local text, status = output("trian")
    assert.equal(2, status)
    assert.matches("^densenet: unknown command 'trian'\nusage:", text)
    assert.same(2, select(2, output("")))
  end)
end)
