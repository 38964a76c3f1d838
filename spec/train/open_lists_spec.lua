-- Networks and data sets of one's own, from the command line: the examples run, are stored and found again; what a
-- file's network is, is checked against the options and the file.

local dn = require "densenet"
local core = require "densenet.core"
local json = require "densenet.io.json"
local ownModules = require "spec.support.own_modules"
local temporary = require "spec.support.temporary"

local root = io.popen("pwd"):read("l")
local function absolute(path) return path:find("^/") and path or root .. "/" .. path end
local build, interpreter = absolute(os.getenv("DENSENET_BUILD") or "build"), temporary.interpreter()
if interpreter:find("/") then interpreter = absolute(interpreter) end
local tiny = "-nGPU 0 -nCores 1 -trainSize 48 -testSize 24 -batchSize 24 -nEpochs 1 "

describe("main.lua", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  -- Called from another directory than the checkout.
  local function run(line)
    local command = "cd '%s' && DENSENET_BUILD='%s' '%s' '%s/main.lua' %s >stdout 2>stderr"
    local done, _, status = os.execute(command:format(directory, build, interpreter, root, line))
    return done and 0 or status, temporary.read(directory .. "/stdout"), temporary.read(directory .. "/stderr")
  end

  local function same(a, b)
    return temporary.read(directory .. "/" .. a) == temporary.read(directory .. "/" .. b)
  end

  it("trains the example's network on the example's set, the same with loader threads as without", function()
    for _, threads in ipairs { 0, 2 } do
      local status, stdout, stderr = run(("%s-dataset examples.spirals -netType examples.lenet -width 2 -valSize 8 "
        .. "-nThreads %d -save run%d"):format(tiny, threads, threads))
      assert.equal("", stderr)
      assert.equal(0, status)
      for _, text in ipairs { "examples.spirals train: 40 images (1 to 40 of 3000) of 1x24x24 in 3 classes",
        "network:   LeNet of width 2, 3 classes", "-optMemory 1 (liveness)" } do
        assert.is_truthy(stdout:find(text, 1, true), stdout)
      end
    end
    assert.is_true(same("run0/model_1.safetensors", "run2/model_1.safetensors"))
    local _, metadata = dn.safetensors.load(directory .. "/run2/model_1.safetensors")
    local state = json.decode(metadata.densenet)
    assert.equal("examples.lenet", state.network.family)
    assert.equal("examples.spirals", state.dataset)
    assert.equal(2, state.options.width)
  end)

  it("goes on with them, tests them, and starts from their weights, without being told their names", function()
    assert.equal(0, (run(tiny .. "-dataset examples.spirals -netType examples.lenet -width 2 -nThreads 1 -save run")))
    local status, stdout, stderr = run("-resume run -nEpochs 2 -nGPU 0 -nCores 1")
    assert.equal("", stderr)
    assert.equal(0, status)
    assert.is_truthy(stdout:find("network:   LeNet of width 2", 1, true), stdout)
    status, stdout, stderr = run("-testOnly true -testSize 24 -nGPU 0 -retrain run/model_best.safetensors")
    assert.equal("", stderr)
    assert.equal(0, status)
    assert.is_truthy(stdout:find("examples.spirals test", 1, true), stdout)
    status, stdout, stderr = run(tiny .. "-retrain run/model_best.safetensors -resetClassifier true -nClasses 10 "
      .. "-dataset examples.spirals -save other")
    assert.equal("", stderr)
    assert.equal(0, status)
    assert.is_truthy(stdout:find("LeNet of width 2, 10 classes", 1, true), stdout)
    for line, reason in pairs {
      ["-netType examples.lenet -width 3"] = "-width 3, but the network in -retrain run/model_best.safetensors has 2",
      ["-netType densenet"] = "-netType densenet, but the network in -retrain run/model_best.safetensors is of the "
        .. "family examples.lenet",
      ["-growthRate 12"] = "-growthRate 12: a network of the family examples.lenet has no such option",
      ["-optMemory 4"] = "-optMemory 4 (linear) is no mode of examples.lenet",
    } do
      status, stdout, stderr = run(tiny .. "-dataset examples.spirals -retrain run/model_best.safetensors " .. line)
      assert.equal(2, status, line)
      assert.equal("", stdout)
      assert.is_truthy(stderr:find(reason, 1, true), stderr)
    end
  end)

  it("trains a preresnet, goes on with it, and a preset's blocks are held against a file's", function()
    local status, stdout, stderr = run(tiny .. "-dataset examples.spirals -netType preresnet -depth 8 -save run")
    assert.equal("", stderr)
    assert.equal(0, status)
    assert.is_truthy(stdout:find("network:   ResNet-8 with pre-activation", 1, true), stdout)
    status, stdout = run("-resume run -nEpochs 2 -nGPU 0 -nCores 1 -memory standard")
    assert.equal(0, status)
    assert.is_truthy(stdout:find("it had -optMemory 1 (liveness): it goes on the same to rounding", 1, true), stdout)
    status, stdout, stderr = run("-nGPU 0 -retrain run/model_best.safetensors -depth 14")
    assert.equal(2, status)
    assert.equal("", stdout)
    assert.is_truthy(stderr:find("-depth 14, but the network in -retrain run/model_best.safetensors has 8", 1, true),
      stderr)
    assert.equal(0, (run(tiny .. "-dataset examples.spirals -d1 1 -d2 1 -growthRate 2 -save dense")))
    status, stdout, stderr = run("-nGPU 0 -netType wide -retrain dense/model_best.safetensors")
    assert.same({ 2, "" }, { status, stdout })
    assert.is_truthy(stderr:find("-netType wide, but the network in -retrain dense/model_best.safetensors has blocks "
      .. "1, 1", 1, true), stderr)
  end)

  it("plans a preset, and says what its images lack", function()
    local status, stdout = run("-plan -nGPU 0 -netType densenet121 -dataset cifar10 -batchSize 2")
    assert.equal(0, status)
    assert.is_truthy(stdout:find("parameters (364 tensors)", 1, true), stdout)
    local stderr
    status, stdout, stderr = run("-plan -nGPU 0 -netType densenet121 -dataset fashion-mnist")
    assert.equal(1, status)
    assert.equal("", stdout)
    assert.equal("main.lua: images of 28x28 are too small for this network, which needs 29x29 at least\n", stderr)
    status, stdout = run("-plan -nGPU 0 -netType preresnet -dataset cifar10 -batchSize 2")
    assert.equal(0, status)
    assert.is_truthy(stdout:find("-optMemory 1  liveness", 1, true), stdout)
    assert.is_nil(stdout:find("-optMemory 3", 1, true), stdout)
  end)

  it("refuses a file whose metadata describes no network that it can hold, at once", function()
    assert.equal(0, (run(tiny .. "-dataset examples.spirals -d1 1 -d2 1 -growthRate 2 -save run")))
    local path = directory .. "/run/model_best.safetensors"
    local tensors, metadata = dn.safetensors.load(path)
    local text = metadata.densenet
    local clock = core.clock()
    for change, reason in pairs {
      ['"blocks":[1,9223372036854775807]'] = "layers has more than the",
      ['"blocks":[2,1]'] = "the state does not fit the model:\n  missing",
      ['"blocks":[1,"x"]'] = "blocks[2] must be a number of layers",
      ['"blocks":[1,1],"growthRate":9999'] = "there is no option 'growth'",
      ['"blocks":[1,1],"family":"nowhere"'] = "no network is called 'nowhere'",
    } do
      local changed = text:gsub('"blocks":%[1,1%]', (change:gsub("%%", "%%%%")), 1)
      if change:find("growthRate") then changed = changed:gsub('"growthRate":2', '"growth":2', 1) end
      if change:find("family") then changed = changed:gsub('"family":"densenet",', "", 1) end
      assert(changed ~= text)
      assert(dn.safetensors.save(directory .. "/bad.safetensors", tensors, { densenet = changed }))
      local status, stdout, stderr = run("-nGPU 0 -retrain bad.safetensors -dataset examples.spirals -testSize 8 "
        .. "-testOnly true -save other")
      assert.equal(1, status, change)
      assert.equal("", stdout)
      assert.is_truthy(stderr:find("main.lua: bad.safetensors: ", 1, true), stderr)
      assert.is_truthy(stderr:find(reason, 1, true), stderr)
      assert.is_nil(stderr:find("traceback", 1, true), stderr)
    end
    assert.is_true(core.clock() - clock < 20)
    -- A file of before families were named is a densenet's.
    local old = text:gsub('"family":"densenet",', "", 1)
    assert(old ~= text)
    assert(dn.safetensors.save(directory .. "/old.safetensors", tensors, { densenet = old }))
    assert.equal(0, (run("-nGPU 0 -retrain old.safetensors -testOnly true -testSize 8")))
  end)
end)

describe("a data set of one's own", function()
  local define, pathOf = ownModules.setUp()

  it("has every part of an ImageSet's face", function()
    local set = assert(dn.data.open("examples.spirals", { split = "test", size = 10, offset = 5 }))
    assert.equal(10, set:size())
    local whole = assert(dn.data.open("examples.spirals", { split = "test" }))
    assert.equal(600, whole:size())
    assert.same(whole:get(6).input:totable(), set:get(1).input:totable())
    local part = set:subset(2, 3)
    assert.equal(3, part:size())
    assert.same(whole:get(8).input:totable(), part:get(1).input:totable())
    assert.error_matches(function() part:get(4) end, "expected an image from 1 to 3, got 4")
    assert.matches("examples.spirals test: 3 images %(8 to 10 of 600%) of 1x24x24 in 3 classes", part:describe())
    assert.same({ name = "examples.spirals", channels = 1, height = 24, width = 24, nClasses = 3, epochs = 10,
      splits = { train = true, test = true }, hasOwnClasses = false },
      dn.data.about("examples.spirals"))
    for _, threads in ipairs { 0, 2 } do
      local loader <close> = dn.data.Loader { set = part, batchSize = 2, nThreads = threads }
      local labels = {}
      for _, sample in loader:run(1) do
        for i = 1, sample.size do labels[#labels + 1] = sample.target:at(i) end
      end
      assert.same({ 2, 3, 1 }, labels)
    end
  end)

  it("may lie in memory", function()
    define("own_set", [[
      local dn, ImageSet = require "densenet", require "densenet.data.image_set"
      return { classes = { "a", "b" }, channels = 1, height = 4, width = 4, family = "plain",
        open = function(_, options)
          local images = dn.zeros(6, 1, 4, 4):type("byte")
          return ImageSet.new { images = images, labels = dn.tensor({ 1, 2, 1, 2, 1, 2 }, "long"),
            classes = { "a", "b" }, mean = { 1 }, std = { 2 } }
        end }]])
    local set = assert(dn.data.open("own_set", { split = "train", size = 4 }))
    assert.equal("own_set train: 4 images (1 to 4 of 6) of 1x4x4 in 2 classes, from module own_set", set:describe())
    assert.equal(100, dn.data.about("own_set").epochs)
    assert.equal("ColorNormalize({...})", tostring(dn.data.preprocess(set, "train").steps[1]))
  end)

  it("is refused by the field that is wrong", function()
    local function with(text)
      return "local t = { classes = { 'a' }, channels = 1, height = 4, width = 4, family = 'plain', mean = { 1 }, "
        .. "std = { 1 }, open = function() return { size = function() return 1 end, get = function() "
        .. "return { input = require 'densenet'.zeros(1, 4, 5), target = 1 } end } end } "
        .. text .. " return t"
    end
    assert.is_nil(dn.data.find("own_1"))
    for text, pattern in pairs {
      ["t.classes = nil"] = "module own_1: classes: expected a list of the classes' names, got nil",
      ["t.classes = {}"] = "classes: expected a list of the classes' names, got an empty one",
      ["t.height = 4.5"] = "height: expected the images' height, got 4.5",
      ["t.width = 0"] = "width: expected 1 or more, got 0",
      ["t.family = 'resnet'"] = "family: expected cifar, mnist, plain or imagenet, got resnet",
      ["t.mean = { 1, 2 }"] = "mean: expected 1 numbers, one for each channel, got 2",
      ["t.open = nil"] = "open: expected a function that opens the set, got nil",
      ["t.std = nil"] = "data set own_1: std: expected a list of 1 numbers, from its definition or from open",
      ["t.family, t.width = 'mnist', 5"] = "family: mnist cuts squares out of images, and these are 4x5; plain does",
      [""] = "get%(1%): expected an image of 1x4x4, as it is defined, got 1x4x5",
      ["local open = t.open t.open = function() local s = open() s.get = function() end return s end"] =
        "data set own_1: get%(1%): expected { input",
      ["local open = t.open t.open = function() local s = open() s.size = function() return 0 end return s end"] =
        "data set own_1: expected images, got none",
      ["t.open = function() return 3 end"] = "open should give a data set, a table with size%(%) and get%(i%)",
      ["t.open = function() return nil, 'no disk', 'io' end"] = "^no disk$",
    } do
      package.loaded.own_1 = nil
      define("own_1", with(text))
      local none, message = dn.data.open("own_1")
      assert.is_nil(none)
      assert.matches(pattern, message)
    end
    local none, message, code = dn.data.open("own_2")
    assert.same({ nil, "argument" }, { none, code })
    assert.is_truthy(message:find("no data set is called 'own_2'; known are cifar10, cifar100, fashion-mnist, "
      .. "imagenet, mnist, svhn; there is no module of that name: no " .. pathOf "own_2", 1, true), message)
  end)
end)
