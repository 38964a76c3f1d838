-- Clipping gradients by their common norm.

local dn = require "densenet"
local compare = require "spec.support.compare"

local clip = dn.optim.clipGradNorm

local function network()
  dn.manualSeed(4)
  local model = dn.nn.Sequential():add(dn.nn.Linear(3, 4)):add(dn.nn.Linear(4, 2))
  for _, gradient in pairs(model:gradDict()) do gradient:normal() end
  return model
end

local function byHand(model)
  local sum = 0
  for _, gradient in pairs(model:gradDict()) do
    for _, value in ipairs(gradient:reshape(-1):totable()) do sum = sum + value * value end
  end
  return math.sqrt(sum)
end

local function copies(model)
  local kept = {}
  for name, gradient in pairs(model:gradDict()) do kept[name] = gradient:clone() end
  return kept
end

describe("optim.clipGradNorm", function()
  it("gives the norm of all gradients and makes it maxNorm at most", function()
    local model = network()
    local norm, before = byHand(model), copies(model)
    assert.is_true(math.abs(clip(model, 100) - norm) < 1e-6)
    for name, gradient in pairs(model:gradDict()) do compare.identical(gradient, before[name], name) end
    assert.is_true(math.abs(clip(model, 0.5) - norm) < 1e-6)
    assert.is_true(math.abs(byHand(model) - 0.5) < 1e-6)
    for name, gradient in pairs(model:gradDict()) do
      compare.near(gradient, before[name] * (0.5 / norm), 1e-6, name)
    end
  end)

  it("counts a shared gradient once, and works on getParameters' views", function()
    local a, b = dn.nn.Linear(1, 1, false), dn.nn.Linear(1, 1, false)
    b:share(a, "weight", "gradWeight")
    local model = dn.nn.Sequential():add(a):add(b)
    a.gradWeight:fill(3)
    assert.equal(3, clip(model, 1))
    assert.equal(1, a.gradWeight:item())
    model = network()
    local norm = byHand(model)
    local _, gradient = model:getParameters()
    clip(model, 0.25)
    assert.is_true(norm > 0.25 and math.abs(gradient:norm() - 0.25) < 1e-6)
    assert.equal(0.0, clip(dn.nn.ReLU(), 1))
  end)

  it("says so where the norm is not finite, and leaves the gradients", function()
    for value, words in pairs { [1 / 0] = "infinite", [-1 / 0] = "infinite" } do
      local model = network()
      model:get(1).gradBias:put(value, 2)
      local before = copies(model)
      local norm, message = clip(model, 1)
      assert.equal(1 / 0, norm)
      assert.equal("the norm of the gradients is " .. words .. "; nothing was clipped", message)
      for name, gradient in pairs(model:gradDict()) do compare.identical(gradient, before[name], name) end
    end
    local model = network()
    model:get(2).gradWeight:put(0 / 0, 1, 1)
    local norm, message = clip(model, 1)
    assert.is_true(norm ~= norm)
    assert.matches("is not a number; nothing was clipped", message)
    -- Squares of these are beyond float, not beyond double.
    model:get(2).gradWeight:fill(1e30)
    norm, message = clip(model, 1)
    assert.is_nil(message)
    assert.is_true(norm > 2e30 and norm < 1 / 0)
  end)

  it("refuses what is no module and no limit", function()
    assert.error_matches(function() clip(3, 1) end, "#1 to 'clipGradNorm' %(a module expected, got 3%)")
    assert.error_matches(function() clip(network()) end, "#2 to 'clipGradNorm' %(maxNorm: a number expected, got nil%)")
    assert.error_matches(function() clip(network(), 0) end, "maxNorm: a number above 0 expected, got 0")
  end)
end)
