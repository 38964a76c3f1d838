-- The dense layer's operations: statistics, tables of norms, scale-shift-ReLU as the prologue of a
-- convolution or a pooling, and the terms of the gradient that are deferred.

local operation = require "spec.support.operation"
local core = require "densenet.core"
local input, output, sum, state, same, literal =
  operation.input, operation.output, operation.sum, operation.state, operation.same, operation.literal
local lists = operation.lists()
local case, wrong = lists.tiled_case, lists.wrong

local function changed(arguments, changes)
  for number, value in pairs(changes) do arguments[number] = value end
  return arguments
end

-- By hand ----------------------------------------------------------------------------------------
-- By PyTorch 1.13 (batch_norm, conv2d and avg_pool2d in double, and autograd).

local x = { { { { -4, 0 }, { 3, 1 } }, { { 4, -1 }, { 2, -2 } } },
  { { { 3, -2 }, { 1, 5 } }, { { 2, -3 }, { 0, 1 } } } }
local norm = { { 1, -1 }, { 0.5, 2 }, { 2, -1 }, { -1, 0.5 } }
local stats = { { 0.875, 0.375 }, { 7.359375, 4.734375 } }

case("channel_stats", "by hand", { output { 2, 2 }, literal(x) }, { stats })
case("norm_table", "by hand", {
  output { 4, 2 }, state { 2, values = { 1, 2 } }, state { 2, values = { 1, 4 } }, literal(stats), literal { 1.5,
    -0.5 },
  literal { 0.25, 1 }, 8, 0.1, 1e-3,
}, {
  { stats[1], { 0.36859550033615496, 0.4595394620392144 }, { 0.5528932505042324, -0.2297697310196072 },
    { -0.23378159419120337, 1.0861636491323527 } },
  { 0.9875, 1.8375 }, { 1.7410714285714288, 4.141071428571428 },
})

local w1 = { { { { 1 } }, { { -2 } } }, { { { 0.5 } }, { { 3 } } }, { { { -1 } }, { { 1 } } } }
local y1 = {
  { { { 0, -3 }, { 5, -4 } }, { { 0, 4.5 }, { 2.5, 8 } }, { { 0, 1.5 }, { -5, 1.5 } } },
  { { { 5, -7 }, { 0, 9 } }, { { 2.5, 10.5 }, { 2, 4.5 } }, { { -5, 3.5 }, { -0.5, -9 } } },
}
local dy1 = {
  { { { -2, -1 }, { 0, 1 } }, { { 2, -2 }, { -1, 0 } }, { { 1, 2 }, { -2, -1 } } },
  { { { 0, 1 }, { 2, -2 } }, { { -1, 0 }, { 1, 2 } }, { { -2, -1 }, { 0, 1 } } },
}
-- Not y1, so that the deferred terms are told from the others.
local raw1 = {
  { { { 0, 1 }, { -2, -1 } }, { { -1, 0 }, { 2, -2 } }, { { -2, -1 }, { 1, 2 } } },
  { { { 2, -2 }, { 0, 1 } }, { { 1, 2 }, { -1, 0 } }, { { 0, 1 }, { -2, -1 } } },
}
case("norm_relu_conv_forward", "1x1, by hand",
  { output { 2, 3, 2, 2 }, output { 2, 3 }, literal(x), literal(norm), literal(w1) },
  { y1, { { 0.625, 4.3125, -1.625 }, { 25.234375, 10.30859375, 15.859375 } } })
case("norm_relu_conv_forward", "1x1, the next norm of the same statistics, by hand", {
  output { 2, 3, 2, 2 }, output { 2, 3 }, literal(x), literal(norm), literal(w1), output { 4, 3 },
  state { 3, values = { 1, 2, 3 } }, state { 3, values = { 1, 4, 2 } }, same(2), literal { 1.5, -0.5, 2 },
  literal { 0.25, 1, -1 }, 0.1, 1e-3,
}, {
  y1, { { 0.625, 4.3125, -1.625 }, { 25.234375, 10.30859375, 15.859375 } },
  { { 0.625, 4.3125, -1.625 }, { 0.19906509643255973, 0.31144346597261763, 0.2510980119639993 },
    { 0.2985976446488396, -0.15572173298630881, 0.5021960239279986 },
    { 0.06337647209447525, 1.6715499735034567, -0.18393146111700232 } },
  { 0.9625, 2.23125, 2.5375 }, { 3.7839285714285715, 4.778125, 3.6125 },
})
case("norm_relu_conv_backward", "1x1, by hand", {
  output { 2, 2, 2, 2 }, output { 2, 2 }, sum { 3, 2, 1, 1,
    values = { { { { 1 } }, { { 1 } } }, { { { 1 } }, { { 1 } } }, { { { 1 } }, { { 1 } } } } },
  literal(dy1), "nil", "nil", literal(x), literal(norm), literal(w1), false, 2,
}, {
  { { { { 0, 0 }, { 3, 4 } }, { { 0, 2 }, { 0, 3 } } }, { { { 3, 0 }, { 5, -4 } }, { { 0, 3 }, { 1, 0 } } } },
  { { 5.5, -9 }, { -1, 16 } },
  { { { { -29 } }, { { 12 } } }, { { { 19 } }, { { -4 } } }, { { { -23 } }, { { -5 } } } },
})
case("norm_relu_conv_backward", "1x1, deferred terms, added, by hand", {
  sum { 2, 2, 2, 2, values = x }, output { 2, 2 }, sum { 3, 2, 1, 1, values = w1 }, literal(dy1), literal(raw1),
  literal { { 0.5, -1, 0.25 }, { 2, 1, -0.5 }, { 1, 0, -1 } }, literal(x), literal(norm), literal(w1), true, 1,
}, {
  { { { { -4, 0 }, { -2.5, -2.5 } }, { { 4, 4.75 }, { 2, 4.25 } } },
    { { { 11.5, -2 }, { -0.5, 0.5 } }, { { 2, -13.25 }, { 3.25, 1 } } } },
  { { -3.25, -5 }, { -3, -35 } },
  { { { { -29.5 } }, { { -24.5 } } }, { { { 0.5 } }, { { -6 } } }, { { { -16.25 } }, { { -7 } } } },
})

-- What is made of dnorm, in the last arguments: 8 values a channel. From the dnorm of the first case above, and of the
-- second.
case("norm_relu_conv_backward", "1x1, the norm's gradients, terms written, by hand", {
  output { 2, 2, 2, 2 }, output { 2, 2 }, sum { 3, 2, 1, 1,
    values = { { { { 1 } }, { { 1 } } }, { { { 1 } }, { { 1 } } }, { { { 1 } }, { { 1 } } } } },
  literal(dy1), "nil", "nil", literal(x), literal(norm), literal(w1), false, 2, sum { 2, values = { 1, 2 } },
  sum { 2, values = { 3, 4 } }, output { 3, 2 },
}, {
  [2] = { { 5.5, -9 }, { -1, 16 } },
  [3] = { { { { -29 } }, { { 12 } } }, { { { 19 } }, { { -4 } } }, { { { -23 } }, { { -5 } } } },
  [12] = { -1, 34 }, [13] = { 14, -14 }, [14] = { { -1.375, -1.125 }, { 0.125, 4 }, { 1, -1 } },
})
case("norm_relu_conv_backward", "1x1, a frozen norm, terms added, by hand", {
  sum { 2, 2, 2, 2, values = x }, output { 2, 2 }, "nil", literal(dy1), literal(raw1),
  literal { { 0.5, -1, 0.25 }, { 2, 1, -0.5 }, { 1, 0, -1 } }, literal(x), literal(norm), literal(w1), true, 1, "nil",
  "nil", sum { 3, 2, values = { { 1, 2 }, { 3, 4 }, { 5, 6 } } },
}, { [2] = { { -3.25, -5 }, { -3, -35 } }, [14] = { { 1.8125, 1.375 }, { 3.375, -4.75 }, { 1, -1 } } })

local w3 = { { { { 1, 2, 0 }, { 0, -1, 3 }, { 2, 0, 1 } }, { { -1, 0, 1 }, { 2, 1, 0 }, { 0, -2, 1 } } } }
local dy3 = { { { { -2, -1 }, { 0, 1 } } }, { { { 2, -2 }, { -1, 0 } } } }
local raw3 = { { { { -1, -2 }, { 1, 0 } } }, { { { -2, 2 }, { 0, -1 } } } }
local zeros3 = { { { { 0, 0, 0 }, { 0, 0, 0 }, { 0, 0, 0 } }, { { 0, 0, 0 }, { 0, 0, 0 }, { 0, 0, 0 } } } }
case("norm_relu_conv_forward", "3x3, by hand",
  { output { 2, 1, 2, 2 }, output { 2, 1 }, literal(x), literal(norm), literal(w3) },
  { { { { { 3.5, 6.5 }, { -0.5, 1.5 } } }, { { { 3, 5.5 }, { 40, -3 } } } }, { { 7.0625 }, { 163.27734375 } } })
case("norm_relu_conv_backward", "3x3, by hand", {
  output { 2, 2, 2, 2 }, output { 2, 2 }, sum { 1, 2, 3, 3, values = zeros3 }, literal(dy3), "nil", "nil", literal(x),
  literal(norm), literal(w3), false, 1,
}, {
  { { { { 0, 0 }, { -4, -6 } }, { { 0, 1 }, { 0, -1 } } }, { { { -8, 0 }, { -6, -2 } }, { { 0, 3 }, { 5, 0 } } } },
  { { -13, -8 }, { -8, 0 } },
  { { { { 0, -5, 0 }, { -5, 10, -9 }, { -7, -27, 16 } }, { { 0, 1.5, -3.5 }, { 0, -6.5, 4 }, { -1, -1.5, -5 } } } },
})
case("norm_relu_conv_backward", "3x3, deferred terms, by hand", {
  output { 2, 2, 2, 2 }, output { 2, 2 }, sum { 1, 2, 3, 3, values = zeros3 }, literal(dy3), literal(raw3),
  literal { { 0.5 }, { 2 }, { 1 } }, literal(x), literal(norm), literal(w3), false, 1,
}, {
  { { { { 0, 0 }, { -27, -7 } }, { { 0, 6 }, { 0, -7 } } },
    { { { -10, 0 }, { 7, -15 } }, { { 0, 2 }, { 2.5, 0 } } } },
  { { -26, -3.5 }, { -33.5, -11 } },
  { { { { -17.5, -12.5, 0 }, { -3.5, -49.5, -22 }, { -32, -33, -37 } },
    { { 0, -13, -8 }, { -1.75, -10.5, -19.25 }, { 0.25, -18, -13.75 } } } },
})
case("norm_relu_conv_backward", "3x3, a frozen weight, by hand", {
  output { 2, 2, 2, 2 }, output { 2, 2 }, "nil", literal(dy3), "nil", "nil", literal(x), literal(norm), literal(w3),
  false, 1,
}, {
  { { { { 0, 0 }, { -4, -6 } }, { { 0, 1 }, { 0, -1 } } }, { { { -8, 0 }, { -6, -2 } }, { { 0, 3 }, { 5, 0 } } } },
  { { -13, -8 }, { -8, 0 } },
})
case("norm_relu_conv_backward", "3x3, the norm's gradients, no terms, by hand", {
  output { 2, 2, 2, 2 }, output { 2, 2 }, "nil", literal(dy3), "nil", "nil", literal(x), literal(norm), literal(w3),
  false, -0.5, sum { 2, values = { 1, 2 } }, sum { 2, values = { 3, 4 } }, "nil",
}, { [2] = { { -13, -8 }, { -8, 0 } }, [12] = { 5, 2 }, [13] = { 9.5, 8 } })
case("norm_relu_pool_forward", "by hand", { output { 2, 2, 1, 2 }, literal(x), literal(norm), 2, 1 },
  { { { { { 2.5, 0.5 } }, { { 0, 2 } } }, { { { 3, 4.5 } }, { { 0.25, 1.75 } } } } })
case("norm_relu_pool_backward", "by hand", {
  output { 2, 2, 2, 2 }, output { 2, 2 }, literal { { { { -1, 0 } }, { { 1, -1 } } },
    { { { 0, 1 } }, { { -1, 0 } } } },
  literal(x), literal(norm), 2, 1, false, -2, sum { 2, values = { 1, 2 } }, sum { 2, values = { 3, 4 } },
  output { 3, 2 },
}, {
  { { { { 0, 0 }, { -1, 0 } }, { { 0, 0.5 }, { 0, 0.5 } } }, { { { 0, 0 }, { 0, 1 } }, { { 0, 0 }, { 0.5, 0 } } } },
  { { 0, -1.5 }, { 0.5, 0 } },
  [10] = { 0, 2 }, [11] = { 3, 7 }, [12] = { { 0, -0.1875 }, { -0.0625, 0 }, { 1, -1 } },
})
case("norm_relu_pool_backward", "nothing made of dnorm, by hand", {
  output { 2, 2, 2, 2 }, output { 2, 2 }, literal { { { { -1, 0 } }, { { 1, -1 } } },
    { { { 0, 1 } }, { { -1, 0 } } } },
  literal(x), literal(norm), 2, 1, false, 0, "nil", "nil", "nil",
}, { [2] = { { 0, -1.5 }, { 0.5, 0 } } })
case("deferred_update", "by hand", { output { 3, 2 }, literal { { 4, -8 }, { 2, 16 } }, literal(norm), 8, false },
  { { { -1, -1 }, { -0.25, 4 }, { 1, -1 } } })
case("deferred_update", "added, by hand",
  { sum { 3, 2, values = { { 1, 2 }, { 3, 4 }, { 5, 6 } } }, literal { { 4, -8 }, { 2, 16 } }, literal(norm), 8,
    true },
  { { { 0, 1 }, { 2.75, 8 }, { 1, -1 } } })
case("deferred_apply", "by hand", {
  sum { 1, 2, 1, 2, values = { { { { 1, 2 } }, { { 3, 4 } } } } }, literal { { { { -4, 0 } }, { { 4, -1 } } } },
  literal { { 0.5, -1 }, { 2, 0.5 }, { 1, 0 } },
}, { { { { { -8.5, 0.5 } }, { { 4, 2.5 } } } } })

-- The batch's mean is large against its deviation: E[x^2] - E[x]^2 would lose it in float.
case("channel_stats", "far from zero",
  { output { 2, 1 }, literal { { { { 4096, 4097 } } }, { { { 4098, 4099 } } } } },
  { { { 4097.5 }, { 1.25 } } })

-- Shapes that hurt -------------------------------------------------------------------------------

local function image(make, n, c, h, w, layout, values)
  return make { n, c, h, w, layout = layout, values = values }
end

local function table_of(make, rows, c, layout) return make { rows, c, layout = layout } end

-- The last arguments of norm_relu_conv_forward: the table of n channels, of these statistics; of a lone value nothing
-- is running.
local function next_norm(statistics, n, rows, is_lone)
  return output { 4, n, layout = rows }, is_lone and "nil" or state { n }, is_lone and "nil" or state { n }, statistics,
    input { n }, input { n }, 0.1, 1e-5
end

-- As dense layers use them: x and y are slices of channels, tables the first columns of their block's.
local function norm_relu_conv(n, c, k, h, w, side, options)
  options = options or {}
  local layout, rows = options.layout, options.layout and "gaps" or nil
  local name = ("%dx%d %dx%dx%dx%d to %d"):format(side, side, n, c, h, w, k)
  if layout then name = name .. ", " .. layout end
  case("norm_relu_conv_forward", name, {
    image(output, n, k, h, w, layout), table_of(output, 2, k, rows), image(input, n, c, h, w, layout),
    table_of(input, 4, c, rows), input { k, c, side, side },
  })
  case("norm_relu_conv_forward", name .. ", the next norm", {
    image(output, n, k, h, w, layout), table_of(output, 2, k, rows), image(input, n, c, h, w, layout),
    table_of(input, 4, c, rows), input { k, c, side, side },
    next_norm({ 2, k + 5, layout = rows, role = "input", values = "positive" }, k + 5, rows, n * h * w == 1),
  })
  for _, deferred in ipairs { true, false } do
    -- Without deferred terms dx is written, with them it is added to: each kind in two of four ways. The norm is
    -- frozen where dx is written.
    case("norm_relu_conv_backward", name .. (deferred and ", deferred terms" or ""), {
      image(deferred and sum or output, n, c, h, w, layout), table_of(output, 2, c, rows), sum { k, c, side, side },
      image(input, n, k, h, w, layout), deferred and image(input, n, k, h, w, layout) or "nil",
      deferred and table_of(input, 3, k, rows) or "nil", image(input, n, c, h, w, layout), table_of(input, 4, c,
        rows),
      input { k, c, side, side }, deferred, deferred and 1.5 or -0.5, deferred and sum { c } or "nil",
      deferred and sum { c } or "nil", table_of(deferred and sum or output, 3, c, rows),
    })
  end
end

for _, side in ipairs { 1, 3 } do
  for _, sizes in ipairs {
    { 1, 1, 1, 1, 1 }, { 2, 5, 3, 1, 1 }, { 3, 12, 13, 7, 9 }, { 5, 24, 12, 8, 8 }, { 1, 150, 13, 7, 7 },
    { 2, 13, 32, 8, 8 }, { 2, 12, 12, 31, 33 }, { 1, 7, 48, 16, 16 }, { 9, 12, 12, 4, 4 }, { 33, 5, 7, 2, 3 },
    { 1, 3, 1, 1, 100 }, { 1, 3, 2, 100, 1 }, { 3, 7, 6, 1, 31 },
  } do
    local n, c, k, h, w = table.unpack(sizes)
    norm_relu_conv(n, c, k, h, w, side)
  end
  norm_relu_conv(2, 12, 13, 7, 9, side, { layout = "channels" })
  norm_relu_conv(3, 24, 6, 16, 16, side, { layout = "channels" })
  norm_relu_conv(2, 5, 3, 32, 32, side, { layout = "images" })
end
-- Winograd's tiles: several images a unit, the last one smaller; bands; odd planes; channels over a panel's rows.
for _, sizes in ipairs {
  { 9, 24, 9, 7, 7 }, { 1, 33, 8, 56, 30 }, { 1, 150, 13, 14, 15 }, { 17, 8, 32, 4, 3 }, { 1, 12, 8, 130, 6 },
  { 5, 48, 12, 8, 8 },
} do
  local n, c, k, h, w = table.unpack(sizes)
  norm_relu_conv(n, c, k, h, w, 3)
end
norm_relu_conv(3, 17, 12, 15, 16, 3, { layout = "channels" })
norm_relu_conv(5, 12, 48, 9, 6, 3, { layout = "images" })
norm_relu_conv(1, 64, 13, 32, 32, 1)
norm_relu_conv(1, 64, 2, 56, 56, 3) -- bands of lines
norm_relu_conv(1, 24, 2, 3, 2000, 3) -- a line a band
case("norm_relu_conv_forward", "no statistics, 1x1",
  { output { 3, 12, 7, 9 }, "nil", input { 3, 5, 7, 9 }, input { 4, 5 }, input { 12, 5, 1, 1 } })
case("norm_relu_conv_forward", "no next norm", {
  output { 3, 12, 7, 9 }, output { 2, 12 }, input { 3, 5, 7, 9 }, input { 4, 5 }, input { 12, 5, 1, 1 }, "nil", "nil",
  "nil", "nil", "nil", "nil", 0, 0,
})
case("norm_relu_conv_forward", "no statistics, 3x3",
  { output { 3, 12, 7, 9 }, "nil", input { 3, 5, 7, 9 }, input { 4, 5 }, input { 12, 5, 3, 3 } })
for _, side in ipairs { 1, 3 } do
  case("norm_relu_conv_backward", ("%dx%d, added, no deferred terms"):format(side, side), {
    sum { 3, 5, 7, 9 }, output { 2, 5 }, sum { 12, 5, side, side }, input { 3, 12, 7, 9 }, "nil", "nil",
    input { 3, 5, 7, 9 }, input { 4, 5 }, input { 12, 5, side, side }, true, 1, sum { 5 }, sum { 5 },
  })
  case("norm_relu_conv_backward", ("%dx%d, written, deferred terms"):format(side, side), {
    output { 3, 5, 7, 9 }, output { 2, 5 }, sum { 12, 5, side, side }, input { 3, 12, 7, 9 }, input { 3, 12, 7, 9 },
    input { 3, 12 }, input { 3, 5, 7, 9 }, input { 4, 5 }, input { 12, 5, side, side }, false, 1,
  })
  case("norm_relu_conv_backward", ("%dx%d, a frozen weight"):format(side, side), {
    sum { 3, 5, 33, 9 }, output { 2, 5 }, "nil", input { 3, 12, 33, 9 }, input { 3, 12, 33, 9 }, input { 3, 12 },
    input { 3, 5, 33, 9 }, input { 4, 5 }, input { 12, 5, side, side }, true, -2, sum { 5 }, sum { 5 }, sum { 3, 5 },
  })
end
case("norm_relu_conv_backward", "Winograd's tiles, a frozen weight", {
  output { 3, 13, 33, 9 }, output { 2, 13 }, "nil", input { 3, 12, 33, 9 }, input { 3, 12, 33, 9 }, input { 3, 12 },
  input { 3, 13, 33, 9 }, input { 4, 13 }, input { 12, 13, 3, 3 }, false, 1,
})
case("norm_relu_conv_forward", "Winograd's tiles, no statistics",
  { output { 3, 12, 7, 19 }, "nil", input { 3, 9, 7, 19 }, input { 4, 9 }, input { 12, 9, 3, 3 } })

for _, sizes in ipairs {
  { 1, 1, 1, 1 }, { 1, 12, 31, 33 }, { 3, 150, 7, 7 }, { 33, 3, 1, 1 }, { 5, 4, 1, 31 }, { 2, 24, 100, 33 }, { 64,
    12, 8, 8 },
} do
  for _, layout in ipairs { "contiguous", "channels" } do
    local n, c, h, w = table.unpack(sizes)
    local rows = layout == "channels" and "gaps" or "contiguous"
    local name = table.concat(sizes, "x") .. ", " .. layout
    case("channel_stats", name, { table_of(output, 2, c, rows), image(input, n, c, h, w, layout) })
    case("deferred_apply", name,
      { image(sum, n, c, h, w, layout), image(input, n, c, h, w, layout), table_of(input, 3, c, rows) })
  end
end

for _, c in ipairs { 1, 12, 150 } do
  for _, layout in ipairs { "contiguous", "gaps" } do
    local name = c .. " channels, " .. layout
    -- Variances are positive; the mean may be what it likes.
    local statistics = { 2, c, layout = layout, role = "input", values = "positive" }
    case("norm_table", name, {
      table_of(output, 4, c, layout), state { c }, state { c }, statistics, input { c }, input { c }, 36, 0.1, 1e-5,
    })
    case("norm_table", name .. ", nothing running", {
      table_of(output, 4, c, layout), "nil", "nil", statistics, input { c }, input { c }, 1, 0, 1e-5,
    })
    for _, accumulate in ipairs { true, false } do
      case("deferred_update", name .. (accumulate and ", added" or ""), {
        table_of(accumulate and sum or output, 3, c, layout), table_of(input, 2, c, layout),
        table_of(input, 4, c, layout), 36, accumulate,
      })
    end
  end
end

for _, p in ipairs {
  { 1, 1, 1, 1, 1, 1 }, { 2, 12, 8, 8, 2, 2 }, { 3, 5, 7, 9, 2, 2 }, { 2, 24, 31, 33, 2, 2 }, { 2, 150, 8, 8, 8, 8 },
  { 3, 12, 7, 7, 7, 7 }, { 2, 5, 9, 10, 1, 1 }, { 1, 3, 32, 32, 1, 1 }, { 2, 3, 10, 11, 3, 4 }, { 1, 2, 5, 40, 2,
    33 },
  { 2, 3, 2, 2, 2, 2 }, { 1, 4, 33, 3, 33, 1 }, { 4, 24, 32, 32, 2, 2 },
} do
  local n, c, h, w, wh, ww = table.unpack(p)
  for _, layout in ipairs { "contiguous", "channels" } do
    local rows = layout == "channels" and "gaps" or "contiguous"
    local name = ("%dx%dx%dx%d by %dx%d, %s"):format(n, c, h, w, wh, ww, layout)
    case("norm_relu_pool_forward", name,
      { image(output, n, c, h // wh, w // ww, layout), image(input, n, c, h, w, layout),
        table_of(input, 4, c, rows), wh, ww })
    for _, accumulate in ipairs { true, false } do
      case("norm_relu_pool_backward", name .. (accumulate and ", added" or ""), {
        image(accumulate and sum or output, n, c, h, w, layout), table_of(output, 2, c, rows),
        image(input, n, c, h // wh, w // ww, layout), image(input, n, c, h, w, layout), table_of(input, 4, c, rows),
        wh, ww, accumulate, 1.5, accumulate and sum { c } or "nil", accumulate and sum { c } or "nil",
        table_of(accumulate and sum or output, 3, c, rows),
      })
    end
  end
end

-- Misuse -----------------------------------------------------------------------------------------

wrong("channel_stats", 1, { "stats is 3x6", "expected 2,C" }, { output { 3, 6 }, input { 4, 6, 3, 3 } })
wrong("channel_stats", 1, { "stats is 2x5", "2,C with C = 6", "x 4x6x3x3" },
  { output { 2, 5 }, input { 4, 6, 3, 3 } })
wrong("channel_stats", 1, { "gaps within its rows" },
  { output { 2, 6, layout = "transposed" }, input { 4, 6, 3, 3 } })
wrong("channel_stats", 2, { "x is 0x6x3x3", "at least one element" }, { output { 2, 6 }, input { 0, 6, 3, 3 } })
wrong("channel_stats", 2, { "gaps within its planes" }, { output { 2, 6 }, input { 4, 6, 3, 3, layout = "gaps" } })

local function norm_arguments(changes)
  return changed({
    output { 4, 6 }, state { 6 }, state { 6 }, input { 2, 6 }, input { 6 }, input { 6 }, 36, 0.1, 1e-5,
  }, changes)
end
wrong("norm_table", 1, { "norm is 3x6", "expected 4,C" }, norm_arguments { [1] = output { 3, 6 } })
wrong("norm_table", 4, { "stats is 4x6", "expected 2,C" }, norm_arguments { [4] = input { 4, 6 } })
wrong("norm_table", 3, { "running_var is missing", "together with running_mean" }, norm_arguments { [3] = "nil" })
wrong("norm_table", 5, { "gamma is 5", "C with C = 6" }, norm_arguments { [5] = input { 5 } })
wrong("norm_table", 7, { "values a channel is 1", "2 or more" }, norm_arguments { [7] = 1 })
wrong("norm_table", 7, { "values a channel is 0", "1 or more" },
  norm_arguments { [2] = "nil", [3] = "nil", [7] = 0 })
wrong("norm_table", 8, { "momentum is %-1", "0 or more" }, norm_arguments { [8] = -1 })
wrong("norm_table", 9, { "epsilon is %-?nan", "finite" }, norm_arguments { [9] = 0 / 0 })

local function forward_arguments(changes)
  return changed({
    output { 4, 5, 3, 3 }, output { 2, 5 }, input { 4, 6, 3, 3 }, input { 4, 6 }, input { 5, 6, 3, 3 },
  }, changes)
end
wrong("norm_relu_conv_forward", 5, { "weight is 5x6x3x1", "1x1 or 3x3" },
  forward_arguments { [5] = input { 5, 6, 3, 1 } })
wrong("norm_relu_conv_forward", 5, { "weight is 5x6x5x5", "1x1 or 3x3" },
  forward_arguments { [5] = input { 5, 6, 5, 5 } })
wrong("norm_relu_conv_forward", 5, { "weight is 5x7x3x3", "K,C,R,S with C = 6" },
  forward_arguments { [5] = input { 5, 7, 3, 3 } })
wrong("norm_relu_conv_forward", 5, { "contiguous" },
  forward_arguments { [5] = input { 5, 6, 3, 3, layout = "channels" } })
wrong("norm_relu_conv_forward", 1, { "y is 4x6x3x3", "N,K,H,W with K = 5" },
  forward_arguments { [1] = output { 4, 6, 3, 3 } })
wrong("norm_relu_conv_forward", 2, { "stats is 2x6", "2,K with K = 5" }, forward_arguments { [2] = output { 2, 6 } })
wrong("norm_relu_conv_forward", 4, { "norm is 2x6", "expected 4,C" }, forward_arguments { [4] = input { 2, 6 } })
wrong("norm_relu_conv_forward", 3, { "x is 4x6x0x3", "at least one element" },
  forward_arguments { [1] = output { 4, 5, 0, 3 }, [3] = input { 4, 6, 0, 3 } })
local function next_arguments(changes)
  return forward_arguments(changed({
    [6] = output { 4, 7 }, [7] = state { 7 }, [8] = state { 7 }, [9] = input { 2, 7, values = "positive" },
    [10] = input { 7 }, [11] = input { 7 }, [12] = 0.1, [13] = 1e-5,
  }, changes))
end
wrong("norm_relu_conv_forward", 9, { "next_stats is missing", "together with next_norm" },
  next_arguments { [9] = "nil" })
wrong("norm_relu_conv_forward", 11, { "next_beta is missing", "together with next_norm" },
  next_arguments { [11] = "nil" })
wrong("norm_relu_conv_forward", 8, { "next_running_var is missing", "together with next_running_mean" },
  next_arguments { [8] = "nil" })
wrong("norm_relu_conv_forward", 6, { "next_norm is missing", "together with next_running_mean" },
  next_arguments { [6] = "nil", [9] = "nil", [10] = "nil", [11] = "nil" })
wrong("norm_relu_conv_forward", 10, { "next_gamma is 6", "M with M = 7" }, next_arguments { [10] = input { 6 } })
wrong("norm_relu_conv_forward", 6, { "next_norm is 4x6", "4,M with M = 7" }, next_arguments { [6] = output { 4, 6 } })
wrong("norm_relu_conv_forward", 12, { "momentum is %-1", "0 or more" }, next_arguments { [12] = -1 })
wrong("norm_relu_conv_forward", 13, { "epsilon is inf", "finite" }, next_arguments { [13] = math.huge })
wrong("norm_relu_conv_forward", 1, { "y overlaps x" },
  forward_arguments { [1] = same(3), [5] = input { 6, 6, 1, 1 }, [2] = "nil" })

local function backward_arguments(changes)
  return changed({
    output { 4, 6, 3, 3 }, output { 2, 6 }, sum { 5, 6, 1, 1 }, input { 4, 5, 3, 3 }, input { 4, 5, 3, 3 },
    input { 3, 5 }, input { 4, 6, 3, 3 }, input { 4, 6 }, input { 5, 6, 1, 1 }, true, 1, sum { 6 }, sum { 6 },
    sum { 3, 6 },
  }, changes)
end
wrong("norm_relu_conv_backward", 6, { "deferred is missing", "together with y" }, backward_arguments { [6] = "nil" })
wrong("norm_relu_conv_backward", 5, { "y is missing", "together with deferred" }, backward_arguments { [5] = "nil" })
wrong("norm_relu_conv_backward", 6, { "deferred is 3x6", "3,K with K = 5" },
  backward_arguments { [6] = input { 3, 6 } })
wrong("norm_relu_conv_backward", 4, { "dy is 4x5x3x4", "N,K,H,W with W = 3" },
  backward_arguments { [4] = input { 4, 5, 3, 4 } })
wrong("norm_relu_conv_backward", 3, { "dweight is 5x6x3x3", "with R = 1" },
  backward_arguments { [3] = sum { 5, 6, 3, 3 } })
wrong("norm_relu_conv_backward", 9, { "1x1 or 3x3" },
  backward_arguments { [3] = sum { 5, 6, 2, 2 }, [9] = input { 5, 6, 2, 2 } })
wrong("norm_relu_conv_backward", 2, { "dnorm is 3x6", "expected 2,C" }, backward_arguments { [2] = output { 3, 6 } })
wrong("norm_relu_conv_backward", 1, { "dx overlaps x" }, backward_arguments { [1] = same(7) })
wrong("norm_relu_conv_backward", 3, { "dweight overlaps weight" }, backward_arguments { [3] = same(9) })
wrong("norm_relu_conv_backward", 11, { "scale is inf", "finite" }, backward_arguments { [11] = math.huge })
wrong("norm_relu_conv_backward", 12, { "dgamma is 5", "C with C = 6" }, backward_arguments { [12] = sum { 5 } })
wrong("norm_relu_conv_backward", 12, { "dgamma is missing", "together with dbeta" },
  backward_arguments { [12] = "nil" })
wrong("norm_relu_conv_backward", 12, { "dgamma overlaps dbeta" }, backward_arguments { [12] = same(13) })
wrong("norm_relu_conv_backward", 13, { "dbeta is missing", "together with dgamma" },
  backward_arguments { [13] = "nil" })
wrong("norm_relu_conv_backward", 14, { "dx_deferred is 3x5", "3,C with C = 6" },
  backward_arguments { [14] = sum { 3, 5 } })
wrong("norm_relu_conv_backward", 14, { "dx_deferred is 2x6", "expected 3,C" },
  backward_arguments { [14] = sum { 2, 6 } })
wrong("norm_relu_conv_backward", 14, { "gaps within its rows" },
  backward_arguments { [14] = sum { 3, 6, layout = "transposed" } })
wrong("norm_relu_conv_backward", 14, { "dx_deferred overlaps deferred" }, backward_arguments {
  [3] = "nil", [4] = input { 4, 6, 3, 3 }, [5] = input { 4, 6, 3, 3 }, [6] = input { 3, 6 }, [9] = input { 6, 6, 1, 1 },
  [14] = same(6),
})

local function pool_arguments(changes)
  return changed({ output { 4, 6, 3, 2 }, input { 4, 6, 7, 5 }, input { 4, 6 }, 2, 2 }, changes)
end
wrong("norm_relu_pool_forward", 4, { "window height is 0", "1 to 7" }, pool_arguments { [4] = 0 })
wrong("norm_relu_pool_forward", 5, { "window width is 6", "1 to 5", "x is 4x6x7x5" }, pool_arguments { [5] = 6 })
wrong("norm_relu_pool_forward", 1, { "y is 4x6x4x2", "planes of 3x2", "x 4x6x7x5" },
  pool_arguments { [1] = output { 4, 6, 4, 2 } })
wrong("norm_relu_pool_forward", 3, { "norm is 4x5", "4,C with C = 6" }, pool_arguments { [3] = input { 4, 5 } })

local function unpool_arguments(changes)
  return changed({
    output { 4, 6, 7, 5 }, output { 2, 6 }, input { 4, 6, 3, 2 }, input { 4, 6, 7, 5 }, input { 4, 6 }, 2, 2, false, 1,
    sum { 6 }, sum { 6 }, output { 3, 6 },
  }, changes)
end
wrong("norm_relu_pool_backward", 6, { "window height is 8", "1 to 7" }, unpool_arguments { [6] = 8 })
wrong("norm_relu_pool_backward", 3, { "dy is 4x6x3x3", "planes of 3x2" },
  unpool_arguments { [3] = input { 4, 6, 3, 3 } })
wrong("norm_relu_pool_backward", 1, { "dx is 4x6x7x4", "W = 5" }, unpool_arguments { [1] = output { 4, 6, 7, 4 } })
wrong("norm_relu_pool_backward", 1, { "dx overlaps x" }, unpool_arguments { [1] = same(4) })
wrong("norm_relu_pool_backward", 9, { "scale is %-?nan", "finite" }, unpool_arguments { [9] = 0 / 0 })
wrong("norm_relu_pool_backward", 10, { "dgamma is 5", "C with C = 6" }, unpool_arguments { [10] = sum { 5 } })
wrong("norm_relu_pool_backward", 11, { "dbeta is missing", "together with dgamma" }, unpool_arguments { [11] = "nil" })
wrong("norm_relu_pool_backward", 12, { "dx_deferred is 3x7", "3,C with C = 6" },
  unpool_arguments { [12] = output { 3, 7 } })

wrong("deferred_update", 1, { "deferred is 2x6", "expected 3,C" },
  { output { 2, 6 }, input { 2, 6 }, input { 4, 6 }, 8, false })
wrong("deferred_update", 2, { "dnorm is 2x5", "2,C with C = 6" },
  { output { 3, 6 }, input { 2, 5 }, input { 4, 6 }, 8, false })
wrong("deferred_update", 4, { "values a channel is 0", "1 or more" },
  { output { 3, 6 }, input { 2, 6 }, input { 4, 6 }, 0, false })
wrong("deferred_apply", 1, { "dx is 4x6x3x4", "W = 3" }, { sum { 4, 6, 3, 4 }, input { 4, 6, 3, 3 }, input { 3, 6 } })
wrong("deferred_apply", 3, { "deferred is 3x7", "3,C with C = 6" },
  { sum { 4, 6, 3, 3 }, input { 4, 6, 3, 3 }, input { 3, 7 } })
wrong("deferred_apply", 1, { "dx overlaps x" }, { same(2), input { 4, 6, 3, 3 }, input { 3, 6 } })

-- Gradients --------------------------------------------------------------------------------------
-- Of what the operations make up together: batch norm, ReLU and convolution, where the gradient of
-- the raw values is right only with the deferred terms.

local EPSILON = 1e-3

local function new(...) return core.tensor_new("cpu", "double", { ... }) end

-- A batch norm over x: its tables, and its way back.
local function norm_of(x_, gamma, beta, tables)
  local n, c, h, w = table.unpack(x_:size())
  tables.stats, tables.norm, tables.dnorm = tables.stats or new(2, c), tables.norm or new(4,
    c), tables.dnorm or new(2, c)
  core.channel_stats(tables.stats, x_)
  core.norm_table(tables.norm, nil, nil, tables.stats, gamma, beta, n * h * w, 0, EPSILON)
  return tables.norm
end

for _, side in ipairs { 1, 3 } do
  lists.gradient {
    name = ("norm_relu_conv %dx%d with its batch's statistics"):format(side, side),
    covers = { "norm_relu_conv_forward", "norm_relu_conv_backward" },
    inputs = { x = input { 2, 3, 3, 4 }, gamma = input { 3 }, beta = input { 3 },
      weight = input { 4, 3, side, side } },
    output = { 2, 4, 3, 4 },
    forward = function(y, t)
      t.tables = t.tables or {}
      core.norm_relu_conv_forward(y, nil, t.x, norm_of(t.x, t.gamma, t.beta, t.tables), t.weight)
    end,
    backward = function(d, dy, t)
      local tables, deferred = t.tables, new(3, 3)
      core.norm_relu_conv_backward(d.x, tables.dnorm, d.weight, dy, nil, nil, t.x, tables.norm, t.weight, false, 1,
        d.gamma, d.beta, deferred)
      core.deferred_apply(d.x, t.x, deferred)
    end,
  }
end

for _, p in ipairs { { 4, 5, 2, 2 }, { 3, 3, 3, 3 }, { 3, 4, 1, 1 }, { 5, 4, 2, 3 } } do
  local h, w, wh, ww = table.unpack(p)
  lists.gradient {
    name = ("norm_relu_pool %dx%d by %dx%d with its batch's statistics"):format(h, w, wh, ww),
    covers = { "norm_relu_pool_forward", "norm_relu_pool_backward" },
    inputs = { x = input { 2, 3, h, w }, gamma = input { 3 }, beta = input { 3 } },
    output = { 2, 3, h // wh, w // ww },
    forward = function(y, t)
      t.tables = t.tables or {}
      core.norm_relu_pool_forward(y, t.x, norm_of(t.x, t.gamma, t.beta, t.tables), wh, ww)
    end,
    backward = function(d, dy, t)
      local tables, deferred = t.tables, new(3, 3)
      core.norm_relu_pool_backward(d.x, tables.dnorm, dy, t.x, tables.norm, wh, ww, false, 1, d.gamma, d.beta, deferred)
      core.deferred_apply(d.x, t.x, deferred)
    end,
  }
end

local function store_norm_gradient(dnorm, dgamma, dbeta)
  core.copy(dbeta, dnorm:select(1, 1))
  core.copy(dgamma, dnorm:select(1, 2))
end

-- A whole dense layer in one buffer, and the transition's pooling over it: every deferred term is
-- gathered in one table, and each statistic is taken once. Here what is made of dnorm takes operations of its own.
local C, U, K = 3, 4, 2
lists.gradient {
  name = "a dense layer and a transition",
  covers = { "norm_relu_conv_forward", "norm_relu_conv_backward", "norm_relu_pool_forward",
    "norm_relu_pool_backward" },
  inputs = {
    x = input { 3, C, 4, 4 }, gamma1 = input { C }, beta1 = input { C }, weight1 = input { U, C, 1, 1 },
    gamma2 = input { U }, beta2 = input { U }, weight2 = input { K, U, 3, 3 }, gamma3 = input { C + K },
    beta3 = input { C + K },
  },
  output = { 3, C + K, 2, 2 },
  forward = function(y, t)
    t.block = t.block or {
      buffer = new(3, C + K, 4, 4), stats = new(2, C + K), u = new(3, U, 4, 4), ustats = new(2, U),
      norm1 = new(4, C), norm2 = new(4, U), norm3 = new(4, C + K),
    }
    local b, n = t.block, 3 * 4 * 4
    local known = b.buffer:narrow(2, 1, C)
    core.copy(known, t.x)
    core.channel_stats(b.stats:narrow(2, 1, C), known)
    core.norm_table(b.norm1, nil, nil, b.stats:narrow(2, 1, C), t.gamma1, t.beta1, n, 0, EPSILON)
    core.norm_relu_conv_forward(b.u, b.ustats, known, b.norm1, t.weight1)
    core.norm_table(b.norm2, nil, nil, b.ustats, t.gamma2, t.beta2, n, 0, EPSILON)
    core.norm_relu_conv_forward(b.buffer:narrow(2, C + 1, K), b.stats:narrow(2, C + 1, K), b.u, b.norm2, t.weight2)
    core.norm_table(b.norm3, nil, nil, b.stats, t.gamma3, t.beta3, n, 0, EPSILON)
    core.norm_relu_pool_forward(y, b.buffer, b.norm3, 2, 2)
  end,
  backward = function(d, dy, t)
    local b, n = t.block, 3 * 4 * 4
    local g, deferred = new(3, C + K, 4, 4), new(3, C + K)
    local dnorm1, dnorm2, dnorm3 = new(2, C), new(2, U), new(2, C + K)
    local du, udeferred = new(3, U, 4, 4), new(3, U)
    core.norm_relu_pool_backward(g, dnorm3, dy, b.buffer, b.norm3, 2, 2, false, 0)
    core.deferred_update(deferred, dnorm3, b.norm3, n, false)
    core.norm_relu_conv_backward(du, dnorm2, d.weight2, g:narrow(2, C + 1, K), b.buffer:narrow(2, C + 1, K),
      deferred:narrow(2, C + 1, K), b.u, b.norm2, t.weight2, false, 1)
    core.deferred_update(udeferred, dnorm2, b.norm2, n, false)
    local known = b.buffer:narrow(2, 1, C)
    core.norm_relu_conv_backward(g:narrow(2, 1, C), dnorm1, d.weight1, du, b.u, udeferred, known, b.norm1, t.weight1,
      true, 1)
    core.deferred_update(deferred:narrow(2, 1, C), dnorm1, b.norm1, n, true)
    core.deferred_apply(g:narrow(2, 1, C), known, deferred:narrow(2, 1, C))
    core.copy(d.x, g:narrow(2, 1, C))
    store_norm_gradient(dnorm1, d.gamma1, d.beta1)
    store_norm_gradient(dnorm2, d.gamma2, d.beta2)
    store_norm_gradient(dnorm3, d.gamma3, d.beta3)
  end,
}

return lists
