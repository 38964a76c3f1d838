--- Calls of operations for spec/cuda/cuda_fused_spec.lua: fused_cases.forward and fused_cases.backward of the dense
-- layer, fused_cases.transition, and fused_cases.plain of plain convolutions; cases as spec/support/operation.lua has
-- them.

local operation = require "spec.support.operation"
local input, output, sum = operation.input, operation.output, operation.sum
local state, same = operation.state, operation.same

local fused_cases = {}

local ALIGNED, ODD = 64, 37 -- elements before a view: a multiple of 16 bytes in every dtype; of none

local function image(make, n, c, h, w, layout) return make { n, c, h, w, layout = layout } end

local function forward_case(n, c, k, h, w, side, layout, has_stats, margin)
  return {
    op = "norm_relu_conv_forward", margin = margin or ALIGNED,
    name = ("%dx%d %dx%dx%dx%d to %d%s%s"):format(side, side, n, c, h, w, k, layout and ", " .. layout or "",
      margin and ", odd" or ""),
    arguments = {
      image(output, n, k, h, w, layout), has_stats and output { 2, k } or "nil", image(input, n, c, h, w, layout),
      input { 4, c }, input { k, c, side, side },
    },
  }
end

local forward = {
  forward_case(1, 1, 1, 4, 4, 1, nil, true),          -- fewer pixels, channels and outputs than any tile
  forward_case(3, 12, 48, 8, 8, 1, "channels", true), -- images end within tiles
  forward_case(2, 40, 48, 8, 8, 1, "images", true),
  forward_case(5, 37, 13, 4, 4, 1, "channels", true), -- the last step of channels is not full
  forward_case(2, 150, 128, 8, 8, 1, "channels", true), -- slices of outputs
  forward_case(1, 17, 160, 8, 16, 1, nil, true),
  forward_case(1, 20, 48, 96, 96, 1, nil, true),      -- tiles of 64 pixels
  forward_case(2, 3, 5, 128, 128, 1, nil, true),      -- of 128, whose moments are added up in groups
  forward_case(2, 40, 48, 8, 8, 1, "channels", false),
  forward_case(3, 40, 48, 7, 7, 1, "channels", true),    -- planes that end within vectors
  forward_case(2, 20, 48, 14, 14, 1, "channels", true),  -- that begin within them
  forward_case(2, 20, 48, 8, 8, 1, nil, true, ODD),

  forward_case(1, 1, 1, 4, 4, 3, nil, true),
  forward_case(3, 48, 12, 8, 8, 3, "channels", true),    -- two images a tile, then one
  forward_case(1, 50, 17, 16, 16, 3, "images", true),    -- lines of an image; the last chunk of channels is not full
  forward_case(2, 12, 40, 5, 16, 3, "channels", true),   -- slices of outputs
  forward_case(1, 96, 32, 4, 56, 3, nil, true),
  forward_case(2, 7, 3, 16, 7, 3, "channels", true),     -- odd lines: vectors go on over their ends
  forward_case(1, 5, 9, 24, 11, 3, nil, true),           -- pairs that do not begin at even pixels
  forward_case(2, 3, 2, 3, 88, 3, nil, true),
  forward_case(3, 4, 2, 64, 64, 3, nil, true),           -- moments are added up in groups
  forward_case(2, 24, 12, 8, 8, 3, "channels", false),
  forward_case(3, 48, 12, 7, 7, 3, "channels", true),    -- two images a tile, and a pair of pixels in both
  forward_case(1, 24, 12, 14, 14, 3, nil, true),
  forward_case(1, 24, 12, 5, 6, 3, nil, true, ODD),
}

-- Where the last block makes the table of the norm that reads next: of its own statistics, whose slices of outputs each
-- make their part; of a table that holds them, with one slice; and where it cannot, with several.
local function next_norm_case(k, side, n_next)
  local case = forward_case(2, 20, k, 8, 8, side, "channels", true)
  case.name = ("%s, the next norm of %d"):format(case.name, n_next)
  local stats = n_next == k and same(2) or { 2, n_next, role = "input", values = "positive" }
  for i, argument in ipairs { output { 4, n_next }, state { n_next }, state { n_next }, stats, input { n_next },
    input { n_next }, 0.1, 1e-5 } do
    case.arguments[5 + i] = argument
  end
  return case
end
for _, side in ipairs { 1, 3 } do
  for _, sizes in ipairs { { 12, 12 }, { 12, 300 }, { 160, 160 }, { 160, 170 } } do
    forward[#forward + 1] = next_norm_case(sizes[1], side, sizes[2])
  end
end

-- dx is added to where terms are deferred, and written elsewhere; there the norm is frozen.
local function backward_case(n, c, k, h, w, side, layout, options)
  local name = ("%dx%d %dx%dx%dx%d to %d%s"):format(side, side, n, c, h, w, k, layout and ", " .. layout or "")
  local is_deferred, is_frozen = options.is_deferred, options.is_frozen
  return {
    op = "norm_relu_conv_backward", margin = options.margin or ALIGNED,
    name = name .. (is_deferred and ", deferred terms" or "") .. (is_frozen and ", a frozen weight" or "")
      .. (options.margin and ", odd" or ""),
    arguments = {
      image(is_deferred and sum or output, n, c, h, w, layout), output { 2, c },
      is_frozen and "nil" or sum { k, c, side, side }, image(input, n, k, h, w, layout),
      is_deferred and image(input, n, k, h, w, layout) or "nil", is_deferred and input { 3, k } or "nil",
      image(input, n, c, h, w, layout), input { 4, c }, input { k, c, side, side }, is_deferred or false,
      is_deferred and 1.5 or -0.5, is_deferred and sum { c } or "nil", is_deferred and sum { c } or "nil",
      (is_deferred and sum or output) { 3, c, layout = layout == "channels" and "gaps" or nil },
    },
  }
end

local backward = {}
for _, is_deferred in ipairs { true, false } do
  local function add(n, c, k, h, w, side, layout, is_frozen, margin)
    backward[#backward + 1] = backward_case(n, c, k, h, w, side, layout,
      { is_deferred = is_deferred, is_frozen = is_frozen, margin = margin })
  end
  add(1, 1, 1, 4, 4, 1)
  add(3, 12, 48, 8, 8, 1, "channels")
  add(2, 60, 40, 8, 8, 1, "images", true)
  add(5, 37, 13, 4, 4, 1, "channels")
  add(2, 150, 80, 8, 8, 1, "channels")
  add(1, 17, 128, 8, 16, 1)
  add(1, 50, 160, 8, 8, 1)
  add(3, 40, 48, 7, 7, 1, "channels")
  add(1, 20, 48, 14, 14, 1)
  add(2, 20, 16, 5, 8, 1, nil, false, ODD)

  add(1, 1, 1, 4, 4, 3)
  add(3, 48, 12, 8, 8, 3, "channels") -- two images a tile, then one
  add(1, 60, 17, 16, 16, 3, "images", true)
  add(2, 12, 40, 5, 16, 3, "channels")
  add(1, 16, 32, 4, 56, 3)
  add(2, 7, 3, 16, 7, 3, "channels")  -- lines that begin within vectors
  add(1, 5, 9, 24, 11, 3)
  add(2, 3, 2, 3, 88, 3)
  add(2, 5, 3, 40, 40, 3)             -- lines of an image that are not as many in its last tile
  add(3, 48, 12, 7, 7, 3, "channels")
  add(1, 24, 12, 14, 14, 3)
  add(1, 24, 12, 5, 6, 3, nil, false, ODD)
end

-- Plain 3x3 convolutions of few channels, each way.
local plain = {}
local function add_plain(n, c, k, h, w, layout, margin)
  local name = ("%dx%dx%dx%d to %d%s%s"):format(n, c, h, w, k, layout and ", " .. layout or "",
    margin and ", odd" or "")
  local function add(op, arguments)
    plain[#plain + 1] = { op = op, name = name, margin = margin or ALIGNED, arguments = arguments }
  end
  local weight = { k, c, 3, 3 }
  add("conv2d_forward", { image(output, n, k, h, w, layout), image(input, n, c, h, w, layout), input(weight),
    k % 2 == 0 and input { k } or "nil", 1, 1, 1, 1, 1 })
  add("conv2d_backward_data", { image(output, n, c, h, w, layout), image(input, n, k, h, w, layout), input(weight),
    1, 1, 1, 1, 1 })
  add("conv2d_backward_weight", { sum(weight), k % 2 == 0 and sum { k } or "nil", image(input, n, k, h, w, layout),
    image(input, n, c, h, w, layout), 1, 1, 1, 1, 1, -0.5 })
end
add_plain(1, 1, 1, 4, 4)
add_plain(3, 3, 24, 8, 8, "channels")  -- a stem: fewer channels than a product is deep
add_plain(2, 1, 16, 28, 28)
add_plain(2, 48, 12, 8, 8, "images")
add_plain(1, 17, 48, 5, 16)
add_plain(3, 20, 9, 7, 7, "channels")  -- planes that end within vectors
add_plain(1, 5, 12, 24, 11, nil, ODD)

-- Transitions, each way; dx is added to where the weight is not frozen.
local transition = {}
local function add_transition(n, c, k, h, w, layout, is_frozen)
  local name = ("transition %dx%dx%dx%d to %d%s%s"):format(n, c, h, w, k, layout and ", " .. layout or "",
    is_frozen and ", a frozen weight" or "")
  transition[#transition + 1] = { op = "transition_forward", name = name, margin = ALIGNED, arguments = {
    image(output, n, k, h // 2, w // 2, layout), is_frozen and "nil" or output { 2, k },
    image(input, n, c, h, w, layout), input { 4, c }, input { k, c, 1, 1 } } }
  transition[#transition + 1] = { op = "transition_backward", name = name, margin = ALIGNED, arguments = {
    image(is_frozen and output or sum, n, c, h, w, layout), output { 2, c }, is_frozen and "nil" or sum { k, c, 1, 1 },
    image(input, n, k, h // 2, w // 2, layout), image(input, n, c, h, w, layout), input { 4, c }, input { k, c, 1, 1 },
    not is_frozen, is_frozen and 1 or -0.5, is_frozen and "nil" or sum { c }, is_frozen and "nil" or sum { c },
    (is_frozen and output or sum) { 3, c } } }
end
add_transition(1, 1, 1, 8, 16)
add_transition(3, 37, 13, 8, 8, "channels")    -- in 16 bits y's planes are no whole vectors of pairs of lines
add_transition(2, 50, 64, 16, 16, "images", true)
add_transition(1, 20, 108, 16, 32)             -- one slice of 128 outputs
add_transition(2, 60, 150, 8, 16, "channels")
add_transition(1, 12, 9, 9, 16)                -- a last line that fills no window
add_transition(2, 5, 3, 56, 56)                -- tiles end within lines
add_transition(1, 8, 200, 8, 16)               -- more outputs than the way back has kernels for
add_transition(2, 12, 6, 6, 10)                -- lines that are no whole vectors
add_transition(1, 3, 2, 192, 192)              -- tiles of 64 pixels, whose moments are added up in groups

fused_cases.forward_case, fused_cases.forward, fused_cases.backward = forward_case, forward, backward
fused_cases.plain, fused_cases.transition = plain, transition

return fused_cases
