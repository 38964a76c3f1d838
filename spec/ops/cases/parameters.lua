-- The update of parameters.

local operation = require "spec.support.operation"
local input, state, sum, literal = operation.input, operation.state, operation.sum, operation.literal
local lists = operation.lists()
local function case(...) lists.case("sgd_step", ...) end
local function wrong(...) lists.wrong("sgd_step", ...) end

-- By PyTorch 1.13 (torch.optim.SGD, learning rate 0.1, momentum 0.9, weight decay 0.01): two steps each.
local function by_hand(name, dampening, nesterov, steps)
  for i, step in ipairs(steps) do
    case(("%s, step %d, by hand"):format(name, i), {
      state { 3, values = step.p }, state { 3, values = step.v }, literal(step.g),
      0.1, 0.9, dampening, 0.01, nesterov, i == 1,
    }, { step.new_p, step.new_v })
  end
end
local p, g1, g2 = { 1, -2, 0.5 }, { 0.5, 1, -1 }, { -1, 0.25, 2 }
by_hand("Nesterov", 0, true, {
  { p = p, v = { 9, 9, 9 }, g = g1, new_p = { 0.9031, -2.1862, 0.68905 }, new_v = { 0.51, 0.98, -0.995 } },
  {
    p = { 0.9031, -2.1862, 0.68905 }, v = { 0.51, 0.98, -0.995 }, g = g2,
    new_p = { 1.05007411, -2.30892622, 0.388335805 }, new_v = { -0.531969, 1.110138, 1.1113905 },
  },
})
by_hand("dampening", 0.25, false, {
  { p = p, v = { 9, 9, 9 }, g = g1, new_p = { 0.949, -2.098, 0.5995 }, new_v = { 0.51, 0.98, -0.995 } },
  {
    p = { 0.949, -2.098, 0.5995 }, v = { 0.51, 0.98, -0.995 }, g = g2,
    new_p = { 0.97738825, -2.2033765, 0.538600375 }, new_v = { -0.2838825, 1.053765, 0.60899625 },
  },
})
case("no momentum, by hand", {
  state { 2, values = { 1, 2 } }, "nil", literal { 10, -10 }, 0.5, 0, 0, 0.25, false, false,
}, { { -4.125, 6.75 } })

for _, n in ipairs { 1, 31, 32, 33, 100001 } do
  case("Nesterov, length " .. n, { sum { n }, sum { n }, input { n }, 0.1, 0.9, 0, 1e-4, true, false })
  case("first, length " .. n, { sum { n }, sum { n }, input { n }, 0.1, 0.9, 0, 1e-4, true, true })
  case("plain, length " .. n, { sum { n }, "nil", input { n }, 0.1, 0, 0, 0, false, false })
end
case("a weight", { sum { 12, 4, 3, 3 }, sum { 12, 4, 3, 3 }, input { 12, 4, 3, 3 }, 0.1, 0.9, 0.1, 1e-4, false, false })
case("nothing", { sum { 0 }, sum { 0 }, input { 0 }, 0.1, 0.9, 0, 0, false, false })

wrong(2, { "velocity is missing", "momentum 0.9" }, { sum { 3 }, "nil", input { 3 }, 0.1, 0.9, 0, 0, true, false })
wrong(3, { "gradient is 4", "expected 3, as parameter is" },
  { sum { 3 }, sum { 3 }, input { 4 }, 0.1, 0.9, 0, 0, true, false })
wrong(2, { "velocity is 4", "expected 3, as parameter is" },
  { sum { 3 }, sum { 4 }, input { 3 }, 0.1, 0.9, 0, 0, true, false })
wrong(3, { "gradient is double", "expected float" },
  { sum { 3 }, sum { 3 }, input { 3, dtype = "double" }, 0.1, 0.9, 0, 0, true, false })
wrong(4, { "learning rate is %-?nan", "finite" }, { sum { 3 }, sum { 3 }, input { 3 }, 0 / 0, 0.9, 0, 0, true, false })
wrong(5, { "momentum is %-1", "0 or more" }, { sum { 3 }, sum { 3 }, input { 3 }, 0.1, -1, 0, 0, true, false })
wrong(7, { "weight decay is inf", "finite" },
  { sum { 3 }, sum { 3 }, input { 3 }, 0.1, 0.9, 0, math.huge, true, false })
wrong(1, { "parameter", "contiguous" },
  { sum { 3, 2, layout = "gaps" }, sum { 3, 2 }, input { 3, 2 }, 0.1, 0.9, 0, 0, true, false })

-- The learning rate in memory; a step that is skipped.
local number = operation.number
case("a rate in memory, by hand", {
  state { 2, values = { 1, 2 } }, "nil", literal { 10, -10 }, number(0.5), 0, 0, 0.25, false, false,
}, { { -4.125, 6.75 } })
case("skipped", {
  state { 2, values = { 1, 2 } }, state { 2, values = { 3, 4 } }, literal { 10, -10 }, 0.5, 0.9, 0, 0.25, true, false,
  number(1),
}, { { 1, 2 }, { 3, 4 } })
case("not skipped", {
  state { 2, values = { 1, 2 } }, "nil", literal { 10, -10 }, 0.5, 0, 0, 0.25, false, false, number(0),
}, { { -4.125, 6.75 } })
wrong(4, { "learning rate is float 1", "one double" },
  { sum { 3 }, "nil", input { 3 }, input { 1, dtype = "float" }, 0, 0, 0, false, false })
wrong(10, { "skip is double 2", "one double" },
  { sum { 3 }, "nil", input { 3 }, 0.1, 0, 0, 0, false, false, input { 2, dtype = "double" } })

-- loss_scale: scale, steps since it moved, steps skipped, skip; from what the gradients add up to.
for _, hand in ipairs {
  { "goes on", { 65536, 7, 2, 1 }, 12.5, { 65536, 8, 2, 0 } },
  { "doubles", { 512, 1999, 2, 0 }, -1e300, { 1024, 0, 2, 0 } },
  { "has a most", { 2 ^ 24, 1999, 0, 0 }, 0, { 2 ^ 24, 0, 0, 0 } },
  { "halves at infinity", { 512, 3, 4, 0 }, math.huge, { 256, 0, 5, 1 } },
  { "halves at NaN", { 2, 3, 4, 0 }, 0 / 0, { 1, 0, 5, 1 } },
  { "has a least", { 1, 3, 4, 0 }, -math.huge, { 1, 0, 5, 2 } },
} do
  lists.case("loss_scale", hand[1], { state { 4, values = hand[2], dtype = "double" },
    literal({ hand[3] }, { dtype = "double" }) }, { hand[4] })
end
lists.wrong("loss_scale", 1, { "state is 3", "4" }, { sum { 3, dtype = "double" }, input { 1, dtype = "double" } })
lists.wrong("loss_scale", 2, { "sum is 2" }, { sum { 4, dtype = "double" }, input { 2, dtype = "double" } })
lists.wrong("loss_scale", 1, { "state is float", "expected double" },
  { sum { 4, dtype = "float" }, input { 1, dtype = "float" } })

return lists
