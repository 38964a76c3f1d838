-- Reductions over every choice of dimensions, selections, and what they do with NaN and with equals.

local tablex = require "pl.tablex"
local operation = require "spec.support.operation"
local input, output, literal = operation.input, operation.output, operation.literal
local lists = operation.lists()
local case, wrong = lists.typed_case, lists.wrong

local REAL = { "float", "double", "half", "bfloat16" }
local ALL = { "float", "double", "half", "bfloat16", "long", "byte" }
local NAN, INF = 0 / 0, math.huge

-- reduce -----------------------------------------------------------------------------------------

local matrix = { { 1, 5, 2 }, { 4, 3, 9 } }
for kind, by_hand in tablex.sort {
  sum = { { { 5, 8, 11 } }, { { 8 }, { 16 } }, { { 24 } } },
  max = { { { 4, 5, 9 } }, { { 5 }, { 9 } }, { { 9 } } },
  min = { { { 1, 3, 2 } }, { { 1 }, { 3 } }, { { 1 } } },
} do
  for i, sizes in ipairs { { 1, 3 }, { 2, 1 }, { 1, 1 } } do
    case("reduce", ("%s to %dx%d, by hand"):format(kind, sizes[1], sizes[2]),
      { output { sizes[1], sizes[2] }, literal(matrix), kind, 0 }, ALL, { by_hand[i] })
  end
end
for kind, by_hand in tablex.sort {
  mean = { 0, { { 2.5, 4, 5.5 } }, { { 4 } } },
  ["var, unbiased"] = { 1, { { 4.5, 2, 24.5 } }, { { 8 } } },
  ["var, biased"] = { 0, { { 2.25, 1, 12.25 } }, { { 40 / 6 } } },
  ["norm 1"] = { 1, { { 5, 8, 11 } }, { { 24 } } },
  ["norm 2"] = { 2, { { math.sqrt(17), math.sqrt(34), math.sqrt(85) } }, { { math.sqrt(136) } } },
  ["norm 3"] = { 3, { { 65 ^ (1 / 3), 152 ^ (1 / 3), 737 ^ (1 / 3) } }, { { 954 ^ (1 / 3) } } },
  ["norm infinite"] = { INF, { { 4, 5, 9 } }, { { 9 } } },
} do
  local word = kind:match "%a+"
  case("reduce", kind .. " to 1x3, by hand", { output { 1, 3 }, literal(matrix), word, by_hand[1] }, REAL,
    { by_hand[2] })
  case("reduce", kind .. " to 1x1, by hand", { output { 1, 1 }, literal(matrix), word, by_hand[1] }, REAL,
    { by_hand[3] })
end
case("reduce", "sums are kept in double", { output { 1 }, literal { 1e8, 1, -1e8 }, "sum", 0 }, { "float" }, { { 1 } })
case("reduce", "variance far from zero", { output { 1 }, literal { 10000, 10001, 10002 }, "var", 1 },
  { "float", "double" }, { { 1 } })
case("reduce", "max with NaN", { output { 1 }, literal { 1, NAN, 3 }, "max", 0 }, REAL, { { NAN } })
case("reduce", "min with NaN", { output { 1 }, literal { 1, NAN, 3 }, "min", 0 }, REAL, { { NAN } })
case("reduce", "norm of negatives", { output { 1 }, literal { -3, 4 }, "norm", 2 }, REAL, { { 5 } })
case("reduce", "variance of one value", { output { 1 }, literal { 3 }, "var", 1 }, REAL, { { NAN } })
case("reduce", "sum of nothing", { output { 1 }, input { 0 }, "sum", 0 }, ALL, { { 0 } })
case("reduce", "mean of nothing", { output { 1 }, input { 0 }, "mean", 0 }, REAL, { { NAN } })
case("reduce", "norm of nothing", { output { 1, 2 }, input { 0, 2 }, "norm", 2 }, REAL, { { 0, 0 } })
case("reduce", "nothing to reduce to", { output { 0, 1 }, input { 0, 3 }, "max", 0 }, ALL, { {} })
case("reduce", "nothing to reduce", { output { 2, 3 }, input { 2, 3 }, "sum", 0 }, ALL)
case("reduce", "a scalar", { output {}, literal(3), "sum", 0 }, ALL, { { 3 } })
case("reduce", "long sums are exact", {
  output { 1, dtype = "long" }, literal({ 2 ^ 53 | 0, 1 }, { dtype = "long" }), "sum", 0,
}, { "float" }, { { (2 ^ 53 | 0) + 1 } })

-- Into a dtype that holds more than x's.
local WHOLE = { "long", "byte" }
local function double(...) return output { dtype = "double", ... } end
case("reduce", "a byte sum in long", { output { 1, dtype = "long" }, literal { 200, 100, 255 }, "sum", 0 }, WHOLE,
  { { 555 } })
case("reduce", "byte sums of columns in long",
  { output { 1, 2, dtype = "long" }, literal { { 200, 1 }, { 100, 2 } }, "sum", 0 }, WHOLE, { { { 300, 3 } } })
case("reduce", "the largest byte in long", { output { 1, dtype = "long" }, literal { 2, 255, 7 }, "max", 0 }, WHOLE,
  { { 255 } })
case("reduce", "in double", { double(1), literal { 200, 100, 255 }, "sum", 0 }, ALL, { { 555 } })
case("reduce", "mean in double", { double(1), literal { 200, 100, 255 }, "mean", 0 }, ALL, { { 185 } })
case("reduce", "variance in double", { double(1), literal { 1, 2, 6 }, "var", 1 }, ALL, { { 7 } })
case("reduce", "norm in double", { double(1, 2), literal { { 3, 5 }, { 4, 12 } }, "norm", 2 }, ALL, { { { 5, 13 } } })
case("reduce", "smallest in double", { double(2, 1), literal { { 3, 5 }, { 12, 4 } }, "min", 0 }, ALL,
  { { { 3 }, { 4 } } })
case("reduce", "long sums beyond 2^63 in double", {
  double(1), literal({ math.maxinteger, math.maxinteger }, { dtype = "long" }), "sum", 0,
}, { "float" }, { { 2 ^ 64 } })
case("reduce", "a sum beyond the largest half", { double(1), literal { 60000, 60000 }, "sum", 0 }, { "half" },
  { { 120000 } })
case("reduce", "a sum with more digits than float", { double(1), literal { 2 ^ 24, 1 }, "sum", 0 },
  { "float", "double", "bfloat16" }, { { 2 ^ 24 + 1 } })
for _, kind in ipairs { "sum", "mean", "var", "max", "min", "norm" } do
  for _, layout in ipairs { "contiguous", "channels", "transposed" } do
    case("reduce", kind .. " in double of a view, " .. layout, {
      double(1, 12, 1, 1), input { 3, 12, 7, 9, layout = layout, values = "counts" }, kind, kind == "norm" and 2 or 1,
    }, ALL)
  end
  case("reduce", kind .. " in double of many", { double(1, 1), input { 100, 200, values = "counts" }, kind, 1 }, ALL)
end
case("reduce", "a byte sum of many in long", { output { 1, 1, dtype = "long" }, input { 300, 400, values = "counts" },
  "sum", 0 }, WHOLE)

local parameters = { var = 1, norm = 2 }
for _, kind in ipairs { "sum", "mean", "var", "max", "min", "norm" } do
  for _, sizes in ipairs { { 1, 4, 5, 6 }, { 3, 1, 5, 6 }, { 3, 4, 1, 6 }, { 3, 4, 5, 1 }, { 1, 4, 1, 1 },
    { 3, 1, 1, 6 }, { 1, 1, 1, 1 } } do
    local y = output { table.unpack(sizes) }
    case("reduce", kind .. " to " .. table.concat(sizes, "x"),
      { y, input { 3, 4, 5, 6, values = "distinct" }, kind, parameters[kind] or 0 })
  end
  for _, layout in ipairs { "channels", "gaps", "transposed", "images" } do
    case("reduce", kind .. " of a view, " .. layout, {
      output { 1, 12, 1, 1, layout = "channels" }, input { 3, 12, 7, 9, layout = layout, values = "distinct" }, kind,
      parameters[kind] or 0,
    }, REAL)
  end
  for _, n in ipairs { 1, 31, 32, 33 } do
    if n > 1 or kind ~= "var" then
      case("reduce", kind .. " of " .. n, { output { 1 }, input { n }, kind, parameters[kind] or 0 }, REAL)
    end
  end
  case("reduce", kind .. " of many", { output { 1, 1 }, input { 300, 400 }, kind, parameters[kind] or 0 })
  case("reduce", kind .. " of many columns", { output { 1, 400 }, input { 300, 400 }, kind, parameters[kind] or 0 })
  case("reduce", kind .. " of many rows", { output { 300, 1 }, input { 300, 400 }, kind, parameters[kind] or 0 })
end

wrong("reduce", 1, { "y is 2x2", "x 2x3" }, { output { 2, 2 }, input { 2, 3 }, "sum", 0 })
wrong("reduce", 1, { "y is 1", "x 2x3" }, { output { 1 }, input { 2, 3 }, "sum", 0 })
wrong("reduce", 2, { "x is 0", "at least one element for 'max'" }, { output { 1 }, input { 0 }, "max", 0 })
wrong("reduce", 2, { "x is long", "real dtype for 'mean'" },
  { output { 1 }, input { 3, values = "counts" }, "mean", 0, dtype = "long" })
wrong("reduce", 1, { "y is long", "expected float, as x is, or double" },
  { output { 1, dtype = "long" }, input { 3 }, "sum", 0 })
wrong("reduce", 1, { "y is float", "expected byte, as x is, or long or double" },
  { output { 1, dtype = "float" }, input { 3, dtype = "byte" }, "sum", 0 })
wrong("reduce", 4, { "p is 0", "above 0" }, { output { 1 }, input { 3 }, "norm", 0 })
wrong("reduce", 4, { "correction is %-1", "0 or more" }, { output { 1 }, input { 3 }, "var", -1 })
wrong("reduce", 3, { "invalid option 'median'" }, { output { 1 }, input { 3 }, "median", 0 })

-- arg_reduce, topk -------------------------------------------------------------------------------

local function long(...) return output { dtype = "long", ... } end

case("arg_reduce", "largest along 1, by hand", { output { 1, 3 }, long(1, 3), literal(matrix), 1, true }, ALL,
  { { { 4, 5, 9 } }, { { 2, 1, 2 } } })
case("arg_reduce", "smallest along 2, by hand", { output { 2, 1 }, long(2, 1), literal(matrix), 2, false }, ALL,
  { { { 1 }, { 3 } }, { { 1 }, { 2 } } })
case("arg_reduce", "the first of equals", { output { 1 }, long(1), literal { 1, 7, 7, 1 }, 1, true }, ALL,
  { { 7 }, { 2 } })
case("arg_reduce", "the first of equal smallest", { output { 1 }, long(1), literal { 7, 1, 7, 1 }, 1, false }, ALL,
  { { 1 }, { 2 } })
case("arg_reduce", "NaN wins", { output { 1 }, long(1), literal { 1, NAN, 3, NAN }, 1, true }, REAL, { { NAN }, { 2 } })
case("arg_reduce", "NaN wins over the smallest", { output { 1 }, long(1), literal { 1, 3, NAN }, 1, false }, REAL,
  { { NAN }, { 3 } })
case("arg_reduce", "nothing", { output { 0, 1 }, long(0, 1), input { 0, 3 }, 2, true }, ALL)
for dim = 1, 4 do
  local sizes = { 3, 12, 5, 33 }
  sizes[dim] = 1
  for _, layout in ipairs { "contiguous", "channels", "gaps", "transposed" } do
    case("arg_reduce", ("along %d, %s"):format(dim, layout), {
      output { layout = "gaps", table.unpack(sizes) }, output { dtype = "long", table.unpack(sizes) },
      input { 3, 12, 5, 33, values = "distinct", layout = layout }, dim, dim % 2 == 0,
    })
  end
end
case("arg_reduce", "many rows", { output { 2000, 1 }, long(2000, 1), input { 2000, 33 }, 2, true })
case("arg_reduce", "long rows", { output { 3, 1 }, long(3, 1), input { 3, 1000, values = "distinct" }, 2, false })

wrong("arg_reduce", 4, { "dimension is 3", "1 to 2", "2x3" },
  { output { 1, 3 }, long(1, 3), input { 2, 3 }, 3, true })
wrong("arg_reduce", 1, { "values is 2x3", "expected 1x3" }, { output { 2, 3 }, long(1, 3), input { 2, 3 }, 1, true })
wrong("arg_reduce", 2, { "indices is 3", "expected 1x3" }, { output { 1, 3 }, long(3), input { 2, 3 }, 1, true })
wrong("arg_reduce", 2, { "indices is float", "expected long" },
  { output { 1, 3 }, output { 1, 3 }, input { 2, 3 }, 1, true })
wrong("arg_reduce", 3, { "x is 2x0", "at least one element along dimension 2" },
  { output { 2, 1 }, long(2, 1), input { 2, 0 }, 2, true })

case("topk", "by hand", { output { 2, 2 }, long(2, 2), literal(matrix), true }, ALL,
  { { { 5, 2 }, { 9, 4 } }, { { 2, 3 }, { 3, 1 } } })
case("topk", "smallest, by hand", { output { 2, 2 }, long(2, 2), literal(matrix), false }, ALL,
  { { { 1, 2 }, { 3, 4 } }, { { 1, 3 }, { 2, 1 } } })
case("topk", "the earlier of equals first", { output { 3 }, long(3), literal { 2, 5, 5, 2, 5 }, true }, ALL,
  { { 5, 5, 5 }, { 2, 3, 5 } })
case("topk", "all of them", { output { 4 }, long(4), literal { 2, 5, 5, 1 }, true }, ALL,
  { { 5, 5, 2, 1 }, { 2, 3, 1, 4 } })
case("topk", "of a vector of one", { output { 1 }, long(1), literal { 3 }, true }, ALL, { { 3 }, { 1 } })
for _, layout in ipairs { "contiguous", "channels", "gaps", "transposed" } do
  for _, k in ipairs { 1, 5, 33 } do
    case("topk", ("%d of 33, %s"):format(k, layout), {
      output { 3, 4, k }, long(3, 4, k), input { 3, 4, 33, values = "distinct", layout = layout }, k ~= 5,
    })
  end
end
case("topk", "many rows", { output { 1000, 5 }, long(1000, 5), input { 1000, 100, values = "distinct" }, true })
for _, k in ipairs { 5, 17 } do
  case("topk", k .. " of long rows", { output { 3, k }, long(3, k), input { 3, 1000 }, true }, ALL)
end

wrong("topk", 1, { "room for 4", "1 to 3" }, { output { 2, 4 }, long(2, 4), input { 2, 3 }, true })
wrong("topk", 1, { "room for 0", "1 to 3" }, { output { 2, 0 }, long(2, 0), input { 2, 3 }, true })
wrong("topk", 2, { "indices is 2x3", "expected 2x2" }, { output { 2, 2 }, long(2, 3), input { 2, 3 }, true })
wrong("topk", 1, { "values is 3x2", "expected 2x2" }, { output { 3, 2 }, long(3, 2), input { 2, 3 }, true })
wrong("topk", 3, { "scalar" }, { output {}, long(), input {}, true })

-- index_select -----------------------------------------------------------------------------------

local function indices(list) return literal(list, { dtype = "long" }) end

case("index_select", "by hand", { output { 3, 3 }, literal(matrix), indices { 2, 1, 2 } }, ALL,
  { { { 4, 3, 9 }, { 1, 5, 2 }, { 4, 3, 9 } } })
case("index_select", "of a vector", { output { 2 }, literal { 1, 2, 3 }, indices { 3, 1 } }, ALL, { { 3, 1 } })
case("index_select", "none", { output { 0, 3 }, literal(matrix), input { 0, dtype = "long" } }, ALL, { {} })
for _, layout in ipairs { "contiguous", "channels", "gaps", "transposed", "images" } do
  case("index_select", layout, {
    output { 64, 12, 5, 3, layout = layout }, input { 33, 12, 5, 3, layout = layout },
    input { 64, dtype = "long", values = "labels", n = 33 },
  }, REAL)
end
case("index_select", "many rows", { output { 500, 300 }, input { 31, 300 },
  input { 500, dtype = "long", values = "labels", n = 31 } })

wrong("index_select", 3, { "4", "1 to 3" }, { output { 2, 2 }, input { 3, 2 }, indices { 1, 4 } })
wrong("index_select", 3, { "0", "1 to 3" }, { output { 2, 2 }, input { 3, 2 }, indices { 0, 1 } })
wrong("index_select", 3, { "index is float", "expected long" }, { output { 2, 2 }, input { 3, 2 }, literal { 1, 2 } })
wrong("index_select", 1, { "y is 3x2", "expected 2x2" }, { output { 3, 2 }, input { 3, 2 }, indices { 1, 2 } })
wrong("index_select", 3, { "index is 1x2", "1 dimension" }, { output { 2, 2 }, input { 3, 2 }, indices { { 1, 2 } } })

return lists
