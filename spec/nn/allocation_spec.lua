-- A training step allocates no tensor memory after the first, a smaller last batch included.

local dn = require "densenet"
local tablex = require "pl.tablex"

local nn = dn.nn

local function allocations()
  return dn.memory("cpu").allocations
end

-- A network with every module in it; outputs N,3.
local function everything()
  return nn.Sequential()
    :add(nn.SpatialConvolution(2, 4, 3, 3, 1, 1, 1, 1))
    :add(nn.Concat(2):add(nn.Identity()):add(nn.Sequential()
      :add(nn.SpatialBatchNormalization(4)):add(nn.ReLU(true)):add(nn.SpatialConvolution(4, 2, 3, 3, 1, 1, 1, 1))))
    :add(nn.ConcatTable():add(nn.ReLU()):add(nn.Dropout(0.2)):add(nn.Identity()))
    :add(nn.CAddTable())
    :add(nn.ConcatTable():add(nn.SpatialMaxPooling(2, 2)):add(nn.SpatialAveragePooling(2, 2, 2, 2)))
    :add(nn.JoinTable(1, 3))
    :add(nn.ConcatTable()
      :add(nn.GlobalAveragePooling())
      :add(nn.Sequential():add(nn.Flatten()):add(nn.View(12, 4, 4)):add(nn.GlobalAveragePooling())))
    :add(nn.CAddTable(true))
    :add(nn.Linear(12, 3))
    :add(nn.LogSoftMax())
end

local function trainer(model, criterion)
  local optimizer = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, nesterov = true, weightDecay = 1e-4 })
  return function(x, target)
    local output = model:forward(x)
    criterion:forward(output, target)
    model:zeroGradParameters()
    model:backward(x, criterion:backward(output, target))
    optimizer:step()
  end
end

describe("a training step allocates nothing after the first:", function()
  local models = {
    ["every module"] = function() return everything(), nn.ClassNLLCriterion() end,
    ["DenseNet-BC with dropout"] = function()
      return dn.models.densenet { blocks = { 2, 2 }, growthRate = 4, inputChannels = 2, nClasses = 3, dropRate = 0.1 },
        nn.CrossEntropyCriterion()
    end,
    ["the imagenet stem"] = function()
      local options = { blocks = { 1, 1 }, growthRate = 4, inputChannels = 2, nClasses = 3, stem = "imagenet" }
      return dn.models.densenet(options), nn.CrossEntropyCriterion()
    end,
  }
  for name, build in tablex.sort(models) do
    it(name, function()
      local step = trainer(build())
      local x, target = dn.randn(6, 2, 8, 8), dn.tensor({ 1, 2, 3, 1, 2, 3 }, "long")
      local byteTarget = dn.tensor({ 1, 2, 3, 1, 2, 3 }, "byte")
      step(x, target)
      step(x, byteTarget)
      local before = allocations()
      step(x, target)
      step(x, byteTarget)
      assert.are.equal(0, allocations() - before)
      step(x:narrow(1, 1, 4), target:narrow(1, 1, 4))
      step(x, target)
      step(x:narrow(1, 1, 5), target:narrow(1, 1, 5))
      assert.are.equal(0, allocations() - before)
    end)
  end

  it("evaluation between steps, too", function()
    local model, criterion = everything(), nn.ClassNLLCriterion()
    local step = trainer(model, criterion)
    local x, target = dn.randn(6, 2, 8, 8), dn.tensor({ 1, 2, 3, 1, 2, 3 }, "long")
    step(x, target)
    model:evaluate():forward(x)
    local before = allocations()
    step(x, target)
    model:evaluate():forward(x:narrow(1, 1, 2))
    model:training()
    step(x, target)
    assert.are.equal(0, allocations() - before)
  end)

  it("one that runs out of memory leaves a model that trains on a smaller batch", function()
    local core = require "densenet.core"
    local model, criterion = everything(), nn.ClassNLLCriterion()
    local step = trainer(model, criterion)
    local x, target = dn.randn(64, 2, 8, 8), dn.ones { 64, dtype = "long" }
    step(x:narrow(1, 1, 4), target:narrow(1, 1, 4))
    collectgarbage()
    core.memory_limit("cpu", dn.memory("cpu").live + 20000)
    local ok, message = pcall(step, x, target)
    assert.is_false(ok)
    assert.is_truthy(message:find("out of memory", 1, true))
    assert.is_truthy(message:find("in module %d+ of nn.Sequential"))
    core.memory_limit("cpu", 0)
    step(x:narrow(1, 1, 6), target:narrow(1, 1, 6))
    step(x, target)
  end)
end)
