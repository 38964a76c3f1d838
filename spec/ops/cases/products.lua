-- Matrix products and fully connected layers.

local operation = require "spec.support.operation"
local core = require "densenet.core"
local input, output, sum, literal = operation.input, operation.output, operation.sum, operation.literal
local lists = operation.lists()
local case, wrong = lists.case, lists.wrong

-- gemm -------------------------------------------------------------------------------------------

local a, b = { { 1, 2, 3 }, { 4, 5, 6 } }, { { 1, -1 }, { 2, 0 }, { 0, 3 } }
case("gemm", "by hand", { output { 2, 2 }, literal(a), literal(b), 1, 0 }, { { { 5, 8 }, { 14, 14 } } })
case("gemm", "by hand, doubled", { output { 2, 2 }, literal(a), literal(b), 2, 0 }, { { { 10, 16 }, { 28, 28 } } })
case("gemm", "from transposed views, by hand", {
  output { 2, 2, layout = "transposed" }, literal(a, { layout = "transposed" }), literal(b, { layout = "transposed" }),
  1, 0,
}, { { { 5, 8 }, { 14, 14 } } })
case("gemm", "no inner dimension", { output { 2, 3 }, input { 2, 0 }, input { 0, 3 }, 1, 0 },
  { { { 0, 0, 0 }, { 0, 0, 0 } } })
case("gemm", "no rows", { output { 0, 3 }, input { 0, 2 }, input { 2, 3 }, 1, 0 }, { {} })
case("gemm", "beta 0 does not read c, alpha 0", { output { 2, 2 }, literal(a), literal(b), 0, 0 },
  { { { 0, 0 }, { 0, 0 } } })

for _, m in ipairs { 1, 31, 33 } do
  for _, n in ipairs { 1, 32, 33 } do
    for _, k in ipairs { 1, 12, 150 } do
      case("gemm", ("%dx%dx%d"):format(m, n, k), { output { m, n }, input { m, k }, input { k, n }, 1, 0 })
    end
  end
end
for _, layout_c in ipairs { "contiguous", "gaps", "transposed" } do
  for _, layout_a in ipairs { "contiguous", "gaps", "transposed" } do
    for _, layout_b in ipairs { "contiguous", "gaps", "transposed" } do
      case("gemm", ("%s = %s x %s"):format(layout_c, layout_a, layout_b), {
        sum { 13, 9, layout = layout_c }, input { 13, 7, layout = layout_a }, input { 7, 9, layout = layout_b },
        -0.5, 0.75,
      })
    end
  end
end
case("gemm", "a row times a column", { sum { 1, 1 }, input { 1, 33, layout = "transposed" }, input { 33, 1 }, 1, 1 })
case("gemm", "large", { output { 200, 300 }, input { 200, 150 }, input { 150, 300 }, 1, 0 })

wrong("gemm", 3, { "b is 4x2", "K,N with K = 3", "a 2x3" }, { output { 2, 2 }, input { 2, 3 }, input { 4, 2 }, 1, 0 })
wrong("gemm", 1, { "c is 2x3", "M,N with N = 2", "b 3x2" }, { output { 2, 3 }, input { 2, 3 }, input { 3, 2 }, 1, 0 })
wrong("gemm", 2, { "a is 3", "2 dimensions, M,K" }, { output { 2, 2 }, input { 3 }, input { 3, 2 }, 1, 0 })
wrong("gemm", 2, { "a is long", "float, double, half or bfloat16" },
  { output { 2, 2 }, input { 2, 3, values = "counts" }, input { 3, 2, values = "counts" }, 1, 0, dtype = "long" })
wrong("gemm", 2, { "strides 0, 1", "one unit stride" },
  { output { 2, 2 }, input { 2, 3, layout = "expanded" }, input { 3, 2 }, 1, 0 })

-- linear -----------------------------------------------------------------------------------------

case("linear_forward", "by hand", {
  output { 2, 2 }, literal(a), literal { { 1, 0, -1 }, { 2, 1, 0 } }, literal { 10, 20 },
}, { { { 8, 24 }, { 8, 33 } } })
case("linear_forward", "without bias, by hand", {
  output { 2, 2 }, literal(a), literal { { 1, 0, -1 }, { 2, 1, 0 } }, "nil",
}, { { { -2, 4 }, { -2, 13 } } })
case("linear_backward_data", "by hand", {
  output { 2, 3 }, literal { { 1, 0 }, { 2, -1 } }, literal { { 1, 0, -1 }, { 2, 1, 0 } },
}, { { { 1, 0, -1 }, { 0, -1, -2 } } })
case("linear_backward_weight", "by hand, from ones", {
  sum { 2, 3, values = { { 1, 1, 1 }, { 1, 1, 1 } } }, sum { 2, values = { 1, 1 } },
  literal { { 1, 0 }, { 2, -1 } }, literal(a), 0.5,
}, { { { 5.5, 7, 8.5 }, { -1, -1.5, -2 } }, { 2.5, 0.5 } })

for _, n in ipairs { 1, 32, 33 } do
  for _, sizes in ipairs { { 1, 1 }, { 12, 10 }, { 150, 33 } } do
    local c, k = sizes[1], sizes[2]
    local name = ("%d samples, %d to %d"):format(n, c, k)
    -- A lone number is judged by itself: nothing may cancel.
    local values = c == 1 and k == 1 and "positive" or "any"
    case("linear_forward", name, {
      output { n, k }, input { n, c, values = values }, input { k, c, values = values }, input { k, values = values },
    })
    case("linear_backward_data", name, { output { n, c }, input { n, k }, input { k, c } })
    case("linear_backward_weight", name, {
      sum { k, c }, sum { k }, input { n, k, values = values }, input { n, c, values = values }, 1,
    })
  end
end
case("linear_forward", "no bias", { output { 31, 7 }, input { 31, 5 }, input { 7, 5 }, "nil" })
case("linear_forward", "a slice of samples", {
  output { 5, 7, layout = "images" }, input { 5, 3, layout = "images" }, input { 7, 3 }, input { 7 },
})
case("linear_forward", "no samples", { output { 0, 2 }, input { 0, 3 }, input { 2, 3 }, input { 2 } }, { {} })
case("linear_backward_data", "no samples", { output { 0, 3 }, input { 0, 2 }, input { 2, 3 } }, { {} })
case("linear_backward_weight", "no samples", {
  sum { 1, 2, values = { { 1, 2 } } }, sum { 1, values = { 3 } }, input { 0, 1 }, input { 0, 2 }, 1,
}, { { { 1, 2 } }, { 3 } })
case("linear_backward_weight", "no bias, scaled", { sum { 7, 5 }, "nil", input { 31, 7 }, input { 31, 5 }, -0.25 })

wrong("linear_forward", 3, { "weight is 4x2", "K,C with C = 3", "x 2x3" },
  { output { 2, 4 }, input { 2, 3 }, input { 4, 2 }, input { 4 } })
wrong("linear_forward", 4, { "bias is 3", "K with K = 4", "weight 4x3" },
  { output { 2, 4 }, input { 2, 3 }, input { 4, 3 }, input { 3 } })
wrong("linear_forward", 1, { "y is 2x3", "N,K with K = 4" },
  { output { 2, 3 }, input { 2, 3 }, input { 4, 3 }, input { 4 } })
wrong("linear_forward", 2, { "x is a view of 2x3", "contiguous" },
  { output { 2, 4 }, input { 2, 3, layout = "gaps" }, input { 4, 3 }, input { 4 } })
wrong("linear_forward", 3, { "weight is half; expected float, which goes with x in half" },
  { output { 2, 4 }, input { 2, 3 }, input { 4, 3, dtype = "half" }, input { 4 }, dtype = "half" })
wrong("linear_backward_data", 3, { "weight is 3x3", "K,C with K = 4", "dy 2x4" },
  { output { 2, 3 }, input { 2, 4 }, input { 3, 3 } })
wrong("linear_backward_data", 1, { "dx is 3x3", "N,C with N = 2" }, { output { 3, 3 }, input { 2, 4 }, input { 4, 3 } })
wrong("linear_backward_weight", 4, { "x is 3x3", "N,C with N = 2", "dy 2x4" },
  { sum { 4, 3 }, sum { 4 }, input { 2, 4 }, input { 3, 3 }, 1 })
wrong("linear_backward_weight", 1, { "dweight is 3x4", "K,C with K = 4" },
  { sum { 3, 4 }, sum { 4 }, input { 2, 4 }, input { 2, 3 }, 1 })
wrong("linear_backward_weight", 5, { "scale is %-?nan", "finite" },
  { sum { 4, 3 }, sum { 4 }, input { 2, 4 }, input { 2, 3 }, 0 / 0 })

lists.gradient {
  name = "linear",
  covers = { "linear_forward", "linear_backward_data", "linear_backward_weight" },
  inputs = { x = input { 3, 5 }, weight = input { 4, 5 }, bias = input { 4 } },
  output = { 3, 4 },
  forward = function(y, t) core.linear_forward(y, t.x, t.weight, t.bias) end,
  backward = function(d, dy, t)
    core.linear_backward_data(d.x, dy, t.weight)
    core.linear_backward_weight(d.weight, d.bias, dy, t.x, 1)
  end,
}

return lists
