--- What a captured step (densenet.captured) takes over from a module as it was: where a change makes it stale.
-- @module densenet.nn.noted_state

local core = require "densenet.core"
local inForce = require "densenet.nn.plan.in_force"
local stateDict = require "densenet.nn.state_dict"

local IS_SETTING = { number = true, boolean = true, string = true }

local notedState = {}

--- Of a module tree: settings (train, p, frozen, ...) of each module, parameters, gradients and state, and where its
-- buffers are: an evaluation by a plan in the same memory changes nothing.
-- @param module any
-- @tparam function note (owner, key): that owner[key] was taken over
function notedState.ofModule(module, note)
  module:apply(function(each)
    for key, value in pairs(each) do
      if IS_SETTING[type(value)] then note(each, key) end
    end
    note(each, "frozen")
  end)
  for _, entry in ipairs(stateDict.entries(module)) do
    if entry.field then note(entry.owner, entry.field) end
    if entry.gradField then note(entry.owner, entry.gradField) end
  end
  inForce.note(module, note)
  if not inForce.active(module) then note(module, "output") end
end

local IS_RESULT = { output = true, gradInput = true, entropy = true, divergence = true }

--- Of a criterion: settings, and tensors such as the weights of classes.
function notedState.ofCriterion(criterion, note)
  for key, value in pairs(criterion) do
    local isHeld = IS_SETTING[type(value)] or core.is_tensor(value)
    if isHeld and not IS_RESULT[key] then note(criterion, key) end
  end
end

return notedState
