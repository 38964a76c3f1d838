--- Calls of the dense layer's operations for spec/cuda/cuda_fused_spec.lua: fused_cases.forward and
-- fused_cases.backward, cases as spec/support/operation.lua has them.

local operation = require "spec.support.operation"
local input, output, sum = operation.input, operation.output, operation.sum

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

fused_cases.forward_case, fused_cases.forward, fused_cases.backward = forward_case, forward, backward

return fused_cases
