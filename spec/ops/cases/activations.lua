-- ReLU, dropout, concatenation.

local operation = require "spec.support.operation"
local core = require "densenet.core"
local input, output, same, literal = operation.input, operation.output, operation.same, operation.literal
local lists = operation.lists()
local case, wrong = lists.case, lists.wrong

local NAN, INF = 0 / 0, math.huge

local layouts = { "contiguous", "channels", "images", "gaps", "transposed" }

-- relu -------------------------------------------------------------------------------------------

case("relu_forward", "by hand", { output { 6 }, literal { -1, 0, 2, NAN, -INF, INF } }, { { 0, 0, 2, NAN, 0, INF } })
case("relu_backward", "by hand", { output { 4 }, literal { 5, 6, 7, -8 }, literal { 0, 0.5, 0, 2 } },
  { { 0, 6, 0, -8 } })
for _, n in ipairs { 1, 31, 32, 33 } do
  case("relu_forward", "length " .. n, { output { n }, input { n } })
  case("relu_backward", "length " .. n, { output { n }, input { n }, input { n } })
end
for _, layout in ipairs(layouts) do
  local sizes = { 3, 12, 7, 33 }
  local function image(make) return make { layout = layout, table.unpack(sizes) } end
  case("relu_forward", layout, { image(output), image(input) })
  case("relu_forward", layout .. ", in place", { same(2), image(input) })
  case("relu_backward", layout, { image(output), image(input), image(input) })
  case("relu_backward", layout .. ", dx is dy", { same(2), image(input), image(input) })
  case("relu_backward", layout .. ", dx is y", { same(3), image(input), image(input) })
end
case("relu_forward", "nothing", { output { 0, 3 }, input { 0, 3 } }, { {} })
case("relu_backward", "nothing", { output { 0 }, input { 0 }, input { 0 } }, { {} })
case("relu_forward", "many elements", { output { 2, 50, 33, 33 }, input { 2, 50, 33, 33 } })
case("relu_backward", "many elements", { output { 110000 }, input { 110000 }, input { 110000 } })

wrong("relu_forward", 1, { "y is 3x2", "expected 2x3, as x is" }, { output { 3, 2 }, input { 2, 3 } })
wrong("relu_forward", 2, { "x is long", "float, double, half or bfloat16" },
  { output { 2 }, input { 2, values = "counts" }, dtype = "long" })
wrong("relu_backward", 2, { "dy is 3", "expected 2, as y is" }, { output { 2 }, input { 3 }, input { 2 } })

lists.gradient {
  name = "relu",
  covers = { "relu_forward", "relu_backward" },
  inputs = { x = input { 4, 5, values = "signed" } },
  output = { 4, 5 },
  forward = function(y, t)
    core.relu_forward(y, t.x)
    t.y = y
  end,
  backward = function(d, dy, t) core.relu_backward(d.x, dy, t.y) end,
}

-- dropout ----------------------------------------------------------------------------------------

-- Seed 0, stream 0, position 0: the published words 6627e8d5 e169c58d bc57ac4c 9b00dbd8, so that
-- half of the words is above 0.7 * 2^32 = b3333333.
case("dropout_forward", "by hand", { output { 4 }, literal { 3, 6, -9, 12 }, 0.7, 0, 0, 0 },
  { { 0, 20, -30, 0 } })
case("dropout_backward", "by hand", { output { 4 }, literal { 3, 6, -9, 12 }, 0.7, 0, 0, 0 },
  { { 0, 20, -30, 0 } })
for _, op in ipairs { "dropout_forward", "dropout_backward" } do
  case(op, "probability 0", { output { 5 }, literal { 1, 2, 3, 4, 5 }, 0, 1, 2, 3 }, { { 1, 2, 3, 4, 5 } })
  for _, n in ipairs { 1, 31, 32, 33, 100001 } do
    case(op, "length " .. n, { output { n }, input { n }, 0.5, 1, 2, 3 })
  end
  for _, layout in ipairs(layouts) do
    case(op, layout, {
      output { 3, 12, 7, 33, layout = layout }, input { 3, 12, 7, 33, layout = layout }, 0.2, 11, 12, 13,
    })
    case(op, layout .. ", in place", { same(2), input { 3, 12, 7, 33, layout = layout }, 0.2, 11, 12, 13 })
  end
  case(op, "nothing", { output { 0 }, input { 0 }, 0.5, 1, 2, 3 }, { {} })
  for _, probability in ipairs { 1, -0.1, NAN } do
    wrong(op, 3, { "probability is", "0 or more and less than 1" }, { output { 2 }, input { 2 }, probability, 1, 1, 1 })
  end
  wrong(op, 1, { "is 3", "expected 2, as" }, { output { 3 }, input { 2 }, 0.5, 1, 1, 1 })
end

lists.gradient {
  name = "dropout",
  covers = { "dropout_forward", "dropout_backward" },
  inputs = { x = input { 5, 7 } },
  output = { 5, 7 },
  forward = function(y, t) core.dropout_forward(y, t.x, 0.3, 5, 6, 7) end,
  backward = function(d, dy) core.dropout_backward(d.x, dy, 0.3, 5, 6, 7) end,
}

-- concat -----------------------------------------------------------------------------------------

local first, second = { { 1, 2 }, { 3, 4 } }, { { 5 }, { 6 } }
case("concat_forward", "along 2, by hand", { output { 2, 3 }, { literal(first), literal(second) }, 2 },
  { { { 1, 2, 5 }, { 3, 4, 6 } } })
case("concat_forward", "along 1, by hand", { output { 3, 2 }, { literal(first), literal { { 5, 6 } } }, 1 },
  { { { 1, 2 }, { 3, 4 }, { 5, 6 } } })
case("concat_forward", "one", { output { 3 }, { literal { 1, 2, 3 } }, 1 }, { { 1, 2, 3 } })
case("concat_backward", "along 2, by hand", { { output { 2, 2 } }, literal { { 1, 2 }, { 3, 4 } }, 2 },
  { { { 1, 2 }, { 3, 4 } } })
for dim = 1, 4 do
  for _, layout in ipairs(layouts) do
    local whole, a, b, c = { 4, 5, 6, 7 }, { 4, 5, 6, 7 }, { 4, 5, 6, 7 }, { 4, 5, 6, 7 }
    whole[dim], a[dim], b[dim], c[dim] = 36, 1, 33, 2
    local function laid(make, sizes) return make { layout = layout, table.unpack(sizes) } end
    case("concat_forward", ("along %d, %s"):format(dim, layout),
      { laid(output, whole), { laid(input, a), laid(input, b), laid(input, c) }, dim })
    case("concat_backward", ("along %d, %s"):format(dim, layout),
      { { laid(output, a), laid(output, b), laid(output, c) }, laid(input, whole), dim })
  end
end
case("concat_forward", "an empty part", { output { 2, 3 }, { input { 2, 0 }, input { 2, 3 } }, 2 })
case("concat_backward", "an empty part", { { output { 2, 0 }, output { 2, 3 } }, input { 2, 3 }, 2 })
case("concat_forward", "a dense block", {
  output { 8, 60, 32, 32 }, { input { 8, 24, 32, 32 }, input { 8, 12, 32, 32 }, input { 8, 24, 32, 32 } }, 2,
})
case("concat_backward", "a dense block", {
  { output { 8, 24, 32, 32 }, output { 8, 12, 32, 32 }, output { 8, 24, 32, 32 } }, input { 8, 60, 32, 32 }, 2,
})

wrong("concat_forward", 1, { "y is 2x4", "expected 3 along dimension 2" },
  { output { 2, 4 }, { input { 2, 2 }, input { 2, 1 } }, 2 })
wrong("concat_forward", 2, { "tensor 2 is 3x1", "y 2x3 except along dimension 2" },
  { output { 2, 3 }, { input { 2, 2 }, input { 3, 1 } }, 2 })
wrong("concat_forward", 2, { "tensor 2 is 2x2", "at most 1 along dimension 2" },
  { output { 2, 3 }, { input { 2, 2 }, input { 2, 2 } }, 2 })
wrong("concat_forward", 2, { "tensor 1 is 2", "y 2x3" }, { output { 2, 3 }, { input { 2 } }, 2 })
wrong("concat_forward", 2, { "tensor 2 is double", "expected float" },
  { output { 2, 3 }, { input { 2, 2 }, input { 2, 1, dtype = "double" } }, 2 })
wrong("concat_forward", 3, { "dimension is 3", "1 to 2" }, { output { 2, 3 }, { input { 2, 3 } }, 3 })
wrong("concat_forward", 2, { "one or more" }, { output { 2, 3 }, {}, 2 })
wrong("concat_backward", 2, { "dy is 2x4", "expected 3 along dimension 2" },
  { { output { 2, 2 }, output { 2, 1 } }, input { 2, 4 }, 2 })
wrong("concat_backward", 1, { "tensor 2 is 3x1", "dy 2x3 except along dimension 2" },
  { { output { 2, 2 }, output { 3, 1 } }, input { 2, 3 }, 2 })

for dim = 1, 3 do
  local a, b, whole = { 2, 3, 2 }, { 2, 3, 2 }, { 2, 3, 2 }
  b[dim], whole[dim] = 4, a[dim] + 4
  lists.gradient {
    name = "concat along " .. dim,
    covers = { "concat_forward", "concat_backward" },
    inputs = { a = input(a), b = input(b) },
    output = whole,
    forward = function(y, t) core.concat_forward(y, { t.a, t.b }, dim) end,
    backward = function(d, dy) core.concat_backward({ d.a, d.b }, dy, dim) end,
  }
end

return lists
