-- Max, average and global average pooling.

local operation = require "spec.support.operation"
local core = require "densenet.core"
local input, output, literal = operation.input, operation.output, operation.literal
local lists = operation.lists()
local case, wrong = lists.case, lists.wrong

local function long(sizes)
  sizes.dtype = "long"
  return sizes
end

-- By PyTorch 1.13 (max_pool2d, avg_pool2d and autograd) on this plane; indices from 1.
local plane = {
  { -6, -1, 4, -4, 1 }, { 6, -2, 3, -5, 0 }, { 5, -3, 2, -6, -1 }, { 4, -4, 1, 6, -2 }, { 3, -5, 0, 5, -3 },
}
local x = { { plane } }
local third, sixth, ninth = 1 / 3, 1 / 6, 1 / 9
local by_hand = {
  {
    name = "3x2, stride 2, padding 1", options = { 3, 2, 2, 2, 1, 1, false },
    dy = { { -1, 0, 1 }, { 2, -1, 0 }, { 1, 2, -1 } },
    y = { { 6, 4, 1 }, { 6, 3, 6 }, { 4, 1, 6 } }, indices = { { 6, 3, 5 }, { 6, 8, 19 }, { 16, 18, 19 } },
    dx = { { 0, 0, 0, 0, 1 }, { 1, 0, -1, 0, 0 }, { 0, 0, 0, 0, 0 }, { 1, 0, 2, -1, 0 }, { 0, 0, 0, 0, 0 } },
    counted = {
      y = { { 0, 2 * third, -4 * third }, { 2.5, -0.5, -4 * third }, { 7 * sixth, -4 * third, 1 } },
      dx = {
        { -sixth, 0, 0, sixth, sixth }, { sixth, -sixth, -sixth, sixth, sixth }, { third, -sixth, -sixth, 0, 0 },
        { 0.5, sixth, sixth, -sixth, -sixth }, { sixth, third, third, -sixth, -sixth },
      },
    },
    not_counted = {
      y = { { 0, 1, -2 }, { 5, -0.5, -4 * third }, { 3.5, -2, 1.5 } },
      dx = {
        { -0.5, 0, 0, 0.25, 0.25 }, { sixth, -sixth, -sixth, 0.25, 0.25 }, { 2 * third, -sixth, -sixth, 0, 0 },
        { 7 * sixth, third, third, -0.25, -0.25 }, { 0.5, 0.5, 0.5, -0.25, -0.25 },
      },
    },
  },
  {
    name = "2x2, stride 3, padding 1, rounded up", options = { 2, 2, 3, 3, 1, 1, true }, dy = { { -1, 0 }, { 1, 2 } },
    y = { { -6, 4 }, { 5, 6 } }, indices = { { 1, 3 }, { 11, 19 } },
    dx = { { -1, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0 }, { 1, 0, 0, 0, 0 }, { 0, 0, 0, 2, 0 }, { 0, 0, 0, 0, 0 } },
    counted = {
      y = { { -1.5, 0 }, { 2.25, 0.75 } },
      dx = {
        { -0.25, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0 }, { 0.25, 0, 0.5, 0.5, 0 }, { 0.25, 0, 0.5, 0.5, 0 },
        { 0, 0, 0, 0, 0 },
      },
    },
    not_counted = {
      y = { { -6, 0 }, { 4.5, 0.75 } },
      dx = {
        { -1, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0 }, { 0.5, 0, 0.5, 0.5, 0 }, { 0.5, 0, 0.5, 0.5, 0 }, { 0, 0, 0, 0, 0 },
      },
    },
  },
  {
    name = "3x3, stride 2", options = { 3, 3, 2, 2, 0, 0, true }, dy = { { -1, 0 }, { 1, 2 } },
    y = { { 6, 4 }, { 5, 6 } }, indices = { { 6, 3 }, { 11, 19 } },
    dx = { { 0, 0, 0, 0, 0 }, { -1, 0, 0, 0, 0 }, { 1, 0, 0, 0, 0 }, { 0, 0, 0, 2, 0 }, { 0, 0, 0, 0, 0 } },
    counted = {
      y = { { 8 * ninth, -6 * ninth }, { 3 * ninth, 2 * ninth } },
      dx = {
        { -ninth, -ninth, -ninth, 0, 0 }, { -ninth, -ninth, -ninth, 0, 0 }, { 0, 0, 2 * ninth, 2 * ninth, 2 * ninth },
        { ninth, ninth, 3 * ninth, 2 * ninth, 2 * ninth }, { ninth, ninth, 3 * ninth, 2 * ninth, 2 * ninth },
      },
    },
  },
}
for _, hand in ipairs(by_hand) do
  local p, q = #hand.y, #hand.y[1]
  local function options(count_padding)
    local list = table.move(hand.options, 1, 7, 1, {})
    list[8] = count_padding
    return table.unpack(list)
  end
  case("max_pool2d_forward", hand.name .. ", by hand",
    { output { 1, 1, p, q }, output(long { 1, 1, p, q }), literal(x), options(false) },
    { { { hand.y } }, { { hand.indices } } })
  case("max_pool2d_backward", hand.name .. ", by hand",
    { output { 1, 1, 5, 5 }, literal { { hand.dy } }, literal({ { hand.indices } }, { dtype = "long" }) },
    { { { hand.dx } } })
  for _, count_padding in ipairs { true, false } do
    local right = hand[count_padding and "counted" or "not_counted"]
    if right then
      local name = ("%s, padding %scounted, by hand"):format(hand.name, count_padding and "" or "not ")
      case("avg_pool2d_forward", name, { output { 1, 1, p, q }, literal(x), options(count_padding) },
        { { { right.y } } })
      case("avg_pool2d_backward", name, { output { 1, 1, 5, 5 }, literal { { hand.dy } }, options(count_padding) },
        { { { right.dx } } })
    end
  end
end
case("max_pool2d_forward", "the first of equals", {
  output { 1, 1, 1, 2 }, output(long { 1, 1, 1, 2 }), literal { { { { 3, 3, 3 } } } }, 1, 2, 1, 1, 0, 0, false, false,
}, { { { { { 3, 3 } } } }, { { { { 1, 2 } } } } })
case("max_pool2d_forward", "minus infinity", {
  output { 1, 1, 1, 1 }, output(long { 1, 1, 1, 1 }), literal { { { { -math.huge, -math.huge } } } },
  1, 2, 1, 1, 0, 0, false, false,
}, { { { { { -math.huge } } } }, { { { { 1 } } } } })
case("max_pool2d_forward", "NaN wins", {
  output { 1, 1, 1, 1 }, output(long { 1, 1, 1, 1 }), literal { { { { 1, 0 / 0, 3 } } } },
  1, 3, 1, 1, 0, 0, false, false,
}, { { { { { 0 / 0 } } } }, { { { { 2 } } } } })

-- n, c, h, w, kernel h w, stride h w, padding h w, rounded up
local geometries = {
  { 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, false },
  { 2, 12, 32, 32, 2, 2, 2, 2, 0, 0, false }, -- a transition
  { 2, 3, 31, 33, 2, 2, 2, 2, 0, 0, false },  -- odd planes
  { 2, 3, 31, 33, 2, 2, 2, 2, 0, 0, true },
  { 2, 12, 33, 31, 3, 3, 2, 2, 1, 1, false }, -- an ImageNet stem
  { 2, 3, 9, 8, 3, 3, 1, 1, 1, 1, false },    -- windows overlap
  { 1, 150, 7, 7, 7, 7, 1, 1, 0, 0, false },  -- the window is the plane
  { 2, 3, 10, 11, 3, 5, 4, 2, 1, 2, true },
  { 2, 3, 8, 8, 2, 2, 3, 3, 0, 0, false },    -- windows leave elements out
  { 4, 20, 32, 32, 2, 2, 2, 2, 0, 0, false }, -- enough for two threads
}

local function each_operation(g, name, layout)
  local n, c, h, w, kh, kw, sh, sw, ph, pw, ceil = table.unpack(g)
  local p, q = core.pool2d_output_size(h, w, kh, kw, sh, sw, ph, pw, ceil)
  local function whole(make)
    return make { n, c, h, w, layout = layout, values = make == input and "distinct" or nil }
  end
  local function pooled(make) return make { n, c, p, q, layout = layout } end
  case("max_pool2d_forward", name, {
    pooled(output), output(long { n, c, p, q, layout = layout }), whole(input), kh, kw, sh, sw, ph, pw, ceil, false,
  })
  case("max_pool2d_backward", name, {
    whole(output), pooled(input), input(long { n, c, p, q, layout = layout, values = "labels", n = h * w }),
  })
  for _, count_padding in ipairs { true, false } do
    case("avg_pool2d_forward", ("%s, padding counted: %s"):format(name, count_padding),
      { pooled(output), whole(input), kh, kw, sh, sw, ph, pw, ceil, count_padding })
    case("avg_pool2d_backward", ("%s, padding counted: %s"):format(name, count_padding),
      { whole(output), pooled(input), kh, kw, sh, sw, ph, pw, ceil, count_padding })
  end
end
for _, g in ipairs(geometries) do
  each_operation(g, ("%dx%dx%dx%d by %dx%d, stride %dx%d, padding %dx%d%s"):format(g[1], g[2], g[3], g[4], g[5], g[6],
    g[7], g[8], g[9], g[10], g[11] and ", rounded up" or ""))
end
for _, layout in ipairs { "channels", "images" } do
  each_operation({ 3, 5, 8, 9, 2, 2, 2, 2, 0, 0, false }, "views of " .. layout, layout)
  each_operation({ 3, 5, 8, 9, 3, 3, 2, 2, 1, 1, false }, "views of " .. layout .. ", padded", layout)
end

local function max_arguments(changes)
  local arguments = { output { 2, 3, 4, 4 }, output(long { 2, 3, 4, 4 }), input { 2, 3, 8, 8 }, 2, 2, 2, 2, 0, 0,
    false, false }
  for number, value in pairs(changes) do arguments[number] = value end
  return arguments
end
wrong("max_pool2d_forward", 1, { "y is 2x3x5x4", "planes of 4x4", "x 2x3x8x8" },
  max_arguments { [1] = output { 2, 3, 5, 4 }, [2] = output(long { 2, 3, 5, 4 }) })
wrong("max_pool2d_forward", 2, { "indices is 2x3x4x5", "N,C,P,Q with Q = 4" },
  max_arguments { [2] = output(long { 2, 3, 4, 5 }) })
wrong("max_pool2d_forward", 2, { "indices is float", "expected long" }, max_arguments { [2] = output { 2, 3, 4, 4 } })
wrong("max_pool2d_forward", 3, { "x is 2x3x8", "4 dimensions, N,C,H,W" }, max_arguments { [3] = input { 2, 3, 8 } })
wrong("max_pool2d_forward", 3, { "x is 2x0x8x8", "at least one element" },
  max_arguments { [1] = output { 2, 0, 4, 4 }, [2] = output(long { 2, 0, 4, 4 }), [3] = input { 2, 0, 8, 8 } })
wrong("max_pool2d_forward", 4, { "kernel height is 9", "at most the padded input's, 8 %+ 2 x 0" },
  max_arguments { [4] = 9 })
wrong("max_pool2d_forward", 5, { "kernel width is 0", "1 or more" }, max_arguments { [5] = 0 })
wrong("max_pool2d_forward", 6, { "stride along the height is 0", "1 or more" }, max_arguments { [6] = 0 })
wrong("max_pool2d_forward", 9, { "padding along the width is 2", "0 to 1" }, max_arguments { [9] = 2 })
wrong("max_pool2d_backward", 3, { "65", "1 to 64" },
  { output { 1, 1, 8, 8 }, input { 1, 1, 1, 2 }, literal({ { { { 1, 65 } } } }, { dtype = "long" }) })
wrong("max_pool2d_backward", 3, { "0", "1 to 64" },
  { output { 1, 1, 8, 8 }, input { 1, 1, 1, 2 }, literal({ { { { 1, 0 } } } }, { dtype = "long" }) })
wrong("max_pool2d_backward", 3, { "indices is 2x3x4x3", "N,C,P,Q with Q = 4" },
  { output { 2, 3, 8, 8 }, input { 2, 3, 4, 4 }, input(long { 2, 3, 4, 3, values = "labels", n = 64 }) })
wrong("max_pool2d_backward", 1, { "dx is 2x4x8x8", "N,C,H,W with C = 3" },
  { output { 2, 4, 8, 8 }, input { 2, 3, 4, 4 }, input(long { 2, 3, 4, 4, values = "labels", n = 64 }) })
wrong("avg_pool2d_forward", 1, { "y is 2x3x4x5", "planes of 4x4" },
  { output { 2, 3, 4, 5 }, input { 2, 3, 8, 8 }, 2, 2, 2, 2, 0, 0, false, true })
wrong("avg_pool2d_forward", 3, { "kernel height is 0" },
  { output { 2, 3, 4, 4 }, input { 2, 3, 8, 8 }, 0, 2, 2, 2, 0, 0, false, true })
wrong("avg_pool2d_forward", 7, { "padding along the height is 2", "0 to 1" },
  { output { 2, 3, 4, 4 }, input { 2, 3, 8, 8 }, 2, 2, 2, 2, 2, 0, false, true })
wrong("avg_pool2d_backward", 2, { "dy is 2x3x4x5", "planes of 4x4", "dx 2x3x8x8" },
  { output { 2, 3, 8, 8 }, input { 2, 3, 4, 5 }, 2, 2, 2, 2, 0, 0, false, true })
wrong("avg_pool2d_backward", 6, { "stride along the width is 0" },
  { output { 2, 3, 8, 8 }, input { 2, 3, 4, 4 }, 2, 2, 2, 0, 0, 0, false, true })

-- Global average pooling -------------------------------------------------------------------------

case("global_avg_pool_forward", "by hand",
  { output { 1, 2 }, literal { { { { 1, 2 }, { 3, 6 } }, { { -1, 0 }, { 0, 0 } } } } }, { { { 3, -0.25 } } })
case("global_avg_pool_backward", "by hand", { output { 1, 2, 1, 2 }, literal { { 3, -1 } } },
  { { { { { 1.5, 1.5 } }, { { -0.5, -0.5 } } } } })
for _, sizes in ipairs { { 1, 1, 1, 1 }, { 2, 150, 8, 8 }, { 3, 12, 7, 7 }, { 2, 3, 31, 33 }, { 8, 64, 16, 16 } } do
  local n, c = sizes[1], sizes[2]
  for _, layout in ipairs { "contiguous", "channels" } do
    local function image(make) return make { layout = layout, table.unpack(sizes) } end
    local name = table.concat(sizes, "x") .. ", " .. layout
    case("global_avg_pool_forward", name, { output { n, c }, image(input) })
    case("global_avg_pool_backward", name, { image(output), input { n, c } })
  end
end
wrong("global_avg_pool_forward", 1, { "y is 2x4", "N,C with C = 3", "x 2x3x8x8" },
  { output { 2, 4 }, input { 2, 3, 8, 8 } })
wrong("global_avg_pool_forward", 2, { "x is 2x3x0x8", "at least one element" },
  { output { 2, 3 }, input { 2, 3, 0, 8 } })
wrong("global_avg_pool_backward", 1, { "dx is 3x3x8x8", "N,C,H,W with N = 2", "dy 2x3" },
  { output { 3, 3, 8, 8 }, input { 2, 3 } })

-- Gradients --------------------------------------------------------------------------------------

for _, g in ipairs {
  { 5, 6, 2, 2, 2, 2, 0, 0, false }, { 5, 5, 3, 3, 2, 2, 1, 1, false }, { 5, 4, 3, 2, 1, 3, 1, 1, true },
} do
  local h, w, kh, kw, sh, sw, ph, pw, ceil = table.unpack(g)
  local p, q = core.pool2d_output_size(h, w, kh, kw, sh, sw, ph, pw, ceil)
  local name = ("%dx%d by %dx%d"):format(h, w, kh, kw)
  lists.gradient {
    name = "max_pool2d " .. name,
    covers = { "max_pool2d_forward", "max_pool2d_backward" },
    inputs = { x = input { 2, 2, h, w, values = "distinct" } },
    output = { 2, 2, p, q },
    forward = function(y, t)
      t.indices = t.indices or core.tensor_new("cpu", "long", { 2, 2, p, q })
      core.max_pool2d_forward(y, t.indices, t.x, kh, kw, sh, sw, ph, pw, ceil, false)
    end,
    backward = function(d, dy, t) core.max_pool2d_backward(d.x, dy, t.indices) end,
  }
  for _, count_padding in ipairs { true, false } do
    lists.gradient {
      name = ("avg_pool2d %s, padding counted: %s"):format(name, count_padding),
      covers = { "avg_pool2d_forward", "avg_pool2d_backward" },
      inputs = { x = input { 2, 2, h, w } },
      output = { 2, 2, p, q },
      forward = function(y, t) core.avg_pool2d_forward(y, t.x, kh, kw, sh, sw, ph, pw, ceil, count_padding) end,
      backward = function(d, dy) core.avg_pool2d_backward(d.x, dy, kh, kw, sh, sw, ph, pw, ceil, count_padding) end,
    }
  end
end
lists.gradient {
  name = "global_avg_pool",
  covers = { "global_avg_pool_forward", "global_avg_pool_backward" },
  inputs = { x = input { 2, 3, 3, 4 } },
  output = { 2, 3 },
  forward = function(y, t) core.global_avg_pool_forward(y, t.x) end,
  backward = function(d, dy) core.global_avg_pool_backward(d.x, dy) end,
}

return lists
