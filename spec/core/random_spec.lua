-- Random numbers: the published vectors, the same numbers however they are made, and their shape.

local dn = require "densenet"
local core = require "densenet.core"
local random = require "densenet.random"

describe("Philox4x32-10", function()
  -- Random123's kat_vectors, the three lines of philox4x32 with 10 rounds: counter, key, answer.
  it("gives the known answers", function()
    local function answer(...) return ("%08x %08x %08x %08x"):format(core.philox(...)) end
    assert.equal("6627e8d5 e169c58d bc57ac4c 9b00dbd8", answer(0, 0, 0))
    assert.equal("408f276d 41c83b0e a20bc7c6 6d5451fd", answer(-1, -1, -1))
    assert.equal("d16cfe09 94fdcceb 5001e420 24126ea1",
      answer(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88))
  end)
end)

describe("a random tensor", function()
  local n = 200003

  local function fills()
    dn.manualSeed(11)
    return {
      dn.rand(n), dn.randn(n), dn.rand(n, "double"), dn.randn(n, "double"), dn.randperm(n),
      dn.empty(n, "half"):uniform(-1, 1),
    }
  end

  it("is the same for one thread and two", function()
    core.threads(1)
    local one = fills()
    core.threads(2)
    for i, two in ipairs(fills()) do assert.equal(0, one[i]:ne(two):long():sum()) end
  end)

  it("is the same after the same seed, and another after another", function()
    dn.manualSeed(5)
    local first, second = dn.randn(10):totable(), dn.randn(10):totable()
    dn.manualSeed(5)
    assert.same(first, dn.randn(10):totable())
    assert.same(second, dn.randn(10):totable())
    assert.not_same(first, second)
    dn.manualSeed(6)
    assert.not_same(first, dn.randn(10):totable())
    assert.has_error(function() dn.manualSeed(1.5) end,
      "bad argument #1 to 'manualSeed' (an integer expected, got 1.5)")
    dn.manualSeed(-3.0)
    assert.equal(-3, random.state().seed)
  end)

  it("of float is the double one, rounded", function()
    dn.manualSeed(2)
    local float = dn.rand(1001)
    dn.manualSeed(2)
    assert.same(dn.rand(1001, "double"):float():totable(), float:totable())
  end)

  it("goes on where the one before ended", function()
    dn.manualSeed(3)
    local whole = dn.rand(20, "double")
    dn.manualSeed(3)
    local parts = dn.cat { dn.rand(6, "double"), dn.rand(14, "double") }
    assert.same(whole:totable(), parts:totable())
    dn.manualSeed(3)
    dn.rand(5)
    assert.equal(3, random.state().position)
    dn.randperm(7)
    assert.equal(10, random.state().position)
  end)

  -- Bounds of five standard deviations of each statistic for 200,003 independent numbers.
  it("is uniform on [low, high)", function()
    dn.manualSeed(1)
    local t = dn.rand(n, "double")
    assert.is_true(t:min() >= 0 and t:max() < 1)
    assert.is_true(math.abs(t:mean() - 0.5) < 5 * math.sqrt(1 / 12 / n))
    assert.is_true(math.abs(t:var() - 1 / 12) < 5 * math.sqrt(1 / 180 / n))
    for tenth = 0, 9 do
      local share = (t:ge(tenth / 10):cmul(t:lt((tenth + 1) / 10))):long():sum()
      assert.is_true(math.abs(share - n / 10) < 5 * math.sqrt(0.09 * n))
    end
    local wide = dn.empty(n):uniform(-3, 5)
    assert.is_true(wide:min() >= -3 and wide:max() <= 5 and math.abs(wide:mean() - 1) < 0.03)
  end)

  it("is normal", function()
    dn.manualSeed(1)
    local t = dn.randn(n, "double")
    assert.is_true(math.abs(t:mean()) < 5 / math.sqrt(n))
    assert.is_true(math.abs(t:var() - 1) < 5 * math.sqrt(2 / n))
    local cubes, fourths = t:clone():pow(3):mean(), t:clone():square():square():mean()
    assert.is_true(math.abs(cubes) < 5 * math.sqrt(15 / n))
    assert.is_true(math.abs(fourths - 3) < 5 * math.sqrt(96 / n))
    local inside = t:clone():abs():lt(1):long():sum() / n
    assert.is_true(math.abs(inside - 0.682689492137) < 5 * math.sqrt(0.2166 / n))
    -- Neighbours come from one pair of uniforms; they may not know of each other.
    local product = t:narrow(1, 1, n - 1):clone():cmul(t:narrow(1, 2, n - 1)):mean()
    assert.is_true(math.abs(product) < 5 / math.sqrt(n))
    local moved = dn.empty(n, "double"):normal(4, 0.5)
    assert.is_true(math.abs(moved:mean() - 4) < 0.01 and math.abs(moved:std() - 0.5) < 0.01)
  end)

  it("refuses types without fractions, and ranges that are none", function()
    assert.has_error(function() dn.randn(3, "long") end)
    assert.has_error(function() dn.empty(3):uniform(2, 1) end)
    assert.has_error(function() dn.empty(3):normal(0, -1) end)
  end)
end)

describe("randperm", function()
  it("holds each of 1..n once, not in order", function()
    for _, n in ipairs { 0, 1, 2, 1000 } do
      local seen = dn.randperm(n):totable()
      assert.equal(n, #seen)
      table.sort(seen)
      for i = 1, n do assert.equal(i, seen[i]) end
    end
    local in_place = 0
    for i, x in ipairs(dn.randperm(1000):totable()) do
      if i == x then in_place = in_place + 1 end
    end
    assert.is_true(in_place < 10)
  end)

  it("gives every order of three as often as the others", function()
    dn.manualSeed(8)
    local counts, n = {}, 6000
    for _ = 1, n do
      local order = table.concat(dn.randperm(3):totable())
      counts[order] = (counts[order] or 0) + 1
    end
    local n_orders = 0
    for _, count in pairs(counts) do
      n_orders = n_orders + 1
      assert.is_true(math.abs(count - n / 6) < 5 * math.sqrt(n * 5 / 36))
    end
    assert.equal(6, n_orders)
  end)
end)

describe("a generator", function()
  it("depends on its seed and stream only", function()
    local a, b = random.generator(3, 4), random.generator(3, 4)
    local other = random.generator(3, 5)
    local from_a, from_b, from_other = {}, {}, {}
    for i = 1, 10 do
      dn.rand(3) -- the default generator does not disturb it
      from_a[i], from_b[i], from_other[i] = a:uniform(), b:uniform(), other:uniform()
    end
    assert.same(from_a, from_b)
    assert.not_same(from_a, from_other)
  end)

  it("gives integers of 1..n, each as often as the others", function()
    local generator, counts, n = random.generator(1), {}, 7000
    for _ = 1, n do
      local i = generator:integer(7)
      counts[i] = (counts[i] or 0) + 1
    end
    assert.equal(7, #counts)
    for i = 1, 7 do assert.is_true(math.abs(counts[i] - n / 7) < 5 * math.sqrt(n * 6 / 49)) end
    assert.equal(1, generator:integer(1))
    assert.has_error(function() generator:integer(0) end)
    assert.has_error(function() generator:integer(2.5) end)
  end)

  it("gives uniform and normal numbers and permutations", function()
    local generator, n = random.generator(9), 20000
    local sum, squares, least, most = 0, 0, math.huge, -math.huge
    for _ = 1, n do
      local x, u = generator:normal(2, 3), generator:uniform(-1, 3)
      sum, squares = sum + x, squares + (x - 2) ^ 2
      least, most = math.min(least, u), math.max(most, u)
    end
    assert.is_true(math.abs(sum / n - 2) < 5 * 3 / math.sqrt(n))
    assert.is_true(math.abs(squares / n - 9) < 5 * 9 * math.sqrt(2 / n))
    assert.is_true(least >= -1 and least < -0.99 and most < 3 and most > 2.99)
    local list = generator:permutation(100)
    table.sort(list)
    for i = 1, 100 do assert.equal(i, list[i]) end
    assert.same({}, generator:permutation(0))
  end)

  it("is stored and restored by its state", function()
    dn.manualSeed(21)
    dn.randn(100)
    local state = random.state()
    local next_numbers = dn.rand(5):totable()
    random.setState(state)
    assert.same(next_numbers, dn.rand(5):totable())
    assert.has_error(function() random.setState {} end)
  end)
end)
