-- Memory that runs out inside an operation. Refused once, at any of its allocations, the binding
-- collects and tries again, so the results are as ever (and nothing is added twice). Refused
-- altogether, the operation raises, leaks nothing, and works again when there is room.

local core = require "densenet.core"
local compare = require "spec.support.compare"
local operation = require "spec.support.operation"

local n_raised = 0

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

local function check(case)
  local first = built(case)
  local n_allocations = allocations_of(case, first)
  if n_allocations == 0 then return end
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
  n_raised = n_raised + 1

  local again = built(case)
  operation.call(case, again)
  check_results(again, right, title .. ", after running out of memory")
end

describe("memory that runs out:", function()
  local by_op, order = {}, {}
  for _, case in ipairs(operation.families().cases) do
    if not by_op[case.op] then order[#order + 1] = case.op end
    by_op[case.op] = by_op[case.op] or {}
    table.insert(by_op[case.op], case)
  end
  for _, op in ipairs(order) do
    it(op, function()
      core.threads(2)
      for _, case in ipairs(by_op[op]) do check(case) end
    end)
  end

  it("happened at all", function() assert.is_true(n_raised > 0) end)
end)
