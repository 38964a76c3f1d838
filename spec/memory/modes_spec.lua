-- Every optMemory computes the same: outputs, gradients, running statistics, training runs; only what
-- it keeps differs. Mode 0, plain modules, is what the others are compared with.

local dn = require "densenet"
local core = require "densenet.core"
local tablex = require "pl.tablex"
local compare = require "spec.support.compare"

local MODES = { 0, 1, 2, 3, 4, 5 }
local TOLERANCE = { double = 1e-10, single = 1e-4 }
local DTYPE = { double = "double", single = "float" }

-- size: images, height, width.
local cases = {
  ["bottlenecks"] = { net = { blocks = { 2, 3, 2 }, growthRate = 3 }, size = { 4, 8, 8 } },
  ["bottlenecks, dropout"] = { net = { blocks = { 2, 3, 2 }, growthRate = 3, dropRate = 0.3 }, size = { 4, 8, 8 } },
  ["no bottlenecks"] = {
    net = { blocks = { 3, 2, 2 }, growthRate = 4, bottleneck = false, reduction = 1 }, size = { 3, 8, 12 },
  },
  ["no bottlenecks, dropout"] = {
    net = { blocks = { 3, 2 }, growthRate = 4, bottleneck = false, dropRate = 0.2 }, size = { 3, 6, 8 },
  },
  ["one image of odd sizes"] = { net = { blocks = { 2, 2, 1 }, growthRate = 5 }, size = { 1, 13, 11 } },
  ["one image of odd sizes, dropout"] = {
    net = { blocks = { 2, 2, 1 }, growthRate = 5, dropRate = 0.1, reduction = 0.7 }, size = { 1, 13, 11 },
  },
  ["a single block"] = { net = { blocks = { 4 }, growthRate = 6 }, size = { 2, 7, 5 } },
  ["preresnet"] = { net = { family = "preresnet", depth = 14 }, size = { 3, 9, 8 }, modes = { 0, 1, 2 } },
  ["preresnet, bottlenecks"] = {
    net = { family = "preresnet", depth = 11, bottleneck = true }, size = { 2, 8, 7 }, modes = { 0, 1, 2 },
  },
  ["the imagenet stem"] = {
    net = { blocks = { 2, 1, 2 }, growthRate = 4, stem = "imagenet" }, size = { 3, 42, 33 },
  },
  ["the imagenet stem, dropout"] = {
    net = { blocks = { 1, 2 }, growthRate = 4, stem = "imagenet", dropRate = 0.2 }, size = { 2, 25, 29 },
  },
}

local N_CLASSES, N_CHANNELS = 5, 2

local function build(net, optMemory, precision)
  local options = { nClasses = N_CLASSES, inputChannels = N_CHANNELS, optMemory = optMemory, precision = precision }
  for name, value in pairs(net) do
    options[name] = value
  end
  dn.manualSeed(7)
  local model = dn.models.fromConfig(options)
  for _, norm in ipairs(model:findModules("nn.SpatialBatchNormalization")) do
    norm.weight:uniform(0.5, 1.5)
    norm.bias:uniform(-1, 1)
    norm.running_mean:uniform(-0.1, 0.1)
    norm.running_var:uniform(0.5, 1.5)
  end
  return model
end

-- The same numbers in both precisions.
local function images(n, height, width, precision)
  return dn.randn(n, N_CHANNELS, height, width):type(DTYPE[precision])
end

local function copyInto(results, prefix, tensors)
  for name, tensor in pairs(tensors) do
    results[prefix .. name] = tensor:clone()
  end
end

-- Everything that a training step and an evaluation make, copied, by name.
local function resultsOf(model, x)
  dn.manualSeed(8) -- of the masks
  local results = { logits = model:forward(x):clone() }
  local gradOutput = dn.randn { x:size(1), N_CLASSES, dtype = model:type() }
  model:zeroGradParameters()
  results["gradient of the input"] = model:backward(x, gradOutput):clone()
  copyInto(results, "gradient of ", model:gradDict())
  copyInto(results, "", model:stateDict())
  model:evaluate()
  results["logits in evaluation"] = model:forward(x):clone()
  model:training()
  return results
end

local function compareAll(found, expected, tolerance)
  local bad = {}
  for name, tensor in pairs(expected) do
    local isNear, message = pcall(compare.near, found[name], tensor, tolerance, name)
    if not isNear then
      bad[#bad + 1] = message
    end
  end
  table.sort(bad)
  assert.are.equal("", table.concat(bad, "\n"))
end

-- function(x, target) → loss, which does a step of SGD.
local function trainer(model, learningRate)
  local criterion = dn.nn.CrossEntropyCriterion()
  local optimizer = dn.optim.SGD(model,
    { learningRate = learningRate or 0.05, momentum = 0.9, nesterov = true, weightDecay = 1e-4 })
  return function(x, target)
    local loss = criterion:forward(model:forward(x), target)
    model:zeroGradParameters()
    model:backward(x, criterion:backward(model.output, target))
    optimizer:step()
    return loss
  end
end

local function labels(n)
  local list = {}
  for i = 1, n do
    list[i] = i % N_CLASSES + 1
  end
  return dn.tensor(list, "long")
end

local SMALL = { blocks = { 2, 2 }, growthRate = 4, dropRate = 0.2 }

describe("the memory modes have the same outputs, gradients and running statistics:", function()
  for name, case in tablex.sort(cases) do
    for precision, tolerance in tablex.sort(TOLERANCE) do
      it(("%s, %s precision"):format(name, precision), function()
        local nImages, height, width = table.unpack(case.size)
        local expected
        for _, mode in ipairs(case.modes or MODES) do
          local model = build(case.net, mode, precision)
          local found = resultsOf(model, images(nImages, height, width, precision))
          expected = expected or found
          compareAll(found, expected, tolerance)
        end
      end)
    end
  end

  it("norms that stay in evaluation, or alone are in training", function()
    for _, isTraining in ipairs { true, false } do
      local expected
      for _, mode in ipairs(MODES) do
        local model = build({ blocks = { 2, 2 }, growthRate = 3 }, mode, "double")
        model:forward(images(3, 6, 5, "double")) -- statistics to be forgotten
        if not isTraining then
          model:evaluate()
        end
        for i, norm in ipairs(model:findModules("nn.SpatialBatchNormalization")) do
          if i % 2 == 0 and i < 10 then -- all that read the second block's channels within it, not the last
            norm.train = not norm.train
          end
        end
        local found = resultsOf(model, images(3, 6, 5, "double"))
        expected = expected or found
        compareAll(found, expected, TOLERANCE.double)
      end
    end
  end)

  it("the two halves of backward, with a scale, after one another", function()
    for precision, tolerance in tablex.sort(TOLERANCE) do
      local expected
      for _, mode in ipairs(MODES) do
        local model = build(SMALL, mode, precision)
        local x = images(3, 7, 6, precision)
        model:forward(x)
        local gradOutput = dn.randn { 3, N_CLASSES, dtype = DTYPE[precision] }
        model:zeroGradParameters()
        local found = {}
        found["gradient of the input"] = model:updateGradInput(x, gradOutput):clone()
        model:accGradParameters(x, gradOutput, 0.75)
        model:accGradParameters(x, gradOutput, -0.5)
        copyInto(found, "", model:gradDict())
        expected = expected or found
        compareAll(found, expected, tolerance)

        model:zeroGradParameters()
        model:backward(x, gradOutput, 0.25)
        local whole = {}
        copyInto(whole, "", model:gradDict())
        found["gradient of the input"] = nil
        compareAll(whole, found, tolerance)
      end
    end
  end)
end)

describe("in every memory mode", function()
  it("a model starts from the same weights, with the same entries", function()
    local expected = build(SMALL, 0, "single"):stateDict()
    for _, mode in ipairs(MODES) do
      local state = build(SMALL, mode, "single"):stateDict()
      for name, tensor in pairs(state) do
        compare.identical(tensor, expected[name], name)
      end
      for name in pairs(expected) do
        assert.is_truthy(state[name], name)
      end
    end
  end)

  it("weights load from and into every other", function()
    local x = images(2, 8, 8, "double")
    local source = build(SMALL, 0, "double")
    trainer(source)(x, labels(2))
    source:evaluate()
    local expected = source:forward(x):clone()
    for _, mode in ipairs(MODES) do
      local other = build(SMALL, mode, "double"):loadStateDict(source:stateDict()):evaluate()
      compare.near(other:forward(x), expected, TOLERANCE.double, "from mode 0 into " .. mode)
      source = build(SMALL, 0, "double"):loadStateDict(other:stateDict()):evaluate()
      compare.near(source:forward(x), expected, TOLERANCE.double, "and back")
    end
  end)

  it("running statistics move once a forward, and only then", function()
    for _, mode in ipairs(MODES) do
      local model, x = build(SMALL, mode, "double"), images(3, 6, 6, "double")
      local norms = model:findModules("nn.SpatialBatchNormalization")
      for _, norm in ipairs(norms) do
        norm.running_mean:fill(0)
      end
      model:forward(x)
      local first = {}
      for i, norm in ipairs(norms) do
        first[i] = norm.running_mean:clone()
      end
      model:backward(x, dn.randn { 3, N_CLASSES, dtype = "double" })
      model:updateGradInput(x, dn.randn { 3, N_CLASSES, dtype = "double" })
      model:evaluate():forward(x)
      for i, norm in ipairs(norms) do
        compare.identical(norm.running_mean, first[i], ("mode %d, norm %d"):format(mode, i))
        assert.is_true(first[i]:norm() > 0)
      end
    end
  end)

  it("a forward of the same batch twice moves them twice, by the same momentum", function()
    for _, mode in ipairs(MODES) do
      local model = build({ blocks = { 2, 1 }, growthRate = 3 }, mode, "double")
      local x = images(3, 6, 6, "double")
      local norms = model:findModules("nn.SpatialBatchNormalization")
      for _, norm in ipairs(norms) do
        norm.running_mean:fill(0)
      end
      model:forward(x)
      local first = {}
      for i, norm in ipairs(norms) do
        first[i] = norm.running_mean:clone()
      end
      model:forward(x)
      for i, norm in ipairs(norms) do
        compare.near(norm.running_mean, first[i] * 1.9, 1e-12, ("mode %d, norm %d"):format(mode, i))
      end
    end
  end)

  it("a step allocates nothing after the first, a smaller batch included", function()
    for _, mode in ipairs(MODES) do
      local step = trainer(build(SMALL, mode, "single"))
      local x, target = images(6, 9, 8, "single"), labels(6)
      step(x, target)
      step(x, target)
      local before = dn.memory("cpu").allocations
      step(x, target)
      step(x:narrow(1, 1, 4), target:narrow(1, 1, 4))
      step(x, target)
      assert.are.equal(0, dn.memory("cpu").allocations - before, "mode " .. mode)
    end
  end)

  it("batches of changing sizes, evaluation between steps and clearState follow mode 0", function()
    local expected
    for _, mode in ipairs(MODES) do
      local model = build(SMALL, mode, "double")
      local step, losses = trainer(model), {}
      for i, n in ipairs { 5, 3, 5, 1, 6 } do
        local x = images(n, 6, 7, "double")
        losses[#losses + 1] = step(x, labels(n))
        losses[#losses + 1] = model:evaluate():forward(x):sum()
        model:training()
        if i == 3 then
          model:clearState()
        end
      end
      expected = expected or losses
      compare.values(dn.tensor(losses, "double"), expected, TOLERANCE.double, "mode " .. mode)
    end
  end)

  it("a model converts to double and back, and trains on", function()
    local expected
    for _, mode in ipairs(MODES) do
      local model = build(SMALL, mode, "single")
      local x, target, losses = images(4, 6, 6, "single"), labels(4), {}
      losses[1] = trainer(model)(x, target)
      losses[2] = trainer(model:double())(x:double(), target)
      losses[3] = trainer(model:float())(x, target)
      expected = expected or losses
      compare.values(dn.tensor(losses, "double"), expected, TOLERANCE.single, "mode " .. mode)
      for name, tensor in pairs(model:stateDict()) do
        assert.are.equal("float", tensor:dtype(), name)
      end
    end
  end)

  it("the vectors of getParameters train the model", function()
    local expected
    for _, mode in ipairs(MODES) do
      local model = build(SMALL, mode, "double")
      local x, target = images(4, 6, 6, "double"), labels(4)
      local criterion = dn.nn.CrossEntropyCriterion()
      local parameters, gradients = model:getParameters()
      local losses = {}
      for i = 1, 3 do
        losses[i] = criterion:forward(model:forward(x), target)
        gradients:zero()
        model:backward(x, criterion:backward(model.output, target))
        parameters:add(-0.1, gradients)
      end
      assert.is_true(losses[3] ~= losses[1])
      expected = expected or losses
      compare.values(dn.tensor(losses, "double"), expected, TOLERANCE.double, "mode " .. mode)
    end
  end)

  it("memory that runs out within a step leaves a model that trains on a smaller batch", function()
    for _, mode in ipairs(MODES) do
      local step = trainer(build(SMALL, mode, "single"))
      step(images(2, 8, 8, "single"), labels(2))
      local x, target = images(64, 8, 8, "single"), labels(64)
      collectgarbage()
      core.memory_limit("cpu", dn.memory("cpu").live + 20000)
      local done, message = pcall(step, x, target)
      core.memory_limit("cpu", 0)
      assert.is_false(done)
      assert.is_truthy(message:find("out of memory", 1, true), message)
      local loss = step(x:narrow(1, 1, 3), target:narrow(1, 1, 3))
      assert.is_true(loss == loss and loss < math.huge)
      step(x, target)
    end
  end)
end)

describe("twenty steps of SGD follow the same losses", function()
  for precision, tolerance in tablex.sort { double = 1e-9, single = 2e-3 } do
    it(("in modes 0, 4 and 5, %s precision"):format(precision), function()
      local expected
      for _, mode in ipairs { 0, 4, 5 } do
        local step, losses = trainer(build(SMALL, mode, precision), 0.01), {}
        local x, target = images(8, 6, 6, precision), labels(8)
        for i = 1, 20 do
          losses[i] = step(x, target)
        end
        expected = expected or losses
        compare.values(dn.tensor(losses, "double"), expected, tolerance, "mode " .. mode)
      end
      assert.is_true(expected[20] < expected[1])
    end)
  end
end)

describe("models.densenet", function()
  it("refuses a memory mode that does not exist", function()
    assert.error_matches(function() dn.models.densenet { depth = 40, optMemory = 6 } end,
      "optMemory must be an integer from 0 to 5, got 6")
    assert.error_matches(function() dn.models.densenet { depth = 40, optMemory = "linear" } end,
      "optMemory must be an integer of 0 or more, got linear")
  end)

  it("prints its fused stages in a line each", function()
    local text = tostring(dn.models.densenet { depth = 22, growthRate = 4, dropRate = 0.1, optMemory = 5 })
    for _, line in ipairs {
      "(denseblock1): nn.DenseBlock(8 -> 20, 3 layers of 4, bottleneck 16, dropout 0.1, minimal memory)\n",
      "(transition1): nn.Transition(20 -> 10, 2x2 means, dropout 0.1)\n", "(norm5): nn.NormReLUPool(23)\n",
    } do
      assert.is_truthy(text:find(line, 1, true), text)
    end
  end)
end)
