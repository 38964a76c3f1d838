-- Conversions between the six types: what is kept, what is rounded and how, what saturates.

local dn = require "densenet"

local inf, nan = math.huge, 0 / 0

local function through(dtype, values, from)
  return dn.tensor(values, from or "double"):type(dtype):double():totable()
end

describe("conversion", function()
  it("keeps small integers whatever the two types", function()
    local names = { "float", "double", "half", "bfloat16", "long", "byte" }
    for _, from in ipairs(names) do
      for _, to in ipairs(names) do
        local t = dn.tensor({ 0, 1, 2, 255 }, from):type(to)
        assert.equal(to, t:dtype())
        assert.same({ 0, 1, 2, 255 }, t:totable(), from .. " to " .. to)
      end
    end
  end)

  it("to the type it has already gives the tensor itself", function()
    local t = dn.ones(2)
    assert.equal(t, t:float())
    assert.equal(t, t:type("float"))
    assert.equal(t, t:to("float"))
    assert.equal(t, t:to("cpu"))
    assert.equal(t, t:to(dn.device("cpu")))
    assert.equal("float", t:type())
    assert.equal("half", t:typeAs(dn.ones(1, "half")):dtype())
    assert.has_error(function() t:type("int") end)
    assert.has_error(function() t:to("tpu") end)
  end)

  it("to half rounds to the nearest, ties to even, once", function()
    local ulp = 2 ^ -10
    assert.same({ 1, 1 + 2 * ulp, 1 + ulp, 1 + ulp, -1 - 2 * ulp },
      through("half", { 1 + ulp / 2, 1 + 1.5 * ulp, 1 + 0.5000001 * ulp, 1 + 1.4999999 * ulp, -1 - 1.5 * ulp }))
    -- Rounded by way of float, this would become a tie and go to 1.
    assert.same({ 1 + ulp }, through("half", { 1 + ulp / 2 + 2 ^ -40 }))
    assert.same({ 65504, 65504, inf, -inf }, through("half", { 65504, 65519, 65520, -1e10 }))
    -- Below 2^-14 halves are multiples of 2^-24.
    assert.same({ 2 ^ -24, 0, 2 ^ -24, 2 ^ -23, 1023 * 2 ^ -24 },
      through("half", { 2 ^ -24, 2 ^ -25, 2 ^ -25 * 1.01, 1.5 * 2 ^ -24, 1023 * 2 ^ -24 }))
    assert.equal(-inf, 1 / through("half", { -1e-30 })[1])
  end)

  it("to bfloat16 rounds to the nearest, ties to even, once", function()
    local ulp = 2 ^ -7
    assert.same({ 1, 1 + 2 * ulp, 1 + ulp, -1 }, through("bfloat16",
      { 1 + ulp / 2, 1 + 1.5 * ulp, 1 + 0.50001 * ulp, -1 - ulp / 2 }))
    assert.same({ 1 + ulp }, through("bfloat16", { 1 + ulp / 2 + 2 ^ -40 }))
    local most = (2 - ulp) * 2.0 ^ 127
    assert.same({ most, inf, -inf }, through("bfloat16", { most, 3.4e38, -1e39 }))
  end)

  it("keeps NaN and infinities among the real types", function()
    for _, dtype in ipairs { "float", "half", "bfloat16" } do
      local back = through(dtype, { nan, inf, -inf })
      assert.is_true(back[1] ~= back[1], dtype)
      assert.same({ inf, -inf }, { back[2], back[3] })
    end
    -- A NaN whose payload lies in the bits that are dropped must not become an infinity.
    local bits = string.unpack("<f", string.pack("<I4", 0x7f800001))
    for _, dtype in ipairs { "half", "bfloat16" } do
      local back = through(dtype, { bits }, "float")[1]
      assert.is_true(back ~= back, dtype)
    end
  end)

  it("to long truncates and saturates, and NaN becomes 0", function()
    local most, least = math.maxinteger, math.mininteger
    for _, from in ipairs { "float", "double" } do
      local t = dn.tensor({ 1.9, -1.9, 1e30, -1e30, inf, -inf, nan }, from)
      assert.same({ 1, -1, most, least, most, least, 0 }, t:long():totable(), from)
    end
    assert.same({ 3, -2, 0, most, least }, dn.tensor({ 3.99, -2.5, nan, 2 ^ 63, -inf }, "long"):totable())
    local t = dn.zeros(1, "long")
    t:put(-7.9, 1)
    assert.equal(-7, t:item())
  end)

  it("to byte truncates and saturates, and NaN becomes 0", function()
    for _, from in ipairs { "float", "double", "half" } do
      local t = dn.tensor({ 1.9, -5, 300, 254.99, inf, -inf, nan }, from)
      local expected = { 1, 0, 255, from == "half" and 255 or 254, 255, 0, 0 }
      assert.same(expected, t:byte():totable(), from)
    end
    assert.same({ 255, 0, 7 }, dn.tensor({ 1000, -1, 7.5 }, "byte"):totable())
  end)

  it("reads any strides", function()
    local t = dn.arange(1, 6, "double"):view(2, 3)
    assert.same({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, t:t():half():totable())
    assert.is_true(t:t():half():isContiguous())
    assert.same({ { 1, 1 } }, t:narrow(2, 1, 1):narrow(1, 1, 1):expand(1, 2):byte():totable())
  end)
end)
