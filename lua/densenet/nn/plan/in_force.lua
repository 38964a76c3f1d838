--- The plans of modules that are in force: whose buffers stand in the module's fields.
--
-- A module has at most two, for training and for evaluation, and one of them is active. Both have their buffers in
-- one arena, as large as the larger one needs, so a validation between epochs takes no memory of its own; a switch
-- puts the other plan's views into the module's fields.
-- @module densenet.nn.plan.in_force

local core = require "densenet.core"
local binding = require "densenet.nn.plan.binding"

local inForce = {}

local entries = setmetatable({}, { __mode = "k" }) -- module → { active =, training =, evaluation = plans, arena = }

local function kindOf(plan) return plan.isOfEvaluation and "evaluation" or "training" end

--- The plan that is active in a module; nil where none is.
function inForce.active(module)
  local entry = entries[module]
  return entry and entry.active
end

--- The plan of a kind, "training" or "evaluation", active or not; nil where none is.
function inForce.of(module, kind)
  local entry = entries[module]
  return entry and entry[kind]
end

--- Tells which memory a module's training steps use: note(owner, key) (densenet.nn.noted_state).
function inForce.note(module, note)
  local entry = entries[module]
  note(entries, module)
  if not entry then return end
  note(entry, "arena")
  note(entry, "training")
  if entry.training then note(entry.training, "binding") end
end

--- Takes a module's plans and buffers away and gives their memory back at once.
function inForce.release(module)
  local entry = entries[module]
  entries[module] = nil
  if entry then
    entry.active.binding:exit()
    for _, kind in ipairs { "training", "evaluation" } do
      if entry[kind] then entry[kind].binding = nil end
    end
  end
  binding.clear(module)
end

--- Makes a plan the active one of its module.
-- @param plan densenet.nn.MemoryPlan
-- @tparam[opt] function leave of densenet.nn.plan.binding
-- @raise when the memory lacks; the module is then without buffers, as after clearState
function inForce.activate(plan, leave)
  local module, kind = plan.module, kindOf(plan)
  local entry = entries[module]
  local other = entry and entry[kind == "training" and "evaluation" or "training"]
  if entry and (entry.arena:nElement() < plan.arenaBytes or entry.arena:device() ~= module._device) then
    inForce.release(module)
    entry = nil
  elseif entry then
    entry.active.binding:exit()
  else
    binding.clear(module)
  end
  if not entry then
    entry = { arena = core.tensor_new(module._device, "byte", { plan.arenaBytes }) }
    entry[kind == "training" and "evaluation" or "training"] = other
    entries[module] = entry
  end
  if not plan.binding or plan.binding.arena ~= entry.arena then
    plan.binding = binding.new(plan, entry.arena, leave)
  end
  entry[kind], entry.active = plan, plan
  plan.binding:enter()
end

return inForce
