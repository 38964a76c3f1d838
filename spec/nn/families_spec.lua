-- Families of networks: every one that comes with densenet is whole, residual networks are the published ones,
-- a configuration from a file is checked before anything is built, and a module of one's own is a family too.

local dn = require "densenet"
local family = require "densenet.models.family"
local modes = require "densenet.nn.memory_modes"
local compare = require "spec.support.compare"
local tablex = require "pl.tablex"
local ownModules = require "spec.support.own_modules"

local models = dn.models

describe("every family", function()
  for name, definition in tablex.sort(family.known) do
    it("is a whole table: " .. name, function()
      assert.is_nil(family.complaint(definition))
      local config = assert(models.complete { family = name, depth = name == "densenet" and 10 or 8 })
      assert.equal(name, config.family)
      assert.is_true(#models.describe(config) > 0)
      local nTensors = 0
      for _ in pairs(models.withoutMemory(config):stateDict()) do nTensors = nTensors + 1 end
      assert.is_true(definition.layers(config) <= nTensors)
      local memory = family.memoryOf(definition)
      assert.is_string(memory.builds[memory.default])
      assert.is_string(memory.builds[memory.least])
      assert.same({}, (function()
        local unknown = {}
        for mode in pairs(memory.builds) do
          if not modes[mode] then unknown[#unknown + 1] = mode end
        end
        return unknown
      end)())
      local model = models.fromConfig(config)
      assert.equal("nn.Linear", model:get(models.classifierOf(name)).__typename)
      assert.equal(3, models.resetClassifier(model, 3):forward(dn.randn(2, 3, 8, 8)):size(2))
    end)
  end

  it("says the least size of images, which is right", function()
    for _, options in ipairs {
      { family = "densenet", blocks = { 1, 1, 1 }, growthRate = 2 }, { family = "preresnet", depth = 8 },
      { family = "densenet", blocks = { 1, 1, 1 }, growthRate = 2, stem = "imagenet" },
      { family = "densenet", blocks = { 1 }, growthRate = 2, optMemory = 0 },
      { family = "densenet", blocks = { 1, 1 }, growthRate = 2, stem = "imagenet", optMemory = 0 },
    } do
      local model = models.fromConfig(options)
      local least = math.tointeger(models.leastSize(model.config))
      assert.equal(2, model:forward(dn.randn(2, 3, least, least)):dim())
      if least > 1 then
        assert.is_false((pcall(model.forward, model, dn.randn(2, 3, least - 1, least))))
      end
    end
  end)

  it("gives the plan's modes only where it has them", function()
    local text = models.preresnet({ depth = 8 }):plan({ 2, 3, 8, 8 }):table()
    for mode = 0, 2 do assert.is_truthy(text:find("-optMemory " .. mode, 1, true)) end
    for mode = 3, 5 do assert.is_nil(text:find("-optMemory " .. mode, 1, true)) end
    assert.error_matches(function() models.preresnet { depth = 8, optMemory = 4 } end,
      "optMemory 4 %(linear%) is no mode of preresnet, which has 0 %(standard%), 1 %(liveness%), 2 ")
  end)

  it("is trained without the images' gradient, and with the same others", function()
    for _, options in ipairs { { depth = 10, growthRate = 4 }, { family = "preresnet", depth = 8 } } do
      dn.manualSeed(1)
      local model, x = models.fromConfig(options), dn.randn(4, 3, 8, 8)
      local gradOutput = dn.randn(4, 10)
      model:forward(x)
      assert.is_truthy(model:backward(x, gradOutput))
      local before = {}
      for name, gradient in pairs(model:gradDict()) do before[name] = gradient:clone() end
      local whole = model:plan({ 64, 3, 32, 32 }).totalBytes
      model:zeroGradParameters()
      model:forward(x)
      assert.is_nil(models.withoutImageGradient(model):backward(x, gradOutput))
      for name, gradient in pairs(model:gradDict()) do compare.near(gradient, before[name], 1e-6, name) end
      assert.is_true(model:plan({ 64, 3, 32, 32 }).totalBytes <= whole)
    end
  end)
end)

describe("models.preresnet", function()
  -- By arithmetic: a first convolution, then blocks of norms and convolutions with their shortcuts.
  local function countOf(depth, bottleneck, nClasses)
    local width, n = 16, 3 * 16 * 9
    local input = width
    for stage = 1, 3 do
      for block = 1, (depth - 2) // (bottleneck and 9 or 6) do
        local k, out = width * 2 ^ (stage - 1), width * 2 ^ (stage - 1) * (bottleneck and 4 or 1)
        n = n + (bottleneck and 2 * input + input * k + 2 * k + 9 * k * k + 2 * k + k * out
          or 2 * input + 9 * input * k + 2 * k + 9 * k * k)
        if input ~= out or block == 1 and stage > 1 then n = n + input * out end
        input = out
      end
    end
    return n + 2 * input + (input + 1) * nClasses
  end

  it("has the published number of parameters", function()
    for _, case in ipairs { { 8, false }, { 20, false }, { 110, false }, { 11, true }, { 164, true } } do
      local n = models.withoutMemory({ family = "preresnet", depth = case[1], bottleneck = case[2] }):parameterCount()
      assert.equal(countOf(case[1], case[2], 10), n)
    end
    assert.equal("1.7", ("%.1f"):format(countOf(110, false, 10) / 1e6)) -- ResNet-110 and ResNet-164 of the paper
    assert.equal("1.7", ("%.1f"):format(countOf(164, true, 10) / 1e6))
  end)

  it("has the gradient that differences along a direction say, of every parameter", function()
    for _, bottleneck in ipairs { false, true } do
      dn.manualSeed(4)
      local model = models.preresnet { depth = bottleneck and 11 or 8, bottleneck = bottleneck, precision = "double",
        nClasses = 3 }
      -- Rectifiers are kept away from their kink, where differences say nothing.
      for _, norm in ipairs(model:findModules("nn.SpatialBatchNormalization")) do
        for i = 1, norm.nChannels do norm.bias:put(i % 4 == 0 and -5 or 5, i) end
      end
      local x, weights = dn.randn { 2, 3, 6, 5, dtype = "double" }, dn.randn { 2, 3, dtype = "double" }
      local function value() return (model:forward(x) * weights):sum() end
      value()
      model:zeroGradParameters()
      model:backward(x, weights)
      local state = model:stateDict()
      for name, gradient in pairs(model:gradDict()) do
        local parameter, direction = state[name], gradient:clone():normal()
        local expected, step = (gradient * direction):sum(), 1e-6
        parameter:add(step, direction)
        local above = value()
        parameter:add(-2 * step, direction)
        local difference = (above - value()) / (2 * step)
        parameter:add(step, direction)
        assert.message(("%s: %.10g by differences, %.10g computed"):format(name, difference, expected)).is_true(
          math.abs(difference - expected) <= 1e-5 * (1 + math.abs(expected)))
      end
    end
  end)

  it("names its parameters as documented", function()
    local names = {}
    for name in pairs(models.preresnet({ depth = 11, bottleneck = true }):stateDict()) do names[name] = true end
    for _, name in ipairs { "conv1.weight", "layer1.0.bn1.weight", "layer1.0.bn1.running_var", "layer1.0.conv3.weight",
      "layer1.0.downsample.weight", "layer3.0.bn3.bias", "bn.running_mean", "fc.weight", "fc.bias" } do
      assert.is_true(names[name], name)
    end
  end)

  it("lets what a block adds to go through untouched", function()
    local model = models.preresnet { depth = 14, precision = "double" }
    for _, conv in ipairs(model:findModules("nn.SpatialConvolution")) do
      if conv.kW == 3 and conv.nInputPlane > 3 then conv.weight:fill(0) end
    end
    local x = dn.randn { 2, 3, 8, 8, dtype = "double" }
    model:forward(x)
    -- The second block of a stage has an identity beside its (now silent) convolutions.
    local stage = model:get("layer1")
    compare.identical(stage:get(2).output, stage:get(1).output, "identity")
  end)

  it("refuses what it cannot be", function()
    for pattern, options in pairs {
      ["models.preresnet: depth 9 is not possible .* nearest: 8 and 14"] = { depth = 9 },
      ["depth 10 is not possible with bottleneck true: expected 9 n %+ 2 .* nearest: 11"] = { depth = 10,
        bottleneck = true },
      ["there is no option 'growthRate'; there are depth, bottleneck"] = { growthRate = 12 },
      ["models.preresnet: a table of options expected, got number"] = 3,
    } do
      assert.error_matches(function() models.preresnet(options) end, pattern)
    end
  end)
end)

describe("a configuration that a file claims", function()
  it("is refused at once where it cannot be", function()
    local function config(change)
      local whole = models.complete { depth = 10, growthRate = 4 }
      for name, value in pairs(change) do whole[name] = value end
      return whole
    end
    assert.is_truthy(models.complete(config {}, 40))
    for pattern, change in pairs {
      ["a network of 9223372036854775808 layers has more than the 40 tensors"] = { blocks = { 1, 1, math.maxinteger } },
      ["a network of 52 layers has more than the 40 tensors"] = { blocks = { 25, 25 } },
      ["^blocks%[2%] must be a number of layers"] = { blocks = { 1, {} } },
      ["^blocks must be a list of layer numbers"] = { blocks = "1" },
      ["^growthRate must be an integer from 1 to 1000000"] = { growthRate = math.maxinteger },
      ["^initChannels must be an integer of 1 or more, got 1.5"] = { initChannels = 1.5 },
      ["^bottleneck must be true or false, got 1"] = { bottleneck = 1 },
      ["^nClasses must be an integer of 1 or more, got a"] = { nClasses = "a" },
      ["^inputChannels must be an integer of 1 or more, got %-1"] = { inputChannels = -1 },
      ["^reduction must be a number above 0"] = { reduction = 0 / 0 },
      ["^there is no option 'extra'"] = { extra = 1 },
      ["^family nothing.here: no network is called 'nothing.here'"] = { family = "nothing.here" },
      ["^family ../x: no network is called '../x'"] = { family = "../x" },
      ["^family 7: no network is called '7'"] = { family = 7 },
    } do
      local found, message = models.complete(config(change), 40)
      assert.is_nil(found)
      assert.matches(pattern, message)
    end
    assert.same({ nil, "a table of options expected, got string" }, { models.complete("x", 40) })
  end)
end)

describe("a module of one's own", function()
  local define, pathOf = ownModules.setUp()

  local WHOLE = [[
    local nn = require "densenet.nn"
    return { options = {}, complete = function() return {} end, describe = function() return "own" end,
      build = function(config) return nn.Sequential():add(nn.GlobalAveragePooling())
        :add(nn.Linear(config.inputChannels, config.nClasses), "classifier") end, MORE }]]

  it("is a family, stored under the module's name", function()
    define("own_net", (WHOLE:gsub("MORE", "")))
    local model = models.fromConfig { family = "own_net", nClasses = 4 }
    assert.same({ family = "own_net", inputChannels = 3, nClasses = 4, optMemory = 1, precision = "single" },
      model.config)
    assert.equal(4, models.fromConfig(model.config):forward(dn.randn(2, 3, 5, 5)):size(2))
    assert.equal("own", models.describe(model.config))
  end)

  it("can be a preset of a known family", function()
    define("own_preset", 'return { family = "densenet", options = { depth = 10, growthRate = 5 } }')
    assert.equal(5, models.fromConfig({ family = "own_preset" }).config.growthRate)
    define("own_second", 'return { family = "own_preset", options = {} }')
    local none, message = models.find("own_second")
    assert.is_nil(none)
    assert.matches("expected a family's name, got 'own_preset', another preset", message)
  end)

  it("is refused by the field that is wrong, or with where it was looked for", function()
    for text, pattern in pairs {
      ["return 3"] = "module own_%d: expected a table that defines a network, got number",
      ["return {}"] = "module own_%d: options: expected a list of options of the command line, got nil",
      ["return { options = {}, complete = print, build = 4 }"] = "module own_%d: build: expected a function .*, got 4",
      ["return { options = { { name = 'x' } }, complete = print, build = print, describe = print }"] =
        "module own_%d: options%[1%]: type: expected the option's type, got nil",
      ["return { options = {}, complete = print, build = print, describe = print, memory = { default = 1.5 } }"] =
        "module own_%d: memory.default: expected an optMemory, got 1.5",
      ["return { family = 'densenet' }"] = "module own_%d: options: expected a table of options",
      ["no Lua"] = "module own_%d, which should define a network, cannot be loaded: .*own_%d.lua:1: syntax error",
      ["error 'out of order'"] = "cannot be loaded: .*out of order",
    } do
      package.loaded.own_1 = nil
      define("own_1", text)
      local none, message, code = models.find("own_1")
      assert.is_nil(none)
      assert.equal("argument", code)
      assert.matches(pattern:gsub("own_%%d", "own_1"), message)
    end
    local _, message = models.find("own_2")
    assert.is_truthy(message:find("known are 100-12", 1, true))
    assert.is_truthy(message:find("no " .. pathOf "own_2", 1, true))
  end)
end)
