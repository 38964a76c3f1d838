-- Products and convolutions by NVIDIA's libraries: TF32 only when asked for, images in parts when a
-- workspace has no room for all, plain kernels where cuDNN refuses, failures told.

local core = require "densenet.core"
local dn = require "densenet"
local tablex = require "pl.tablex"
local compare = require "spec.support.compare"
local operation = require "spec.support.operation"

local DEVICE = "cuda:0"
local is_emulated = core.testing.cuda_emulation("reverse", 0)
local input, output, sum = operation.input, operation.output, operation.sum

local function emulated_it(name, test)
  if is_emulated then it(name, test) end
end

-- Weights are rounded beside 16-bit activations, so a result carries two roundings.
local function check(case, dtype)
  local rounded = dtype == "half" or dtype == "bfloat16"
  local truth = operation.run(case, { dtype = "double", rounding = dtype, reference = true })
  for i, result in ipairs(operation.run(case, { dtype = dtype, device = DEVICE })) do
    local tolerance = compare.tolerance[result.tensor:dtype()]
    compare.near(result.tensor, truth[i].tensor, rounded and 2 * tolerance or tolerance,
      "argument " .. result.number)
  end
  core.testing.memory_trim(DEVICE)
end

-- y = x * weight in each way there is; 1 + 2^-12 is a float, and 1 in TF32.
local function products()
  local fine = 1 + 2 ^ -12
  local function new(value, ...)
    local tensor = core.tensor_new(DEVICE, "float", { ... })
    core.fill(tensor, value)
    return tensor
  end
  local results = {}
  local function call(op, y, ...)
    core[op](y, ...)
    local nested = compare.on_cpu(y):totable()
    while type(nested) == "table" do nested = nested[1] end
    results[#results + 1] = nested
  end
  call("gemm", new(0, 1, 1), new(fine, 1, 1), new(1, 1, 1), 1, 0)
  call("linear_forward", new(0, 1, 1), new(fine, 1, 1), new(1, 1, 1), nil)
  call("conv2d_forward", new(0, 1, 1, 1, 1), new(fine, 1, 1, 1, 1), new(1, 1, 1, 1, 1), nil, 1, 1, 0, 0, 1)
  call("conv2d_forward", new(0, 1, 1, 1, 1), new(fine, 1, 1, 1, 1), new(1, 1, 1, 3, 3), nil, 1, 1, 1, 1, 1)
  call("conv2d_backward_data", new(0, 1, 1, 1, 1), new(fine, 1, 1, 1, 1), new(1, 1, 1, 3, 3), 1, 1, 1, 1, 1)
  return results, fine
end

describe("float on a GPU", function()
  after_each(function() core.tf32(DEVICE, false) end)

  it("is IEEE float", function()
    local results, fine = products()
    for i, result in ipairs(results) do assert.equal(fine, result, "product " .. i) end
  end)

  emulated_it("rounds factors to TF32 where that is asked for, until it is not", function()
    assert(core.tf32(DEVICE, true))
    for i, result in ipairs((products())) do assert.equal(1, result, "product " .. i) end
    assert(core.tf32(DEVICE, false))
    local results, fine = products()
    for i, result in ipairs(results) do assert.equal(fine, result, "product " .. i) end
  end)

  it("has TF32 on GPUs and their plans only", function()
    assert(core.tf32("plan:cuda:0", true))
    assert(core.tf32("cpu", false))
    local ok, message, code = core.tf32("cpu", true)
    assert.is_nil(ok)
    assert.matches("cpu does not support TF32; it needs a GPU", message)
    assert.equal("device", code)
  end)
end)

-- Too many for the workspace: the emulated cuDNN asks backward for as much as the images have bytes, here
-- 1.5 MB of the 1 that its build gives; a GPU's has 16 times as much room.
local H, W = 130, 140
if is_emulated then H, W = 32, 36 end
local large = { -- no 3x3, which kernels of ours take in 16 bits
  { op = "conv2d_forward", name = "large", arguments = {
    output { 5, 3, H, W }, input { 5, 16, H, W }, input { 3, 16, 3, 1 }, "nil", 1, 1, 1, 0, 1 } },
  { op = "conv2d_backward_data", name = "large", arguments = {
    output { 5, 64, H, W, layout = "channels" }, input { 5, 2, H, W }, input { 2, 64, 1, 3 }, 1, 1, 0, 1, 1 } },
  { op = "conv2d_backward_weight", name = "large", arguments = {
    sum { 2, 64, 1, 3 }, "nil", input { 5, 2, H, W }, input { 5, 64, H, W }, 1, 1, 0, 1, 1, 0.5 } },
}

describe("a convolution on a GPU", function()
  for _, case in ipairs(large) do
    for _, dtype in ipairs { "float", "half" } do
      it(("%s goes in parts when images are many (%s)"):format(case.op, dtype), function() check(case, dtype) end)
    end
  end

  local small = {
    { op = "conv2d_forward", name = "refused", arguments = {
      output { 3, 4, 5, 6 }, input { 3, 2, 5, 6 }, input { 4, 2, 3, 1 }, "nil", 1, 1, 1, 0, 1 } },
    { op = "conv2d_backward_data", name = "refused", arguments = {
      output { 3, 2, 5, 6 }, input { 3, 4, 5, 6 }, input { 4, 2, 3, 1 }, 1, 1, 1, 0, 1 } },
    { op = "conv2d_backward_weight", name = "refused", arguments = {
      sum { 4, 2, 3, 1 }, sum { 4 }, input { 3, 4, 5, 6 }, input { 3, 2, 5, 6 }, 1, 1, 1, 0, 1, 0.5 } },
  }
  -- The same on images of a size of their own: what was refused stays so.
  local HEIGHTS = { float = 7, double = 8, half = 9, bfloat16 = 10 }
  local function refused(case, dtype)
    local arguments = {}
    for i, argument in ipairs(case.arguments) do
      arguments[i] = type(argument) == "table" and tablex.copy(argument) or argument
      if type(argument) == "table" and argument[3] == 5 then arguments[i][3] = HEIGHTS[dtype] end
    end
    return { op = case.op, name = case.name, arguments = arguments }
  end

  for _, case in ipairs(small) do
    for _, dtype in ipairs { "float", "double", "half", "bfloat16" } do
      emulated_it(("%s that cuDNN refuses is computed all the same (%s)"):format(case.op, dtype), function()
        local before = dn.device(DEVICE)
        core.testing.cuda_emulation("refuse cudnn", 1)
        local _ <close> = setmetatable({}, { __close = function() core.testing.cuda_emulation("refuse cudnn", 0) end })
        check(refused(case, dtype), dtype)
        local after = dn.device(DEVICE)
        assert.is_true(after.convolutionsRefused > before.convolutionsRefused)
        assert.equal(before.convolutionsDirect + 1, after.convolutionsDirect)
        assert.is_true(after.convolutionPlans > before.convolutionPlans) -- that there is none is kept, too
        core.testing.cuda_counts()
        check(refused(case, dtype), dtype)
        assert.is_nil(select(2, core.testing.cuda_counts())["a question for engines"])
      end)
    end
  end

  emulated_it("whose data cuDNN wants aligned is computed all the same", function()
    for _, case in ipairs(small) do
      local before = dn.device(DEVICE)
      core.testing.cuda_emulation("misalign cudnn", 1)
      check(case, "float")
      local after = dn.device(DEVICE)
      assert.equal(before.convolutionsRefused + 1, after.convolutionsRefused)
      assert.equal(before.convolutionsDirect + 1, after.convolutionsDirect)
    end
  end)

  emulated_it("that fails says which call it was", function()
    for _, case in ipairs(small) do
      local call = operation.build(case, { dtype = "float", device = DEVICE })
      core.testing.cuda_emulation("fail cudnn", 1)
      local ok, message = pcall(operation.call, case, call)
      assert.is_false(ok)
      assert.matches("cuda:0: cudnnBackendExecute failed: CUDNN_STATUS_EXECUTION_FAILED", message)
    end
  end)
end)

describe("a product on a GPU", function()
  emulated_it("that fails says which call it was", function()
    local a = core.tensor_new(DEVICE, "float", { 2, 2 })
    local c = core.tensor_new(DEVICE, "float", { 2, 2 })
    core.fill(a, 1)
    core.testing.cuda_emulation("fail cublas", 1)
    assert.error_matches(function() core.gemm(c, a, a, 1, 0) end,
      "cuda:0: cublasGemmEx_64 failed: CUBLAS_STATUS_EXECUTION_FAILED")
    core.gemm(c, a, a, 1, 0)
    assert.are.same({ { 2, 2 }, { 2, 2 } }, compare.on_cpu(c):totable())
  end)
end)
