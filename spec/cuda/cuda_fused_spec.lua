-- The dense layer's fused kernels (cuda/cuda_fused.h): in float by TF32, half and bfloat16 they are the
-- CPU's and what is not fused, within the tolerances of all operations, whatever the sizes; they leave
-- neighbours alone, take the scratch that was planned and have the same bits at every run.

local core = require "densenet.core"
local dn = require "densenet"
local compare = require "spec.support.compare"
local cuda_cases = require "spec.support.cuda_cases"
local fused_cases = require "spec.support.fused_cases"
local operation = require "spec.support.operation"
local temporary = require "spec.support.temporary"

local DEVICE, PLAN = "cuda:0", "plan:cuda:0"
local DTYPES = { "float", "half", "bfloat16" }

-- What is not fused makes of some cases in every dtype, in a process of its own: results in a file.
local PROGRAM = [[
  local operation, cases = require "spec.support.operation", require "spec.support.fused_cases"
  local all = {}
  core.tf32("cuda:0", true)
  for _, dtype in ipairs { "float", "half", "bfloat16" } do
    for _, direction in ipairs { "forward", "backward", "plain", "transition" } do
      for i = 1, #cases[direction], 3 do
        for j, result in ipairs(operation.run(cases[direction][i], { dtype = dtype, device = "cuda:0" })) do
          all[("%%s %%s %%d %%d"):format(dtype, direction, i, j)] = result.tensor:clone():to("cpu")
        end
      end
    end
  end
  assert(dn.safetensors.save(%q, all))
]]

describe("a fused kernel", function()
  before_each(function() core.tf32(DEVICE, true) end)
  after_each(function()
    core.tf32(DEVICE, false)
    core.testing.memory_trim(DEVICE)
  end)

  for _, cases in ipairs { fused_cases.forward, fused_cases.backward, fused_cases.plain, fused_cases.transition } do
    for _, case in ipairs(cases) do
      for _, dtype in ipairs(DTYPES) do
        it(("is right: %s: %s (%s)"):format(case.op, case.name, dtype), function()
          cuda_cases.check(case, dtype, true)
        end)
      end
    end
  end

  it("rounds as what is not fused does", function()
    local path = os.tmpname()
    assert.equal("", temporary.output(PROGRAM:format(path), "DENSENET_CUDA_FUSED=0"))
    local unfused = assert(dn.safetensors.load(path))
    os.remove(path)
    for name, tensor in pairs(unfused) do
      local dtype, direction, i, j = name:match "(%a+%d*) (%a+) (%d+) (%d+)"
      local case = fused_cases[direction][math.tointeger(i)]
      local result = operation.run(case, { dtype = dtype, device = DEVICE })[math.tointeger(j)]
      local tolerance = dtype == "float" and compare.tf32 or 4 * compare.tolerance[dtype]
      compare.near(result.tensor, tensor, tolerance, ("%s, %s, result %s"):format(case.name, dtype, j))
    end
  end)
end)

-- Bytes of scratch that a call takes by the plan.
local function planned(case, dtype) return cuda_cases.planned(case, operation.build(case, { dtype = dtype })) end

describe("kernels are fused", function()
  local with_z = fused_cases.forward_case(2, 64, 48, 8, 8, 1, nil, false)
  after_each(function() core.tf32(PLAN, false) end)

  it("in 16 bits, and in float where TF32 is good enough", function()
    assert.equal(0, planned(with_z, "bfloat16"))
    assert.equal(0, planned(with_z, "half"))
    assert.is_true(planned(with_z, "double") > 0)
    assert.is_true(planned(with_z, "float") > 0)
    core.tf32(PLAN, true)
    assert.equal(0, planned(with_z, "float"))
  end)

  it("unless lines are longer than 128 pixels", function()
    assert.equal(0, planned(fused_cases.forward_case(1, 8, 4, 2, 128, 3, nil, false), "half"))
    assert.is_true(planned(fused_cases.forward_case(1, 8, 4, 2, 129, 3, nil, false), "half") > 0)
  end)

  it("in plain 3x3 convolutions of up to 48 channels, stride 1 and padding 1", function()
    local function call(k, c, options)
      return planned({ op = "conv2d_forward", arguments = {
        operation.output { 2, k, 8, 8 }, operation.input { 2, c, 8, 8 },
        operation.input { k, c // (options and options[5] or 1), 3, 3 }, "nil",
        table.unpack(options or { 1, 1, 1, 1, 1 }) } }, "half")
    end
    assert.equal(0, call(12, 48))
    assert.equal(0, call(48, 3))
    assert.is_true(call(12, 49) > 0)
    assert.is_true(call(49, 12) > 0)
    assert.is_true(call(12, 48, { 1, 1, 1, 1, 2 }) > 0)
  end)

  it("in transitions whose lines are whole vectors of 16 bytes, both ways or not at all", function()
    local function takes(dtype, c, k, h, w)
      return core.takes_transition(core.tensor_new(PLAN, dtype, { 2, c, h, w }),
        core.tensor_new(PLAN, "float", { k, c, 1, 1 }))
    end
    assert.is_true(takes("half", 20, 10, 8, 8))
    assert.is_true(takes("bfloat16", 300, 192, 16, 16))
    assert.is_false(takes("half", 20, 10, 8, 12))
    assert.is_false(takes("half", 20, 193, 8, 8))
    assert.is_false(takes("double", 20, 10, 8, 8))
    assert.is_false(takes("float", 20, 10, 8, 8))
    core.tf32(PLAN, true)
    assert.is_true(takes("float", 20, 10, 8, 12))
    assert.is_false(core.takes_transition(core.tensor_new("cpu", "float", { 2, 20, 8, 8 }),
      core.tensor_new("cpu", "float", { 10, 20, 1, 1 })))
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
