-- Tensors from tables and back, their views, and what is left of one that has been freed.

local dn = require "densenet"
local core = require "densenet.core"

local dtypes = { "float", "double", "half", "bfloat16", "long", "byte" }

local function raises(pattern, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok, "no error was raised")
  assert.matches(pattern, message)
end

describe("a tensor from a table", function()
  it("has the table's shape and values, in every type", function()
    for _, dtype in ipairs(dtypes) do
      local t = dn.tensor({ { { 1, 2 }, { 3, 4 }, { 5, 6 } } }, dtype)
      assert.equal(dtype, t:dtype())
      assert.same({ 1, 3, 2 }, t:size())
      assert.same({ { { 1, 2 }, { 3, 4 }, { 5, 6 } } }, t:totable())
    end
  end)

  it("is float unless something else is asked for", function()
    assert.equal("float", dn.tensor({ 1 }):dtype())
    dn.setDefaultType("double")
    local changed = dn.tensor({ 1 }):dtype()
    dn.setDefaultType("float")
    assert.equal("double", changed)
    raises("unknown type 'integer'", dn.setDefaultType, "integer")
    assert.equal("float", dn.getDefaultType())
  end)

  it("is a scalar for a number, and empty for an empty table", function()
    local scalar = dn.tensor(2.5)
    assert.equal(0, scalar:dim())
    assert.equal(2.5, scalar:item())
    assert.equal(2.5, scalar:totable())
    assert.same({ 0 }, dn.tensor({}):size())
    assert.same({ 2, 0 }, dn.tensor({ {}, {} }):size())
    assert.same({ {}, {} }, dn.tensor({ {}, {} }):totable())
  end)

  it("gives integers back from long and byte, all their digits kept", function()
    local most, odd = math.maxinteger, (1 << 53) + 1
    local back = dn.tensor({ most, math.mininteger, odd }, "long"):totable()
    assert.same({ most, math.mininteger, odd }, back)
    assert.equal("integer", math.type(back[1]))
    assert.equal("integer", math.type(dn.tensor({ 7 }, "byte"):at(1)))
    assert.equal("float", math.type(dn.tensor({ 7 }):at(1)))
  end)

  it("says where a table is ragged or holds no number", function()
    raises("ragged: %[2%] has 1 element.* has 2", dn.tensor, { { 1, 2 }, { 3 } })
    raises("ragged: %[1%]%[2%] has 3 element.* has 2", dn.tensor, { { { 1, 2 }, { 3, 4, 5 } } })
    raises("ragged: %[2%] is a number where its neighbours are tables", dn.tensor, { { 1 }, 2 })
    raises("%[2%] is a table, a number expected", dn.tensor, { 1, { 2 } })
    raises("%[2%]%[1%] is a string, a number expected", dn.tensor, { { 1 }, { "1" } })
    raises("%[1%] is a boolean, a number expected", dn.tensor, { true })
    raises("#1 to 'tensor' %(a nested table of numbers or a number expected, got '3'%)", dn.tensor, "3")
  end)

  it("refuses more than 8 dimensions, endless ones included", function()
    local deep = { 1 }
    for _ = 1, 7 do deep = { deep } end
    assert.equal(8, dn.tensor(deep):dim())
    raises("nested deeper than the 8", dn.tensor, { deep })
    local endless = {}
    endless[1] = endless
    raises("nested deeper than the 8", dn.tensor, endless)
  end)
end)

describe("a constructor", function()
  it("take sizes as a table or one by one, and the type either way", function()
    for _, t in ipairs {
      dn.zeros { 2, 3, dtype = "double" }, dn.zeros({ 2, 3 }, "double"), dn.zeros(2, 3, "double"),
      dn.zeros { 2, 3, dtype = "double", device = "cpu" },
      dn.zeros { 2, 3, dtype = "double", device = dn.device("cpu") },
    } do
      assert.equal("double", t:dtype())
      assert.same({ { 0, 0, 0 }, { 0, 0, 0 } }, t:totable())
    end
    assert.same({ 1, 1 }, dn.ones(2):totable())
    assert.same({ { 0.5 } }, dn.full(0.5, 1, 1):totable())
    assert.equal(0, dn.empty():dim())
    assert.equal(0, dn.empty(3, 0, 2):nElement())
  end)

  it("refuse sizes that are none", function()
    raises("size 2 is %-1", dn.zeros, 2, -1)
    raises("size 1 is 2.5, an integer expected", dn.zeros, 2.5)
    raises("size 2 is nil", dn.zeros, 2, nil)
    raises("size 1 is true", dn.zeros, true)
    raises("9 sizes", dn.zeros, 1, 1, 1, 1, 1, 1, 1, 1, 1)
    raises("unknown type 'int'", dn.zeros, 1, "int")
    raises("unknown device 'tpu'", dn.zeros, { 1, device = "tpu" })
    assert.same({ 2 }, dn.zeros(2.0):size())
  end)

  it("count up and down with arange, the last element included", function()
    assert.same({ 1, 2, 3 }, dn.arange(1, 3):totable())
    assert.same({ 3, 1, -1 }, dn.arange(3, -1, -2, "long"):totable())
    assert.same({ 5 }, dn.arange(5, 5, "long"):totable())
    assert.same({ 0, 2, 4 }, dn.arange(0, 5, 2):totable())
    assert.equal(4, dn.arange(0, 0.3, 0.1):nElement())
    raises("no range from 1 to 3 in steps of %-1", dn.arange, 1, 3, -1)
    raises("no range", dn.arange, 1, 3, 0)
    raises("no range", dn.arange, 1, math.huge)
    raises("#2 to 'arange'", dn.arange, 1)
  end)

  it("join tensors of any type along any dimension", function()
    local a, b = dn.tensor({ { 1, 2 }, { 3, 4 } }, "long"), dn.tensor({ { 5, 6 } }, "long")
    assert.same({ { 1, 2 }, { 3, 4 }, { 5, 6 } }, dn.cat({ a, b }):totable())
    assert.same({ { 1, 3, 5 }, { 2, 4, 6 } }, dn.cat({ a:t(), b:t() }, 2):totable())
    raises("entry 2, a long tensor of size 1x2, does not continue", dn.cat, { a, b }, 2)
    raises("entry 2, a float tensor", dn.cat, { a, b:float() })
    raises("entry 3, 1, does not continue", dn.cat, { a, b, 1 })
    raises("dimension 3 of a long tensor of size 2x2", dn.cat, { a, b }, 3)
    raises("a list of tensors expected", dn.cat, {})
    raises("a list of tensors expected", dn.cat, a)
  end)
end)

describe("single elements", function()
  it("are read and written by position", function()
    for _, dtype in ipairs(dtypes) do
      local t = dn.zeros(2, 3, dtype):t()
      t:put(5, 3, 1)
      assert.equal(5, t:at(3, 1))
      assert.equal(5, t:t():at(1, 3))
      assert.equal(5, dn.full(5, { 1, 1 }, dtype):item())
    end
  end)

  it("outside the tensor are refused", function()
    local t = dn.zeros(2, 3)
    raises("index 3 of dimension 1, which has 2", t.at, t, 3, 1)
    raises("index 0 of dimension 2, which has 3", t.put, t, 1, 1, 0)
    raises("1 indices for a tensor of 2 dimensions", t.at, t, 1)
    raises("#2 to 'at' %(an integer expected, got 1.5%)", t.at, t, 1.5, 1)
    raises("one element expected, got 2x3", t.item, t)
    raises("number expected", t.put, t, "x", 1, 1)
  end)

  it("and rows answer to t[i], as in Torch", function()
    local t = dn.tensor { { 1, 2 }, { 3, 4 } }
    assert.same({ 3, 4 }, t[2]:totable())
    assert.equal(4, t[2][2])
    t[1] = 9
    t[2] = dn.tensor({ 7, 8 }, "double")
    t[1][2] = 5
    assert.same({ { 9, 5 }, { 7, 8 } }, t:totable())
    raises("a tensor has no method 'nonesuch'$", function() return t.nonesuch end)
    assert.is_nil(t[3]) -- where ipairs stops
    raises("index 4 of dimension 1", function() return t[4] end)
    raises("positions count from 1", function() return t[0] end)
    raises("no field 'name' to set", function() t.name = 1 end)
  end)
end)

describe("a view", function()
  local function counting() return dn.arange(1, 24, "double"):view(2, 3, 4) end

  it("shares its storage", function()
    local t = counting()
    local views = {
      t:narrow(3, 2, 2), t:select(1, 2), t:view(6, 4), t:transpose(1, 3), t:select(1, 1):t(), t:expand(2, 2, 3, 4),
    }
    t:fill(7)
    for _, view in ipairs(views) do
      assert.equal(7, view:min())
      assert.equal(7, view:max())
    end
    views[1]:fill(1)
    assert.same({ { 7, 1, 1, 7 }, { 7, 1, 1, 7 }, { 7, 1, 1, 7 } }, t:select(1, 2):totable())
  end)

  it("has the geometry of its part", function()
    local t = counting()
    assert.same({ { { 2, 3 } }, { { 14, 15 } } }, t:narrow(2, 1, 1):narrow(3, 2, 2):totable())
    assert.same({ 9, 21 }, t:select(2, 3):select(2, 1):totable())
    assert.same({ { { 12 } }, { { 24 } } }, t:narrow(2, 3, 1):narrow(3, 4, 1):totable())
    assert.same({ 4, 3, 2 }, t:transpose(1, 3):size())
    assert.same({ 1, 4, 12 }, t:transpose(1, 3):stride())
    assert.equal(12, t:stride(1))
    assert.equal(17, t:narrow(1, 2, 1):narrow(2, 2, 1):storageOffset())
    assert.same({ 8, 3 }, t:view(-1, 3):size())
    assert.is_true(t:isContiguous())
    assert.is_false(t:transpose(1, 2):isContiguous())
    assert.is_true(t:isSameView(t:view(2, 3, 4)))
    assert.is_false(t:isSameView(t:view(6, 4)))
    assert.is_false(t:isSameView(t:clone()))
    assert.equal(0, t:narrow(1, 3, 0):nElement())
  end)

  it("outside its tensor is refused", function()
    local t = dn.zeros(2, 3)
    raises("2 elements from 2 of dimension 1, which has 2", t.narrow, t, 1, 2, 2)
    raises("%-1 elements", t.narrow, t, 1, 1, -1)
    raises("which has 2", t.narrow, t, 1, math.maxinteger, math.maxinteger)
    raises("positions count from 1", t.narrow, t, 1, math.mininteger, 1)
    raises("dimension 3 of a tensor of 2", t.narrow, t, 3, 1, 1)
    raises("dimension 0; dimensions count from 1", t.select, t, 0, 1)
    raises("dimension 4294967297", t.select, t, (1 << 32) + 1, 1)
    raises("index 4 of dimension 2, which has 3", t.select, t, 2, 4)
    raises("dimension 3 of a tensor of 2", t.transpose, t, 1, 3)
    raises("dimension 3 of a tensor of 2 dimensions %(2x3%)", t.size, t, 3)
    raises("6 elements do not fit sizes 7", t.view, t, 7)
    raises("only one size may be %-1", t.view, t, -1, -1)
    raises("2x3 does not broadcast to 2x4", t.expand, t, 2, 4)
    raises("a matrix expected, got 1", t.t, t:select(1, 1))
    raises("contiguous", t.view, t:t(), 6)
    raises("#3 to 'narrow' %(an integer expected, got 1.5%)", t.narrow, t, 1, 1.5, 1)
    raises("#2 to 'view' %(an integer expected, got 1.5%)", t.view, t, 1.5, 4)
    raises("integer expected, got no value", t.select, t, 1)
  end)
end)

describe("resize", function()
  it("keeps the storage while it has room, and its views then see the same bytes", function()
    local t = dn.zeros(4, 5)
    local whole = t:view(20)
    local n = core.memory("cpu").allocations
    assert.equal(t, t:resize(3, 2))
    assert.equal(t, t:resize { 5, 4 })
    assert.equal(n, core.memory("cpu").allocations)
    t:fill(3)
    assert.equal(60, whole:sum())
  end)

  it("takes a new storage when it must, and other views keep the old one", function()
    local t = dn.zeros(2)
    local old = t:view(2)
    t:resize(1000):fill(1)
    assert.same({ 0, 0 }, old:totable())
    assert.equal(1000, t:sum())
    assert.same({ 2 }, t:resizeAs(old):size())
  end)

  it("that fails leaves the tensor as it was", function()
    local t = dn.tensor { 1, 2 }
    raises("more bytes", t.resize, t, 1 << 40, 1 << 40)
    raises("size 1 is %-3", t.resize, t, -3)
    raises("%d bytes asked for", t.resize, t, 1 << 45)
    assert.same({ 1, 2 }, t:totable())
  end)
end)

describe("a freed tensor", function()
  it("prints, is still a tensor, and refuses everything else", function()
    local t, live = dn.zeros(2, 3), dn.zeros(2, 3)
    t:free()
    t:free()
    assert.is_true(t:isFreed())
    assert.is_false(live:isFreed())
    assert.is_true(dn.isTensor(t))
    assert.equal("[freed float tensor of size 2x3]", tostring(t))
    local arguments = {
      narrow = { 1, 1, 1 }, select = { 1, 1 }, view = { 6 }, transpose = { 1, 2 }, expand = { 2, 3 },
      resize = { 1 }, at = { 1, 1 }, put = { 1, 1, 1 }, index = { { 1 } }, topk = { 1 }, mm = { live },
      addmm = { live, live }, to = { "double" }, type = { "double" }, argmax = { 1 }, clamp = { 0, 1 }, fill = { 1 },
      norm = { 2 }, uniform = { 0, 1 }, normal = { 0, 1 }, sum = { 1 }, mean = { 1 }, var = { 1 }, std = { 1 },
      max = { 1 }, min = { 1 }, maskedSelect = { live:byte() }, maskedFill = { live:byte(), 1 },
      maskedCopy = { live:byte(), live }, squeeze = { 1 }, unsqueeze = { 1 }, reshape = { 6 }, sort = { 1 },
      gather = { 1, live:long() }, scatter = { 1, live:long(), 1 }, cumsum = { 1 },
    }
    for name, method in pairs(core.tensor_methods) do
      if name ~= "free" and name ~= "isFreed" then
        local ok, message = pcall(method, t, table.unpack(arguments[name] or { live }))
        assert.is_false(ok, name .. " worked on a freed tensor")
        assert.matches("freed", message, name)
      end
    end
    raises("freed", function() return t + 1 end)
    raises("freed", function() return live + t end)
    raises("freed", function() return -t end)
    raises("freed", function() return t[1] end)
    raises("freed", live.add, live, t)
    raises("freed", dn.cat, { live, t })
  end)

  it("leaves its views alive", function()
    local t = dn.full(4, { 3 })
    local view = t:narrow(1, 2, 2)
    t:free()
    assert.same({ 4, 4 }, view:totable())
  end)

  it("is what <close> leaves behind, errors included", function()
    local kept
    do
      local t <close> = dn.zeros(10)
      kept = t
    end
    assert.is_true(kept:isFreed())
    pcall(function()
      local t <close> = dn.zeros(10)
      kept = t
      error("out")
    end)
    assert.is_true(kept:isFreed())
  end)

  it("can be collected, and its finalizer called by hand", function()
    local t = dn.zeros(3)
    local finalize = getmetatable(t).__gc
    finalize(t)
    finalize(t)
    assert.is_true(t:isFreed())
    raises("densenet.tensor expected", finalize, io.stdout)
    raises("densenet.tensor expected", finalize, {})
  end)
end)

describe("the text of a tensor", function()
  it("shows the values and says what it is", function()
    assert.equal("  1  -2\n  3   4\n[long tensor of size 2x2]", tostring(dn.tensor({ { 1, -2 }, { 3, 4 } }, "long")))
    assert.equal(" 0.5000\n 2.0000\n[float tensor of size 2]", tostring(dn.tensor { 0.5, 2 }))
    assert.equal(" 7\n[double scalar]", tostring(dn.tensor(7, "double")))
    assert.equal("[half tensor of size 0x3]", tostring(dn.empty(0, 3, "half")))
    assert.equal(" 1.0000e-06\n 2.0000e-06\n[double tensor of size 2]", tostring(dn.tensor({ 1e-6, 2e-6 }, "double")))
    assert.matches("nan.*inf.*%-inf", tostring(dn.tensor { 0 / 0, math.huge, -math.huge }))
    assert.matches("^%(1,%.,%.%) =\n 1  2\n%(2,%.,%.%) =\n 3  4\n%[float tensor of size 2x1x2%]$",
      tostring(dn.tensor { { { 1, 2 } }, { { 3, 4 } } }))
  end)

  it("is a screenful at most, whatever the size", function()
    for _, size in ipairs { { 1000 }, { 1000, 1000 }, { 100, 100, 100 }, { 5000, 1, 1, 1 }, { 1, 1, 1, 500 } } do
      local text = tostring(dn.zeros(size))
      local _, n_lines = text:gsub("\n", "\n")
      assert.is_true(n_lines <= 30, n_lines .. " lines")
      assert.is_true(#text < 3000)
      assert.matches("%.%.%.", text)
      assert.matches("%[float tensor of size " .. table.concat(size, "x") .. "%]$", text)
    end
  end)
end)
