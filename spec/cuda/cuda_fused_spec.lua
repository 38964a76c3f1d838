-- The dense layer's fused kernels (cuda/cuda_fused.h): in float by TF32, half and bfloat16 they are the
-- CPU's and what is not fused, within the tolerances of all operations, whatever the sizes; they leave
-- neighbours alone, take the scratch that was planned and have the same bits at every run.

local core = require "densenet.core"
local compare = require "spec.support.compare"
local cuda_cases = require "spec.support.cuda_cases"
local operation = require "spec.support.operation"
local temporary = require "spec.support.temporary"
local input, output, sum = operation.input, operation.output, operation.sum

local DEVICE, PLAN = "cuda:0", "plan:cuda:0"
local DTYPES = { "float", "half", "bfloat16" }
local ALIGNED = 64 -- elements before a view, a multiple of 16 bytes in every dtype

local function image(make, n, c, h, w, layout) return make { n, c, h, w, layout = layout } end

local function forward_case(n, c, k, h, w, side, layout, has_stats)
  return {
    op = "norm_relu_conv_forward", margin = ALIGNED,
    name = ("%dx%d %dx%dx%dx%d to %d%s"):format(side, side, n, c, h, w, k, layout and ", " .. layout or ""),
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
}

-- dx is added to where terms are deferred, and written elsewhere.
local function backward_case(n, c, k, h, w, side, layout, options)
  local name = ("%dx%d %dx%dx%dx%d to %d%s"):format(side, side, n, c, h, w, k, layout and ", " .. layout or "")
  local is_deferred, is_frozen = options.is_deferred, options.is_frozen
  return {
    op = "norm_relu_conv_backward", margin = ALIGNED,
    name = name .. (is_deferred and ", deferred terms" or "") .. (is_frozen and ", a frozen weight" or ""),
    arguments = {
      image(is_deferred and sum or output, n, c, h, w, layout), output { 2, c },
      is_frozen and "nil" or sum { k, c, side, side }, image(input, n, k, h, w, layout),
      is_deferred and image(input, n, k, h, w, layout) or "nil", is_deferred and input { 3, k } or "nil",
      image(input, n, c, h, w, layout), input { 4, c }, input { k, c, side, side }, is_deferred or false,
      is_deferred and 1 or -0.5,
    },
  }
end

local backward = {}
for _, is_deferred in ipairs { true, false } do
  local function add(n, c, k, h, w, side, layout, is_frozen)
    backward[#backward + 1] = backward_case(n, c, k, h, w, side, layout,
      { is_deferred = is_deferred, is_frozen = is_frozen })
  end
  add(1, 1, 1, 4, 4, 1)
  add(3, 12, 48, 8, 8, 1, "channels")
  add(2, 60, 40, 8, 8, 1, "images", true)
  add(5, 37, 13, 4, 4, 1, "channels")
  add(2, 150, 80, 8, 8, 1, "channels")
  add(1, 17, 128, 8, 16, 1)
  add(1, 50, 160, 8, 8, 1)

  add(1, 1, 1, 4, 4, 3)
  add(3, 48, 12, 8, 8, 3, "channels") -- two images a tile, then one
  add(1, 60, 17, 16, 16, 3, "images", true)
  add(2, 12, 40, 5, 16, 3, "channels")
  add(1, 16, 32, 4, 56, 3)
  add(2, 7, 3, 16, 7, 3, "channels")  -- lines that begin within vectors
  add(1, 5, 9, 24, 11, 3)
  add(2, 3, 2, 3, 88, 3)
  add(2, 5, 3, 40, 40, 3)             -- lines of an image that are not as many in its last tile
end

-- The same call where tensors are not aligned, so that nothing is fused.
local function unfused(case)
  local other = {}
  for name, value in pairs(case) do other[name] = value end
  other.margin = ALIGNED + 1
  return other
end

describe("a fused kernel", function()
  before_each(function() core.tf32(DEVICE, true) end)
  after_each(function()
    core.tf32(DEVICE, false)
    core.testing.memory_trim(DEVICE)
  end)

  for _, cases in ipairs { forward, backward } do
    for _, case in ipairs(cases) do
      for _, dtype in ipairs(DTYPES) do
        it(("is right: %s: %s (%s)"):format(case.op, case.name, dtype), function()
          cuda_cases.check(case, dtype, true)
        end)
      end
    end
  end

  it("rounds as what is not fused does", function()
    for _, case in ipairs {
      forward[2], forward[5], forward[11], forward[15], backward[2], backward[5], backward[9], backward[13],
    } do
      for _, dtype in ipairs(DTYPES) do
        local one = operation.run(case, { dtype = dtype, device = DEVICE })
        local other = operation.run(unfused(case), { dtype = dtype, device = DEVICE })
        for i, result in ipairs(one) do
          local tolerance = dtype == "float" and compare.tf32 or 2 * compare.tolerance[dtype]
          compare.near(result.tensor, other[i].tensor, tolerance, ("%s, result %d"):format(case.name, i))
        end
      end
    end
  end)
end)

local function planned(case, dtype) return cuda_cases.planned(case, operation.build(case, { dtype = dtype })) end

describe("kernels are fused", function()
  local with_z = forward_case(2, 64, 48, 8, 8, 1, nil, false)
  after_each(function() core.tf32(PLAN, false) end)

  it("in 16 bits, and in float where TF32 is good enough", function()
    assert.equal(0, planned(with_z, "bfloat16"))
    assert.equal(0, planned(with_z, "half"))
    assert.is_true(planned(with_z, "double") > 0)
    assert.is_true(planned(with_z, "float") > 0)
    core.tf32(PLAN, true)
    assert.equal(0, planned(with_z, "float"))
  end)

  it("where channels begin at multiples of 16 bytes", function()
    assert.is_true(planned(unfused(with_z), "half") > 0)
    assert.is_true(planned(forward_case(2, 64, 48, 7, 7, 1, nil, false), "half") > 0)
  end)

  it("unless DENSENET_CUDA_FUSED is 0", function()
    local program = [[
      local function new(...) return core.tensor_new("plan:cuda:0", "half", { ... }) end
      local function parameter(...) return core.tensor_new("plan:cuda:0", "float", { ... }) end
      core.norm_relu_conv_forward(new(2, 48, 8, 8), nil, new(2, 64, 8, 8), parameter(4, 64), parameter(48, 64, 1, 1))
      print(core.scratch_planned(true, "plan:cuda:0") > 0)
    ]]
    assert.equal("false\n", temporary.output(program))
    assert.equal("true\n", temporary.output(program, "DENSENET_CUDA_FUSED=0"))
  end)
end)
