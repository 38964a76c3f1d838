-- Generated weights: quantisation, a weight from its factors, their gradients, orthonormality.

local core = require "densenet.core"
local operation = require "spec.support.operation"
local input, output, sum, literal = operation.input, operation.output, operation.sum, operation.literal
local lists = operation.lists()
local case, wrong = lists.case, lists.wrong

local function long(values) return literal(values, { dtype = "long" }) end
local function codes(sizes)
  sizes.dtype = "long"
  return output(sizes)
end
local NONE = 32 -- bits of what is not quantised

-- quantize and dequantize -----------------------------------------------------------------------

local TANH_1 = 0.7615941559557649
case("quantize", "0 is a tie, by hand", { codes { 3 }, output { 1 }, literal { 0, 1, -1 }, 2 },
  { { 2, 3, 0 }, { TANH_1 } })
case("quantize", "8 bits, by hand", { codes { 4 }, output { 1 }, literal { -1, -0.25, 0.5, 1 }, 8 },
  { { 0, 86, 205, 255 }, { TANH_1 } })
case("quantize", "zeros, by hand", { codes { 2, 1 }, output { 1 }, literal { { 0 }, { 0 } }, 4 }, { { { 0 }, { 0 } },
  { 0 } })
case("quantize", "one element, by hand", { codes { 1 }, output {}, literal { -1 }, 16 }, { { 0 }, TANH_1 })
for _, bits in ipairs { 2, 3, 5, 8 } do
  for _, n in ipairs { 1, 31, 64, 65, 20011 } do
    case("quantize", ("%d bits, length %d"):format(bits, n), { codes { n }, output { 1 }, input { n }, bits })
  end
end
case("dequantize", "2 bits, by hand", { output { 4 }, long { 0, 1, 2, 3 }, literal { 3 }, 2 }, { { -3, -1, 1, 3 } })
case("dequantize", "a scale of 0, by hand", { output { 2 }, long { 0, 3 }, literal { 0 }, 2 }, { { 0, 0 } })
case("dequantize", "16 bits", { output { 5, 7 }, input { 5, 7, dtype = "long", values = "labels", n = 65535 },
  input { 1, values = "positive" }, 16 })

wrong("quantize", 4, { "bits is 1", "expected 2 to 16" }, { codes { 2 }, output { 1 }, input { 2 }, 1 })
wrong("quantize", 4, { "bits is 32", "expected 2 to 16%)" }, { codes { 2 }, output { 1 }, input { 2 }, NONE })
wrong("quantize", 2, { "scale is 2", "one element" }, { codes { 2 }, output { 2 }, input { 2 }, 4 })
wrong("quantize", 1, { "codes is float", "expected long" }, { output { 2 }, output { 1 }, input { 2 }, 4 })
wrong("quantize", 3, { "x is 0", "at least one element" }, { codes { 0 }, output { 1 }, input { 0 }, 4 })
wrong("dequantize", 4, { "bits is 17", "expected 2 to 16" }, { output { 1 }, long { 1 }, input { 1 }, 17 })
wrong("dequantize", 3, { "scale is 2", "one element" }, { output { 1 }, long { 1 }, input { 2 }, 4 })

-- mlg_generate and mlg_pull ----------------------------------------------------------------------

-- Sizes of a layer; P and B are nil where their level is off.
local function shapes(s)
  local p = s.P or s.O
  return { s.O, s.C, s.S }, { p, s.B or s.C, s.S }, s.B and { p, s.C, s.B } or nil, s.P and { s.O, s.P } or nil
end

local function made(make, sizes) return sizes and make { table.unpack(sizes) } or "nil" end

local function layer(name, s, bits)
  local weight, basis, coeffIn, coeffOut = shapes(s)
  case("mlg_generate", name, { made(output, weight), made(input, basis), made(input, coeffIn), made(input, coeffOut),
    table.unpack(bits) })
  case("mlg_pull", name, { made(sum, basis), made(sum, coeffIn), made(sum, coeffOut), made(input, weight),
    made(input, basis), made(input, coeffIn), made(input, coeffOut), table.unpack(bits) })
end

local LAYERS = {
  { "both levels", { O = 16, C = 12, S = 9, P = 5, B = 2 } },
  { "level 1", { O = 10, C = 5, S = 9, B = 4 } },
  { "level 2", { O = 33, C = 14, S = 1, P = 6 } },
  { "neither", { O = 7, C = 9, S = 1 } },
  { "ones", { O = 2, C = 2, S = 2, P = 1, B = 1 } },
  { "wide", { O = 31, C = 150, S = 15, P = 12, B = 3 } },
}
for _, each in ipairs(LAYERS) do
  layer(each[1] .. ", 3-6-4 bits", each[2], { 3, 6, 4 })
  layer(each[1] .. ", not quantised", each[2], { NONE, NONE, NONE })
  layer(each[1] .. ", in part", each[2], { 8, NONE, 2 })
end
layer("large", { O = 64, C = 60, S = 9, P = 32, B = 2 }, { 4, 6, 4 })

case("mlg_generate", "by hand", {
  output { 2, 2, 2 }, literal { { { 1, 2 } } }, literal { { { 3 }, { -1 } } }, literal { { 1 }, { 10 } }, NONE, NONE,
  NONE,
}, { { { { 3, 6 }, { -1, -2 } }, { { 30, 60 }, { -10, -20 } } } })
case("mlg_generate", "a quantised weight, by hand", {
  output { 1, 3, 1 }, literal { { { 0 }, { 1 }, { -1 } } }, "nil", "nil", 2, 0, 0,
}, { { { { TANH_1 / 3 }, { TANH_1 }, { -TANH_1 } } } })
case("mlg_pull", "by hand", {
  sum { 1, 1, 2, values = { { { 1, 1 } } } }, sum { 1, 2, 1, values = { { { 0 }, { 0 } } } },
  sum { 2, 1, values = { { 0 }, { 0 } } }, literal { { { 1, 0 }, { 0, 1 } }, { { 0, 1 }, { 0, 0 } } },
  literal { { { 1, 2 } } }, literal { { { 3 }, { -1 } } }, literal { { 1 }, { 10 } }, NONE, NONE, NONE,
}, { { { { 4, 30 } } }, { { { 21 }, { 2 } } }, { { 1 }, { 6 } } })
-- 1 - tanh(1)^2; the second gradient is held at 1 / (2 r).
case("mlg_pull", "held, by hand", {
  sum { 1, 2, 1, values = { { { 0 }, { 0 } } } }, "nil", "nil", literal { { { 0.5 }, { -9 } } },
  literal { { { -1 }, { 1 } } }, "nil", "nil", 4, 0, 0,
}, { { { { 0.5 * 0.41997434161402614 }, { -0.41997434161402614 / (2 * TANH_1) } } } })

local function generate(arguments)
  return { output { 4, 3, 9 }, input { 2, arguments.b or 2, 9 }, arguments.u or input { 2, 3, 2 },
    arguments.v or input { 4, 2 }, table.unpack(arguments.bits or { 4, 4, 4 }) }
end
wrong("mlg_generate", 5, { "basis bits is 1", "expected 2 to 16, or 32" }, generate { bits = { 1, 4, 4 } })
wrong("mlg_generate", 6, { "coeff_in bits is 17", "expected 2 to 16, or 32" }, generate { bits = { 4, 17, 4 } })
wrong("mlg_generate", 7, { "coeff_out bits is 33", "expected 2 to 16, or 32" }, generate { bits = { 4, 4, 33 } })
wrong("mlg_generate", 3, { "coeff_in is 2x3x3", "P,C,B with B = 2" }, generate { u = input { 2, 3, 3 } })
wrong("mlg_generate", 4, { "coeff_out is 5x2", "O,P with O = 4" }, generate { v = input { 5, 2 } })
wrong("mlg_generate", 2, { "basis is 2x2x9", "O,B,S with O = 4" }, generate { v = "nil", u = input { 4, 3, 2 } })
wrong("mlg_pull", 2, { "dcoeff_in is missing", "together with coeff_in" }, { sum { 2, 2, 9 }, "nil", sum { 4, 2 },
  input { 4, 3, 9 }, input { 2, 2, 9 }, input { 2, 3, 2 }, input { 4, 2 }, 4, 4, 4 })
wrong("mlg_pull", 8, { "basis bits is 0", "expected 2 to 16, or 32" }, { sum { 4, 3, 9 }, "nil", "nil",
  input { 4, 3, 9 }, input { 4, 3, 9 }, "nil", "nil", 0, 0, 0 })

for _, each in ipairs(LAYERS) do
  local weight, basis, coeffIn, coeffOut = shapes(each[2])
  if each[2].C < 100 then
    lists.gradient {
      name = "mlg, " .. each[1],
      covers = { "mlg_generate", "mlg_pull" },
      inputs = { basis = input(basis), coeffIn = coeffIn and input(coeffIn), coeffOut = coeffOut and input(coeffOut) },
      output = weight,
      forward = function(y, t) core.mlg_generate(y, t.basis, t.coeffIn, t.coeffOut, NONE, NONE, NONE) end,
      backward = function(d, dy, t)
        core.mlg_pull(d.basis, d.coeffIn, d.coeffOut, dy, t.basis, t.coeffIn, t.coeffOut, NONE, NONE, NONE)
      end,
    }
  end
end

-- orthonormality ---------------------------------------------------------------------------------

case("orthonormality", "rows, by hand", { sum { 1, values = { 5 } }, sum { 1, 1, 2, values = { { { 0, 1 } } } },
  literal { { { 1, 2 } } }, false, 0.5 }, { { 21 }, { { { 8, 17 } } } })
-- The columns (3, 4) and (8, 6), over their norms and 1e-8.
do
  local c, d = 5 + 1e-8, 10 + 1e-8
  local y = { { 3 / c, 8 / d }, { 4 / c, 6 / d } }
  local off, first, second = 48 / (c * d), 25 / c ^ 2 - 1, 100 / d ^ 2 - 1
  local function slope(row)
    return { (first * y[row][1] + off * y[row][2]) / c, (off * y[row][1] + second * y[row][2]) / d }
  end
  case("orthonormality", "columns, by hand", { sum { 1, values = { 0 } },
    sum { 1, 2, 2, values = { { { 0, 0 }, { 0, 0 } } } }, literal { { { 3, 8 }, { 4, 6 } } }, true, 1 },
    { { (first ^ 2 + second ^ 2 + 2 * off ^ 2) / 4 }, { { slope(1), slope(2) } } })
end
for _, sizes in ipairs { { 1, 1, 1 }, { 5, 2, 9 }, { 31, 3, 4 }, { 1, 33, 20 }, { 1, 20, 33 } } do
  for _, byColumns in ipairs { false, true } do
    case("orthonormality", ("%s, %s"):format(table.concat(sizes, "x"), byColumns and "columns" or "rows"),
      { sum { 1 }, sum { table.unpack(sizes) }, input { table.unpack(sizes) }, byColumns, 0.75 })
  end
end
wrong("orthonormality", 1, { "loss is 2", "one element" }, { sum { 2 }, sum { 1, 2, 2 }, input { 1, 2, 2 }, true, 1 })
wrong("orthonormality", 2, { "dx is 1x2x3", "G,M,K with K = 2" },
  { sum { 1 }, sum { 1, 2, 3 }, input { 1, 2, 2 }, true, 1 })
wrong("orthonormality", 5, { "scale is inf", "finite" },
  { sum { 1 }, sum { 1, 2, 2 }, input { 1, 2, 2 }, true, math.huge })

return lists
