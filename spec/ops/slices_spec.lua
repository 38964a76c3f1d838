-- Dense layers read and write slices of one buffer. Operations that take several give the same bits
-- as on tensors of their own, and leave the rest of the buffer alone, wherever the buffer begins.

local core = require "densenet.core"
local compare = require "spec.support.compare"
local guarded = require "spec.support.guarded"

local SENTINEL = 171

local function random(seed, ...)
  local tensor = core.tensor_new("cpu", "float", { ... })
  core.random_uniform(tensor, -1, 1, seed, 0, 0)
  return tensor
end

-- A buffer of n_channels with a copy of each of `tensors` in it, from the channel that is its key.
local function buffer_of(n_channels, tensors)
  local n, h, w
  for _, tensor in pairs(tensors) do n, h, w = tensor:size(1), tensor:size(3), tensor:size(4) end
  local buffer, guard = guarded.new("float", { n, n_channels, h, w })
  core.fill(buffer, SENTINEL)
  local slices = {}
  for first, tensor in pairs(tensors) do
    slices[first] = buffer:narrow(2, first, tensor:size(2))
    core.copy(slices[first], tensor)
  end
  return buffer, slices, guard
end

-- The channels of the buffer that hold none of `tensors` still hold what they held.
local function check_rest(buffer, tensors, guard)
  guard:check("the buffer")
  local taken = {}
  for first, tensor in pairs(tensors) do
    for c = first, first + tensor:size(2) - 1 do taken[c] = true end
  end
  for c = 1, buffer:size(2) do
    if not taken[c] then
      local plane = compare.clone(buffer:narrow(2, c, 1))
      local expected = compare.clone(plane)
      core.fill(expected, SENTINEL)
      compare.identical(plane, expected, "channel " .. c)
    end
  end
end

describe("slices of one buffer:", function()
  local N, C, K, H, W = 3, 7, 4, 9, 8
  for _, side in ipairs { 1, 3 } do
    for _, threads in ipairs { 1, 2 } do
      it(("norm_relu_conv_forward, %dx%d, %d threads"):format(side, side, threads), function()
        core.threads(threads)
        local x, y, stats = random(1, N, C, H, W), random(2, N, K, H, W), random(3, 2, K)
        local norm, weight = random(4, 4, C), random(5, K, C, side, side)
        local tensors = { [2] = x, [10] = y }
        local buffer, slices, guard = buffer_of(15, tensors)
        core.norm_relu_conv_forward(y, stats, x, norm, weight)
        local same_stats = random(6, 2, K)
        core.norm_relu_conv_forward(slices[10], same_stats, slices[2], norm, weight)
        compare.identical(compare.clone(slices[10]), y, "y")
        compare.identical(compare.clone(slices[2]), x, "x")
        compare.identical(same_stats, stats, "stats")
        check_rest(buffer, tensors, guard)
      end)

      it(("norm_relu_conv_backward, %dx%d, %d threads"):format(side, side, threads), function()
        core.threads(threads)
        local x, y, dx, dy = random(1, N, C, H, W), random(2, N, K, H, W), random(3, N, C, H, W), random(4, N, K, H, W)
        local norm, weight = random(5, 4, C), random(6, K, C, side, side)
        local deferred, dx_deferred, both = random(7, 3, K), random(10, 3, C), random(11, 3, C + K + 1)
        local both_dx, between, both_dy = both:narrow(2, 1, C), both:narrow(2, C + 1, 1), both:narrow(2, C + 2, K)
        core.copy(both_dx, dx_deferred)
        core.copy(both_dy, deferred)
        local rest = compare.clone(between)
        local values, gradients = { [1] = x, [8] = y }, { [3] = dx, [10] = dy }
        local buffer, raw, guard = buffer_of(12, values)
        local gradient_buffer, g, gradient_guard = buffer_of(13, gradients)
        local function run(...)
          local dnorm, dweight = random(8, 2, C), random(9, K, C, side, side)
          local to, from, of_y, of_x, terms, made = ...
          core.norm_relu_conv_backward(to, dnorm, dweight, from, of_y, terms, of_x, norm, weight, true, 0.5, nil, nil,
            made)
          return dnorm, dweight
        end
        local dnorm, dweight = run(dx, dy, y, x, deferred, dx_deferred)
        local same_dnorm, same_dweight = run(g[3], g[10], raw[8], raw[1], both_dy, both_dx)
        compare.identical(compare.clone(both_dx), dx_deferred, "dx_deferred")
        compare.identical(compare.clone(both_dy), deferred, "deferred")
        compare.identical(compare.clone(between), rest, "the channel between them")
        compare.identical(compare.clone(g[3]), dx, "dx")
        compare.identical(compare.clone(g[10]), dy, "dy")
        compare.identical(same_dnorm, dnorm, "dnorm")
        compare.identical(same_dweight, dweight, "dweight")
        check_rest(buffer, values, guard)
        check_rest(gradient_buffer, gradients, gradient_guard)
      end)
    end
  end

  it("that overlap by a channel are refused", function()
    local buffer = (guarded.new("float", { N, C + K, H, W }))
    local x, y = buffer:narrow(2, 1, C), buffer:narrow(2, C, K)
    assert.error_matches(function()
      core.norm_relu_conv_forward(y, nil, x, random(1, 4, C), random(2, K, C, 1, 1))
    end, "bad argument #1 to 'norm_relu_conv_forward' %(y overlaps x")
    local both = random(3, 3, C + K)
    assert.error_matches(function()
      core.norm_relu_conv_backward(random(4, N, C, H, W), random(5, 2, C), nil, random(6, N, K, H, W),
        random(7, N, K, H, W), both:narrow(2, C, K), random(8, N, C, H, W), random(1, 4, C), random(2, K, C, 1, 1),
        true, 1, nil, nil, both:narrow(2, 1, C))
    end, "bad argument #14 to 'norm_relu_conv_backward' %(dx_deferred overlaps deferred")
  end)

  -- Pairs of blocks of one buffer at random places: told apart exactly when they are.
  it("are told apart exactly", function()
    local sizes = { 4, 6, 5, 8 }
    local buffer = (guarded.new("float", sizes))
    local function block(lengths)
      local view, place = buffer, {}
      for d, length in ipairs(lengths) do
        place[d] = math.random(sizes[d] - length + 1)
        view = view:narrow(d, place[d], length)
      end
      return view, table.concat(place, ",")
    end
    local n_apart, n_overlapping = 0, 0
    for _ = 1, 500 do
      local lengths = {}
      for d, size in ipairs(sizes) do lengths[d] = math.random(size) end
      local a, place_a = block(lengths)
      local b, place_b = block(lengths)
      if place_a ~= place_b then
        core.fill(buffer, 0)
        core.fill(a, 1)
        local largest = core.tensor_new("cpu", "float", { 1, 1, 1, 1 })
        core.reduce(largest, b, "max")
        local overlap = largest:item() == 1
        local what = ("%s at %s and %s"):format(table.concat(lengths, "x"), place_a, place_b)
        assert.are.equal(not overlap, (pcall(core.copy, a, b)), what)
        if overlap then n_overlapping = n_overlapping + 1 else n_apart = n_apart + 1 end
      end
    end
    assert.is_true(n_apart > 50 and n_overlapping > 50)
  end)
end)
