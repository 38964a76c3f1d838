-- Evaluation's convolutions: by each of the three ways, with a norm before, behind, on both sides or on none. Packed
-- weights are in spec/ops/folded_spec.lua.

local core = require "densenet.core"
local operation = require "spec.support.operation"
local input, output, literal = operation.input, operation.output, operation.literal
local lists = operation.lists()
local case, wrong = lists.tiled_case, lists.wrong

-- By hand, from the numbers of norm_relu_conv_forward (spec/ops/cases/dense.lua).
local x = { { { { -4, 0 }, { 3, 1 } }, { { 4, -1 }, { 2, -2 } } },
  { { { 3, -2 }, { 1, 5 } }, { { 2, -3 }, { 0, 1 } } } }
local before = { { 1, -1 }, { 0.5, 2 }, { 2, -1 }, { -1, 0.5 } }
local after = { { 9, 9, 9 }, { 9, 9, 9 }, { 2, -1, 0.5 }, { 1, 3, 1 } }
local w1 = { { { { 1 } }, { { -2 } } }, { { { 0.5 } }, { { 3 } } }, { { { -1 } }, { { 1 } } } }
local w3 = { { { { 1, 2, 0 }, { 0, -1, 3 }, { 2, 0, 1 } }, { { -1, 0, 1 }, { 2, 1, 0 }, { 0, -2, 1 } } } }

case("folded_conv", "1x1, by hand", {
  output { 2, 3, 2, 2 }, literal(x), literal(before), literal(w1), "nil", "nil", 1, 1, 0, 0, 1,
}, { {
  { { { 0, -3 }, { 5, -4 } }, { { 0, 4.5 }, { 2.5, 8 } }, { { 0, 1.5 }, { -5, 1.5 } } },
  { { { 5, -7 }, { 0, 9 } }, { { 2.5, 10.5 }, { 2, 4.5 } }, { { -5, 3.5 }, { -0.5, -9 } } },
} })
case("folded_conv", "1x1, a norm behind, by hand", {
  output { 2, 3, 2, 2 }, literal(x), literal(before), literal(w1), literal(after), "nil", 1, 1, 0, 0, 1,
}, { {
  { { { 1, 0 }, { 11, 0 } }, { { 3, 0 }, { 0.5, 0 } }, { { 1, 1.75 }, { 0, 1.75 } } },
  { { { 11, 0 }, { 1, 19 } }, { { 0.5, 0 }, { 1, 0 } }, { { 0, 2.75 }, { 0.75, 0 } } },
} })
case("folded_conv", "3x3, by hand", {
  output { 2, 1, 2, 2 }, literal(x), literal(before), literal(w3), "nil", "nil", 1, 1, 1, 1, 1,
}, { { { { { 3.5, 6.5 }, { -0.5, 1.5 } } }, { { { 3, 5.5 }, { 40, -3 } } } } })
case("folded_conv", "3x3, a norm behind, by hand", {
  output { 2, 1, 2, 2 }, literal(x), literal(before), literal(w3), literal { { 9 }, { 9 }, { -2 }, { 10 } }, "nil",
  1, 1, 1, 1, 1,
}, { { { { { 3, 0 }, { 11, 7 } } }, { { { 4, 0 }, { 0, 16 } } } } })
-- Row 1 of the sums: x of channel 1 alone, every second line and column.
case("folded_conv", "2x2 with strides 2 and padding 1, by hand", {
  output { 2, 1, 2, 2 }, literal(x), "nil", literal { { { { 1, 2 }, { 3, 4 } }, { { 0, 0 }, { 0, 0 } } } }, "nil",
  "nil", 2, 2, 1, 1, 1,
}, { { { { { -16, 0 }, { 6, 1 } } }, { { { 12, -6 }, { 2, 5 } } } } })

-- n, c, h, w, k, r, s, stride h w, padding h w
local geometries = {
  { 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0 },
  { 1, 1, 1, 1, 1, 3, 3, 1, 1, 1, 1 },
  { 1, 64, 14, 14, 48, 1, 1, 1, 1, 0, 0 },  -- few pixels: output channels are shared
  { 3, 150, 7, 7, 13, 1, 1, 1, 1, 0, 0 },
  { 2, 12, 33, 31, 24, 1, 1, 1, 1, 0, 0 },
  { 1, 48, 32, 32, 12, 3, 3, 1, 1, 1, 1 },
  { 5, 20, 7, 7, 12, 3, 3, 1, 1, 1, 1 },    -- tiles of several images at once, which hang over
  { 3, 12, 31, 33, 8, 3, 3, 1, 1, 1, 1 },
  { 1, 5, 1, 40, 3, 3, 3, 1, 1, 1, 1 },
  { 2, 3, 40, 1, 4, 3, 3, 1, 1, 1, 1 },
  { 2, 3, 33, 35, 8, 7, 7, 2, 2, 3, 3 },    -- a stem
  { 2, 12, 9, 11, 8, 3, 3, 1, 1, 3, 3 },
  { 2, 12, 31, 33, 5, 1, 1, 2, 2, 0, 0 },
  { 3, 5, 13, 8, 7, 5, 1, 3, 1, 2, 0 },
  { 5, 2, 1, 40, 3, 1, 5, 1, 2, 0, 2 },
  { 2, 4, 5, 5, 3, 2, 2, 3, 3, 0, 0 },
}
local SIDES = { { true, true }, { true, false }, { false, true }, { false, false } }

local function add(g, i, layout)
  local n, c, h, w, k, r, s, sh, sw, ph, pw = table.unpack(g)
  local p, q = (h + 2 * ph - r) // sh + 1, (w + 2 * pw - s) // sw + 1
  local values = n * k * p * q == 1 and "positive" or "any"
  local side = SIDES[i % #SIDES + 1]
  local rows = layout and "gaps" or nil
  case("folded_conv", ("%dx%dx%dx%d, %d of %dx%d, stride %dx%d, padding %dx%d"):format(table.unpack(g))
    .. (side[1] and ", a norm before" or "") .. (side[2] and ", a norm behind" or "") .. (layout and ", views" or ""), {
      output { n, k, p, q, layout = layout }, input { n, c, h, w, layout = layout, values = values },
      side[1] and input { 4, c, layout = rows, values = values } or "nil", input { k, c, r, s, values = values },
      side[2] and input { 4, k, layout = rows, values = values } or "nil",
      "nil", sh, sw, ph, pw, 1,
    })
end
for i, g in ipairs(geometries) do
  add(g, i)
  add(g, i + 2)
end
for i, layout in ipairs { "channels", "images" } do
  add({ 3, 12, 8, 9, 12, 3, 3, 1, 1, 1, 1 }, i, layout)
  add({ 3, 12, 8, 9, 6, 1, 1, 1, 1, 0, 0 }, i + 1, layout)
  add({ 3, 12, 8, 9, 6, 3, 3, 2, 2, 1, 1 }, i + 2, layout)
end

-- Panels have as many rows as the processor's vectors want.
local rows, step = 6, 3
if core.testing.tiles()[1] == "avx512" then rows, step = 12, 4 end
local packed = { rows, step, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
for column = 1, 2 do -- of one output channel, times its scale: 2
  packed[#packed + 1] = ({ 6, -8 })[column]
  for _ = 2, step do packed[#packed + 1] = 0 end
end
for _ = #packed + 1, core.folded_conv_count({ 1, 2, 1, 1 }, 1, 1, 0, 0, 1) do packed[#packed + 1] = 0 end
lists.case("folded_conv_pack", "1x1, by hand", {
  output { #packed }, literal { { { { 3 } }, { { -4 } } } }, literal { { 9 }, { 9 }, { 2 }, { 9 } }, 1, 1, 0, 0, 1,
}, { packed })
for _, g in ipairs { { 13, 5, 1, 1, 0 }, { 12, 7, 3, 3, 1 }, { 5, 3, 7, 7, 3 } } do
  local k, c, r, s, pad = table.unpack(g)
  lists.case("folded_conv_pack", ("%dx%dx%dx%d"):format(k, c, r, s), {
    output { core.folded_conv_count({ k, c, r, s }, 1, 1, pad, pad, 1) }, input { k, c, r, s },
    k == 5 and "nil" or input { 4, k, layout = "gaps" }, 1, 1, pad, pad, 1,
  })
end

local function arguments(changes)
  local list = {
    output { 2, 8, 6, 7 }, input { 2, 5, 6, 7 }, input { 4, 5 }, input { 8, 5, 3, 3 }, input { 4, 8 },
    input { core.folded_conv_count({ 8, 5, 3, 3 }, 1, 1, 1, 1, 1) }, 1, 1, 1, 1, 1,
  }
  for number, value in pairs(changes) do list[number] = value end
  return list
end
wrong("folded_conv", 4, { "8x4x3x3", "C = 5" }, arguments { [4] = input { 8, 4, 3, 3 } })
wrong("folded_conv", 3, { "4x6", "C = 5" }, arguments { [3] = input { 4, 6 } })
wrong("folded_conv", 5, { "4x7", "K = 8" }, arguments { [5] = input { 4, 7 } })
wrong("folded_conv", 6, { "packed has 3 values; expected %d+, for a weight of 8x5x3x3" },
  arguments { [6] = input { 3 } })
wrong("folded_conv", 1, { "2x8x6x6", "expected planes of 6x7", "x 2x5x6x7" }, arguments { [1] = output { 2, 8, 6, 6 } })
wrong("folded_conv", 11, { "groups is 2; expected 1" }, arguments { [11] = 2 })
wrong("folded_conv", 7, { "stride along the height is 0; expected 1 or more" }, arguments { [7] = 0 })
wrong("folded_conv_pack", 1, { "packed has 3 values; expected %d+" },
  { output { 3 }, input { 8, 5, 3, 3 }, input { 4, 8 }, 1, 1, 1, 1, 1 })
wrong("folded_conv_pack", 3, { "4x7", "K = 8" }, { output { core.folded_conv_count({ 8, 5, 3, 3 }, 1, 1, 1, 1, 1) },
  input { 8, 5, 3, 3 }, input { 4, 7 }, 1, 1, 1, 1, 1 })
wrong("folded_conv_pack", 8, { "groups is 3; expected 1" }, { output {
  core.folded_conv_count({ 9, 6, 3, 3 }, 1, 1, 1, 1, 1) }, input { 9, 6, 3, 3 }, input { 4, 9 }, 1, 1, 1, 1, 3 })

return lists
