-- t[...]: positions, lists and masks, read and assigned to as in Torch7; what is none of these raises.

local dn = require "densenet"

local function raises(pattern, call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  assert.matches("^spec/core/indexing_spec.lua:%d+: ", message)
  assert.matches(pattern, message)
end

local function counting() return dn.arange(1, 24):view(2, 3, 4) end

describe("a list of positions", function()
  it("selects, narrows and leaves whole", function()
    local t = counting()
    assert.same({ 5, 6, 7, 8 }, t[{ 1, 2 }]:totable())
    assert.same({ { 5, 6, 7, 8 } }, t[{ 1, { 2 } }]:totable())
    assert.same({ { 5, 6, 7, 8 }, { 9, 10, 11, 12 } }, t[{ 1, { 2, 3 }, {} }]:totable())
    assert.same({ { 2, 6, 10 }, { 14, 18, 22 } }, t[{ {}, {}, 2 }]:totable())
    assert.same({ { 23, 24 } }, t[{ -1, { 3 }, { -2, -1 } }]:totable())
    assert.is_true(t[{}]:isSameView(t))
  end)

  it("gives the number where every dimension is selected", function()
    assert.equal(19, counting()[{ 2, 2, 3 }])
    assert.equal(3, dn.tensor { 1, 2, 3 }[{ -1 }])
    assert.equal(7, dn.tensor({ 6, 7 }, "long")[{ 2 }])
  end)

  it("makes views", function()
    local t = counting()
    t[{ {}, 1 }]:zero()
    assert.equal(300 - (1 + 2 + 3 + 4) - (13 + 14 + 15 + 16), t:sum())
  end)

  it("is assigned a number or a tensor", function()
    local t = dn.zeros(2, 3)
    t[{ {}, { 2, 3 } }] = 1
    t[{ 2, 1 }] = 5
    t[{ 1, { 2, 3 } }] = dn.tensor({ 7, 8 }, "double")
    assert.same({ { 0, 7, 8 }, { 5, 1, 1 } }, t:totable())
    t[{}] = 2
    assert.equal(12, t:sum())
  end)

  it("that fits no dimension raises, and writes nothing", function()
    local t = counting()
    raises("position 3 of a dimension of 2; 1 to 2 expected", function() return t[{ 3 }] end)
    raises("position 0 of a dimension of 3", function() return t[{ 1, { 0, 2 } }] end)
    raises("position %-5 of a dimension of 4", function() return t[{ 1, 1, -5 }] end)
    raises("position 1.5 of a dimension", function() return t[{ 1.5 }] end)
    raises("positions 3 to 2", function() return t[{ 1, { 3, 2 } }] end)
    raises("key 4 of an index list", function() return t[{ 1, 1, 1, 1 }] end)
    raises("key x of an index list", function() return t[{ x = 1 }] end)
    raises("entry 2 of an index list is 'a'", function() return t[{ 1, "a" }] end)
    raises("entry 1 of an index list is a list of 3", function() t[{ { 1, 2, 3 } }] = 0 end)
    raises("a number or a tensor to assign expected, got nil", function() t[{ 1 }] = nil end)
    raises("a number or a tensor to assign expected, got '1'", function() t[{ 1 }] = "1" end)
    raises("3", function() t[{ 1, 1 }] = dn.ones(3) end)
    assert.equal(300, t:sum())
  end)
end)

describe("a position", function()
  it("may count from the end", function()
    local t = dn.tensor { { 1, 2 }, { 3, 4 } }
    assert.same({ 3, 4 }, t[-1]:totable())
    assert.equal(1, t[-2][-2])
    t[-1] = 0
    t[1][-1] = 9
    assert.same({ { 1, 9 }, { 0, 0 } }, t:totable())
    assert.same({ 1, 9 }, t[1.0]:totable())
    raises("positions count from 1", function() return t[-3] end)
    raises("position 3 of a dimension of 2", function() t[3] = 1 end)
    raises("1.5 as index of a tensor", function() return t[1.5] end)
    raises("true as index", function() return t[true] end)
    raises("a function as index", function() t[print] = 1 end)
  end)
end)

describe("a mask", function()
  it("selects elements in their order, of any type and layout", function()
    for _, dtype in ipairs { "float", "double", "half", "bfloat16", "long", "byte" } do
      local t = dn.tensor({ { 1, 5, 2 }, { 4, 3, 9 } }, dtype)
      assert.same({ 5, 4, 9 }, t[t:gt(3)]:totable())
      assert.equal(dtype, t[t:gt(3)]:dtype())
      assert.same({ 4, 5, 9 }, t:t()[t:t():gt(3)]:totable())
      assert.same({}, t[t:gt(100)]:totable())
    end
  end)

  it("is assigned a number, or a tensor of as many elements", function()
    local t = dn.tensor { { 1, 5, 2 }, { 4, 3, 9 } }
    t[t:gt(3)] = -1
    assert.same({ { 1, -1, 2 }, { -1, 3, -1 } }, t:totable())
    t[t:lt(0)] = dn.tensor({ 10, 20, 30 }, "double")
    assert.same({ { 1, 10, 2 }, { 20, 3, 30 } }, t:totable())
    local transposed = t:t()
    transposed[transposed:ge(20)] = dn.tensor { 7, 8 }
    assert.same({ { 1, 10, 2 }, { 7, 3, 8 } }, t:totable())
    t[t:gt(1000)] = 5
    t[t:gt(1000)] = dn.empty(0)
    assert.same({ { 1, 10, 2 }, { 7, 3, 8 } }, t:totable())
  end)

  it("leaves infinities and NaN beside it alone", function()
    local t = dn.tensor { math.huge, 0 / 0, 1 }
    t[dn.tensor({ 0, 0, 1 }, "byte")] = 2
    assert.equal(math.huge, t[1])
    assert.is_true(t[2] ~= t[2])
    assert.equal(2, t[3])
    t[t:ne(t)] = 0
    assert.equal(0, t[2])
  end)

  it("has methods of its own", function()
    local t = dn.tensor { 1, 2, 3 }
    assert.same({ 2, 3 }, t:maskedSelect(t:gt(1)):totable())
    assert.same({ 1, 0, 0 }, t:maskedFill(t:gt(1), 0):totable())
    assert.same({ 4, 0, 0 }, t:maskedCopy(t:gt(0), dn.tensor { 4 }):totable())
    raises("#1 to 'maskedSelect' %(mask: a tensor expected, got nil%)", t.maskedSelect, t)
    raises("#2 to 'maskedFill' %(value: a number expected, got nil%)", t.maskedFill, t, t:gt(0))
    raises("#2 to 'maskedCopy' %(source: a tensor expected, got 1%)", t.maskedCopy, t, t:gt(0), 1)
  end)

  it("of another type, size or content raises", function()
    local t = dn.tensor { 1, 2, 3 }
    raises("a float tensor of size 3 as index", function() return t[dn.ones(3)] end)
    raises("a byte tensor of size 2 as index", function() return t[dn.ones(2, "byte")] end)
    raises("element 2 of the mask is 2, 0 or 1 expected", function() t[dn.tensor({ 1, 2, 0 }, "byte")] = 1 end)
    raises("2 elements for the 3 that the mask selects", function() t[t:gt(0)] = dn.ones(2) end)
    assert.same({ 1, 2, 3 }, t:totable())
  end)
end)

describe("a name that is none", function()
  it("raises, with the one it is like", function()
    local t = dn.ones(2)
    raises("a tensor has no method 'sumn'; did you mean 'sum'%?", function() return t:sumn() end)
    raises("a tensor has no method 'elasticity'$", function() return t.elasticity end)
    raises("a tensor has no field 'name' to set", function() t.name = 1 end)
  end)
end)
