-- The scale of the loss in half precision: halved where a gradient overflows, doubled after long peace.
local dn = require "densenet"
local tablex = require "pl.tablex"
local LossScale = dn.optim.LossScale

local function model()
  dn.manualSeed(1)
  return dn.nn.Sequential():add(dn.nn.Linear(3, 2)):add(dn.nn.Linear(2, 2)):half()
end

local function gradient(network) return network:get(2).gradWeight end

describe("a loss scale", function()
  it("begins at 2^16 and lets steps with numbers pass", function()
    local network = model()
    local scaling = LossScale(network)
    assert.equal(65536.0, scaling.scale)
    assert.is_true(scaling:check())
    assert.same({ scale = 65536.0, good = 1, skipped = 0 }, scaling:state())
  end)

  for name, value in tablex.sort { infinity = 1 / 0, ["minus infinity"] = -1 / 0, ["no number"] = 0 / 0 } do
    it("is halved by " .. name .. " anywhere", function()
      local network = model()
      local scaling = LossScale(network)
      for _ = 1, 3 do assert.is_true(scaling:check()) end
      gradient(network):put(value, 2, 1)
      assert.is_false(scaling:check())
      assert.same({ scale = 32768.0, good = 0, skipped = 1 }, scaling:state())
      network:zeroGradParameters()
      assert.is_true(scaling:check())
    end)
  end

  it("sees both infinities at once", function()
    local network = model()
    local scaling = LossScale(network)
    gradient(network):put(1 / 0, 1, 1)
    gradient(network):put(-1 / 0, 2, 2)
    assert.is_false(scaling:check())
  end)

  it("takes large numbers for what they are", function()
    local network = model()
    local scaling = LossScale(network)
    gradient(network):fill(1e30)
    assert.is_true(scaling:check())
  end)

  it("is doubled after 2,000 good steps, up to 2^24", function()
    local scaling = LossScale(model())
    for _ = 1, 1999 do scaling:check() end
    assert.equal(2.0 ^ 16, scaling.scale)
    scaling:check()
    assert.equal(2.0 ^ 17, scaling.scale)
    assert.equal(0, scaling.good)
    scaling:setState { scale = 2 ^ 24, good = 1999, skipped = 0 }
    scaling:check()
    assert.equal(2.0 ^ 24, scaling.scale)
  end)

  it("ends at 1", function()
    local network = model()
    local scaling = LossScale(network)
    gradient(network):fill(1 / 0)
    for _ = 1, 15 do scaling:check() end
    assert.is_false(scaling:isLeast())
    scaling:check()
    assert.is_true(scaling:isLeast())
    scaling:check()
    assert.equal(1.0, scaling.scale)
    assert.equal(17, scaling.skipped)
  end)

  it("goes on from its state, also through a file", function()
    local scaling = LossScale(model())
    for _ = 1, 5 do scaling:check() end
    local other = LossScale(model())
    other:setState(dn.json.decode(dn.json.encode(scaling:state())))
    assert.same(scaling:state(), other:state())
    assert.error_matches(function() other:setState { scale = 2 } end, "good is nil")
  end)
end)
