-- Views of a tensor's whole storage by offset, sizes and strides, and tensors that become another's view.

local core = require "densenet.core"
local dn = require "densenet"

describe("core.storage_view", function()
  it("reads a storage from any element on, by any strides", function()
    local t = dn.tensor { 1, 2, 3, 4, 5, 6 }
    local part = t:narrow(1, 3, 2)
    assert.are.equal(6, core.storage_count(part))
    assert.are.same({ 1, 2, 3, 4, 5, 6 }, core.storage_view(part, 1, { 6 }, { 1 }):totable())
    assert.are.same({ { 2, 3 }, { 3, 4 } }, core.storage_view(part, 2, { 2, 2 }, { 1, 1 }):totable())
    assert.are.same({ 5, 5, 5 }, core.storage_view(part, 5, { 3 }, { 0 }):totable())
    assert.are.same({ 1, 6 }, core.storage_view(part, 1, { 2 }, { 5 }):totable())
    assert.are.equal(4, core.storage_view(part, 4, {}, {}):item())
    assert.are.equal(0, core.storage_view(part, 7, { 0 }, { 1 }):nElement())
    assert.are.equal(core.storage_key(t), core.storage_key(core.storage_view(part, 1, { 1 }, { 1 })))
  end)

  it("refuses what does not lie in the storage", function()
    local t = dn.zeros(6)
    for _, wrong in ipairs {
      { 1, { 7 }, { 1 } }, { 7, { 1 }, { 1 } }, { 8, { 0 }, { 1 } }, { 1, { 2 }, { 6 } }, { 1, { 2 }, { -1 } },
      { 7, {}, {} }, { 1, { 3 }, { math.maxinteger } }, { 1, { 2, 2 }, { 3, 3 } }, { 2, { 2, 3 }, { 3, 1 } },
    } do
      assert.has.error(function() core.storage_view(t, table.unpack(wrong)) end)
    end
    assert.has.error(function() core.storage_view(t, 0, { 1 }, { 1 }) end)
    assert.has.error(function() core.storage_view(t, 1, { 1 }, { 1, 1 }) end)
    assert.has.error(function() core.storage_view(t, 1, { -1 }, { 1 }) end)
    assert.error_matches(function() core.storage_view(t, 4, { 4 }, { 1 }) end,
      "a view of 4 elements from element 4 on, by these strides, does not lie in a storage of 6")
    t:free()
    assert.has.error(function() core.storage_view(t, 1, { 1 }, { 1 }) end)
    assert.has.error(function() core.storage_count(t) end)
  end)
end)

describe("core.tensor_set", function()
  it("makes a tensor another's view, and frees what it held", function()
    local other = dn.tensor { { 1, 2 }, { 3, 4 } }
    local before = core.memory("cpu").live
    local t = dn.zeros(300)
    local view = other:t()
    assert.are.equal(t, core.tensor_set(t, view))
    assert.are.equal(before, core.memory("cpu").live)
    assert.is_true(t:isSameView(view))
    t:fill(7)
    assert.are.same({ { 7, 7 }, { 7, 7 } }, other:totable())
    assert.are.same({ { 7, 7 }, { 7, 7 } }, core.tensor_set(t, t):totable())
    t:free()
    assert.has.error(function() core.tensor_set(t, other) end)
    assert.has.error(function() core.tensor_set(other, t) end)
    assert.has.error(function() core.tensor_set(other, 3) end)
  end)
end)
