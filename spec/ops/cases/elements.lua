-- Element-wise operations: every kind in every dtype that has it, broadcasting, strides, in place.

local tablex = require "pl.tablex"
local operation = require "spec.support.operation"
local input, output, same, literal = operation.input, operation.output, operation.same, operation.literal
local lists = operation.lists()
local case, wrong = lists.typed_case, lists.wrong

local REAL = { "float", "double", "half", "bfloat16" }
local WHOLE = { "long", "byte" }
local ALL = { "float", "double", "half", "bfloat16", "long", "byte" }
local NAN, INF = 0 / 0, math.huge

-- fill -------------------------------------------------------------------------------------------

case("fill", "a value exact in every dtype", { output { 3 }, 5 }, ALL, { { 5, 5, 5 } })
case("fill", "a fraction", { output { 2 }, -0.75 }, REAL, { { -0.75, -0.75 } })
case("fill", "NaN", { output { 2 }, NAN }, REAL, { { NAN, NAN } })
case("fill", "beyond a byte", { output { 2, dtype = "byte" }, 300 }, { "float" }, { { 255, 255 } })
case("fill", "a scalar", { output {}, 2.5 }, REAL, { { 2.5 } })
case("fill", "nothing", { output { 0, 3 }, 1 }, ALL, { {} })
for _, layout in ipairs { "channels", "gaps", "transposed", "images" } do
  case("fill", layout, { output { 3, 4, 5, 6, layout = layout }, 7 }, ALL)
end
local number = operation.number
case("fill", "a number in memory", { output { 2, 3, layout = "gaps" }, number(-0.75) }, REAL,
  { { { -0.75, -0.75, -0.75 }, { -0.75, -0.75, -0.75 } } })
wrong("fill", 2, { "value is in memory", "as for all long tensors" },
  { output { 2, dtype = "long" }, number(1) })
wrong("fill", 2, { "value is double 2", "one double on" },
  { output { 2 }, literal({ 1, 2 }, { dtype = "double" }) })
case("fill", "many elements", { output { 3, 33, 1000, layout = "gaps" }, 1.5 })

-- copy -------------------------------------------------------------------------------------------

for _, from in ipairs(ALL) do
  for _, to in ipairs(ALL) do
    case("copy", from .. " to " .. to, {
      output { 4, 3, 5, dtype = to, layout = "transposed" },
      input { 4, 3, 5, dtype = from, layout = "gaps", values = "counts" },
    }, { "float" })
    case("copy", from .. " to " .. to .. ", by hand", {
      output { 4, dtype = to }, literal({ 0, 1, 2, 127 }, { dtype = from }),
    }, { "float" }, { { 0, 1, 2, 127 } })
  end
end
case("copy", "reals to byte truncate and saturate", {
  output { 8, dtype = "byte" }, literal { -1, -0.5, 0.9, 254.9, 255, 256, 1e30, NAN },
}, { "float", "double" }, { { 0, 0, 0, 254, 255, 255, 255, 0 } })
case("copy", "reals to long truncate and saturate", {
  output { 7, dtype = "long" }, literal { -2.7, 2.7, 1e30, -1e30, INF, -INF, NAN },
}, { "float", "double" }, { { -2, 2, math.maxinteger, math.mininteger, math.maxinteger, math.mininteger, 0 } })
case("copy", "long to byte saturates", {
  output { 4, dtype = "byte" }, literal({ -1, 255, 256, math.maxinteger }, { dtype = "long" }),
}, { "float" }, { { 0, 255, 255, 255 } })
case("copy", "long to long keeps every bit", {
  output { 2, dtype = "long" }, literal({ math.maxinteger, math.mininteger + 1 }, { dtype = "long" }),
}, { "float" }, { { math.maxinteger, math.mininteger + 1 } })
case("copy", "to half rounds to nearest even, overflows to infinity", {
  output { 8, dtype = "half" },
  literal({ 2049, 2051, 65519, 65520, -1e9, 2 ^ -24, 2 ^ -26, NAN }, { dtype = "double" }),
}, { "float" }, { { 2048, 2052, 65504, INF, -INF, 2 ^ -24, 0, NAN } })
case("copy", "to half rounds once, not by way of float", {
  output { 2, dtype = "half" },
  literal({ 1 + 2 ^ -11 + 2 ^ -40, 1 + 2 ^ -11 }, { dtype = "double" }),
}, { "float" }, { { 1 + 2 ^ -10, 1 } })
case("copy", "to bfloat16 rounds to nearest even", {
  output { 5, dtype = "bfloat16" },
  literal({ 257, 259, -257, 3.39e38, NAN }, { dtype = "double" }),
}, { "float" }, { { 256, 260, -256, 3.3895313892515355e38, NAN } })
case("copy", "double to float rounds to nearest even", {
  output { 2, dtype = "float" }, literal({ 16777217, 16777219 }, { dtype = "double" }),
}, { "float" }, { { 16777216, 16777220 } })
case("copy", "a transposed view", { output { 3, 2 }, literal { { 1, 2 }, { 3, 4 }, { 5, 6 } } }, ALL,
  { { { 1, 2 }, { 3, 4 }, { 5, 6 } } })
case("copy", "onto itself", { same(2), input { 7 } }, ALL)
case("copy", "a scalar", { output {}, input {} }, REAL)
case("copy", "nothing", { output { 2, 0 }, input { 2, 0 } }, ALL)
for _, layout in ipairs { "contiguous", "channels", "gaps", "transposed", "images" } do
  case("copy", "from " .. layout, { output { 3, 12, 5, 33 }, input { 3, 12, 5, 33, layout = layout } })
  case("copy", "to " .. layout, { output { 3, 12, 5, 33, layout = layout }, input { 3, 12, 5, 33 } })
end
case("copy", "from an expanded view", { output { 5, 3, 4 }, input { 5, 3, 4, layout = "expanded" } }, ALL)
case("copy", "many elements", { output { 150, 33, 32 }, input { 150, 33, 32, layout = "gaps" } })

wrong("copy", 1, { "3x2", "expected 2x3" }, { output { 3, 2 }, input { 2, 3 } })

-- unary ------------------------------------------------------------------------------------------

local signed_values = { -2.25, -1, 0, 0.5, 4 }
for kind, results in tablex.sort {
  neg = { 2.25, 1, 0, -0.5, -4 }, abs = { 2.25, 1, 0, 0.5, 4 }, sign = { -1, -1, 0, 1, 1 },
  square = { 5.0625, 1, 0, 0.25, 16 }, floor = { -3, -1, 0, 0, 4 }, ceil = { -2, -1, 0, 1, 4 },
} do
  case("unary", kind .. ", by hand", { output { 5 }, literal(signed_values), kind }, REAL, { results })
end
case("unary", "sqrt, by hand", { output { 5 }, literal { 0, 0.25, 2.25, 4, -1 }, "sqrt" }, REAL,
  { { 0, 0.5, 1.5, 2, NAN } })
case("unary", "exp, by hand", { output { 4 }, literal { 0, 1, -1, -INF }, "exp" }, REAL,
  { { 1, 2.718281828459045, 0.36787944117144233, 0 } })
case("unary", "log, by hand", { output { 5 }, literal { 1, 2, 0.5, 0, -1 }, "log" }, REAL,
  { { 0, 0.6931471805599453, -0.6931471805599453, -INF, NAN } })
case("unary", "round, by hand: halves away from zero",
  { output { 7 }, literal { -2.5, -0.5, -0.25, 0.5, 1.5, 2.25, INF }, "round" }, REAL, { { -3, -1, 0, 1, 2, 2, INF } })
case("unary", "tanh, by hand", { output { 5 }, literal { 0, 1, -1, 1000, -INF }, "tanh" }, REAL,
  { { 0, 0.7615941559557649, -0.7615941559557649, 1, -1 } })
case("unary", "sigmoid, by hand", { output { 5 }, literal { 0, 1, -1, 1000, -1000 }, "sigmoid" }, REAL,
  { { 0.5, 0.7310585786300049, 0.2689414213699951, 1, 0 } })
case("unary", "log1p, by hand", { output { 5 }, literal { 0, 1, 2 ^ -30, -1, -2 }, "log1p" }, REAL,
  { { 0, 0.6931471805599453, 9.313225741817976e-10, -INF, NAN } })
for kind, results in tablex.sort {
  neg = { 3, 0, -5 }, abs = { 3, 0, 5 }, sign = { -1, 0, 1 }, square = { 9, 0, 25 },
} do
  case("unary", kind .. " of long, by hand", { output { 3 }, literal { -3, 0, 5 }, kind }, { "long" }, { results })
end
for kind, results in tablex.sort { abs = { 0, 1, 12 }, sign = { 0, 1, 1 }, square = { 0, 1, 144 } } do
  case("unary", kind .. " of byte, by hand", { output { 3 }, literal { 0, 1, 12 }, kind }, { "byte" }, { results })
end
for _, kind in ipairs { "neg", "abs", "sign", "square", "exp", "floor", "ceil", "round", "tanh", "sigmoid" } do
  case("unary", kind, { output { 31, 33, layout = "gaps" }, input { 31, 33, layout = "transposed" }, kind }, REAL)
end
for _, kind in ipairs { "sqrt", "log", "log1p" } do
  case("unary", kind, { output { 31, 33 }, input { 31, 33, values = "positive" }, kind }, REAL)
end
case("unary", "in place", { same(2), input { 2, 3, 33, layout = "channels" }, "square" }, REAL)
case("unary", "a scalar", { output {}, input {}, "neg" }, REAL)
case("unary", "nothing", { output { 0 }, input { 0 }, "exp" }, REAL)
case("unary", "many elements", { output { 100000 }, input { 100000 }, "exp" })

wrong("unary", 2, { "x is long", "real dtype for 'sqrt'" },
  { output { 2, dtype = "long" }, input { 2, dtype = "long", values = "counts" }, "sqrt" })
wrong("unary", 3, { "invalid option 'cosh'" }, { output { 2 }, input { 2 }, "cosh" })

-- binary -----------------------------------------------------------------------------------------

local left, right = { 7, -7, 2, 8 }, { 2, 2, -4, 4 }
for kind, results in tablex.sort {
  add = { 9, -5, -2, 12 }, sub = { 5, -9, 6, 4 }, mul = { 14, -14, -8, 32 }, div = { 3.5, -3.5, -0.5, 2 },
  pow = { 49, 49, 0.0625, 4096 }, min = { 2, -7, -4, 4 }, max = { 7, 2, 2, 8 },
} do
  case("binary", kind .. ", by hand", { output { 4 }, literal(left), literal(right), kind }, REAL, { results })
end
for kind, results in tablex.sort {
  add = { 9, -5, -2, 12 }, sub = { 5, -9, 6, 4 }, mul = { 14, -14, -8, 32 }, div = { 3, -4, -1, 2 },
  min = { 2, -7, -4, 4 }, max = { 7, 2, 2, 8 },
} do
  case("binary", kind .. " of long, by hand", { output { 4 }, literal(left), literal(right), kind }, { "long" },
    { results })
end
for kind, results in tablex.sort {
  add = { 9, 12 }, sub = { 5, 4 }, mul = { 14, 32 }, div = { 3, 2 }, pow = { 49, 64 }, min = { 2, 4 },
  max = { 7, 8 },
} do
  local b = kind == "pow" and { 2, 2 } or { 2, 4 }
  case("binary", kind .. " of byte, by hand", { output { 2 }, literal { 7, 8 }, literal(b), kind }, { "byte" },
    { results })
end
case("binary", "bytes wrap around", { output { 3 }, literal { 200, 16, 1 }, literal { 100, 16, 2 }, "add" }, { "byte" },
  { { 44, 32, 3 } })
case("binary", "byte products wrap around", { output { 2 }, literal { 16, 20 }, literal { 16, 13 }, "mul" }, { "byte" },
  { { 0, 4 } })
case("binary", "long wraps around", {
  output { 1 }, literal { math.maxinteger }, literal { 1 }, "add",
}, { "long" }, { { math.mininteger } })
case("binary", "long to a negative power", { output { 3 }, literal { 1, -1, 2 }, literal { -2, -3, -1 }, "pow" },
  { "long" }, { { 1, -1, 0 } })
for _, kind in ipairs { "min", "max" } do
  case("binary", kind .. " with NaN", { output { 2 }, literal { NAN, 1 }, literal { 1, NAN }, kind }, REAL,
    { { NAN, NAN } })
end
for _, kind in ipairs { "add", "sub", "mul", "min", "max" } do
  case("binary", kind, {
    output { 31, 33 }, input { 31, 33, layout = "transposed" }, input { 31, 33, layout = "gaps" }, kind,
  }, REAL)
end
for _, kind in ipairs { "add", "mul", "div", "min", "max" } do
  case("binary", kind .. " of whole numbers", {
    output { 32, 3 }, input { 32, 3, values = "counts" }, input { 32, 3, values = "counts" }, kind,
  }, WHOLE)
end
for _, kind in ipairs { "div", "pow" } do
  case("binary", kind, {
    output { 31, 33 }, input { 31, 33, values = "positive" }, input { 31, 33, values = "positive" }, kind,
  }, REAL)
end
for _, n in ipairs { 1, 31, 32, 33 } do
  case("binary", "length " .. n, { output { n }, input { n }, input { n }, "mul" }, REAL)
end
case("binary", "broadcast, by hand", {
  output { 2, 3 }, literal { { 10 }, { 20 } }, literal { 1, 2, 3 }, "add",
}, ALL, { { { 11, 12, 13 }, { 21, 22, 23 } } })
case("binary", "broadcast in the middle", {
  output { 2, 3, 4, 5 }, input { 2, 1, 4, 1 }, input { 3, 1, 5 }, "mul",
}, REAL)
case("binary", "broadcast of a channel vector", {
  output { 2, 12, 7, 9, layout = "channels" }, input { 2, 12, 7, 9, layout = "channels" }, input { 1, 12, 1, 1 }, "add",
})
case("binary", "broadcast of a scalar", { output { 3, 2 }, input {}, input { 3, 2 }, "sub" }, REAL)
case("binary", "a row in front of every row", { output { 33, 100 }, input { 100 }, input { 33, 100 }, "sub" })
case("binary", "in place on the left", { same(2), input { 5, 33, layout = "gaps" }, input { 5, 33 }, "mul" }, REAL)
case("binary", "in place on the right", { same(3), input { 5, 33 }, input { 5, 33 }, "sub" }, REAL)
case("binary", "in place with a broadcast side", { same(2), input { 5, 33 }, input { 5, 1 }, "add" }, REAL)
case("binary", "nothing", { output { 0, 4 }, input { 0, 4 }, input { 4 }, "add" }, ALL)
case("binary", "many elements", { output { 3, 40000 }, input { 3, 40000 }, input { 3, 40000 }, "div" })

wrong("binary", 3, { "b is 2x4", "broadcasts to y's 2x3" },
  { output { 2, 3 }, input { 2, 3 }, input { 2, 4 }, "add" })
wrong("binary", 2, { "a is 1x2x3", "broadcasts to y's 2x3" },
  { output { 2, 3 }, input { 1, 2, 3 }, input { 2, 3 }, "add" })
wrong("binary", 3, { "b is double", "expected float, as a is" },
  { output { 2 }, input { 2 }, input { 2, dtype = "double" }, "add" })
wrong("binary", 3, { "b holds a 0", "division" },
  { output { 2 }, literal { 1, 2 }, literal { 1, 0 }, "div", dtype = "long" })
wrong("binary", 3, { "b holds a 0", "division" },
  { output { 2 }, literal { 1, 2 }, literal { 1, 0 }, "div", dtype = "byte" })
wrong("binary", 4, { "invalid option 'mod'" }, { output { 2 }, input { 2 }, input { 2 }, "mod" })

-- binary_scalar, add_scaled ----------------------------------------------------------------------

for kind, results in tablex.sort {
  add = { 9, -5, 4 }, sub = { 5, -9, 0 }, mul = { 14, -14, 4 }, div = { 3.5, -3.5, 1 }, pow = { 49, 49, 4 },
  min = { 2, -7, 2 }, max = { 7, 2, 2 },
} do
  case("binary_scalar", kind .. ", by hand", { output { 3 }, literal { 7, -7, 2 }, 2, kind }, REAL, { results })
end
for kind, results in tablex.sort {
  add = { 9, -5, 4 }, sub = { 5, -9, 0 }, mul = { 14, -14, 4 }, div = { 3, -4, 1 }, min = { 2, -7, 2 },
  max = { 7, 2, 2 },
} do
  case("binary_scalar", kind .. " of long, by hand", { output { 3 }, literal { 7, -7, 2 }, 2, kind }, { "long" },
    { results })
end
for _, kind in ipairs { "add", "sub", "mul", "div", "min", "max" } do
  case("binary_scalar", kind, { output { 31, 33 }, input { 31, 33, layout = "transposed" }, 0.3, kind }, REAL)
end
case("binary_scalar", "pow", { output { 33, 31 }, input { 33, 31, values = "positive" }, 2.5, "pow" }, REAL)
case("binary_scalar", "a square root by pow", { output { 2 }, literal { 4, 2.25 }, 0.5, "pow" }, REAL, { { 2, 1.5 } })
case("binary_scalar", "a number in memory", { output { 3 }, literal { 7, -7, 2 }, number(2), "mul" }, REAL,
  { { 14, -14, 4 } })
case("binary_scalar", "in place", { same(2), input { 4, 33, layout = "gaps" }, -2, "mul" }, REAL)
case("binary_scalar", "broadcast", { output { 3, 4 }, input { 4 }, 2, "mul" }, REAL)
case("binary_scalar", "nothing", { output { 0 }, input { 0 }, 2, "mul" }, ALL)
case("binary_scalar", "many elements", { output { 100001 }, input { 100001 }, 3, "add" })

wrong("binary_scalar", 3, { "b is 0", "division" }, { output { 2 }, literal { 1, 2 }, 0, "div", dtype = "long" })
wrong("binary_scalar", 3, { "b is 0.5", "whole number", "long" },
  { output { 2 }, literal { 1, 2 }, 0.5, "mul", dtype = "long" })
wrong("binary_scalar", 2, { "a is 3", "broadcasts to y's 2" }, { output { 2 }, input { 3 }, 1, "add" })

case("add_scaled", "a number in memory", { output { 2 }, literal { 1, 2 }, literal { 3, -4 }, number(0.5) }, REAL,
  { { 2.5, 0 } })
case("add_scaled", "by hand", { output { 3 }, literal { 1, 2, 3 }, literal { 10, 20, -30 }, 0.5 }, REAL,
  { { 6, 12, -12 } })
case("add_scaled", "of long, by hand", { output { 3 }, literal { 1, 2, 3 }, literal { 10, 20, -30 }, 2 }, { "long" },
  { { 21, 42, -57 } })
case("add_scaled", "strides", {
  output { 31, 33, layout = "gaps" }, input { 31, 33 }, input { 31, 33, layout = "transposed" }, -0.25,
}, REAL)
case("add_scaled", "broadcast", { output { 4, 5, 6 }, input { 5, 1 }, input { 4, 1, 6 }, 3 }, REAL)
case("add_scaled", "in place", { same(2), input { 100 }, input { 100 }, 0.1 }, REAL)
case("add_scaled", "in place on the right", { same(3), input { 100 }, input { 100 }, 0.1 }, REAL)
case("add_scaled", "nothing", { output { 0 }, input { 0 }, input { 0 }, 2 }, ALL)
case("add_scaled", "many elements", { same(2), input { 200000 }, input { 200000 }, 0.1 })

wrong("add_scaled", 4, { "scale is 1.5", "whole number", "byte" },
  { output { 2 }, literal { 1, 2 }, literal { 1, 2 }, 1.5, dtype = "byte" })
wrong("add_scaled", 3, { "b is 3", "broadcasts to y's 2" }, { output { 2 }, input { 2 }, input { 3 }, 1 })

-- comparisons ------------------------------------------------------------------------------------

local byte_output = function(n, m) return output { n, m, dtype = "byte" } end
for kind, results in tablex.sort {
  eq = { 0, 1, 0 }, ne = { 1, 0, 1 }, lt = { 1, 0, 0 }, le = { 1, 1, 0 }, gt = { 0, 0, 1 }, ge = { 0, 1, 1 },
} do
  case("compare", kind .. ", by hand", { byte_output(3), literal { 1, 2, 3 }, literal { 2, 2, 2 }, kind }, ALL,
    { results })
  case("compare_scalar", kind .. ", by hand", { byte_output(3), literal { 1, 2, 3 }, 2, kind }, ALL, { results })
  case("compare", kind, { byte_output(31, 33), input { 31, 33, values = "counts" },
    input { 33, values = "counts" }, kind }, ALL)
  case("compare_scalar", kind, { byte_output(31, 33), input { 31, 33, values = "counts", layout = "gaps" }, 5, kind },
    ALL)
end
for kind, result in tablex.sort { eq = 0, ne = 1, lt = 0, ge = 0 } do
  case("compare", kind .. " with NaN", { byte_output(2), literal { NAN, 1 }, literal { NAN, NAN }, kind }, REAL,
    { { result, result } })
end
case("compare_scalar", "long with a fraction", { byte_output(2), literal { 2, 3 }, 2.5, "lt" }, { "long" },
  { { 1, 0 } })
case("compare", "bytes in place", { same(2), input { 40, values = "counts" }, input { 40, values = "counts" }, "lt" },
  { "byte" })
case("compare", "nothing", { output { 0, dtype = "byte" }, input { 0 }, input { 0 }, "eq" }, ALL)
case("compare", "many elements", { byte_output(2, 50000), input { 2, 50000 }, input { 2, 50000 }, "lt" })

wrong("compare", 1, { "y is float", "expected byte" }, { output { 2 }, input { 2 }, input { 2 }, "eq" })
wrong("compare_scalar", 1, { "y is float", "expected byte" }, { output { 2 }, input { 2 }, 1, "eq" })

return lists
