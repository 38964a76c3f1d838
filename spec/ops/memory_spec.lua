-- Memory that runs out inside an operation. Refused once, at any of its allocations, the binding
-- collects and tries again, so the results are as ever (and nothing is added twice). Refused
-- altogether, the operation raises, leaks nothing, and works again when there is room.

local tablex = require "pl.tablex"
local core = require "densenet.core"
local compare = require "spec.support.compare"
local operation = require "spec.support.operation"

-- Those that take scratch, or memory for what they return; all others compute in what they are given.
local ALLOCATE = {
  "arg_reduce", "conv2d_backward_data", "conv2d_backward_weight", "conv2d_forward", "folded_conv", "gemm",
  "linear_backward_data", "linear_backward_weight", "linear_forward", "mlg_generate", "mlg_pull",
  "norm_relu_conv_backward", "norm_relu_conv_forward", "norm_relu_pool_backward", "orthonormality", "reduce", "topk",
}

local function built(case) return operation.build(case, { dtype = case.dtypes and case.dtypes[1] or "float" }) end

local function results_of(call)
  local results = {}
  for _, entry in ipairs(call.tensors) do results[#results + 1] = compare.clone(entry.tensor) end
  return results
end

local function check_results(call, right, what)
  for i, entry in ipairs(call.tensors) do
    compare.identical(compare.clone(entry.tensor), right[i], ("%s, argument %d"):format(what, entry.number))
  end
end

local function allocations_of(case, call)
  core.scratch_release()
  local before = core.memory("cpu").allocations
  operation.call(case, call)
  return core.memory("cpu").allocations - before
end

-- Whether the case allocates: when it does not, there is nothing to check.
local function check(case)
  local first = built(case)
  local n_allocations = allocations_of(case, first)
  if n_allocations == 0 then return false end
  local title, right = operation.title(case), results_of(first)

  for n = 1, n_allocations do
    local call = built(case)
    core.scratch_release()
    core.testing.alloc_refuse(n)
    operation.call(case, call)
    core.testing.alloc_refuse(0)
    check_results(call, right, ("%s, allocation %d refused once"):format(title, n))
  end

  local call = built(case)
  core.scratch_release()
  collectgarbage()
  local before = core.memory("cpu")
  core.memory_limit("cpu", before.live)
  local ok, message = pcall(operation.call, case, call)
  core.memory_limit("cpu", 0)
  if ok then error(title .. ": no error although every allocation was refused", 0) end
  for _, part in ipairs { "out of memory on cpu", "%d+ bytes asked for", "%d+ in use", "%d+ at the peak" } do
    if not message:find(part) then error(("%s: '%s' is not in: %s"):format(title, part, message), 0) end
  end
  local after = core.memory("cpu")
  assert.are.equal(before.blocks, after.blocks, title .. ": blocks left behind")
  assert.are.equal(before.live, after.live, title .. ": bytes left behind")

  local again = built(case)
  operation.call(case, again)
  check_results(again, right, title .. ", after running out of memory")
  return true
end

describe("memory that runs out:", function()
  local cases = operation.families().cases

  for _, op in ipairs(ALLOCATE) do
    it(op, function()
      core.threads(2)
      local n_checked = 0
      for _, case in ipairs(cases) do
        if case.op == op and check(case) then n_checked = n_checked + 1 end
      end
      assert.is_true(n_checked > 0, "no case allocates")
    end)
  end

  it("does not concern other operations", function()
    core.threads(2)
    local others = {}
    for _, case in ipairs(cases) do
      if not tablex.find(ALLOCATE, case.op) and allocations_of(case, built(case)) > 0 then
        others[#others + 1] = operation.title(case)
      end
    end
    assert.same({}, others)
  end)
end)
