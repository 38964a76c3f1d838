-- Convolutions, each geometry in all three directions.

local operation = require "spec.support.operation"
local core = require "densenet.core"
local input, output, sum, literal = operation.input, operation.output, operation.sum, operation.literal
local lists = operation.lists()
local case, wrong = lists.case, lists.wrong

-- By PyTorch 1.13 (torch.nn.functional.conv2d and autograd); all numbers are exact.
local x = {
  { { { -3, 0, 3 }, { -1, 2, -2 }, { 1, -3, 0 } }, { { 3, -1, 2 }, { -2, 1, -3 }, { 0, 3, -1 } },
    { { 2, -2, 1 }, { -3, 0, 3 }, { -1, 2, -2 } }, { { 1, -3, 0 }, { 3, -1, 2 }, { -2, 1, -3 } } },
}
local weight = {
  { { { -2, 0 }, { 2, -1 } }, { { 1, -2 }, { 0, 2 } } }, { { { -1, 1 }, { -2, 0 } }, { { 2, -1 }, { 1, -2 } } },
  { { { 0, 2 }, { -1, 1 } }, { { -2, 0 }, { 2, -1 } } }, { { { 1, -2 }, { 0, 2 } }, { { -1, 1 }, { -2, 0 } } },
}
local dy_plane = { { -1, 0 }, { 1, 2 } }
local dy = { { dy_plane, dy_plane, dy_plane, dy_plane } }
case("conv2d_forward", "2 groups, stride 2x1, padding 1x0, by hand", {
  output { 1, 4, 2, 2 }, literal(x), literal(weight), literal { 1, -1, 2, 0.5 }, 2, 1, 1, 0, 2,
}, { { { { { -7, 2 }, { 10, -4 } }, { { 10, -6 }, { -11, 11 } }, { { 3, -1 }, { -6, 11 } },
  { { -5.5, 8.5 }, { 1.5, -8.5 } } } } })
case("conv2d_backward_data", "2 groups, stride 2x1, padding 1x0, by hand", {
  output { 1, 4, 3, 3 }, literal(dy), literal(weight), 2, 1, 1, 0, 2,
}, { { {
  { { 0, 1, 0 }, { -3, -5, 2 }, { 0, -1, -2 } }, { { -1, 0, 0 }, { 3, 3, -6 }, { 1, 2, 0 } },
  { { 1, -3, 0 }, { 1, 2, 0 }, { -1, 1, 6 } }, { { 0, 1, 0 }, { -3, -5, 2 }, { 0, -1, -2 } },
} } })
local zero_plane = { { 0, 0 }, { 0, 0 } }
local zero_pair = { zero_plane, zero_plane }
local dweight_a = { { { 3, -2 }, { -2, -3 } }, { { 0, -5 }, { 3, 2 } } }
local dweight_b = { { { -3, 6 }, { 1, 0 } }, { { 1, 3 }, { -1, -2 } } }
case("conv2d_backward_weight", "2 groups, stride 2x1, padding 1x0, by hand", {
  sum { 4, 2, 2, 2, values = { zero_pair, zero_pair, zero_pair, zero_pair } }, sum { 4, values = { 0, 0, 0, 1 } },
  literal(dy), literal(x), 2, 1, 1, 0, 2, 1,
}, { { dweight_a, dweight_a, dweight_b, dweight_b }, { 2, 2, 2, 3 } })
case("conv2d_forward", "3x3, padding 1, by hand", {
  output { 1, 1, 3, 3 },
  literal { { { { -5, -2, 1 }, { 4, -4, -1 }, { 2, 5, -3 } }, { { 0, 3, -5 }, { -2, 1, 4 }, { -4, -1, 2 } } } },
  literal { { { { -2, 1, -1 }, { 2, 0, -2 }, { 1, -1, 2 } }, { { 0, -2, 1 }, { -1, 2, 0 }, { -2, 1, -1 } } } },
  "nil", 1, 1, 1, 1, 1,
}, { { { { { -11, 1, -18 }, { 9, 6, 26 }, { -5, 3, 14 } } } } })

-- n, c, h, w, k, r, s, stride h w, padding h w, groups
local geometries = {
  { 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1 },
  { 1, 1, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1 },      -- a kernel that sees mostly padding
  { 2, 3, 32, 32, 16, 3, 3, 1, 1, 1, 1, 1 },   -- a stem
  { 2, 48, 32, 32, 12, 3, 3, 1, 1, 1, 1, 1 },  -- a dense layer
  { 2, 150, 16, 16, 48, 1, 1, 1, 1, 0, 0, 1 }, -- a bottleneck
  { 3, 12, 31, 33, 12, 3, 3, 1, 1, 1, 1, 1 },
  { 3, 27, 14, 15, 24, 3, 3, 1, 1, 1, 1, 3 },  -- Winograd's tiles, in groups
  { 1, 150, 28, 13, 32, 3, 3, 1, 1, 1, 1, 1 }, -- and in bands
  { 2, 12, 33, 31, 24, 3, 3, 2, 2, 1, 1, 1 },  -- odd planes, stride 2
  { 2, 12, 31, 33, 5, 1, 1, 2, 2, 0, 0, 1 },
  { 2, 3, 33, 35, 8, 7, 7, 2, 2, 3, 3, 1 },
  { 1, 150, 7, 7, 150, 3, 3, 1, 1, 1, 1, 1 },
  { 2, 12, 9, 11, 8, 3, 3, 1, 1, 3, 3, 1 },    -- more padding than needed
  { 2, 12, 9, 11, 8, 1, 1, 1, 1, 2, 1, 1 },
  { 2, 12, 10, 9, 18, 3, 3, 1, 1, 1, 1, 3 },
  { 2, 12, 10, 9, 12, 3, 3, 2, 1, 1, 1, 12 },  -- one channel a group
  { 2, 12, 10, 9, 18, 1, 1, 1, 1, 0, 0, 6 },
  { 3, 5, 13, 8, 7, 1, 3, 1, 1, 0, 1, 1 },
  { 3, 5, 13, 8, 7, 5, 1, 3, 1, 2, 0, 1 },
  { 2, 4, 6, 7, 3, 6, 7, 1, 1, 0, 0, 1 },      -- the kernel is the plane
  { 2, 4, 5, 5, 3, 2, 2, 3, 3, 0, 0, 1 },      -- a last row that no window reaches
  { 5, 2, 1, 40, 3, 1, 5, 1, 2, 0, 2, 1 },
}

local function each_direction(g, name, layout)
  local n, c, h, w, k, r, s, sh, sw, ph, pw, groups = table.unpack(g)
  local p, q = (h + 2 * ph - r) // sh + 1, (w + 2 * pw - s) // sw + 1
  -- A lone number is judged by itself: nothing may cancel.
  local values = n * k * p * q == 1 and "positive" or "any"
  case("conv2d_forward", name, {
    output { n, k, p, q, layout = layout }, input { n, c, h, w, layout = layout, values = values },
    input { k, c // groups, r, s, values = values }, input { k, values = values }, sh, sw, ph, pw, groups,
  })
  case("conv2d_backward_data", name, {
    output { n, c, h, w, layout = layout }, input { n, k, p, q, layout = layout }, input { k, c // groups, r, s },
    sh, sw, ph, pw, groups,
  })
  case("conv2d_backward_weight", name, {
    sum { k, c // groups, r, s }, sum { k }, input { n, k, p, q, layout = layout },
    input { n, c, h, w, layout = layout }, sh, sw, ph, pw, groups, 1,
  })
end

for _, g in ipairs(geometries) do
  each_direction(g, ("%dx%dx%dx%d, %d of %dx%d, stride %dx%d, padding %dx%d, %d groups"):format(table.unpack(g)))
end
for _, layout in ipairs { "channels", "images" } do
  each_direction({ 3, 12, 8, 9, 12, 3, 3, 1, 1, 1, 1, 1 }, "3x3, views of " .. layout, layout)
  each_direction({ 3, 12, 8, 9, 6, 1, 1, 1, 1, 0, 0, 1 }, "1x1, views of " .. layout, layout)
  each_direction({ 3, 12, 8, 9, 6, 3, 3, 2, 2, 1, 1, 2 }, "2 groups, stride 2, views of " .. layout, layout)
end
case("conv2d_forward", "an expanded batch", {
  output { 3, 2, 4, 4 }, input { 3, 5, 4, 4, layout = "expanded" }, input { 2, 5, 3, 3 }, "nil", 1, 1, 1, 1, 1,
})
case("conv2d_backward_weight", "no bias, scaled", {
  sum { 6, 5, 3, 3 }, "nil", input { 2, 6, 8, 8 }, input { 2, 5, 8, 8 }, 1, 1, 1, 1, 1, -0.25,
})

local function forward_arguments(changes)
  local arguments = {
    output { 8, 64, 32, 32 }, input { 8, 16, 32, 32 }, input { 64, 16, 3, 3 }, input { 64 }, 1, 1, 1, 1, 1,
  }
  for number, value in pairs(changes) do arguments[number] = value end
  return arguments
end
wrong("conv2d_forward", 3, { "weight 64x16x3x3 takes 16 input channels", "input 8x3x32x32 has 3" },
  forward_arguments { [2] = input { 8, 3, 32, 32 } })
wrong("conv2d_forward", 3, { "weight 64x16x3x3 takes 16 input channels a group", "has 8" },
  forward_arguments { [9] = 2 })
wrong("conv2d_forward", 1, { "8x64x30x30", "expected planes of 32x32", "input 8x16x32x32" },
  forward_arguments { [1] = output { 8, 64, 30, 30 } })
wrong("conv2d_forward", 1, { "7x64x32x32", "N,K,P,Q with N = 8" },
  forward_arguments { [1] = output { 7, 64, 32, 32 } })
wrong("conv2d_forward", 2, { "16x32x32", "4 dimensions, N,C,H,W" }, forward_arguments { [2] = input { 16, 32, 32 } })
wrong("conv2d_forward", 2, { "0x16x32x32", "at least one element" },
  forward_arguments { [2] = input { 0, 16, 32, 32 }, [1] = output { 0, 64, 32, 32 } })
wrong("conv2d_forward", 2, { "8x0x32x32", "at least one element" },
  forward_arguments { [2] = input { 8, 0, 32, 32 }, [3] = input { 64, 0, 3, 3 } })
wrong("conv2d_forward", 2, { "gaps within its planes", "32x32" },
  forward_arguments { [2] = input { 8, 16, 32, 32, layout = "gaps" } })
wrong("conv2d_forward", 3, { "weight", "contiguous" },
  forward_arguments { [3] = input { 64, 16, 3, 3, layout = "channels" } })
wrong("conv2d_forward", 4, { "bias is 16", "K with K = 64" }, forward_arguments { [4] = input { 16 } })
wrong("conv2d_forward", 4, { "bias is double", "expected float" },
  forward_arguments { [4] = input { 64, dtype = "double" } })
wrong("conv2d_forward", 3, { "kernel height is 35", "at most the padded input's, 32 %+ 2 x 1" },
  forward_arguments { [3] = input { 64, 16, 35, 3 } })
wrong("conv2d_forward", 3, { "kernel width is 35", "at most the padded input's, 32 %+ 2 x 1" },
  forward_arguments { [3] = input { 64, 16, 3, 35 } })
wrong("conv2d_forward", 5, { "stride along the height is 0", "1 or more" }, forward_arguments { [5] = 0 })
wrong("conv2d_forward", 6, { "stride along the width is %-1", "1 or more" }, forward_arguments { [6] = -1 })
wrong("conv2d_forward", 7, { "padding along the height is %-1", "expected 0 to" }, forward_arguments { [7] = -1 })
wrong("conv2d_forward", 8, { "padding along the width is 9223372036854775807", "expected 0 to" },
  forward_arguments { [8] = math.maxinteger })
wrong("conv2d_forward", 9, { "groups is 5", "divisor of 16 input and 64 output channels" },
  forward_arguments { [9] = 5 })
wrong("conv2d_forward", 9, { "groups is 0", "divisor" }, forward_arguments { [9] = 0 })
wrong("conv2d_forward", 2, { "input is long", "float, double, half or bfloat16" },
  { dtype = "long", table.unpack(forward_arguments {}) })

wrong("conv2d_backward_data", 2, { "2x4x8x8", "expected planes of 6x6", "dx 2x3x8x8" },
  { output { 2, 3, 8, 8 }, input { 2, 4, 8, 8 }, input { 4, 3, 3, 3 }, 1, 1, 0, 0, 1 })
wrong("conv2d_backward_data", 3, { "weight 4x2x3x3 takes 2 input channels", "dx 2x3x8x8 has 3" },
  { output { 2, 3, 8, 8 }, input { 2, 4, 8, 8 }, input { 4, 2, 3, 3 }, 1, 1, 1, 1, 1 })
wrong("conv2d_backward_data", 4, { "stride along the height is 0" },
  { output { 2, 3, 8, 8 }, input { 2, 4, 8, 8 }, input { 4, 3, 3, 3 }, 0, 1, 1, 1, 1 })
wrong("conv2d_backward_weight", 1, { "dweight 4x2x3x3 takes 2 input channels", "x 2x3x8x8 has 3" },
  { sum { 4, 2, 3, 3 }, sum { 4 }, input { 2, 4, 8, 8 }, input { 2, 3, 8, 8 }, 1, 1, 1, 1, 1, 1 })
wrong("conv2d_backward_weight", 3, { "dy is 2x5x8x8", "N,K,P,Q with K = 4" },
  { sum { 4, 3, 3, 3 }, sum { 4 }, input { 2, 5, 8, 8 }, input { 2, 3, 8, 8 }, 1, 1, 1, 1, 1, 1 })
wrong("conv2d_backward_weight", 2, { "dbias is 3", "K with K = 4" },
  { sum { 4, 3, 3, 3 }, sum { 3 }, input { 2, 4, 8, 8 }, input { 2, 3, 8, 8 }, 1, 1, 1, 1, 1, 1 })
wrong("conv2d_backward_weight", 10, { "scale is inf", "finite" },
  { sum { 4, 3, 3, 3 }, sum { 4 }, input { 2, 4, 8, 8 }, input { 2, 3, 8, 8 }, 1, 1, 1, 1, 1, math.huge })

for _, g in ipairs {
  { 2, 3, 5, 6, 4, 3, 3, 1, 1, 1, 1, 1 }, { 2, 4, 5, 6, 6, 3, 2, 2, 1, 1, 1, 2 },
  { 2, 3, 4, 5, 2, 1, 1, 1, 1, 0, 0, 1 }, { 1, 2, 5, 3, 2, 1, 1, 2, 2, 1, 2, 1 },
} do
  local n, c, h, w, k, r, s, sh, sw, ph, pw, groups = table.unpack(g)
  lists.gradient {
    name = ("conv2d %dx%d, stride %dx%d, %d groups"):format(r, s, sh, sw, groups),
    covers = { "conv2d_forward", "conv2d_backward_data", "conv2d_backward_weight" },
    inputs = { x = input { n, c, h, w }, weight = input { k, c // groups, r, s }, bias = input { k } },
    output = { n, k, (h + 2 * ph - r) // sh + 1, (w + 2 * pw - s) // sw + 1 },
    forward = function(y, t) core.conv2d_forward(y, t.x, t.weight, t.bias, sh, sw, ph, pw, groups) end,
    backward = function(d, dy_, t)
      core.conv2d_backward_data(d.x, dy_, t.weight, sh, sw, ph, pw, groups)
      core.conv2d_backward_weight(d.weight, d.bias, dy_, t.x, sh, sw, ph, pw, groups, 1)
    end,
  }
end

return lists
