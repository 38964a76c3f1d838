--- Cases of operations (spec/support/operation.lua) on a plan device: what a recorder hears of them.

local assert = require "luassert"

local core = require "densenet.core"
local operation = require "spec.support.operation"

local recorded = {}

--- A recorder's events as a list of { time, storage, use, operation }.
function recorded.events(recorder)
  local list = {}
  for i, time, storage, use, name in recorder:events() do
    assert.equal(#list + 1, i)
    list[i] = { time, storage, use, name }
  end
  return list
end

-- The call's arguments with an empty twin on `device` for each tensor.
local function twins_of(call, device)
  local twins, values = {}, {}
  for number = 1, call.n do
    local value = call.values[number]
    if core.is_tensor(value) then
      twins[value] = twins[value] or core.tensor_new(device, value:dtype(), value:size())
    end
    values[number] = twins[value] or value
  end
  return values
end

local _, descriptions = core.operations()

-- Roles with a number that may be in memory.
local IS_NUMBER = { slot = true, sgd = true }

--- Raises unless a recorder hears of the case's call on `device` once, with every tensor in the order of
-- the arguments, used as dn_ops.def says, which spec/ops/coverage_spec.lua holds against the cases. Of a
-- call with nothing to compute it may hear nothing.
-- @return the number of events
function recorded.check(case, device)
  local call = operation.build(case, { dtype = case.dtypes and case.dtypes[1] or "float" })
  local values, expected, is_empty = twins_of(call, device), {}, false
  for _, argument in ipairs(descriptions[case.op].arguments) do
    local tensor = values[argument.number]
    if core.is_tensor(tensor) then
      local use = IS_NUMBER[argument.role] and "read" or argument.role
      expected[#expected + 1] = { 1, core.storage_key(tensor), use, case.op }
    end
  end
  for _, entry in ipairs(call.tensors) do is_empty = is_empty or entry.tensor:nElement() == 0 end
  local recorder <close> = core.plan_record()
  core[case.op](table.unpack(values, 1, call.n))
  local found = recorded.events(recorder)
  if #found > 0 or not is_empty then assert.same(expected, found, operation.title(case)) end
  return #found
end

return recorded
