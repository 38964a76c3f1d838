-- ReLU, dropout.

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
  for _, base in ipairs { 5, operation.number(5) } do
    case(op, "a position from a base" .. (base == 5 and "" or " in memory"),
      { output { 4 }, literal { 3, 6, -9, 12 }, 0.7, 0, 0, -5, base }, { { 0, 20, -30, 0 } })
  end
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

return lists
