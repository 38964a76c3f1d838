-- SGD against the formulas in plain numbers; its state; what it refuses.

local dn = require "densenet"
local compare = require "spec.support.compare"

local SGD = dn.optim.SGD

local function near(a, b)
  assert.is_true(math.abs(a - b) <= 1e-12 * math.max(1, math.abs(b)), ("%.17g is not %.17g"):format(a, b))
end

-- Three steps of one parameter with gradients of its own, as numbers.
local function byHand(settings, w, gradients)
  local v
  for _, gradient in ipairs(gradients) do
    local g = gradient + settings.weightDecay * w
    local step = g
    if settings.momentum > 0 then
      v = v and settings.momentum * v + (1 - settings.dampening) * g or g
      step = settings.nesterov and g + settings.momentum * v or v
    end
    w = w - settings.learningRate * step
  end
  return w
end

describe("optim.SGD", function()
  before_each(function() dn.manualSeed(6) end)

  for _, settings in ipairs {
    { learningRate = 0.1, momentum = 0, dampening = 0, weightDecay = 0, nesterov = false },
    { learningRate = 0.1, momentum = 0.9, dampening = 0, weightDecay = 0, nesterov = false },
    { learningRate = 0.1, momentum = 0.9, dampening = 0.3, weightDecay = 0.01, nesterov = false },
    { learningRate = 0.1, momentum = 0.9, dampening = 0, weightDecay = 0.01, nesterov = true },
  } do
    it(("steps as the formula says: momentum %g, dampening %g, weightDecay %g, nesterov %s"):format(settings.momentum,
      settings.dampening, settings.weightDecay, settings.nesterov), function()
      local w, g = dn.tensor({ 2 }, "double"), dn.zeros { 1, dtype = "double" }
      local optimizer = SGD({ w, g }, settings)
      local gradients = { 1, -3, 0.5 }
      for _, gradient in ipairs(gradients) do
        g:fill(gradient)
        optimizer:step()
      end
      near(w:item(), byHand(settings, 2, gradients))
    end)
  end

  it("takes its settings anew at each step", function()
    local w, g = dn.tensor({ 1 }, "double"), dn.ones { 1, dtype = "double" }
    local optimizer = SGD({ w, g }, { learningRate = 0.5 })
    optimizer:step()
    optimizer.learningRate = 0.25
    optimizer:step()
    near(w:item(), 0.25)
    assert.are.equal(1e-3, SGD({ w, g }).learningRate)
    assert.are.equal("optim.SGD(learningRate 0.25, momentum 0, dampening 0, weightDecay 0)", tostring(optimizer))
  end)

  it("takes lists of parameters, and vectors, as modules give them", function()
    local settings = { learningRate = 0.1, momentum = 0.5 }
    local function trained(make)
      dn.manualSeed(7)
      local model, x = dn.nn.Linear(3, 2):double(), dn.randn { 4, 3, dtype = "double" }
      local optimizer = make(model)
      for _ = 1, 3 do
        local output = model:forward(x)
        model:zeroGradParameters()
        model:backward(x, output)
        optimizer:step()
      end
      return model.weight
    end
    local expected = trained(function(model) return SGD(model, settings) end)
    compare.identical(trained(function(model) return SGD({ model:parameters() }, settings) end), expected, "lists")
    compare.identical(trained(function(model) return SGD({ model:getParameters() }, settings) end), expected, "vectors")
    compare.identical(trained(function(model)
      local optimizer = SGD(model, settings)
      model:getParameters() -- later than the optimizer
      return optimizer
    end), expected, "flattened later")
  end)

  it("follows its model to another type, velocity included", function()
    local model = dn.nn.Linear(2, 2)
    local optimizer = SGD(model, { learningRate = 1, momentum = 0.5 })
    model.gradWeight:fill(1)
    optimizer:step()
    model:double()
    local before = model.weight:clone()
    model.gradWeight:fill(0)
    optimizer:step()
    compare.near(model.weight, before - 0.5, 1e-12, "momentum carried over")
  end)

  it("steps a shared parameter once", function()
    local a, b = dn.nn.Linear(1, 1, false), dn.nn.Linear(1, 1, false)
    b:share(a, "weight", "gradWeight")
    local model = dn.nn.Sequential():add(a):add(b)
    local optimizer = SGD(model, { learningRate = 1 })
    local before = a.weight:item()
    a.gradWeight:fill(0.25)
    optimizer:step()
    near(a.weight:item(), before - 0.25)
  end)

  it("gives its velocities by name, and goes on from them exactly", function()
    local settings = { learningRate = 0.1, momentum = 0.9, nesterov = true }
    local function start()
      dn.manualSeed(9)
      return dn.nn.Sequential():add(dn.nn.Linear(3, 3), "a"):add(dn.nn.Linear(3, 1), "b")
    end
    local x = dn.randn(4, 3)
    local function step(model, optimizer)
      local output = model:forward(x)
      model:zeroGradParameters()
      model:backward(x, output)
      optimizer:step()
    end
    local model = start()
    local optimizer = SGD(model, settings)
    assert.are.same({}, optimizer:state())
    step(model, optimizer)
    local state = {}
    for name, velocity in pairs(optimizer:state()) do
      state[name] = velocity:clone()
    end
    local names = {}
    for name in pairs(state) do
      names[#names + 1] = name
    end
    table.sort(names)
    assert.are.same({ "a.bias", "a.weight", "b.bias", "b.weight" }, names)

    local copy = start()
    copy:loadStateDict(model:stateDict())
    local resumed = SGD(copy, settings)
    resumed:loadState(state)
    step(model, optimizer)
    step(copy, resumed)
    for name, tensor in pairs(model:stateDict()) do
      compare.identical(copy:stateDict()[name], tensor, name)
    end

    state["a.bias"], state["b.bias"], state.other = nil, dn.zeros(2), dn.zeros(1)
    local ok, message = pcall(resumed.loadState, resumed, state)
    assert.is_false(ok)
    assert.equal("the state does not fit the optimizer:\n  missing (1): a.bias\n  unknown (1): other\n"
      .. "  wrong shape (1): b.bias (expected 1, got 2)", message:match("the state.*"))
    resumed:loadState({})
    assert.are.same({}, resumed:state())
  end)

  it("refuses settings that make no sense, naming them", function()
    local model = dn.nn.Linear(1, 1)
    local function refusal(settings)
      local ok, message = pcall(SGD, model, settings)
      assert.is_false(ok)
      return message
    end
    assert.matches("nesterov needs a momentum above 0 and no dampening, got 0 and 0", refusal { nesterov = true })
    assert.matches("got 0.9 and 0.1", refusal { nesterov = true, momentum = 0.9, dampening = 0.1 })
    assert.matches("learningRate must be a number of 0 or more, got %-1", refusal { learningRate = -1 })
    assert.matches("learningRate must be a number of 0 or more, got %-?nan", refusal { learningRate = 0 / 0 })
    assert.matches("nesterov must be a boolean, got no", refusal { nesterov = "no" })
    assert.matches("optim.SGD has no setting 'lr'; it has dampening, learningRate", refusal { lr = 1 })
    assert.error_matches(function() SGD(3) end, "bad argument #1 to 'optim.SGD'")
    assert.error_matches(function() SGD({ { dn.zeros(1) }, {} }) end, "bad argument #1 to 'optim.SGD'")
  end)
end)
