-- Adam, AdamW and RAdam against their formulas in plain numbers and RAdam's steps in PyTorch; what they carry;
-- groups of parameters.

local dn = require "densenet"
local compare = require "spec.support.compare"

local optim = dn.optim

local function near(a, b)
  assert.is_true(math.abs(a - b) <= 1e-12 * math.max(1, math.abs(b)), ("%.17g is not %.17g"):format(a, b))
end

local GRADIENTS = { 1, -3, 0.5, 2, 0.25, -1, 4, 0 }

-- One parameter's steps as numbers. `kind`: "Adam", "AdamW" or "RAdam".
local function byHand(kind, settings, w, gradients)
  local m, v = 0, 0
  local b1, b2, lr = settings.beta1, settings.beta2, settings.learningRate
  for t, gradient in ipairs(gradients) do
    local g = gradient
    if kind == "Adam" then
      g = g + settings.weightDecay * w
    else
      w = w - lr * settings.weightDecay * w
    end
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    local mean = m / (1 - b1 ^ t)
    if kind == "RAdam" then
      local most = 2 / (1 - b2) - 1
      local length = most - 2 * t * b2 ^ t / (1 - b2 ^ t)
      if length >= 5 then
        local r = math.sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length))
        w = w - lr * r * mean * math.sqrt(1 - b2 ^ t) / (math.sqrt(v) + settings.epsilon)
      else
        w = w - lr * mean
      end
    else
      w = w - lr * mean / (math.sqrt(v / (1 - b2 ^ t)) + settings.epsilon)
    end
  end
  return w
end

local function network()
  dn.manualSeed(9)
  return dn.nn.Sequential():add(dn.nn.Linear(3, 3), "a"):add(dn.nn.Linear(3, 1), "b")
end

local function train(model, optimizer, x)
  local output = model:forward(x)
  model:zeroGradParameters()
  model:backward(x, output)
  optimizer:step()
end

for _, kind in ipairs { "Adam", "AdamW", "RAdam" } do
  describe("optim." .. kind, function()
    local class = optim[kind]

    for _, settings in ipairs {
      { learningRate = 0.1, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 },
      { learningRate = 0.1, beta1 = 0.8, beta2 = 0.9, epsilon = 0.5, weightDecay = 0.3 },
      { learningRate = 0.01, beta1 = 0, beta2 = 0.99, epsilon = 1e-3, weightDecay = 0.1 },
    } do
      it(("steps as the formula says: beta2 %g, weightDecay %g"):format(settings.beta2, settings.weightDecay),
        function()
          local w, g = dn.tensor({ 2 }, "double"), dn.zeros { 1, dtype = "double" }
          local optimizer = class({ w, g }, settings)
          for i, gradient in ipairs(GRADIENTS) do
            g:fill(gradient)
            optimizer:step()
            near(w:item(), byHand(kind, settings, 2, table.move(GRADIENTS, 1, i, 1, {})))
          end
        end)
    end

    it("carries its state by name, and goes on from it exactly", function()
      local settings, x = { learningRate = 0.01, weightDecay = 0.1 }, dn.randn(4, 3)
      local model = network()
      local optimizer = class(model, settings)
      assert.are.same({}, optimizer:state())
      for _ = 1, 7 do train(model, optimizer, x) end
      local state, names = {}, {}
      for name, tensor in pairs(optimizer:state()) do
        state[name] = tensor:clone()
        names[#names + 1] = name
      end
      table.sort(names)
      assert.are.same({ "a.bias.exp_avg", "a.bias.exp_avg_sq", "a.weight.exp_avg", "a.weight.exp_avg_sq",
        "b.bias.exp_avg", "b.bias.exp_avg_sq", "b.weight.exp_avg", "b.weight.exp_avg_sq", "step" }, names)
      assert.equal(7, state.step:at(1))

      local copy = network()
      copy:loadStateDict(model:stateDict())
      local resumed = class(copy, settings)
      resumed:loadState(state)
      train(model, optimizer, x)
      train(copy, resumed, x)
      for name, tensor in pairs(model:stateDict()) do
        compare.identical(copy:stateDict()[name], tensor, name)
      end

      state.step, state["b.bias.exp_avg"], state.other = nil, dn.zeros(2), dn.zeros(1)
      local ok, message = pcall(resumed.loadState, resumed, state)
      assert.is_false(ok)
      assert.equal("the state does not fit the optimizer:\n  missing (1): step\n  unknown (1): other\n"
        .. "  wrong shape (1): b.bias.exp_avg (expected 1, got 2)", message:match("the state.*"))
      resumed:loadState({})
      assert.are.same({}, resumed:state())
    end)

    it("allocates nothing after the first step, and follows its model to another type", function()
      local model, x = network(), dn.randn(4, 3)
      local optimizer = class(model, { weightDecay = 0.1 })
      train(model, optimizer, x)
      local before = dn.memory("cpu").allocations
      for _ = 1, 8 do train(model, optimizer, x) end
      assert.equal(0, dn.memory("cpu").allocations - before)
      model:double()
      train(model, optimizer, x:double())
      assert.equal("double", optimizer:state()["a.weight.exp_avg"]:dtype())
    end)

    it("steps vectors of all parameters, and a shared parameter once, the same", function()
      local x = dn.randn(4, 3)
      local function trained(make)
        local model = network()
        local optimizer = make(model)
        for _ = 1, 7 do train(model, optimizer, x) end
        return model:get("a").weight
      end
      local expected = trained(function(model) return class(model) end)
      compare.identical(trained(function(model) return class { model:getParameters() } end), expected, "vectors")
      compare.identical(trained(function(model)
        local optimizer = class(model)
        model:getParameters()
        return optimizer
      end), expected, "flattened later")

      local a, b = dn.nn.Linear(1, 1, false), dn.nn.Linear(1, 1, false)
      b:share(a, "weight", "gradWeight")
      local optimizer = class(dn.nn.Sequential():add(a):add(b))
      a.gradWeight:fill(0.25)
      optimizer:step()
      assert.equal(1, optimizer:state().step:at(1))
      assert.is_true(math.abs(optimizer:state()["0.weight.exp_avg"]:item() - 0.25 * (1 - 0.9)) < 1e-8)
      assert.is_nil(optimizer:state()["1.weight.exp_avg"])
    end)

    it("refuses what makes no sense", function()
      local model = dn.nn.Linear(1, 1)
      assert.error_matches(function() class(model, { beta1 = 1 }) end,
        "beta1 must be a number of 0 or more and below 1, got 1")
      assert.error_matches(function() class(model, { lr = 1 }) end,
        "optim." .. kind .. " has no setting 'lr'; it has beta1, beta2, epsilon, learningRate, weightDecay, groups")
      assert.error_matches(function() class(3) end, "bad argument #1 to 'optim." .. kind)
      assert.matches("^optim." .. kind .. "%(learningRate 0.001, beta1 0.9", tostring(class(model)))
    end)
  end)
end

describe("optim.RAdam", function()
  it("makes PyTorch's steps", function()
    local file, settings = dn.safetensors.load("spec/golden/radam.safetensors")
    assert(file, settings)
    for dtype, tolerance in pairs { double = 1e-12, float = 1e-6 } do
      local w = file["in/p"]:clone():type(dtype)
      local g = w:clone()
      local optimizer = optim.RAdam({ w, g }, { learningRate = tonumber(settings.lr),
        weightDecay = tonumber(settings.weightDecay), beta1 = tonumber(settings.beta1),
        beta2 = tonumber(settings.beta2), epsilon = tonumber(settings.eps) })
      for t = 1, 12 do
        g:copy(file["in/g/" .. t])
        optimizer:step()
        compare.near(w, file["after/" .. t]:type(dtype), tolerance, "step " .. t)
      end
    end
  end)
end)

describe("groups of parameters", function()
  local function ofTwo()
    return dn.nn.Sequential():add(dn.nn.Linear(2, 2), "features"):add(dn.nn.Linear(2, 2), "classifier")
  end

  -- The factor by which each parameter shrinks in a step whose gradients are 0, and moves where they are 1.
  local function moves(model, optimizer)
    local result = {}
    for _, tensor in pairs(model:stateDict()) do tensor:fill(1) end
    for _, gradient in pairs(model:gradDict()) do gradient:fill(1) end
    optimizer:step()
    for name, tensor in pairs(model:stateDict()) do result[name] = 1 - tensor:double():mean() end
    return result
  end

  it("have rates and decays of their own; the last that sets one decides", function()
    local model = ofTwo()
    local optimizer = optim.SGD(model, { learningRate = 0.125, weightDecay = 0.5, groups = {
      { match = "%.bias$", weightDecay = 0 },
      { match = "^classifier", learningRate = 0.25 },
      { match = "^classifier%.weight", weightDecay = 1 },
    } })
    local expected = { ["features.weight"] = 0.1875, ["features.bias"] = 0.125, ["classifier.weight"] = 0.5,
      ["classifier.bias"] = 0.25 }
    assert.same(expected, moves(model, optimizer))
    optimizer.learningRate = 0.0625 -- as a schedule does
    for name in pairs(expected) do expected[name] = expected[name] / 2 end
    assert.same(expected, moves(model, optimizer))
    assert.matches(", 3 groups%)$", tostring(optimizer))
  end)

  it("of AdamW, too", function()
    local model = ofTwo()
    local optimizer = optim.AdamW(model, { learningRate = 0.25, weightDecay = 0.5, epsilon = 0, groups = {
      { match = "bias", weightDecay = 0 }, { match = "^features", learningRate = 0.5 },
    } })
    local moved = moves(model, optimizer)
    for name, expected in pairs { ["features.weight"] = 0.75, ["features.bias"] = 0.5, ["classifier.weight"] = 0.375,
      ["classifier.bias"] = 0.25 } do
      assert.is_true(math.abs(moved[name] - expected) < 1e-6, name)
    end
  end)

  it("that are none are refused", function()
    local function refusal(groups, rate)
      local ok, message = pcall(optim.SGD, ofTwo(), { groups = groups, learningRate = rate })
      assert.is_false(ok)
      return message
    end
    assert.matches("group 1 matches no parameter: no name is like '%^clasifier'; the first is 'features.weight'",
      refusal { { match = "^clasifier" } })
    assert.matches("group 2 must be a table with match, a pattern of names, got a table",
      refusal { { match = "bias" }, {} })
    assert.matches("group 1 must be a table with match, a pattern of names, got 3", refusal { 3 })
    assert.matches("group 1 has no setting 'momentum'; it has learningRate, match, weightDecay",
      refusal { { match = "bias", momentum = 0 } })
    assert.matches("weightDecay must be a number of 0 or more, got %-1",
      refusal { { match = "bias", weightDecay = -1 } })
    assert.matches("match of group 1 is no pattern of Lua's: malformed pattern", refusal { { match = "[" } })
    assert.matches("group 1 has a learningRate beside one of 0", refusal({ { match = "bias", learningRate = 1 } }, 0))
    assert.matches("groups: a table expected, got 3", refusal(3))
  end)
end)
