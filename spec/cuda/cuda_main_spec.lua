-- main.lua on a GPU as its users meet it: processes that train, save, go on elsewhere and test.

local core = require "densenet.core"
local temporary = require "spec.support.temporary"

local is_emulated = core.testing.cuda_emulation("reverse", 0)
local root = io.popen("pwd"):read("l")
local interpreter = temporary.interpreter()
if interpreter:find("/") and not interpreter:find("^/") then interpreter = root .. "/" .. interpreter end
local build = os.getenv("DENSENET_BUILD") or "build"
if not build:find("^/") then build = root .. "/" .. build end

local function emulated_it(name, test)
  if is_emulated then it(name, test) end
end

-- MNIST as far as files and sizes go: ten images, again and again.
local function write_images(directory, name, n)
  local generator, pixels, labels = math.random, {}, {}
  for i = 1, 10 * 28 * 28 do pixels[i] = string.char(generator(0, 255)) end
  for i = 1, 10 do labels[i] = string.char(i - 1) end
  temporary.write(("%s/%s-images-idx3-ubyte"):format(directory, name),
    string.pack(">I4I4I4I4", 0x803, n, 28, 28) .. table.concat(pixels):rep(n // 10))
  temporary.write(("%s/%s-labels-idx1-ubyte"):format(directory, name),
    string.pack(">I4I4", 0x801, n) .. table.concat(labels):rep(n // 10))
end

describe("main.lua on a GPU", function()
  local directory, tiny
  setup(function()
    directory = temporary.directory()
    write_images(directory, "train", 60000)
    write_images(directory, "t10k", 10000)
    tiny = ("-dataset mnist -data '%s' -d1 1 -d2 1 -growthRate 2 -batchSize 2 -testSize 2 -nEpochs 1 "
      .. "-nThreads 1 -nCores 1 "):format(directory)
  end)
  teardown(function() temporary.remove(directory) end)

  local function read(name) return temporary.read(directory .. "/" .. name) end

  -- Returns the exit status, stdout and stderr.
  local function run(line, environment)
    local _, _, status = os.execute(("cd '%s'; DENSENET_BUILD='%s' %s '%s' '%s/main.lua' %s >stdout 2>stderr"):format(
      directory, build, environment or "", interpreter, root, line))
    return status, read("stdout"), read("stderr")
  end

  -- Returns what a run printed that has to end well.
  local function right(line, environment)
    local status, stdout, stderr = run(line, environment)
    assert.equal("", stderr)
    assert.equal(0, status)
    return stdout
  end

  -- Returns the message of a run that has to end with status 1.
  local function refused(line, environment)
    local status, _, stderr = run(line, environment)
    assert.equal(1, status)
    assert.is_nil(stderr:find("traceback", 1, true), stderr)
    return stderr
  end

  local function has(text, part) assert.is_truthy(text:find(part, 1, true), part .. " is missing in:\n" .. text) end
  local function lacks(text, part) assert.is_nil(text:find(part, 1, true), part .. " is in:\n" .. text) end

  it("trains where nothing else is asked for, and goes on elsewhere, in other precisions and modes", function()
    local stdout = right(tiny .. "-trainSize 4 -save run")
    assert.matches("\ndevice: +cuda:0 %([^\n]+, [%d.]+ GB%) in single precision, 1 compute threads", stdout)
    lacks(stdout, "not on a GPU")
    assert.matches("| Epoch: %[1%]%[2/2%]  Time %d+%.%d+ Loss %d", stdout)
    has(stdout, "* Best: test error")

    local function score(text) return { text:match("Finished epoch # %d +top1: +(%S+) +top5: +(%S+)") } end
    local test = "-testOnly true -testSize 2 -data . -retrain run/model_best.safetensors "
    assert.same(score(stdout), score(right(test)))
    assert.same(score(stdout), score(right(test .. "-device cpu")))

    stdout = right("-resume run -nEpochs 2 -nGPU 0")
    has(stdout, "device:    cpu in single precision")
    has(stdout, "it had -device cuda:0: it goes on the same to rounding, not bit for bit")
    stdout = right("-resume run -nEpochs 3 -nGPU 1 -precision tf32 -optMemory 0")
    assert.matches("\ndevice: +cuda:0 %([^\n]+ in tf32 precision", stdout)
    has(stdout, "-optMemory 0 (standard)")
    has(stdout, "it had -device cpu: it goes on the same to rounding, not bit for bit")
    has(stdout, "it had -precision single: it goes on the same to rounding, not bit for bit")
    stdout = right("-resume run -nEpochs 4 -precision bfloat16 -optMemory 3")
    has(stdout, " in bfloat16 precision")
    lacks(stdout, "it had -device")
    lacks(stdout, "skipped")
    stdout = right("-resume run -nEpochs 5 -precision double -optMemory 5")
    has(stdout, " in double precision")
    has(stdout, "Finished epoch # 5")
  end)

  it("scales the loss in half precision, skips steps that overflow, and goes on from there", function()
    local stdout = right(tiny .. "-trainSize 16 -precision half -LR 5 -save half")
    local scale, skipped = stdout:match(".*\n | loss scale (%d+), skipped (%d+) steps")
    assert.is_true(tonumber(skipped) > 0)
    assert.equal(65536 >> tonumber(skipped), tonumber(scale))
    stdout = right("-resume half -nEpochs 2")
    lacks(stdout, "it had")
    assert.is_true(tonumber(stdout:match(".*\n | loss scale %d+, skipped (%d+) steps")) >= tonumber(skipped))
  end)

  it("that was stopped goes on to the same bytes", function()
    local line = tiny .. "-trainSize 24 -dropRate 0.2 -save "
    right(line .. "whole")
    os.execute(("cd '%s'; : >stdout; DENSENET_BUILD='%s' '%s' '%s/main.lua' %sparts >stdout 2>stderr & pid=$!; "
      .. "until grep -q '/12. ' stdout; do kill -0 $pid || exit; sleep 0.01; done; kill -INT $pid; wait $pid"):format(
      directory, build, interpreter, root, line))
    assert.matches("interrupted; saved after batch %d+ of epoch 1; to go on: [^\n]*main.lua %-resume parts\n$",
      read("stderr"))
    lacks(right("-resume parts"), "it had")
    for _, file in ipairs { "model_1.safetensors", "optimState_1.safetensors" } do
      assert.is_true(read("whole/" .. file) == read("parts/" .. file), file)
    end
  end)

  it("captures its steps, with the same bytes as without, and says where it cannot", function()
    local line = tiny .. "-trainSize 7 -dropRate 0.2 -precision half -labelSmoothing 0.1 "
    lacks(right(line .. "-save captured"), "not captured")
    right(line .. "-cudaGraph false -save plain")
    for _, file in ipairs { "model_1.safetensors", "optimState_1.safetensors" } do
      assert.is_true(read("captured/" .. file) == read("plain/" .. file), file)
    end
    has(right(tiny .. "-trainSize 4 -optimizer adam -save adam"),
      "steps are not captured as a CUDA graph: optim.Adam counts its steps on the CPU")
    for options, why in pairs {
      ["-optimizer adam"] = "-cudaGraph true: optim.Adam counts its steps on the CPU",
      ["-device cpu"] = "-cudaGraph true is a GPU's, and the run computes on cpu",
    } do
      local status, _, stderr = run(tiny .. "-trainSize 4 -cudaGraph true -save no " .. options)
      assert.equal(2, status)
      has(stderr, why)
    end
  end)

  it("says what a GPU that is not there lacks", function()
    assert.matches("^main.lua: no cuda:15: there %a+ %d+ NVIDIA GPUs? here, counted from 0\n$",
      refused(tiny .. "-device cuda:15"))
  end)

  emulated_it("without a GPU computes on the CPU and says why, or refuses what was asked for", function()
    local without = "DENSENET_EMULATED_GPUS='no driver'"
    local stdout = right(tiny .. "-trainSize 4 -save cpu", without)
    has(stdout, "device:    cpu in single precision")
    has(stdout, "not on a GPU: no CUDA: no NVIDIA driver, or one older than CUDA 13.0")
    for line, reason in pairs {
      ["-device cuda"] = "no CUDA: no NVIDIA driver", ["-nGPU 1"] = "no CUDA: no NVIDIA driver",
      ["-precision tf32"] = "-precision tf32 needs a GPU: no CUDA: no NVIDIA driver",
    } do
      has(refused(tiny .. line, without), "main.lua: " .. reason)
    end
    assert.equal(right(tiny .. "-plan -device cuda"), right(tiny .. "-plan -device cuda", without))
  end)

  emulated_it("says before training what does not fit", function()
    local stderr = refused(tiny:gsub("%-batchSize 2", "-batchSize 256") .. "-save small",
      "DENSENET_EMULATED_BYTES=20000000")
    assert.matches("^main.lua: a training step of 256 images takes [%d.]+ MB with %-optMemory 4 %(linear%), and "
      .. "19%.%d MB are available; the largest %-batchSize that fits is %d+; [^\n]*\n$", stderr)
  end)
end)
