-- A number made of all elements has never been an element: no type of the tensor's rounds it, cuts it off
-- or wraps it around.

local dn = require "densenet"

describe("a number made of all elements", function()
  it("counts what is equal beyond 255", function()
    local a = dn.arange(1, 1000)
    assert.equal(1000, a:eq(a):sum())
    assert.equal("integer", math.type(a:eq(a):sum()))
    assert.equal(256, dn.ones(256, "byte"):sum())
    assert.equal(300 * 255, dn.full(255, 300, "byte"):sum())
  end)

  it("is exact in 64 bits for long", function()
    assert.equal((1 << 53) + 1, dn.tensor({ 1 << 53, 1 }, "long"):sum())
  end)

  it("has more digits than float", function()
    assert.equal((1 << 24) + 1, dn.tensor { 1 << 24, 1 }:sum())
    assert.equal(257, dn.ones(257):bfloat16():sum())
  end)

  it("is larger than the largest half or float", function()
    assert.equal(70000, dn.ones(70000):half():sum())
    assert.near(300 * math.sqrt(70000), dn.full(300, 70000):half():norm(), 1e-6)
    local large = dn.tensor { 1e30, -1e30 }
    assert.equal(2 * dn.tensor({ 1e30 }):item() ^ 2, large:var())
    assert.equal(math.sqrt(2) * dn.tensor({ 1e30 }):item(), large:std())
    assert.equal(3 * dn.tensor({ 3e38 }):item(), dn.full(3e38, 3):sum())
  end)

  it("is smaller than the smallest half", function()
    assert.equal(2 ^ -24 / 3, dn.tensor({ 2 ^ -24, 0, 0 }):half():mean())
  end)

  it("is a mean, variance or norm of whole numbers too", function()
    for _, dtype in ipairs { "byte", "long" } do
      local t = dn.tensor({ 1, 2, 6 }, dtype)
      assert.equal(3.0, t:mean())
      assert.equal(7.0, t:var())
      assert.equal(math.sqrt(7), t:std())
      assert.equal(math.sqrt(41), t:norm())
      assert.equal(9.0, t:norm(1))
      assert.equal(6, t:max())
      assert.equal("integer", math.type(t:max()))
    end
    assert.equal(2.0 ^ 63, dn.full(2 ^ 62, 2, "long"):mul(2):neg():mean() * -1)
  end)
end)

describe("along a dimension", function()
  it("sums of byte are long, all others of the tensor's type", function()
    local sums = dn.full(200, 2, 3, "byte"):sum(1)
    assert.equal("long", sums:dtype())
    assert.same({ { 400, 400, 400 } }, sums:totable())
    for _, dtype in ipairs { "float", "double", "half", "bfloat16", "long" } do
      assert.equal(dtype, dn.ones(2, 3, dtype):sum(1):dtype())
    end
    assert.equal("half", dn.ones(2, 3, "half"):mean(1):dtype())
  end)
end)

describe("a loss scale", function()
  it("is not halved by gradients that are numbers, whatever their sum", function()
    local model = dn.nn.Linear(2, 2)
    local scaling = dn.optim.LossScale(model)
    model.gradWeight:fill(3e38)
    assert.is_true(scaling:check())
    model.gradWeight:put(math.huge, 1, 1)
    assert.is_false(scaling:check())
  end)
end)
