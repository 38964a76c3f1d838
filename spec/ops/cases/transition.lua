-- The transition's operations: scale-shift-ReLU, means over windows of 2x2 and a 1x1 convolution as one.

local operation = require "spec.support.operation"
local core = require "densenet.core"
local input, output, sum, same, literal =
  operation.input, operation.output, operation.sum, operation.same, operation.literal
local lists = operation.lists()
local case, wrong = lists.case, lists.wrong

-- By PyTorch 2.15 (relu, avg_pool2d, conv2d and autograd in double). The last column fills no window.
local x = { { { { -4, 0, 1 }, { 3, 1, 2 } }, { { 4, -1, 0 }, { 2, -2, 1 } } },
  { { { 3, -2, 2 }, { 1, 5, 0 } }, { { 2, -3, 1 }, { 0, 1, 1 } } } }
local norm = { { 1, -1 }, { 0.5, 2 }, { 2, -1 }, { -1, 0.5 } }
local weight = { { { { 1 } }, { { -2 } } }, { { { 0.5 } }, { { 3 } } }, { { { -1 } }, { { 1 } } } }
local dy = { { { { -2 } }, { { 2 } }, { { 1 } } }, { { { 0 } }, { { -1 } }, { { 4 } } } }

case("transition_forward", "by hand", {
  output { 2, 3, 1, 1 }, output { 2, 3 }, literal(x), literal(norm), literal(weight),
}, {
  { { { { -0.5 } }, { { 3.75 } }, { { -0.5 } } }, { { { 1.75 } }, { { 4.875 } }, { { -2.75 } } } },
  { { 0.625, 4.3125, -1.625 }, { 1.265625, 0.31640625, 1.265625 } },
})
local ones = { { { { 1 } }, { { 1 } } }, { { { 1 } }, { { 1 } } }, { { { 1 } }, { { 1 } } } }
case("transition_backward", "by hand", {
  output { 2, 2, 2, 3 }, output { 2, 2 }, sum { 3, 2, 1, 1, values = ones }, literal(dy), literal(x), literal(norm),
  literal(weight), false, 2,
}, {
  { { { { 0, 0, 0 }, { -1, -1, 0 } }, { { 0, -2.75, 0 }, { 0, -2.75, 0 } } },
    { { { -2.25, 0, 0 }, { -2.25, -2.25, 0 } }, { { 0, -0.25, 0 }, { -0.25, 0, 0 } } } },
  { { -4.375, 6 }, { -3.875, -6 } },
  { { { { -5 } }, { { -3 } } }, { { { -0.5 } }, { { 3 } } }, { { { 34 } }, { { 11 } } } },
})

for _, sizes in ipairs {
  { 1, 1, 1, 2, 2 }, { 2, 5, 3, 3, 9 }, { 3, 12, 13, 7, 8 }, { 2, 24, 12, 16, 16 }, { 1, 50, 25, 7, 7 },
  { 4, 3, 2, 2, 31 },
} do
  local n, c, k, h, w = table.unpack(sizes)
  for _, layout in ipairs { "contiguous", "channels" } do
    local rows = layout == "channels" and "gaps" or nil
    local name = ("%dx%dx%dx%d to %d, %s"):format(n, c, h, w, k, layout)
    local function image(make, channels, height, width) return make { n, channels, height, width, layout = layout } end
    case("transition_forward", name, {
      image(output, k, h // 2, w // 2), layout == "channels" and output { 2, k, layout = rows } or "nil",
      image(input, c, h, w), input { 4, c, layout = rows }, input { k, c, 1, 1 },
    })
    for _, accumulate in ipairs { true, false } do
      case("transition_backward", name .. (accumulate and ", added" or ", a frozen weight"), {
        image(accumulate and sum or output, c, h, w), output { 2, c, layout = rows },
        accumulate and sum { k, c, 1, 1 } or "nil", image(input, k, h // 2, w // 2), image(input, c, h, w),
        input { 4, c, layout = rows }, input { k, c, 1, 1 }, accumulate, -0.5,
        accumulate and sum { c } or "nil", accumulate and sum { c } or "nil",
        rows and (accumulate and sum or output) { 3, c, layout = rows } or "nil",
      })
    end
  end
end

-- Misuse -----------------------------------------------------------------------------------------

local function changed(arguments, changes)
  for number, value in pairs(changes) do arguments[number] = value end
  return arguments
end

local function forward_arguments(changes)
  return changed({ output { 4, 5, 3, 2 }, output { 2, 5 }, input { 4, 6, 7, 5 }, input { 4, 6 }, input { 5, 6, 1, 1 } },
    changes)
end
wrong("transition_forward", 5, { "weight is 5x6x3x3", "1x1" }, forward_arguments { [5] = input { 5, 6, 3, 3 } })
wrong("transition_forward", 3, { "x is 4x6x1x5", "at least 2x2" },
  forward_arguments { [1] = output { 4, 5, 1, 2 }, [3] = input { 4, 6, 1, 5 } })
wrong("transition_forward", 1, { "y is 4x5x7x5", "planes of 3x2", "x 4x6x7x5" },
  forward_arguments { [1] = output { 4, 5, 7, 5 } })
wrong("transition_forward", 2, { "stats is 2x6", "2,K with K = 5" }, forward_arguments { [2] = output { 2, 6 } })
wrong("transition_forward", 4, { "norm is 2x6", "expected 4,C" }, forward_arguments { [4] = input { 2, 6 } })

local function backward_arguments(changes)
  return changed({
    output { 4, 6, 7, 5 }, output { 2, 6 }, sum { 5, 6, 1, 1 }, input { 4, 5, 3, 2 }, input { 4, 6, 7, 5 },
    input { 4, 6 }, input { 5, 6, 1, 1 }, false, 1,
  }, changes)
end
wrong("transition_backward", 4, { "dy is 4x5x3x3", "planes of 3x2" }, backward_arguments { [4] = input { 4, 5, 3, 3 } })
wrong("transition_backward", 7, { "weight is 5x6x2x2", "1x1" },
  backward_arguments { [3] = "nil", [7] = input { 5, 6, 2, 2 } })
wrong("transition_backward", 1, { "dx overlaps x" }, backward_arguments { [1] = same(5) })
wrong("transition_backward", 2, { "dnorm is 3x6", "expected 2,C" }, backward_arguments { [2] = output { 3, 6 } })
wrong("transition_backward", 9, { "scale is inf", "finite" }, backward_arguments { [9] = math.huge })
wrong("transition_backward", 11, { "dbeta is missing", "together with dgamma" },
  backward_arguments { [10] = sum { 6 }, [11] = "nil", [12] = "nil" })
wrong("transition_backward", 12, { "dx_deferred is 3x5", "3,C with C = 6" },
  backward_arguments { [10] = "nil", [11] = "nil", [12] = output { 3, 5 } })

-- Gradients: with the batch's statistics, as a transition has them -----------------------------------

local function new(...) return core.tensor_new("cpu", "double", { ... }) end

for _, p in ipairs { { 4, 4 }, { 3, 5 } } do
  local h, w = table.unpack(p)
  local n_values = 2 * h * w
  lists.gradient {
    name = ("a transition of %dx%d with its batch's statistics"):format(h, w),
    covers = { "transition_forward", "transition_backward" },
    inputs = { x = input { 2, 3, h, w }, gamma = input { 3 }, beta = input { 3 }, weight = input { 2, 3, 1, 1 } },
    output = { 2, 2, h // 2, w // 2 },
    forward = function(y, t)
      local stats = new(2, 3)
      t.norm = t.norm or new(4, 3)
      core.channel_stats(stats, t.x)
      core.norm_table(t.norm, nil, nil, stats, t.gamma, t.beta, n_values, 0, 1e-3)
      core.transition_forward(y, nil, t.x, t.norm, t.weight)
    end,
    backward = function(d, dy_, t)
      local dnorm, deferred = new(2, 3), new(3, 3)
      core.transition_backward(d.x, dnorm, d.weight, dy_, t.x, t.norm, t.weight, false, 1, d.gamma, d.beta, deferred)
      core.deferred_apply(d.x, t.x, deferred)
    end,
  }
end

return lists
