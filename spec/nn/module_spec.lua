-- What every module has from its parent: parameters, types, buffers, walks over the tree.

local core = require "densenet.core"
local dn = require "densenet"
local compare = require "spec.support.compare"

local nn = dn.nn

local function small()
  return nn.Sequential()
    :add(nn.SpatialConvolution(2, 3, 3, 3, 1, 1, 1, 1), "conv")
    :add(nn.SpatialBatchNormalization(3), "norm")
    :add(nn.ReLU(true))
    :add(nn.GlobalAveragePooling())
    :add(nn.Linear(3, 2), "top")
end

local function step(model, input)
  local output = model:forward(input)
  model:zeroGradParameters()
  model:backward(input, output)
end

describe("nn.class", function()
  it("inherits methods, constructors and texts, and calls parents", function()
    local Base = nn.class("Base")
    function Base:__init(x) self.x = x end
    function Base:value() return self.x end
    function Base:__tostring__() return "Base of " .. self.x end
    local Derived, parent = nn.class("Derived", Base)
    function Derived:value() return parent.value(self) + 1 end
    local object = Derived(3)
    assert.are.equal(4, object:value())
    assert.are.equal("Base of 3", tostring(object))
    assert.are.equal("Derived", object.__typename)
  end)

  it("refuses a name that is no string and a parent that is no class", function()
    assert.has_error(function() nn.class(3) end, "bad argument #1 to 'class' (a name expected, got 3)")
    assert.has_error(function() nn.class("A", {}) end,
      "bad argument #2 to 'class' (parent: a class expected, got a table)")
  end)

  it("makes modules and criterions callable", function()
    local x = dn.tensor { { 1, -1 } }
    compare.values(nn.ReLU()(x), { { 1, 0 } }, 0, "module(input)")
    assert.are.equal(1, nn.MSECriterion()(x, dn.zeros(1, 2)))
  end)
end)

describe("nn.Module", function()
  before_each(function() dn.manualSeed(5) end)

  it("has updateOutput and updateGradInput for its children to give", function()
    assert.error_matches(function() nn.Module():forward(dn.zeros(1)) end, "nn.Module has no updateOutput")
    assert.error_matches(function() nn.Module():backward(dn.zeros(1), dn.zeros(1)) end,
      "nn.Module has no updateGradInput")
  end)

  it("lists parameters beside their gradients and counts them", function()
    local weights, gradients = small():parameters()
    assert.are.equal(6, #weights)
    for i, weight in ipairs(weights) do
      assert.are.same(weight:size(), gradients[i]:size())
    end
    assert.are.equal(3 * 2 * 9 + 3 + 3 + 3 + 6 + 2, small():parameterCount())
    assert.is_nil(nn.ReLU():parameters())
    assert.are.equal(0, nn.ReLU():parameterCount())
  end)

  it("accumulates gradients times the scale until they are set to zero", function()
    local model, x = nn.Linear(3, 2), dn.randn(4, 3)
    local gradOutput = dn.randn(4, 2)
    model:forward(x)
    model:backward(x, gradOutput)
    local once = model.gradWeight:clone()
    model:backward(x, gradOutput, 2)
    compare.near(model.gradWeight, once * 3, 1e-6, "1 + 2 times")
    model:zeroGradParameters()
    assert.are.equal(0, model.gradWeight:norm() + model.gradBias:norm())
    model:backward(x, gradOutput, 0.5)
    local weight = model.weight:clone()
    model:updateParameters(4)
    compare.near(model.weight, weight - once * 2, 1e-6, "weight - 4 * 0.5 * gradient")
  end)

  it("becomes double and float again, shared parameters staying shared", function()
    local a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b:share(a, "weight", "gradWeight")
    local model = nn.Sequential():add(a):add(b)
    assert.are.equal("float", model:type())
    model:double()
    assert.are.equal("double", model:type())
    assert.are.equal("double", a.weight:dtype())
    assert.is_true(a.weight:isSameView(b.weight))
    assert.are.equal("double", model:forward(dn.randn { 2, 3, dtype = "double" }):dtype())
    model:to("float")
    assert.are.equal("float", b.gradWeight:dtype())
    model:to(dn.device("cpu"))
    assert.are.equal("float", model:forward(dn.randn(2, 3)):dtype())
    assert.has_error(function() model:type("long") end,
      "bad argument #1 to 'type' (a module is float, double, half or bfloat16, not long)")
  end)

  it("refuses input of another type, and says which", function()
    local model = small()
    local _, message = pcall(model.forward, model, dn.randn { 1, 2, 4, 4, dtype = "double" })
    assert.matches("^%S+_spec.lua:%d+: in module 1 'conv' [^\n]*bad argument [^\n]*float[^\n]*double", message)
    model:double()
    _, message = pcall(model.forward, model, dn.randn(1, 2, 4, 4))
    assert.matches("^%S+_spec.lua:%d+: in module 1 'conv' [^\n]*bad argument [^\n]*double[^\n]*float", message)
  end)

  it("follows the default type when made", function()
    finally(function() dn.setDefaultType("float") end)
    dn.setDefaultType("double")
    assert.are.equal("double", nn.Linear(2, 2).weight:dtype())
    dn.setDefaultType("long")
    assert.are.equal("float", nn.Linear(2, 2).weight:dtype())
  end)

  it("flattens parameters and gradients into views of two vectors", function()
    local model, x = small():double(), dn.randn { 2, 2, 4, 4, dtype = "double" }
    local before = model:forward(x):clone()
    local weights, gradients = model:getParameters()
    assert.are.equal(model:parameterCount(), weights:nElement())
    compare.identical(model:forward(x), before, "same function")
    step(model, x)
    local sum = 0
    for _, gradient in pairs(model:gradDict()) do
      sum = sum + gradient:sum()
    end
    assert.is_true(math.abs(gradients:sum() - sum) < 1e-12)
    weights:fill(0)
    assert.are.equal(0, model:stateDict()["top.weight"]:norm())
    local state = small():double():stateDict()
    model:loadStateDict(state)
    compare.identical(weights:narrow(1, 1, 54):view(3, 2, 3, 3), state["conv.weight"], "vector after loadStateDict")
    gradients:fill(3)
    model:zeroGradParameters()
    assert.are.equal(0, gradients:norm())
  end)

  it("gives shared parameters one place in the vector", function()
    local a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b:share(a, "weight", "gradWeight")
    local c = nn.Linear(3, 3)
    c.weight, c.gradWeight = a.weight:view(3, 3), a.gradWeight:view(3, 3) -- shared without being the same userdata
    local model = nn.Sequential():add(a):add(b):add(c)
    local weights, gradients = model:getParameters()
    assert.are.equal(9 + 3 + 3 + 3, weights:nElement())
    assert.are.equal(weights:nElement(), gradients:nElement())
    assert.is_true(a.weight:isSameView(b.weight) and a.weight:isSameView(c.weight))
    assert.is_true(a.gradWeight:isSameView(b.gradWeight) and a.gradWeight:isSameView(c.gradWeight))
    c.weight = a.weight:t()
    assert.error_matches(function() model:getParameters() end,
      "0%.weight and 2%.weight share their memory, and their gradients do not share theirs in the same way")
  end)

  it("switches the whole tree between training and evaluation", function()
    local model = small()
    model:evaluate()
    assert.is_false(model:get("norm").train)
    model:training()
    assert.is_true(model:get("norm").train)
  end)

  it("walks: apply visits all, findModules those of a class, with their containers", function()
    local inner = nn.Sequential():add(nn.ReLU())
    local model = nn.Sequential():add(nn.ReLU()):add(inner):add(nn.Identity())
    local names = {}
    assert.are.equal(model, model:apply(function(module) names[#names + 1] = module.__typename end))
    assert.are.equal("nn.Sequential nn.ReLU nn.Sequential nn.ReLU nn.Identity", table.concat(names, " "))
    local found, containers = model:findModules("nn.ReLU")
    assert.are.equal(2, #found)
    assert.is_true(containers[1] == model and containers[2] == inner)
    assert.are.equal(2, #model:findModules("nn.Sequential"))
  end)

  it("gives up its buffers on clearState, and works as before afterwards", function()
    local model, x = small(), dn.randn(4, 2, 16, 16)
    local function live()
      collectgarbage()
      collectgarbage()
      core.scratch_release() -- of the operations, not of the model
      return dn.memory("cpu").live
    end
    local before = live()
    step(model, x)
    local gradient = model:get("conv").gradWeight:clone()
    local during = live()
    assert.is_true(during > before + 4 * 3 * 16 * 16 * 4)
    model:clearState()
    assert.is_true(live() - before < 1024)
    step(model, x)
    compare.identical(model:get("conv").gradWeight, gradient, "after clearState")
  end)

  it("skips the gradient of a first module whose gradInput is nil", function()
    local model, x = small(), dn.randn(2, 2, 4, 4)
    step(model, x)
    local gradient = model:get(1).gradWeight:clone()
    model:get(1).gradInput = nil
    model:clearState()
    local output = model:forward(x)
    model:zeroGradParameters()
    assert.is_nil(model:backward(x, output))
    assert.is_nil(model:get(1).scratch.gradInput)
    compare.near(model:get(1).gradWeight, gradient, 1e-5, "parameters still learn")
    local linear = nn.Linear(2, 2)
    linear.gradInput = nil
    linear:forward(dn.randn(1, 2))
    assert.is_nil(linear:backward(dn.randn(1, 2), dn.randn(1, 2)))
  end)
end)
