-- Log-softmax and the losses.

local operation = require "spec.support.operation"
local core = require "densenet.core"
local input, output, same, literal = operation.input, operation.output, operation.same, operation.literal
local lists = operation.lists()
local case, wrong = lists.case, lists.wrong

local function labels(list) return literal(list, { dtype = "long" }) end

-- log_softmax, by PyTorch 1.13 -------------------------------------------------------------------

local log_softmax = {
  { -2.4076059644443806, -1.4076059644443804, -0.4076059644443804 },
  { -0.6931471805599453, -0.6931471805599453, -2000.69314718056 },
}
case("log_softmax_forward", "by hand", { output { 2, 3 }, literal { { 1, 2, 3 }, { 1000, 1000, -1000 } } },
  { log_softmax })
case("log_softmax_forward", "a vector, by hand", { output { 3 }, literal { 1, 2, 3 } }, { log_softmax[1] })
case("log_softmax_backward", "by hand",
  { output { 2, 3 }, literal { { 1, 0, -2 }, { 0.5, 1, 1 } }, literal(log_softmax) },
  { { { 1.0900305731703805, 0.24472847105479764, -1.3347590442251782 }, { -0.75, -0.25, 1 } } })
for _, sizes in ipairs { { 1, 1 }, { 1, 33 }, { 31, 10 }, { 33, 1000 }, { 150 }, { 2000, 12 } } do
  local name = table.concat(sizes, "x")
  local function matrix(make) return make { table.unpack(sizes) } end
  case("log_softmax_forward", name, { matrix(output), matrix(input) })
  case("log_softmax_forward", name .. ", in place", { same(2), matrix(input) })
  case("log_softmax_backward", name, { matrix(output), matrix(input), matrix(input) })
  case("log_softmax_backward", name .. ", dx is dy", { same(2), matrix(input), matrix(input) })
  case("log_softmax_backward", name .. ", dx is y", { same(3), matrix(input), matrix(input) })
end
wrong("log_softmax_forward", 1, { "y is 3x2", "N,C with N = 2", "x 2x3" }, { output { 3, 2 }, input { 2, 3 } })
wrong("log_softmax_forward", 2, { "x is 2x3x4", "2 dimensions, N,C" }, { output { 2, 3, 4 }, input { 2, 3, 4 } })
wrong("log_softmax_forward", 2, { "x is 2x0", "at least one element" }, { output { 2, 0 }, input { 2, 0 } })
wrong("log_softmax_forward", 2, { "contiguous" }, { output { 2, 3 }, input { 2, 3, layout = "transposed" } })
wrong("log_softmax_backward", 2, { "dy is 2x4", "N,C with C = 3", "y 2x3" },
  { output { 2, 3 }, input { 2, 4 }, input { 2, 3 } })

lists.gradient {
  name = "log_softmax",
  covers = { "log_softmax_forward", "log_softmax_backward" },
  inputs = { x = input { 4, 5 } },
  output = { 4, 5 },
  forward = function(y, t)
    core.log_softmax_forward(y, t.x)
    t.y = y
  end,
  backward = function(d, dy, t) core.log_softmax_backward(d.x, dy, t.y) end,
}

-- score ------------------------------------------------------------------------------------------

do
  local function result() return output { 5, dtype = "double" } end
  local rows = { { 1, 5, 2, 5, 0, 3 }, { 6, 1, 2, 3, 4, 5 }, { 0, 0, 0, 0, 0, 0 }, { 9, 8, 7, 6, 5, 4 } }
  local nan = 0 / 0
  -- 5 at the second place comes before 5 at the fourth; equal zeros in order; 4 is the sixth best.
  case("score", "by hand", { result(), literal(rows), labels { 4, 1, 1, 6 }, 0.75 }, { { 3, 2, 1, 4, 0 } })
  case("score", "all right, a loss in memory",
    { result(), literal(rows), labels { 2, 1, 1, 1 }, operation.number(2.5) }, { { 10, 0, 0, 4, 0 } })
  case("score", "fewer classes than five", { result(), literal { { 1, 2, 3 }, { 3, 2, 1 } }, labels { 1, 1 }, 1 },
    { { 2, 1, 0, 2, 0 } })
  case("score", "a single class", { result(), literal { { 4 } }, labels { 1 }, 0 }, { { 0, 0, 0, 1, 0 } })
  case("score", "NaN comes first", { result(), literal { { 1, nan, 2 } }, labels { 3 }, 1 }, { { 1, 1, 0, 1, 0 } })
  case("score", "an infinite loss", { result(), literal { { 1, 2 } }, labels { 2 }, math.huge },
    { { math.huge, 0, 0, 1, 1 } })
  for _, sizes in ipairs { { 1, 33 }, { 31, 10 }, { 33, 1000 }, { 150, 6 } } do
    case("score", table.concat(sizes, "x"), { result(), input { values = "distinct", table.unpack(sizes) },
      input { sizes[1], values = "labels", n = sizes[2], dtype = "long" }, 1.5 })
  end
  wrong("score", 1, { "result is 4", "5" },
    { output { 4, dtype = "double" }, input { 2, 3 }, labels { 1, 2 }, 1 })
  wrong("score", 1, { "result is float", "expected double" },
    { output { 5, dtype = "float" }, input { 2, 3 }, labels { 1, 2 }, 1 })
  wrong("score", 3, { "target is 3", "N" }, { result(), input { 2, 3 }, labels { 1, 2, 3 }, 1 })
end

-- nll, by PyTorch 1.13 ---------------------------------------------------------------------------

local log_probabilities = { { -0.5, -1.5, -2 }, { -3, -0.25, -1 }, { -1, -2, -0.125 } }
local weights = { 0.5, 2, 1 }
for _, hand in ipairs {
  { "weighted, averaged", weights, true, 1.5, { { -1 / 7, 0, 0 }, { 0, 0, -2 / 7 }, { 0, -4 / 7, 0 } } },
  { "weighted", weights, false, 5.25, { { -0.5, 0, 0 }, { 0, 0, -1 }, { 0, -2, 0 } } },
  { "averaged", nil, true, 3.5 / 3, { { -1 / 3, 0, 0 }, { 0, 0, -1 / 3 }, { 0, -1 / 3, 0 } } },
  { "summed", nil, false, 3.5, { { -1, 0, 0 }, { 0, 0, -1 }, { 0, -1, 0 } } },
} do
  local name, class_weight, average, loss, dx = table.unpack(hand, 1, 5)
  local weight = class_weight and literal(class_weight) or "nil"
  case("nll_forward", name .. ", by hand",
    { output { 1 }, literal(log_probabilities), labels { 1, 3, 2 }, weight, average }, { { loss } })
  case("nll_backward", name .. ", by hand", { output { 3, 3 }, labels { 1, 3, 2 }, weight, average }, { dx })
end
for _, sizes in ipairs { { 1, 1 }, { 33, 10 }, { 31, 150 }, { 5000, 12 } } do
  local n, c = sizes[1], sizes[2]
  local target = input { n, dtype = "long", values = "labels", n = c }
  for _, average in ipairs { true, false } do
    for _, weight in ipairs { "nil", input { c, values = "positive" } } do
      local name = ("%dx%d, %s, %s"):format(n, c, weight == "nil" and "unweighted" or "weighted",
        average and "averaged" or "summed")
      case("nll_forward", name, { output { 1 }, input { n, c }, target, weight, average })
      case("nll_backward", name, { output { n, c }, target, weight, average })
    end
  end
end
case("nll_forward", "the loss is a scalar", { output {}, literal { { -2 } }, labels { 1 }, "nil", true }, { { 2 } })

for _, label in ipairs { 0, 4, -1, math.maxinteger } do
  wrong("nll_forward", 3, { ("%d"):format(label):gsub("%-", "%%-"), "1 to 3" },
    { output { 1 }, input { 2, 3 }, labels { 1, label }, "nil", true })
  wrong("nll_backward", 2, { ("%d"):format(label):gsub("%-", "%%-"), "1 to 3" },
    { output { 2, 3 }, labels { 1, label }, "nil", true })
end
wrong("nll_forward", 3, { "target is float", "expected long" },
  { output { 1 }, input { 2, 3 }, literal { 1, 2 }, "nil", true })
wrong("nll_forward", 3, { "target is 3", "N with N = 2", "log_probabilities 2x3" },
  { output { 1 }, input { 2, 3 }, labels { 1, 2, 3 }, "nil", true })
wrong("nll_forward", 4, { "class_weight is 2", "C with C = 3" },
  { output { 1 }, input { 2, 3 }, labels { 1, 2 }, input { 2 }, true })
wrong("nll_forward", 1, { "loss is 2", "one element" },
  { output { 2 }, input { 2, 3 }, labels { 1, 2 }, "nil", true })
wrong("nll_forward", 2, { "log_probabilities is 0x3", "at least one element" },
  { output { 1 }, input { 0, 3 }, input { 0, dtype = "long" }, "nil", true })
wrong("nll_backward", 2, { "target is 3", "N with N = 2" }, { output { 2, 3 }, labels { 1, 2, 3 }, "nil", true })

for _, average in ipairs { true, false } do
  lists.gradient {
    name = "nll" .. (average and ", averaged" or ""),
    covers = { "nll_forward", "nll_backward" },
    inputs = { x = input { 4, 3 } },
    constants = { target = labels { 3, 1, 1, 2 }, weight = input { 3, values = "positive" } },
    output = { 1 },
    projection = { 1 }, -- nll_backward has no dy
    forward = function(y, t) core.nll_forward(y, t.x, t.target, t.weight, average) end,
    backward = function(d, _, t) core.nll_backward(d.x, t.target, t.weight, average) end,
  }
end

-- mse --------------------------------------------------------------------------------------------

local a, b = { { 1, 2 }, { 3, 5 } }, { { 0, 2 }, { 5, 4 } }
case("mse_forward", "averaged, by hand", { output { 1 }, literal(a), literal(b), true }, { { 1.5 } })
case("mse_forward", "summed, by hand", { output { 1 }, literal(a), literal(b), false }, { { 6 } })
case("mse_backward", "averaged, by hand", { output { 2, 2 }, literal(a), literal(b), true },
  { { { 0.5, 0 }, { -1, 0.5 } } })
case("mse_backward", "summed, by hand", { output { 2, 2 }, literal(a), literal(b), false }, { { { 2, 0 }, { -4, 2 } } })
for _, sizes in ipairs { { 1 }, { 33 }, { 31, 33 }, { 2, 12, 5, 7 }, { 100000 } } do
  local name = table.concat(sizes, "x")
  local function tensor(make) return make { table.unpack(sizes) } end
  for _, average in ipairs { true, false } do
    case("mse_forward", name .. (average and ", averaged" or ""),
      { output { 1 }, tensor(input), tensor(input), average })
    case("mse_backward", name .. (average and ", averaged" or ""),
      { tensor(output), tensor(input), tensor(input), average })
  end
end
for _, layout in ipairs { "gaps", "transposed", "channels" } do
  case("mse_forward", layout, { output { 1 }, input { 5, 4, 6, layout = layout }, input { 5, 4, 6 }, true })
  case("mse_backward", layout, {
    output { 5, 4, 6, layout = layout }, input { 5, 4, 6 }, input { 5, 4, 6, layout = layout }, true,
  })
end
wrong("mse_forward", 3, { "target is 3", "expected 2, as x is" }, { output { 1 }, input { 2 }, input { 3 }, true })
wrong("mse_forward", 1, { "loss is 2", "one element" }, { output { 2 }, input { 2 }, input { 2 }, true })
wrong("mse_forward", 2, { "x is 0", "at least one element" }, { output { 1 }, input { 0 }, input { 0 }, true })
wrong("mse_backward", 1, { "dx is 3", "expected 2, as x is" }, { output { 3 }, input { 2 }, input { 2 }, true })

for _, average in ipairs { true, false } do
  lists.gradient {
    name = "mse" .. (average and ", averaged" or ""),
    covers = { "mse_forward", "mse_backward" },
    inputs = { x = input { 4, 3 } },
    constants = { target = input { 4, 3 } },
    output = { 1 },
    projection = { 1 },
    forward = function(y, t) core.mse_forward(y, t.x, t.target, average) end,
    backward = function(d, _, t) core.mse_backward(d.x, t.x, t.target, average) end,
  }
end

return lists
