--- Cases of operations (spec/support/operation.lua) on the GPU: against the CPU's reference loops in
-- double, or the results written in the case; outputs hold NaN before, and nothing beside them may be
-- written. A second run has to give the same bits, under the emulation with threads in reverse order.
-- Scratch stays within what the plan device said. Misuse raises as on the CPU, for wrong values
-- perhaps late.
--
-- A GPU runs every case in every dtype, and so does the emulation with DENSENET_ALL=1 (make test-all). Else
-- the emulation, which is slow, runs every case in one dtype of 32 or 64 bits and in one of 16.

local assert = require "luassert"
local busted = require "busted"
local tablex = require "pl.tablex"

local core = require "densenet.core"
local compare = require "spec.support.compare"
local operation = require "spec.support.operation"

local cuda_cases = {}

local DEVICE, PLAN = "cuda:0", "plan:cuda:0"

-- long and byte compute on their own; the other dtypes are judged by what double makes of their inputs.
local truth_of = {
  float = "double", double = "double", half = "double", bfloat16 = "double", long = "long", byte = "byte",
}

local IS_NARROW = { half = true, bfloat16 = true }

-- Activations come in 16 bits as well (spec/ops/precision_spec.lua).
local function dtypes_of(case)
  if case.dtypes then return case.dtypes end
  return operation.descriptions[case.op].widened and { "float", "double", "half", "bfloat16" } or { "float", "double" }
end

-- Kernels differ most between these.
local KINDS = { { "float", "double" }, { "half", "bfloat16" }, { "long" }, { "byte" } }

-- One of the dtypes that are of this kind: the i-th case's, in turns that no list of cases keeps step with.
local function one_of(dtypes, kind, i)
  local among = {}
  for _, dtype in ipairs(kind) do
    if tablex.find(dtypes, dtype) then among[#among + 1] = dtype end
  end
  return among[math.floor(i * 0.618034 % 1 * #among) + 1]
end

--- The runs of these cases, each { case =, dtype = }: all that there are; or one of each case and kind of
-- dtype, and one at least of each operation and dtype.
function cuda_cases.runs(cases, are_all)
  local runs, n_of, is_in = {}, {}, {}
  for _, case in ipairs(cases) do
    local op, dtypes = case.op, dtypes_of(case)
    local i, chosen = n_of[op] or 0, {}
    n_of[op] = i + 1
    for _, kind in ipairs(KINDS) do chosen[one_of(dtypes, kind, i) or 0] = true end
    for _, dtype in ipairs(dtypes) do
      if are_all or chosen[dtype] or not is_in[op .. dtype] then
        is_in[op .. dtype] = true
        runs[#runs + 1] = { case = case, dtype = dtype }
      end
    end
  end
  return runs
end

--- Bytes of scratch that the plan says a call takes.
-- @param call as operation.build made it, on any device
function cuda_cases.planned(case, call)
  core.scratch_planned(true, PLAN)
  local function twin_of(value)
    if not core.is_tensor(value) then return value end
    local n_before = value:storageOffset() - 1 -- whether it is aligned counts
    local twin = core.tensor_new(PLAN, value:dtype(), { n_before + value:nElement() })
    twin = twin:narrow(1, n_before + 1, value:nElement())
    return #value:size() == 0 and twin:view({}) or twin:view(value:size())
  end
  local twins = {}
  for i = 1, call.n do twins[i] = twin_of(call.values[i]) end
  core[case.op](table.unpack(twins, 1, call.n))
  return core.scratch_planned(true, PLAN)
end

-- Raises unless a run on the plan device asks for the scratch that was taken.
local function check_scratch(case, dtype)
  local call = operation.build(case, { dtype = dtype, device = DEVICE })
  core.scratch_release(DEVICE)
  collectgarbage("stop") -- what it frees on the device would count
  local before = core.memory(DEVICE).live
  operation.call(case, call)
  local taken = core.memory(DEVICE).live - before
  collectgarbage("restart")
  assert.are.equal(taken, cuda_cases.planned(case, call), "scratch, as planned and as taken")
end

-- Beside 16-bit activations these round their weight, too: two roundings at most, of the same size.
local ROUNDS_WEIGHT = {
  linear_forward = true, linear_backward_data = true, conv2d_forward = true, conv2d_backward_data = true,
}

-- A dense layer's convolution rounds all that it makes on its way, so that what is float in the end is
-- no better than 16 bits: the weight, z or dz, a gradient with its deferred terms, the result. And the
-- terms of its sums cancel in part, so that their errors weigh more.
local ROUNDS_ON_ITS_WAY = {
  norm_relu_conv_forward = true, norm_relu_conv_backward = true, transition_forward = true, transition_backward = true,
}

local function narrow_tolerance(op, dtype, result_dtype)
  if ROUNDS_ON_ITS_WAY[op] then return 8 * compare.tolerance[dtype] end
  return (ROUNDS_WEIGHT[op] and 2 or 1) * compare.tolerance[result_dtype]
end

-- What was worked out by hand is not so for numbers rounded to 16 bits; the reference loops are. They
-- may say infinity or NaN, which have no error.
local function check_narrow(tensor, right, tolerance, what)
  local own_error = right:nElement() == 0 and 0 or compare.norm_error(right, right)
  if own_error == 0 then
    compare.near(tensor, right, tolerance, what)
  else
    compare.values(tensor, right:totable(), tolerance, what)
  end
end

--- Raises unless a case on the GPU is what all this says.
-- @param isTf32 products of float may round their factors there (core.tf32)
function cuda_cases.check(case, dtype, isTf32)
  local truth = operation.run(case, { dtype = truth_of[dtype], rounding = dtype, reference = true })
  local first = operation.run(case, { dtype = dtype, device = DEVICE })
  for i, result in ipairs(first) do
    local what = "argument " .. result.number
    local expected = case.expected and case.expected[result.number]
    local tolerance = isTf32 and dtype == "float" and compare.tf32 or compare.tolerance[result.tensor:dtype()]
    if IS_NARROW[dtype] then
      tolerance = narrow_tolerance(case.op, dtype, result.tensor:dtype())
      check_narrow(result.tensor, truth[i].tensor, tolerance, what)
    elseif expected then
      compare.values(result.tensor, expected, tolerance, what .. ", by hand")
    elseif not case.expected then
      compare.near(result.tensor, truth[i].tensor, tolerance, what)
    end
  end
  core.testing.cuda_emulation("reverse", 1)
  local again = operation.run(case, { dtype = dtype, device = DEVICE })
  core.testing.cuda_emulation("reverse", 0)
  for i, result in ipairs(first) do
    compare.identical(again[i].tensor, result.tensor, ("argument %d, run again"):format(result.number))
  end
  check_scratch(case, dtype)
end

-- Met by a kernel, an error is told by whoever waits next; and once.
local function check_late(misuse)
  local ok, message = pcall(core.synchronize, DEVICE)
  assert.is_false(ok, "no error; expected: " .. misuse.says[1])
  assert.matches(("%s: '%s' met .* in argument #%d, at element %%d+"):format(DEVICE, misuse.op, misuse.argument),
    message)
  core.synchronize(DEVICE)
end

local function check_misuse(misuse)
  local call = operation.build(misuse, { dtype = misuse.arguments.dtype or "float", device = DEVICE })
  local ok, message = pcall(core[misuse.op], table.unpack(call.values, 1, call.n))
  if ok then
    check_late(misuse)
  else
    assert.matches(("bad argument #%d to '[%%a.]-%s'"):format(misuse.argument, misuse.op), message)
    for _, says in ipairs(misuse.says) do assert.matches(says, message) end
  end
  for _, entry in ipairs(call.tensors) do entry.guard:check(misuse.op) end
end

--- Describes to busted every case and every misuse in lists that operation.families gave, of the
-- operations that CUDA has (spec/ops/coverage_spec.lua).
function cuda_cases.describe(lists)
  -- Kept blocks make every launch of the emulation slower.
  local function trim() core.testing.memory_trim(DEVICE) end

  local are_all = os.getenv "DENSENET_ALL" or not core.testing.cuda_emulation("reverse", 0)

  busted.describe("on a GPU", function()
    busted.after_each(trim)
    local _, exists = core.operations(PLAN)
    for _, run in ipairs(cuda_cases.runs(lists.cases, are_all)) do
      local case, dtype = run.case, run.dtype
      if exists[case.op] then
        busted.it(("%s: %s (%s)"):format(case.op, case.name, dtype), function() cuda_cases.check(case, dtype) end)
      end
    end
    for i, misuse in ipairs(lists.misuse) do
      local name = ("misuse of %s, argument %d: %s [%d]"):format(misuse.op, misuse.argument, misuse.says[1], i)
      if exists[misuse.op] then busted.it(name, function() check_misuse(misuse) end) end
    end
  end)
end

return cuda_cases
