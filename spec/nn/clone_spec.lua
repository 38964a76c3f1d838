-- Copies of modules and criterions.

local dn = require "densenet"
local compare = require "spec.support.compare"

local nn = dn.nn

local function train(model, x)
  model:zeroGradParameters()
  local output = model:forward(x)
  model:backward(x, output)
  model:updateParameters(0.1)
  return output:clone()
end

describe("module:clone", function()
  local function network()
    dn.manualSeed(5)
    return nn.Sequential():add(nn.Linear(3, 4), "first"):add(nn.ReLU(true)):add(nn.Linear(4, 2))
  end

  it("is a module of its own that does the same", function()
    local model, x = network(), dn.randn(2, 3)
    train(model, x)
    local copy = model:clone()
    assert.equal("nn.Sequential", copy.__typename)
    assert.equal("first", copy.names[1])
    compare.identical(copy:forward(x), model:forward(x), "output")
    local before = model:get(1).weight:clone()
    train(copy, x)
    compare.identical(model:get(1).weight, before, "the original's weight")
    assert.is_false(copy:get(1).weight == model:get(1).weight)
    assert.is_true((copy:get(1).weight - before):norm() > 0)
  end)

  it("shares the fields that are named, in every module inside", function()
    local model, x = network(), dn.randn(2, 3)
    local copy = model:clone("weight", "bias")
    train(model, x)
    compare.identical(copy:forward(x), model:forward(x), "output")
    assert.equal(model:get(3).weight, copy:get(3).weight)
    assert.is_false(model:get(3).gradWeight == copy:get(3).gradWeight)
  end)

  it("keeps what is shared inside shared, and takes no buffers with it", function()
    local a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b:share(a, "weight", "gradWeight")
    local model = nn.Sequential():add(a):add(b)
    model:forward(dn.randn(50, 3))
    local copy = model:clone()
    assert.equal(copy:get(1).weight, copy:get(2).weight)
    assert.is_false(copy:get(1).weight == a.weight)
    assert.same({}, copy:get(1).scratch)
    assert.equal(0, copy:get(1).output:nElement())
    model:getParameters()
    train(model:clone(), dn.randn(2, 3))
  end)

  it("copies every module, tables as outputs included, and networks in memory modes", function()
    local x = dn.randn(4, 3)
    local model = nn.Sequential():add(nn.ConcatTable():add(nn.Linear(3, 2)):add(nn.Linear(3, 2))):add(nn.CAddTable())
    train(model, x)
    compare.identical(model:clone():forward(x), model:forward(x), "tables")
    for optMemory = 0, 5 do
      local densenet = dn.models.densenet { blocks = { 2, 1 }, growthRate = 2, nClasses = 3, inputChannels = 2,
        optMemory = optMemory }
      local images = dn.randn(2, 2, 5, 4)
      train(densenet, images)
      local copy = densenet:clone()
      for _ = 1, 2 do compare.identical(train(copy, images), train(densenet, images), "mode " .. optMemory) end
    end
  end)

  it("keeps gradInput away where nobody reads it", function()
    local model = nn.Linear(3, 2)
    model.gradInput = nil
    assert.is_nil(model:clone().gradInput)
  end)
end)

describe("criterion:clone", function()
  it("is a criterion of its own", function()
    local criterion = nn.ClassNLLCriterion(dn.tensor { 1, 2, 3 })
    local copy = criterion:clone()
    criterion.weights:fill(0)
    assert.same({ 1, 2, 3 }, copy.weights:totable())
    local list = nn.MultiCriterion():add(nn.MSECriterion()):clone()
    assert.equal(1, list:forward(dn.ones(2), dn.zeros(2)))
  end)
end)
