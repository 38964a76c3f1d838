-- A module as a user writes it: in Lua, with tensors' own operators, the Torch way.

local dn = require "densenet"
local compare = require "spec.support.compare"
local finite_difference = require "spec.support.finite_difference"

local nn = dn.nn

-- y = scale * x + shift, with parameters in fields of other names.
local Scale, parent = nn.class("Scale", nn.Module)

function Scale:__init(n)
  parent.__init(self)
  self.scale, self.shift = dn.ones(n), dn.zeros(n)
  self.gradScale, self.gradShift = dn.zeros(n), dn.zeros(n)
end

function Scale:parameters()
  return { self.scale, self.shift }, { self.gradScale, self.gradShift }
end

function Scale:updateOutput(input)
  self.output = input * self.scale + self.shift
  return self.output
end

function Scale:updateGradInput(_, gradOutput)
  self.gradInput:resizeAs(gradOutput):copy(gradOutput * self.scale)
  return self.gradInput
end

function Scale:accGradParameters(input, gradOutput, scale)
  self.gradScale:add(scale or 1, (input * gradOutput):sum(1):view(self.scale:size(1)))
  self.gradShift:add(scale or 1, gradOutput:sum(1):view(self.scale:size(1)))
end

describe("a module written in Lua", function()
  local model, x, target

  before_each(function()
    dn.manualSeed(8)
    model = nn.Sequential():add(nn.Linear(3, 4), "linear"):add(Scale(4), "scale"):double()
    x, target = dn.randn { 5, 3, dtype = "double" }, dn.randn { 5, 4, dtype = "double" }
  end)

  after_each(function() model, x, target = nil, nil, nil end)

  local function step(criterion)
    local loss = criterion:forward(model:forward(x), target)
    model:zeroGradParameters()
    return loss, model:backward(x, criterion:backward(model.output, target))
  end

  it("is converted with the rest and has right gradients", function()
    local criterion = nn.MSECriterion()
    assert.are.equal("double", model:get("scale").scale:dtype())
    local _, gradInput = step(criterion)
    local function loss() return criterion:forward(model:forward(x), target) end
    local checks = { input = { x, gradInput:clone() } }
    for name, gradient in pairs(model:gradDict()) do
      checks[name] = { model:stateDict()[name], gradient:clone() }
    end
    assert.is_truthy(checks["scale.scale"] and checks["scale.shift"])
    for name, pair in pairs(checks) do
      local numeric = dn.zeros { dtype = "double", table.unpack(pair[1]:size()) }
      finite_difference.gradient(loss, pair[1], numeric)
      compare.near(pair[2], numeric, compare.finite_difference, name)
    end
  end)

  it("is trained by SGD, saved and loaded under its fields' names", function()
    local optimizer = dn.optim.SGD(model, { learningRate = 0.05, momentum = 0.9 })
    local first = step(nn.MSECriterion())
    local last
    for _ = 1, 100 do
      last = step(nn.MSECriterion())
      optimizer:step()
    end
    assert.is_true(last < 0.7 * first)
    assert.is_true((model:get("scale").scale - 1):norm() > 0.1)
    local copy = nn.Sequential():add(nn.Linear(3, 4), "linear"):add(Scale(4), "scale"):double()
    copy:loadStateDict(model:stateDict())
    compare.identical(copy:forward(x), model:forward(x), "loaded")
    assert.are.same({ 4 }, optimizer:state()["scale.scale"]:size())
  end)

  it("keeps working when its parameters become views of one vector", function()
    local before = model:forward(x):clone()
    local weights = model:getParameters()
    assert.are.equal(3 * 4 + 4 + 4 + 4, weights:nElement())
    compare.identical(model:forward(x), before, "flattened")
    weights:fill(0)
    assert.are.equal(0, model:forward(x):norm())
  end)
end)

describe("a module whose output is a table", function()
  -- Torch's idiom: the table is made once, and each step writes into it.
  local Two, twoParent = nn.class("Two", nn.Module)
  function Two:__init()
    twoParent.__init(self)
    self.output, self.gradInput = {}, {}
  end
  function Two:updateOutput(input)
    self.output[1], self.output[2] = input, input
    return self.output
  end
  function Two:updateGradInput(_, gradOutput)
    self.gradInput[1] = gradOutput[1] + gradOutput[2]
    return self.gradInput[1]
  end

  it("keeps it a table when it gives up what it holds", function()
    for _, change in ipairs {
      function() end,
      function(net) net:clearState() end,
      function(net) net:float() end,
      function(net) net:double():float() end,
      function(net) net:to "cpu" end,
    } do
      local net, ones = nn.Sequential():add(Two()):add(nn.CAddTable()), dn.ones(2)
      change(net)
      assert.same({ 2, 2 }, net:forward(ones):totable())
      assert.same({ 2, 2 }, net:backward(ones, ones):totable())
      change(net)
      assert.same({ 2, 2 }, net:forward(ones):totable())
    end
  end)

  it("keeps a gradInput of nil", function()
    local module = nn.Linear(2, 2)
    module.gradInput = nil
    assert.is_nil(module:clearState().gradInput)
  end)
end)
