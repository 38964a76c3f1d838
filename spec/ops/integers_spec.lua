-- long and byte: exact, wrapping around, and never rounded through a floating-point number.

local dn = require "densenet"
local core = require "densenet.core"

local function binary(a, b, kind, dtype)
  local left, right = dn.tensor(a, dtype), dn.tensor(b, dtype)
  local y = core.tensor_new("cpu", dtype, left:size())
  core.binary(y, left, right, kind)
  return y:totable()
end

local function raises(pattern, call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok)
  assert.matches(pattern, message)
end

for _, reference in ipairs { false, true } do
  describe(reference and "integers by the reference loops" or "integers", function()
    setup(function() core.testing.reference(reference) end)
    teardown(function() core.testing.reference(false) end)

    it("wrap around", function()
      local most, least = math.maxinteger, math.mininteger
      assert.same({ least, -2, 9007199254740993 },
        binary({ most, most, 9007199254740992 }, { 1, most, 1 }, "add", "long"))
      assert.same({ most, least }, binary({ least, 0 }, { 1, least }, "sub", "long"))
      assert.same({ 1, -6 }, binary({ most, -3 }, { most, 2 }, "mul", "long"))
      assert.same({ 4, 0, 255 }, binary({ 250, 255, 255 }, { 10, 1, 0 }, "add", "byte"))
      assert.same({ 255, 251 }, binary({ 0, 5 }, { 1, 10 }, "sub", "byte"))
      assert.same({ 0, 225 }, binary({ 16, 15 }, { 16, 15 }, "mul", "byte"))
      local negated = core.tensor_new("cpu", "byte", { 3 })
      core.unary(negated, dn.tensor({ 0, 1, 255 }, "byte"), "neg")
      assert.same({ 0, 255, 1 }, negated:totable())
      core.binary_scalar(negated, dn.tensor({ 0, 1, 255 }, "byte"), -1, "mul")
      assert.same({ 0, 255, 1 }, negated:totable())
    end)

    it("divide towards minus infinity, and not by zero", function()
      assert.same({ 3, -4, -4, 3, math.mininteger },
        binary({ 7, -7, 7, -7, math.mininteger }, { 2, 2, -2, -2, -1 }, "div", "long"))
      assert.same({ 3, 0 }, binary({ 7, 3 }, { 2, 255 }, "div", "byte"))
      raises("#3 to '[%w.]*binary'.*long division", binary, { 1, 2 }, { 1, 0 }, "div", "long")
      raises("#3 to '[%w.]*binary'.*byte division", binary, { 1, 2 }, { 1, 0 }, "div", "byte")
      local a = dn.tensor({ 1, 2 }, "long")
      raises("#3 to '[%w.]*binary_scalar'", core.binary_scalar, a, a, 0, "div")
      assert.same({ 1, 2 }, a:totable())
    end)

    it("raise to powers exactly", function()
      assert.same({ 1 << 62, 4052555153018976267, 1, -1, 0, 0, 1 },
        binary({ 2, 3, 1, -1, 5, 0, 0 }, { 62, 39, -3, -3, -1, -1, 0 }, "pow", "long"))
    end)

    it("take part with whole numbers only", function()
      local a = dn.tensor({ 1, 2 }, "long")
      for _, number in ipairs { 0.5, 0 / 0, 1 / 0, 2.0 ^ 63 } do
        raises("#3 .*expected a whole number, as a is long", core.binary_scalar, a, a, number, "mul")
        raises("#4 .*expected a whole number, as a is long", core.add_scaled, a, a, a, number)
      end
    end)

    it("compare with any number without rounding", function()
      local big = (1 << 53) + 1
      local a = dn.tensor({ -1, 2, 3, big, math.maxinteger }, "long")
      local y = core.tensor_new("cpu", "byte", { 5 })
      local function compared(number, kind)
        core.compare_scalar(y, a, number, kind)
        return table.concat(y:totable())
      end
      assert.equal("11000", compared(2.5, "lt"))
      assert.equal("11000", compared(2.5, "le"))
      assert.equal("00111", compared(2.5, "ge"))
      assert.equal("00000", compared(2.5, "eq"))
      assert.equal("00000", compared(2.0 ^ 53, "eq"))
      assert.equal("00011", compared(2.0 ^ 53, "gt"))
      assert.equal("11111", compared(2.0 ^ 63, "lt"))
      assert.equal("00000", compared(2.0 ^ 63, "eq"))
      assert.equal("11111", compared(-1 / 0, "gt"))
      assert.equal("00000", compared(0 / 0, "le"))
      assert.equal("11111", compared(0 / 0, "ne"))
    end)

    it("are selected and summed exactly", function()
      local big = 1 << 60
      local x = dn.tensor({ { big, big + 1, big - 1, big + 1 } }, "long")
      local values, indices = dn.zeros(1, 3, "long"), dn.zeros(1, 3, "long")
      core.topk(values, indices, x, true)
      assert.same({ { 2, 4, 1 } }, indices:totable())
      core.topk(values, indices, x, false)
      assert.same({ { 3, 1, 2 } }, indices:totable())
      assert.same({ { big - 1, big, big + 1 } }, values:totable())
      local sum = dn.zeros(1, 1, "long")
      core.reduce(sum, x, "sum", 0)
      assert.equal(4 * big + 1, sum:item())
    end)
  end)
end

describe("copying to integers", function()
  it("truncates and holds at the ends of the range", function()
    local x = dn.tensor({ -3.9, 3.9, 300, -1 / 0, 1 / 0, 0 / 0 }, "double")
    assert.same({ 0, 3, 255, 0, 255, 0 }, x:type("byte"):totable())
    assert.same({ -3, 3, 300, math.mininteger, math.maxinteger, 0 }, x:type("long"):totable())
    assert.same({ 0, 255, 7 }, dn.tensor({ -1, 256, 7 }, "long"):type("byte"):totable())
  end)
end)
