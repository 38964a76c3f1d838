-- Activations in half and bfloat16: outputs and gradients of activations follow the input, parameters
-- and their gradients, running statistics and losses stay float; results are those of float, rounded.

local dn = require "densenet"
local tablex = require "pl.tablex"
local compare = require "spec.support.compare"
local nn = dn.nn

-- What a small network's rounded activations may move its results by, several roundings deep.
local NEAR = { half = 0.01, bfloat16 = 0.08 }

-- Where an activation is rounded across zero, or past its neighbour in a window, its gradient is another one.
local GRADIENT_NEAR = { half = 0.2, bfloat16 = 0.4 }

local function gradient_of(model)
  local _, gradient = model:getParameters()
  return gradient
end

local function network(precision, opt_memory, more)
  local options = { blocks = { 2, 2 }, growthRate = 4, nClasses = 10, precision = precision, optMemory = opt_memory }
  for name, value in pairs(more or {}) do options[name] = value end
  dn.manualSeed(5)
  return dn.models.densenet(options)
end

local images = { 4, 3, 8, 8 }

-- One training step without update. Returns loss, output, gradInput.
local function step(model, scale)
  dn.manualSeed(7)
  local x = dn.randn(images):type(model:type())
  local target, criterion = dn.tensor({ 1, 5, 10, 2 }, "long"), nn.CrossEntropyCriterion()
  local output = model:forward(x)
  local loss = criterion:forward(output, target)
  model:zeroGradParameters()
  local gradInput = model:backward(x, criterion:backward(output, target, scale), 1 / (scale or 1))
  return loss, output, gradInput
end

for _, precision in ipairs { "half", "bfloat16" } do
  describe(precision .. " precision", function()
    for mode = 0, 5 do
      for name, more in tablex.sort { ["plain"] = {}, ["with dropout"] = { dropRate = 0.2 },
        ["for ImageNet"] = { stem = "imagenet" }, ["without bottlenecks"] = { bottleneck = false } } do
        it(("gives float's results but for rounding: mode %d, %s"):format(mode, name), function()
          local exact, model = network("single", mode, more), network(precision, mode, more)
          if more.stem then images = { 4, 3, 32, 32 } end
          finally(function() images = { 4, 3, 8, 8 } end)
          local right_loss, right = step(exact)
          local loss, output, gradInput = step(model, 1024)
          assert.are.equal(precision, model:type())
          assert.are.equal(precision, output:dtype())
          assert.are.equal(precision, gradInput:dtype())
          assert.near(right_loss, loss, NEAR[precision])
          compare.near(output, right, NEAR[precision], "output")
          local state = exact:stateDict()
          for key, gradient in pairs(model:gradDict()) do assert.are.equal("float", gradient:dtype(), key) end
          compare.near(gradient_of(model), gradient_of(exact), GRADIENT_NEAR[precision], "gradient")
          for key, tensor in pairs(model:stateDict()) do
            assert.are.equal("float", tensor:dtype(), key)
            compare.near(tensor, state[key], 2 * NEAR[precision], key)
          end
          model:evaluate()
          exact:evaluate()
          local x = dn.randn(images)
          compare.near(model:forward(x:type(precision)), exact:forward(x), NEAR[precision], "evaluation")
        end)
      end
    end
  end)
end

describe("a module in 16 bits", function()
  it("has float parameters and takes and gives 16 bits", function()
    local model = nn.Sequential():add(nn.SpatialConvolution(2, 3, 3, 3)):add(nn.SpatialBatchNormalization(3))
      :add(nn.ReLU()):add(nn.SpatialMaxPooling(2, 2)):add(nn.Flatten()):add(nn.Linear(12, 5))
    for call, dtype in pairs { half = "half", bfloat16 = "bfloat16" } do
      assert.are.equal(model, model[call](model))
      assert.are.equal(dtype, model:type())
      for _, list in ipairs { table.pack(model:parameters()) } do
        for _, tensors in ipairs(list) do
          for _, tensor in ipairs(tensors) do assert.are.equal("float", tensor:dtype()) end
        end
      end
      local x = dn.randn(2, 2, 6, 6):type(dtype)
      local y = model:forward(x)
      assert.are.equal(dtype, y:dtype())
      assert.are.equal(dtype, model:backward(x, y:clone()):dtype())
    end
    model:to("double")
    assert.are.equal("double", model:type())
    assert.are.equal("double", model:get(1).weight:dtype())
    model:to("half")
    assert.are.equal("float", model:get(1).weight:dtype())
  end)

  it("gives both halves of backward, and joins and adds tables", function()
    local x = dn.randn(3, 4):half()
    local sum = nn.Sequential():add(nn.ConcatTable():add(nn.Linear(4, 2)):add(nn.Linear(4, 2))):add(nn.CAddTable())
    local joined = nn.Concat(2):add(nn.Identity()):add(nn.Linear(4, 2))
    for _, model in ipairs { sum, joined } do
      model:half()
      local y = model:forward(x)
      assert.are.equal("half", y:dtype())
      model:zeroGradParameters()
      assert.are.equal("half", model:updateGradInput(x, y:clone()):dtype())
      model:accGradParameters(x, y:clone(), 0.5)
    end
  end)

  it("takes logarithms of softmax in float", function()
    local x, labels = dn.randn(3, 4):half(), dn.tensor({ 1, 4, 2 }, "long")
    local model, criterion = nn.LogSoftMax():half(), nn.ClassNLLCriterion()
    local output = model:forward(x)
    assert.are.equal("float", output:dtype())
    local loss = criterion:forward(output, labels)
    local gradInput = model:backward(x, criterion:backward(output, labels))
    assert.are.equal("half", gradInput:dtype())
    local both = nn.CrossEntropyCriterion()
    assert.are.equal(loss, both:forward(x, labels))
    compare.identical(both:backward(x, labels), gradInput, "gradients")
    assert.are.equal("half", both.gradInput:dtype())
  end)
end)

describe("a criterion", function()
  it("is exact in float, and scales the gradient before it is rounded", function()
    local x, labels = dn.tensor({ { 30, 0, 1 } }, "half"), dn.tensor({ 1 }, "long")
    local criterion = nn.CrossEntropyCriterion()
    assert.are.equal(criterion:forward(x:float(), labels), criterion:forward(x, labels))
    local small = criterion:backward(x, labels):at(1, 2) -- exp(-30): nothing in half
    assert.are.equal(0, small)
    local scaled = criterion:backward(x, labels, 2 ^ 30):at(1, 2)
    assert.near(1, scaled / (2 ^ 30 * math.exp(-30)), 1e-3)
  end)

  it("leaves a gradient without a scale alone", function()
    local x, target = dn.randn(2, 3), dn.randn(2, 3)
    local criterion = nn.MSECriterion()
    criterion:forward(x, target)
    local plain = criterion:backward(x, target):clone()
    compare.near(criterion:backward(x, target, 8), plain * 8, 0, "scaled")
    criterion:forward(x:half(), target:half())
    assert.are.equal("half", criterion:backward(x:half(), target:half()):dtype())
  end)
end)

describe("the plan of a network in half precision", function()
  local function rows_of(precision)
    local rows = {}
    for _, row in ipairs(network(precision, 4):plan(images).rows) do rows[row.name] = row end
    return rows
  end

  it("has half the bytes for activations, and the same for parameters and tables", function()
    local wide, narrow = rows_of("single"), rows_of("half")
    for name, row in pairs(narrow) do
      local same = row.lifetime == "parameter" or row.lifetime == "state" or row.dtype == "float"
      if name ~= "scratch of kernels" then
        assert.are.equal(same and wide[name].bytes or wide[name].bytes / 2, row.bytes, name)
      end
    end
    assert.are.equal("half", narrow["features.denseblock1.output"].dtype)
    assert.are.equal("half", narrow["features.denseblock1.denselayer1.bottleneck"].dtype)
    assert.are.equal("float", narrow["features.denseblock1.stats"].dtype)
    assert.are.equal("half", narrow.input.dtype)
  end)

  it("says so in its text", function()
    assert.matches("input 4x3x8x8 in half, linear", network("half", 4):plan(images):table(), 1, true)
  end)

  it("is made for the dtype of the input that comes", function()
    local model = network("half", 4)
    step(model)
    local x = dn.randn(images)
    assert.are.equal("float", model:forward(x):dtype())
    assert.are.equal("float", model:backward(x, dn.randn(4, 10)):dtype())
    assert.is_nil(model.planFailure)
    step(model)
  end)
end)
