-- Torch7's further methods and functions of tensors, by hand and against plain loops.

local dn = require "densenet"
local core = require "densenet.core"
local compare = require "spec.support.compare"

local function raises(pattern, call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  assert.matches(pattern, message)
end

local function matrix(dtype) return dn.tensor({ { 3, 1, 2 }, { 5, 9, 7 } }, dtype or "double") end

local TYPES = { "float", "double", "half", "bfloat16", "long", "byte" }

describe("shapes of tensors:", function()
  it("#t is t:size(), and ipairs goes over the first dimension", function()
    assert.same({ 2, 3 }, #matrix())
    assert.same({}, #dn.tensor(4))
    assert.equal(2, matrix():nDimension())
    local seen = {}
    for i, row in ipairs(matrix()) do seen[i] = row:totable() end
    assert.same({ { 3, 1, 2 }, { 5, 9, 7 } }, seen)
    seen = {}
    for i, value in ipairs(dn.tensor { 4, 0, 6 }) do seen[i] = value end
    assert.same({ 4, 0, 6 }, seen)
    for _ in ipairs(dn.zeros(0, 3)) do error "there is nothing in it" end
    raises("index 4 of dimension 1", function() return matrix()[4] end)
    raises("", function() return dn.tensor(4)[1] end)
  end)

  it("squeeze and unsqueeze are views", function()
    local t = dn.zeros(1, 3, 1, 2)
    assert.same({ 3, 2 }, t:squeeze():size())
    assert.same({ 3, 1, 2 }, t:squeeze(1):size())
    assert.equal(t, t:squeeze(2))
    t:squeeze():fill(4)
    assert.equal(24, t:sum())
    assert.equal(5, dn.full(5, { 1, 1 }):squeeze())
    assert.equal(5, dn.full(5, { 1 }):squeeze(1))
    local turned = matrix():t()
    for dim, sizes in ipairs { { 1, 3, 2 }, { 3, 1, 2 }, { 3, 2, 1 } } do
      assert.same(sizes, turned:unsqueeze(dim):size())
      compare.identical(turned:unsqueeze(dim):squeeze(dim):contiguous(), turned:contiguous(), "back")
    end
    turned:unsqueeze(2):mul(2)
    assert.same({ { 6, 10 }, { 2, 18 }, { 4, 14 } }, turned:totable())
    raises("'squeeze' %(dimension 5 of a", t.squeeze, t, 5)
    raises("'unsqueeze' %(dimension 6 of a .* which can have 5 at most", t.unsqueeze, t, 6)
  end)

  it("reshape is a copy", function()
    local t = matrix()
    assert.same({ { 3, 5 }, { 1, 9 }, { 2, 7 } }, t:t():reshape(3, 2):totable())
    assert.same({ 3, 5, 1, 9, 2, 7 }, t:t():reshape(-1):totable())
    t:reshape({ 3, 2 }):zero()
    assert.equal(27, t:sum())
    raises("sizes expected", t.reshape, t)
  end)
end)

describe("functions of elements:", function()
  it("in place", function()
    local function on(...) return dn.tensor({ ... }, "double") end
    assert.same({ -3, 1, 2 }, on(-2.5, 0.5, 2.25):round():totable())
    assert.same({ -2, 1 }, on(-2.5, 0.5):ceil():totable())
    assert.same({ 0.5, -4 }, on(2, -0.25):cinv():totable())
    assert.same({ 0.5, 2 }, on(4, 0.25):rsqrt():totable())
    compare.near(on(0, 0.5, -2):tanh(), on(0, 0.46211715726000975, -0.9640275800758169), 1e-15, "tanh")
    compare.near(on(0, 2, -2):sigmoid(), on(0.5, 0.8807970779778823, 0.11920292202211756), 1e-15, "sigmoid")
    compare.near(on(1e-12, 1):log1p(), on(1e-12, 0.6931471805599453), 1e-15, "log1p")
    local t = on(1, 2)
    for _, name in ipairs { "ceil", "round", "tanh", "sigmoid", "log1p", "cinv", "rsqrt" } do
      assert.equal(t, t[name](t), name)
    end
    raises("real dtype", function() dn.tensor({ 1 }, "long"):round() end)
  end)

  it("as functions they leave their argument alone", function()
    local t = matrix()
    assert.same({ { 3, 1, 2 }, { 5, 9, 7 } }, dn.round(t + 0.25):totable())
    assert.same({ { -3, -1, -2 }, { -5, -9, -7 } }, dn.neg(t):totable())
    assert.same({ 2, 3, 5 }, dn.pow(dn.tensor { 4, 9, 25 }, 0.5):totable())
    assert.same({ { 1, 2, 3 }, { 5, 7, 9 } }, dn.sort(t):totable())
    assert.equal(27, dn.sum(t))
    assert.same({ 6 }, dn.reshape(t, 6):size())
    assert.same({ { 3, 1, 2 }, { 5, 9, 7 } }, t:totable())
    raises("bad argument #1 to 'round' %(a tensor expected, got 3%)", dn.round, 3)
  end)

  it("dot is a sum of products that 16 bits and bytes do not cut off", function()
    for _, dtype in ipairs(TYPES) do
      assert.equal(169, matrix(dtype):dot(matrix(dtype)), dtype)
      -- rows 3 5, 1 9, 2 7 as they stand
      assert.equal(9 + 5 + 1 + 45 + 4 + 49, matrix(dtype):t():dot(dn.tensor({ 3, 1, 1, 5, 2, 7 }, dtype)), dtype)
    end
    assert.equal(400 * 400, dn.full(400, { 1 }, "half"):dot(dn.full(400, { 1 }, "half")))
    assert.equal(0.0, dn.zeros(0):dot(dn.zeros(0)))
    raises("'dot' %(6 elements of double expected, got a float tensor", function() matrix():dot(dn.zeros(2, 3)) end)
    raises("'dot' %(6 elements of double expected", function() matrix():dot(dn.zeros(5, "double")) end)
  end)

  it("cumsum along a dimension", function()
    for _, dtype in ipairs(TYPES) do
      assert.same({ { 3, 1, 2 }, { 8, 10, 9 } }, matrix(dtype):cumsum():totable())
      assert.same({ { 3, 4, 6 }, { 5, 14, 21 } }, matrix(dtype):cumsum(2):totable())
    end
    for n = 1, 9 do
      local t, sum = dn.randn { n, dtype = "double" }, 0
      for i, value in ipairs(t:cumsum()) do
        sum = sum + t[i]
        assert.is_true(math.abs(value - sum) < 1e-12)
      end
    end
    raises("'cumsum' %(dimension 3 of a", function() matrix():cumsum(3) end)
  end)
end)

describe("operators on tensors:", function()
  it("// and % round towards minus infinity, like Lua's", function()
    for _, dtype in ipairs { "float", "double", "long" } do
      local a, b = dn.tensor({ 7, -7, 7, -7 }, dtype), dn.tensor({ 2, 2, -2, -2 }, dtype)
      assert.same({ 3, -4, -4, 3 }, (a // b):totable())
      assert.same({ 1, 1, -1, -1 }, (a % b):totable())
      assert.same({ 3, -4, 3, -4 }, (a // 2):totable())
      assert.same({ 1, 1, 1, 1 }, (a % 2):totable())
      assert.same({ 2, 2, -3, -3 }, (5 // b):totable())
      assert.same({ 1, 1, -1, -1 }, (5 % b):totable())
      assert.same({ 7, -7, 7, -7 }, a:totable())
    end
    assert.same({ 1, 2 }, (dn.tensor({ 7, 8 }, "byte") % 3):totable())
    assert.same({ 49, 9 }, (dn.tensor { 7, 3 } ^ 2):totable())
    assert.same({ 4, 8 }, (2 ^ dn.tensor { 2, 3 }):totable())
    assert.same({ { 1, 0 }, { 1, 1 } }, (dn.tensor { { 3, 2 }, { 5, 7 } } % dn.tensor { 2, 2 }):totable())
    raises("cannot use '%%' on a tensor and 'x'", function() return matrix() % "x" end)
    raises("cannot use '//' on a double tensor and a float tensor", function() return matrix() // dn.ones(3) end)
    raises("no result for 0", function() return dn.ones(2, "long") % 0 end)
  end)
end)

describe("sort", function()
  it("goes along any dimension, up and down, equal ones in their order", function()
    for _, dtype in ipairs(TYPES) do
      local t = dn.tensor({ { 3, 1, 3 }, { 1, 9, 0 } }, dtype)
      local values, indices = t:sort()
      assert.same({ { 1, 3, 3 }, { 0, 1, 9 } }, values:totable())
      assert.same({ { 2, 1, 3 }, { 3, 1, 2 } }, indices:totable())
      values, indices = t:sort(2, true)
      assert.same({ { 3, 3, 1 }, { 9, 1, 0 } }, values:totable())
      assert.same({ { 1, 3, 2 }, { 2, 1, 3 } }, indices:totable())
      assert.same(values:totable(), (t:sort(true)):totable())
      values, indices = t:sort(1)
      assert.same({ { 1, 1, 0 }, { 3, 9, 3 } }, values:totable())
      assert.same({ { 2, 1, 2 }, { 1, 2, 1 } }, indices:totable())
      assert.equal("long", indices:dtype())
    end
  end)

  it("sorts many, and its positions gather them", function()
    local t = dn.randn(3, 500, 2)
    local values, indices = t:sort(2)
    compare.identical(t:gather(2, indices), values, "gathered")
    assert.equal(0, (values:narrow(2, 2, 499) - values:narrow(2, 1, 499)):lt(0):sum())
    assert.same({ 0 }, dn.zeros(0):sort():size())
    raises("sort of a scalar", function() dn.tensor(1):sort() end)
    raises("'sort' %(dimension 4 of a", function() t:sort(4) end)
    raises("descending: true or false expected, got 1", function() t:sort(1, 1) end)
  end)
end)

describe("gather and scatter", function()
  local function indexFor(sizes, most)
    local index = dn.rand(sizes):mul(most):floor():add(1)
    return index:cmin(most):long()
  end

  it("say what plain loops say, along each dimension", function()
    dn.manualSeed(3)
    for _, dtype in ipairs(TYPES) do
      local t = dn.rand(3, 4, 2):mul(99):floor():type(dtype)
      for dim, n in ipairs { 5, 2, 7 } do
        local sizes = t:size()
        sizes[dim] = n
        local index = indexFor(sizes, t:size(dim))
        local source = dn.rand(sizes):mul(99):floor():type(dtype)
        local gathered, scattered, expected = t:gather(dim, index), t:clone(), t:clone()
        assert.equal(scattered, scattered:scatter(dim, index, source))
        for i = 1, sizes[1] do
          for j = 1, sizes[2] do
            for k = 1, sizes[3] do
              local place = { i, j, k }
              place[dim] = index:at(i, j, k)
              assert.equal(t:at(table.unpack(place)), gathered:at(i, j, k))
              expected:put(source:at(i, j, k), table.unpack(place))
            end
          end
        end
        compare.identical(scattered, expected, "scattered")
      end
    end
  end)

  it("take views, smaller indices and a number", function()
    local t = matrix():t()
    local index = dn.tensor({ { 3, 1 } }, "long")
    assert.same({ { 2, 5 } }, t:gather(1, index):totable())
    t:scatter(1, index, 0)
    assert.same({ { 3, 0 }, { 1, 9 }, { 0, 7 } }, t:totable())
    t:scatter(1, index, dn.ones { 2, 3, dtype = "double" })
    assert.same({ { 3, 1 }, { 1, 9 }, { 1, 7 } }, t:totable())
    assert.same({ 0, 2 }, t:gather(1, dn.zeros(0, 2, "long")):size())
    assert.equal(t, t:scatter(1, dn.zeros(0, 2, "long"), 1))
  end)

  it("refuse positions that are none, and other sizes and types", function()
    local t = matrix()
    local function index(...) return dn.tensor({ ... }, "long") end
    raises("'gather' %(positions from 1 to 3 expected, got 4%)", function() t:gather(2, index({ 1 }, { 4 })) end)
    raises("'gather' %(positions from 1 to 3 expected, got 0%)", function() t:gather(2, index({ 0 }, { 4 })) end)
    raises("'scatter' %(positions from 1 to 2 expected, got 3%)", function() t:scatter(1, index { 3, 1, 1 }, 1) end)
    raises("'gather' %(positions in a double tensor of size 2x3 along dimension 1 expected", function()
      t:gather(1, index(1, 2))
    end)
    raises("got a float tensor", function() t:gather(1, dn.ones(1, 3)) end)
    raises("got a long tensor of size 1x4", function() t:gather(1, index { 1, 1, 1, 1 }) end)
    raises("#3 to 'scatter' %(source: a tensor expected, got 'x'%)", function()
      t:scatter(1, index { 1, 1, 1 }, "x")
    end)
    raises("#3 to 'scatter' %(a double tensor of size 1x3 or larger expected, got a float", function()
      t:scatter(1, index { 1, 1, 1 }, dn.ones(1, 3))
    end)
    raises("of size 1x3 or larger expected, got a double tensor of size 1x2", function()
      t:scatter(1, index { 1, 1, 1 }, dn.ones(1, 2, "double"))
    end)
  end)
end)

describe("core.scatter_index", function()
  it("says where each element comes from, and refuses places that are none", function()
    local function long(...) return dn.tensor({ ... }, "long") end
    assert.same({ 1, 6, 3, 5 }, core.scatter_index(long(4, 2), 4):totable())
    assert.same({ 4, 2, 3 }, core.scatter_index(long(1), 3):totable())
    assert.same({ 1, 5 }, core.scatter_index(long(2, 2, 2), 2):totable())
    assert.same({}, core.scatter_index(long(), 0):totable())
    raises("place 2 is 5, 1 to 4 expected", core.scatter_index, long(1, 5), 4)
    raises("place 1 is 0, 1 to 4 expected", core.scatter_index, long(0), 4)
    raises("a long tensor on cpu expected", core.scatter_index, dn.ones(2), 4)
    raises("a contiguous tensor expected", core.scatter_index, long({ 1, 2 }, { 3, 4 }):select(2, 1), 4)
    raises("0 or more expected", core.scatter_index, long(1), -1)
  end)
end)

describe("dn.full and dn.range", function()
  it("take the value first or the sizes first, and Torch's name", function()
    assert.same({ { 5, 5 } }, dn.full(5, { 1, 2 }):totable())
    assert.same({ { 5, 5 } }, dn.full({ 1, 2 }, 5):totable())
    assert.equal("long", dn.full({ 1, dtype = "long" }, 5):dtype())
    assert.equal("long", dn.full({ 1 }, 5, "long"):dtype())
    assert.same({ 3, 3 }, dn.full(3, 2):totable())
    raises("#2 to 'full' %(value: a number expected, got nil%)", dn.full, { 1, 2 })
    assert.same({ 1, 2, 3 }, dn.range(1, 3):totable())
    assert.same({ 4, 2, 0 }, dn.range(4, -1, -2):totable())
  end)
end)
