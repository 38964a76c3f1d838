-- Views of one storage: which may be written while another is read, and which are contiguous.

local dn = require "densenet"
local core = require "densenet.core"

local function is_refused(y, x)
  local ok, message = pcall(core.copy, y, x)
  if not ok then assert.matches("y overlaps x", message) end
  return not ok
end

-- Whether two views really share an element, found by writing one and reading the other.
local function share_an_element(y, x)
  core.fill(x, 0)
  core.fill(y, 1)
  local sum = core.tensor_new("cpu", "float", { 1, 1 })
  core.reduce(sum, x, "sum", 0)
  return sum:item() > 0
end

describe("overlap", function()
  it("is seen between equal shapes that start in the middle of each other's rows", function()
    local buffer = dn.zeros(100)
    local first, second = buffer:narrow(1, 4, 20):view(4, 5), buffer:narrow(1, 23, 20):view(4, 5)
    assert.is_true(share_an_element(first, second))
    assert.is_true(is_refused(first, second))
    assert.is_true(is_refused(second, first))
  end)

  it("is not seen between columns, slices and blocks that lie apart", function()
    local t = dn.arange(1, 24):view(4, 6)
    assert.is_false(is_refused(t:select(2, 1), t:select(2, 2)))
    assert.same({ 2, 8, 14, 20 }, t:select(2, 1):totable())
    assert.is_false(is_refused(t:select(1, 1), t:select(1, 2)))
    assert.is_false(is_refused(t:narrow(2, 1, 3), t:narrow(2, 4, 3)))
    assert.is_false(is_refused(t:narrow(1, 1, 2), t:narrow(1, 3, 2)))
  end)

  it("is never missed: windows of one buffer at every pair of places", function()
    local t = dn.zeros(6, 7)
    local windows = {}
    for row = 1, 5 do
      for column = 1, 6 do windows[#windows + 1] = t:narrow(1, row, 2):narrow(2, column, 2) end
    end
    for start = 1, 39 do windows[#windows + 1] = t:view(42):narrow(1, start, 4):view(2, 2) end
    local n_apart = 0
    for _, y in ipairs(windows) do
      for _, x in ipairs(windows) do
        local is_same = y:isSameView(x)
        if not is_same and share_an_element(y, x) then
          assert.is_true(is_refused(y, x))
        elseif not is_same and not is_refused(y, x) then
          n_apart = n_apart + 1
        end
      end
    end
    assert.is_true(n_apart > 1000)
  end)
end)

describe("a view", function()
  it("without elements is contiguous, whatever its strides", function()
    local empty = dn.zeros(4, 3):t():narrow(1, 1, 0)
    assert.is_true(empty:isContiguous())
    assert.same({ 2, 0 }, empty:view(2, 0):size())
  end)

  it("infers no size beside a 0", function()
    local empty = dn.zeros(0, 3)
    assert.same({ 0 }, empty:view(-1):size())
    assert.same({ 0, 3 }, empty:view(-1, 3):size())
    local ok, message = pcall(empty.view, empty, -1, 0)
    assert.is_false(ok)
    assert.matches("cannot infer the size %-1: another size is 0", message)
  end)

  it("expands a size of 1 to any, 0 included, and nothing else", function()
    local t = dn.ones(3, 1)
    assert.same({ 2, 3, 4 }, t:expand(2, 3, 4):size())
    assert.same({ 0, 1, 0 }, t:expand(2, 3, 4):stride())
    assert.equal(0, t:expand(3, 0):nElement())
    assert.same({ 3, 1 }, t:expand(3, 1):size())
    for _, sizes in ipairs { { 4, 1 }, { 0, 1 }, { 3 }, { 3, 1, 2 }, {} } do
      local ok, message = pcall(t.expand, t, sizes)
      assert.is_false(ok)
      assert.matches("does not broadcast to", message)
    end
  end)
end)
