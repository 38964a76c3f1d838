-- Kernels that move packets of up to 16 bytes give the same bits wherever a tensor lies: where every plane
-- begins at a multiple of 16 bytes, one element beside it, or among other channels; and they are the CPU's
-- numbers. The emulation fails at a packet whose address does not fit.

local core = require "densenet.core"
local tablex = require "pl.tablex"
local compare = require "spec.support.compare"

local DEVICE = "cuda:0"
local REAL = { "float", "double", "half", "bfloat16" }

-- How a tensor lies: given its sizes, those of the storage's view, and the part of it that is the tensor.
local LAYOUTS = {
  aligned = function(sizes) return sizes, 0, function(whole) return whole end end,
  shifted = function(sizes) return sizes, 1, function(whole) return whole end end,
  channels = function(sizes)
    local parent = tablex.copy(sizes)
    parent[2] = sizes[2] + 3
    return parent, 0, function(whole) return whole:narrow(2, 2, sizes[2]) end
  end,
}

local function product(list)
  local n = 1
  for _, size in ipairs(list) do n = n * size end
  return n
end

local function place(device, dtype, sizes, layout)
  local parent, first, partOf = LAYOUTS[layout](sizes)
  local storage = core.tensor_new(device, dtype, { product(parent) + first })
  core.fill(storage, 77)
  return partOf(storage:narrow(1, 1 + first, product(parent)):view(parent))
end

local seed

-- Random numbers that are exact in `rounded`, laid out so; the same for every layout.
local function random(device, dtype, rounded, sizes, layout, low, high)
  seed = seed + 1
  local numbers = core.tensor_new("cpu", "double", sizes)
  core.random_uniform(numbers, low or -2, high or 2, seed, 0, 0)
  if rounded == "long" or rounded == "byte" then core.unary(numbers, numbers, "floor") end
  local exact, tensor = compare.clone(numbers, rounded), place(device, dtype, sizes, layout)
  local own = compare.clone(exact, dtype)
  if device == "cpu" then
    core.copy(tensor, own)
  else
    local there = core.tensor_new(device, dtype, sizes)
    core.copy(there, own)
    core.copy(tensor, there)
  end
  return tensor
end

-- A call's tensors: `given` makes inputs, `made` outputs, which hold NaN; table rows of parameters have no layout.
local function makerOf(device, dtype, rounded, layout)
  local parameter = dtype == "double" and "double" or "float"
  return {
    dtype = dtype, device = device,
    given = function(sizes, low, high) return random(device, dtype, rounded, sizes, layout, low, high) end,
    made = function(sizes, other)
      local tensor = place(device, other or dtype, sizes, layout)
      core.fill(tensor, other == "byte" and 9 or (dtype == "long" or dtype == "byte") and 9 or 0 / 0)
      return tensor
    end,
    rows = function(n, c, low, high)
      return random(device, parameter, "float", { n, c }, "aligned", low or 0.5, high or 1.5)
    end,
    vector = function(c, low, high)
      return random(device, parameter, "float", { c }, "aligned", low or 0.5, high or 1.5)
    end,
    madeRows = function(n, c) return core.tensor_new(device, parameter, { n, c }) end,
    madeVector = function(c) return core.tensor_new(device, parameter, { c }) end,
  }
end

-- Calls by name: given a maker and the sizes of an image batch they return their results. Sums of many terms that
-- cancel are off by more than one rounding.
local OPERATIONS = {
  norm_relu = function(t, s)
    local y = t.made(s)
    core.norm_relu_pool_forward(y, t.given(s), t.rows(4, s[2], -1, 1), 1, 1)
    return { y }
  end,
  norm_relu_backward = function(t, s)
    local results = {}
    for i, accumulate in ipairs { false, true } do
      local dx, dnorm = t.given(s), t.madeRows(2, s[2])
      core.norm_relu_pool_backward(dx, dnorm, t.given(s), t.given(s), t.rows(4, s[2], 0.1, 1), 1, 1, accumulate,
        0)
      results[2 * i - 1], results[2 * i] = dx, dnorm
    end
    return results
  end,
  pool = function(t, s)
    if s[3] < 2 or s[4] < 2 then return {} end
    local y = t.made { s[1], s[2], s[3] // 2, s[4] // 2 }
    core.norm_relu_pool_forward(y, t.given(s), t.rows(4, s[2], -1, 1), 2, 2)
    return { y }
  end,
  pool_backward = function(t, s)
    if s[3] < 2 or s[4] < 2 then return {} end
    local dx, dnorm = t.given(s), t.madeRows(2, s[2])
    core.norm_relu_pool_backward(dx, dnorm, t.given { s[1], s[2], s[3] // 2, s[4] // 2 }, t.given(s),
      t.rows(4, s[2], 0.1, 1), 2, 2, true, 0)
    return { dx, dnorm }
  end,
  last_pool = function(t, s)
    local y, dx, dnorm, norm = t.made { s[1], s[2], 1, 1 }, t.given(s), t.madeRows(2, s[2]), t.rows(4, s[2], 0.1, 1)
    core.norm_relu_pool_forward(y, t.given(s), norm, s[3], s[4])
    core.norm_relu_pool_backward(dx, dnorm, t.given { s[1], s[2], 1, 1 }, t.given(s), norm, s[3], s[4], false, 0)
    return { y, dx, dnorm }
  end,
  channel_stats = function(t, s)
    local stats = t.madeRows(2, s[2])
    core.channel_stats(stats, t.given(s))
    return { stats }
  end,
  deferred_apply = function(t, s)
    local dx = t.given(s)
    core.deferred_apply(dx, t.given(s), t.rows(3, s[2], -1, 1))
    return { dx }
  end,
  batchnorm = function(t, s)
    local c = s[2]
    if s[1] * s[3] * s[4] < 2 then return {} end
    local y, mean, invStd, dx = t.made(s), t.madeVector(c), t.madeVector(c), t.made(s)
    local runningMean, runningVar, gamma, beta = t.vector(c), t.vector(c), t.vector(c), t.vector(c)
    local dgamma, dbeta = t.vector(c), t.vector(c)
    local x, dy = t.given(s), t.given(s)
    core.batchnorm_forward(y, mean, invStd, runningMean, runningVar, x, gamma, beta, 0.1, 1e-5)
    core.batchnorm_backward(dx, dgamma, dbeta, dy, x, mean, invStd, gamma, 1)
    local evaluated, back = t.made(s), t.made(s)
    core.batchnorm_inference_forward(evaluated, x, runningMean, runningVar, gamma, beta, 1e-5)
    core.batchnorm_inference_backward(back, dgamma, dbeta, dy, x, runningMean, runningVar, gamma, 1e-5, 1)
    return { y, mean, invStd, runningMean, runningVar, dx, dgamma, dbeta, evaluated, back }
  end,
  relu = function(t, s)
    local y, dx = t.made(s), t.made(s)
    core.relu_forward(y, t.given(s))
    core.relu_backward(dx, t.given(s), t.given(s))
    core.relu_forward(dx, dx)
    return { y, dx }
  end,
  dropout = function(t, s)
    local y = t.made(s)
    core.dropout_forward(y, t.given(s), 0.4, 5, 6, 7)
    return { y }
  end,
  global_avg_pool = function(t, s)
    local y, dx = core.tensor_new(t.device, t.dtype, { s[1], s[2] }), t.made(s)
    core.global_avg_pool_forward(y, t.given(s))
    core.global_avg_pool_backward(dx, y)
    return { y, dx }
  end,
  convolution = function(t, s)
    local y, dx = t.made { s[1], 4, s[3], s[4] }, t.made(s)
    local dweight, dbias = random(y:device(), t.dtype == "double" and "double" or "float", "float", { 4, s[2], 3, 3 },
      "aligned"), t.vector(4)
    local weight, x, dy = compare.clone(dweight), t.given(s), t.given { s[1], 4, s[3], s[4] }
    core.conv2d_forward(y, x, weight, t.vector(4), 1, 1, 1, 1, 1)
    core.conv2d_backward_data(dx, dy, weight, 1, 1, 1, 1, 1)
    core.conv2d_backward_weight(dweight, dbias, dy, x, 1, 1, 1, 1, 1, 1)
    return { y, dx, dweight, dbias }
  end,
}

-- Of whole numbers as well.
local ELEMENTWISE = {
  copy_and_fill = function(t, s)
    local y, filled = t.made(s), t.made(s)
    core.copy(y, t.given(s, 0, 100))
    core.fill(filled, 3)
    return { y, filled }
  end,
  arithmetic = function(t, s)
    local sum, scaled, product_, square = t.made(s), t.made(s), t.made(s), t.made(s)
    core.binary(sum, t.given(s, 0, 9), t.given(s, 0, 9), "add")
    core.add_scaled(scaled, t.given(s, 0, 9), t.given(s, 0, 9), 2)
    core.binary_scalar(product_, t.given(s, 0, 9), 3, "mul")
    core.unary(square, t.given(s, 0, 9), "square")
    return { sum, scaled, product_, square }
  end,
  comparison = function(t, s)
    local less, more = t.made(s, "byte"), t.made(s, "byte")
    core.compare(less, t.given(s, 0, 9), t.given(s, 0, 9), "lt")
    core.compare_scalar(more, t.given(s, 0, 9), 4, "gt")
    return { less, more }
  end,
}

-- Planes of whole packets in every type; in 16 bits of half ones; in none. Channels of one segment and of several, few
-- images and many; numbers that the emulation's build counts in 32 bits and in 64 (CUDA_MOST_NEAR).
local SIZES = {
  { 2, 3, 8, 8 }, { 3, 4, 6, 6 }, { 2, 3, 5, 7 }, { 70, 2, 2, 2 }, { 3, 2, 48, 48 }, { 9, 3, 16, 12 }, { 67, 2, 9, 7 },
  { 1, 5, 1, 1 },
}

-- Ours are sums of up to thousands of terms; and 16-bit ones may be rounded twice on their way.
local function toleranceOf(dtype) return 8 * compare.tolerance[dtype] end

-- Whose sums may have another order in another layout: a GPU's library chooses by alignment and strides. In 16 bits
-- these convolutions are kernels of ours.
local isEmulated = core.testing.cuda_emulation("reverse", 0)
local function isOfLibrary(name, dtype)
  return not isEmulated and name == "convolution" and (dtype == "float" or dtype == "double")
end

local function check(name, run, dtype, sizes)
  local function results(device, own, layout)
    seed = 0
    return run(makerOf(device, own, dtype, layout), sizes)
  end
  local wide = dtype == "long" or dtype == "byte"
  local right = results("cpu", wide and dtype or "double", "aligned")
  local found = results(DEVICE, dtype, "aligned")
  for i, tensor in ipairs(found) do
    compare.near(tensor, right[i], toleranceOf(dtype), ("result %d"):format(i))
  end
  for _, layout in ipairs { "shifted", "channels" } do
    for i, tensor in ipairs(results(DEVICE, dtype, layout)) do
      local what = ("result %d, %s"):format(i, layout)
      if isOfLibrary(name, dtype) then
        compare.near(tensor, right[i], toleranceOf(dtype), what)
      else
        compare.identical(tensor, found[i], what)
      end
    end
  end
end

describe("packets on a GPU:", function()
  after_each(function()
    collectgarbage()
    core.testing.memory_trim(DEVICE)
  end)

  local function each(operations, dtypes)
    for name, run in tablex.sort(operations) do
      for _, dtype in ipairs(dtypes) do
        it(("%s (%s)"):format(name, dtype), function()
          for _, sizes in ipairs(SIZES) do
            local ok, message = pcall(check, name, run, dtype, sizes)
            if not ok then error(("%s: %s"):format(table.concat(sizes, "x"), message), 0) end
          end
        end)
      end
    end
  end
  each(OPERATIONS, REAL)
  each(ELEMENTWISE, { "float", "double", "half", "bfloat16", "long", "byte" })

  it("conversions between every two dtypes", function()
    local dtypes = { "float", "double", "half", "bfloat16", "long", "byte" }
    for _, to in ipairs(dtypes) do
      for _, from in ipairs(dtypes) do
        for _, layout in ipairs { "aligned", "shifted", "channels" } do
          seed = 0
          local x = random(DEVICE, from, "byte", { 3, 4, 6, 8 }, layout, 0, 200)
          local y = place(DEVICE, to, { 3, 4, 6, 8 }, layout)
          core.copy(y, x)
          compare.identical(compare.clone(compare.on_cpu(y), "double"), compare.clone(compare.on_cpu(x), "double"),
            ("%s to %s, %s"):format(from, to, layout))
        end
      end
    end
  end)
end)
