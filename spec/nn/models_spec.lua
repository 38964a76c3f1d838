-- Networks: published sizes, options and their refusals, initial weights, presets, new classifiers.

local dn = require "densenet"
local tablex = require "pl.tablex"
local compare = require "spec.support.compare"

local models = dn.models
local complete = models.complete

local function count(options)
  return models.densenet(options):parameterCount()
end

-- The number of parameters by arithmetic, for networks too large to be built here.
local function countOf(options)
  local config = assert(complete(options))
  local k, c = config.growthRate, config.initChannels
  local n = c * config.inputChannels * (config.stem == "cifar" and 9 or 49)
  if config.stem == "imagenet" then
    n = n + 2 * c
  end
  for i, nLayers in ipairs(config.blocks) do
    for _ = 1, nLayers do
      n = n + 2 * c + (config.bottleneck and c * 4 * k + 2 * 4 * k + 9 * 4 * k * k or 9 * c * k)
      c = c + k
    end
    if i < #config.blocks then
      local kept = math.floor(c * config.reduction)
      n, c = n + 2 * c + c * kept, kept
    end
  end
  return n + 2 * c + (c + 1) * config.nClasses
end

describe("models.densenet has the published number of parameters:", function()
  it("BC(100,12) on CIFAR-10, and on one channel", function()
    assert.are.equal(769162, count { depth = 100, growthRate = 12, nClasses = 10 })
    assert.are.equal(768730, count { depth = 100, growthRate = 12, nClasses = 10, inputChannels = 1 })
  end)

  it("densenet121, built and by arithmetic", function()
    assert.are.equal(7978856, models.preset("densenet121"):parameterCount())
    assert.are.equal(7978856, countOf { family = "densenet121" })
  end)

  it("and small ones agree with the arithmetic", function()
    for _, options in ipairs {
      { depth = 100 }, { depth = 40, bottleneck = false, reduction = 1 }, { depth = 40, growthRate = 36 },
      { blocks = { 2, 3 }, growthRate = 5, reduction = 0.3, stem = "imagenet", inputChannels = 2, nClasses = 3 },
    } do
      assert.are.equal(countOf(options), count(options))
    end
  end)

  -- Exact where torchvision gives all digits; else the authors' rounded figure in millions.
  local published = {
    ["densenet121"] = 7978856, ["densenet169"] = 14149480, ["densenet201"] = 20013928, ["densenet161"] = 28681000,
    ["bc-100-12"] = 769162, ["densenet-cosine-264-48"] = 72.7, ["40-12"] = 1.0, ["100-12"] = 7.0,
    ["wide-40-36"] = 1.5, ["wide-40-48"] = 2.7, ["wide-40-60"] = 4.3, ["densenet264"] = 33.3,
    ["bc-250-24"] = 15.3, ["bc-190-40"] = 25.6, ["100-24"] = 27.2, ["densenet-cosine-264-32"] = 33.3,
    ["densenet232"] = 55.6, ["wide"] = 2.7, ["cosine"] = 769162,
  }
  for name, expected in tablex.sort(published) do
    it(name, function()
      local n = countOf { family = name }
      if math.type(expected) == "float" then
        n = tonumber(("%.1f"):format(n / 1e6))
      end
      assert.are.equal(expected, n)
    end)
  end

  it("and no preset is left out", function()
    for name in pairs(models.presets) do
      assert.is_truthy(published[name], name)
    end
  end)
end)

describe("models.densenet", function()
  before_each(function() dn.manualSeed(1) end)

  it("completes its options, and builds the same network from them", function()
    local model = models.densenet { depth = 22, growthRate = 4 }
    assert.are.same({
      family = "densenet", blocks = { 3, 3, 3 }, growthRate = 4, initChannels = 8, bottleneck = true, reduction = 0.5,
      dropRate = 0, stem = "cifar", inputChannels = 3, nClasses = 10, optMemory = 4, precision = "single",
    }, model.config)
    local twin = models.fromConfig(model.config)
    assert.are.equal(tostring(model), tostring(twin))
    assert.are.same(model.config, twin.config)
    assert.are.equal(24, models.densenet({ depth = 13, bottleneck = false }).config.initChannels)
    assert.are.equal(16, models.densenet({ depth = 13, bottleneck = false, initChannels = 16 }).config.initChannels)
    assert.are.equal(48, complete({ depth = 161, stem = "imagenet" }).growthRate)
  end)

  it("takes images of any size and number of channels", function()
    local model = models.densenet { blocks = { 1, 1, 1 }, growthRate = 2, inputChannels = 1, nClasses = 4 }
    for _, size in ipairs { { 4, 4 }, { 28, 28 }, { 9, 33 } } do
      assert.are.same({ 2, 4 }, model:forward(dn.randn(2, 1, size[1], size[2])):size())
    end
    local big = models.densenet { blocks = { 1, 1 }, growthRate = 2, stem = "imagenet", nClasses = 4 }
    assert.are.same({ 1, 4 }, big:forward(dn.randn(1, 3, 40, 56)):size())
    local _, message = pcall(model.forward, model, dn.randn(2, 3, 8, 8))
    assert.matches("'features' .* 'conv0' .*bad argument #3 to 'conv2d_forward'", message)
    _, message = pcall(model.forward, model, dn.randn(2, 1, 2, 2))
    assert.matches("'transition2' .*pool2d_output_size", message)
  end)

  it("puts dropout after every convolution but the first", function()
    local function layers(options)
      return #models.densenet(options):findModules("nn.Dropout")
    end
    assert.are.equal(0, layers { blocks = { 2, 2 }, growthRate = 2 })
    assert.are.equal(2 * 4 + 1, layers { blocks = { 2, 2 }, growthRate = 2, dropRate = 0.2 })
    assert.are.equal(4 + 1, layers { blocks = { 2, 2 }, growthRate = 2, dropRate = 0.2, bottleneck = false })
  end)

  it("starts from normal convolutions, unit norms and no bias", function()
    local model = models.densenet { depth = 22, growthRate = 36, precision = "double" }
    for _, conv in ipairs(model:findModules("nn.SpatialConvolution")) do
      if conv.weight:nElement() > 10000 then
        local expected = math.sqrt(2 / (conv.kW * conv.kH * conv.nOutputPlane))
        assert.is_true(math.abs(conv.weight:std() / expected - 1) < 0.03)
      end
      assert.is_nil(conv.bias)
    end
    local norm = model:findModules("nn.SpatialBatchNormalization")[3]
    assert.are.equal(1, norm.weight:min())
    assert.are.equal(0, norm.bias:norm())
    assert.are.equal(0, model:get("classifier").bias:norm())
    assert.are.equal("double", model:type())
  end)

  it("is the same for the same seed, whatever the precision", function()
    local options = { blocks = { 1 }, growthRate = 2 }
    local first = models.densenet(options):stateDict()
    dn.manualSeed(1)
    for name, tensor in pairs(models.densenet(options):stateDict()) do
      compare.identical(tensor, first[name], name)
    end
    dn.manualSeed(1)
    options.precision = "double"
    for name, tensor in pairs(models.densenet(options):stateDict()) do
      compare.identical(tensor:float(), first[name], name)
    end
  end)

  local refusals = {
    [{ depth = 41 }] = "depth 41 is not possible with bottleneck true: expected 6 n %+ 4 .* nearest: 40 and 46",
    [{ depth = 42, bottleneck = false }] = "with bottleneck false: expected 3 n %+ 4 .* nearest: 40 and 43",
    [{ depth = 4 }] = "nearest: 10",
    [{ depth = 122, stem = "imagenet" }] = "depth 122 is not known .* nearest: 121 and 161",
    [{ depth = 40, blocks = { 1 } }] = "depth and blocks say the same thing",
    [{}] = "depth or blocks is missing",
    [{ depth = "forty" }] = "depth must be an integer of 1 or more, got forty",
    [{ blocks = {} }] = "blocks must be a list",
    [{ blocks = { 6, 0 } }] = "blocks%[2%] must be a number of layers, 1 or more, got 0",
    [{ depth = 40, growthRate = 1.5 }] = "growthRate must be an integer of 1 or more, got 1.5",
    [{ depth = 40, reduction = 0 }] = "reduction must be a number above 0 and up to 1, got 0",
    [{ depth = 40, dropRate = 1 }] = "dropRate must be a number from 0 to below 1, got 1",
    [{ depth = 40, stem = "mnist" }] = "stem must be cifar or imagenet, got mnist",
    [{ depth = 40, bottleneck = "no" }] = "bottleneck must be true or false, got no",
    [{ depth = 40, precision = "quarter" }] =
      "precision must be single or tf32 or double or half or bfloat16, got quarter",
    [{ depth = 40, growth = 12 }] = "there is no option 'growth'; there are depth, blocks, growthRate",
    [{ depth = 40, family = "preresnet" }] = "family must be densenet, got preresnet",
    [{ depth = 40, growthRate = 2 ^ 62 }] = "growthRate must be an integer from 1 to 1000000, got ",
    [{ blocks = { 1, "2" } }] = "blocks%[2%] must be a number of layers, 1 or more, got 2",
    [{ depth = 40, nClasses = 0 }] = "nClasses must be an integer of 1 or more, got 0",
    [{ depth = 40, optMemory = 6 }] = "optMemory must be an integer from 0 to 5, got 6",
  }
  for options, pattern in tablex.sortv(refusals) do
    it("refuses with: " .. pattern, function()
      assert.error_matches(function() models.densenet(options) end, pattern)
    end)
  end
end)

describe("models.preset", function()
  it("takes overrides, and keeps them out of the preset", function()
    local model = models.preset("bc-100-12", { nClasses = 7, depth = 10 })
    assert.are.equal(7, model.config.nClasses)
    assert.are.same({ 1, 1, 1 }, model.config.blocks)
    assert.are.equal(100, models.presets["bc-100-12"].options.depth)
    assert.error_matches(function() models.preset("resnet") end, "no network is called 'resnet'; there are 100%-12, ")
  end)
end)

describe("models.resetClassifier", function()
  it("changes the number of classes and nothing else", function()
    local model = models.densenet { blocks = { 1, 1 }, growthRate = 2, precision = "double" }:evaluate()
    local conv = model:get("features"):get("conv0").weight
    assert.are.equal(model, models.resetClassifier(model, 4))
    assert.are.equal(4, model.config.nClasses)
    assert.are.equal(conv, model:get("features"):get("conv0").weight)
    assert.are.same({ 1, 4 }, model:forward(dn.randn { 1, 3, 8, 8, dtype = "double" }):size())
    assert.is_false(model:get("classifier").train)
    assert.are.same(model:get("classifier").weight:size(), model:stateDict()["classifier.weight"]:size())
    assert.error_matches(function() models.resetClassifier(model, 0) end, "a number of classes expected, got 0")
  end)
end)

describe("a DenseNet", function()
  for _, options in ipairs {
    { blocks = { 2, 2 }, growthRate = 6, inputChannels = 1 },
    { blocks = { 2, 2 }, growthRate = 6, inputChannels = 1, bottleneck = false, dropRate = 0.1 },
  } do
    it("learns 32 random images by heart" .. (options.dropRate and ", with dropout" or ""), function()
      dn.manualSeed(2)
      dn.threads(1) -- a thousand small operations: waking a second thread costs more than it gives
      local model = models.densenet(options)
      local x, target = dn.randn(32, 1, 8, 8), dn.randperm(32)
      for i = 1, 32 do
        target:put(target:at(i) % 10 + 1, i)
      end
      local criterion = dn.nn.CrossEntropyCriterion()
      local optimizer = dn.optim.SGD(model, { learningRate = 0.05, momentum = 0.9, nesterov = true })
      local function loss()
        local value = criterion:forward(model:forward(x), target)
        model:zeroGradParameters()
        model:backward(x, criterion:backward(model.output, target))
        return value
      end
      local first, last = loss(), nil
      for _ = 1, 100 do
        last = loss()
        optimizer:step()
      end
      assert.is_true(last < first / 10, ("from %g to %g"):format(first, last))
    end)
  end
end)
