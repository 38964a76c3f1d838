--- The ordinary network's state of one with generated weights: every factor's place is taken by the weight it makes.
-- @module densenet.mlg.dense

local core = require "densenet.core"
local generatedWeight = require "densenet.nn.generated_weight"
local tree = require "densenet.mlg.tree"

--- @param model a network, with generated weights or without
-- @treturn table name → tensor: copies of the weights, the model's own tensors else
return function(model)
  local state = model:stateDict()
  tree.walk(model, function(module, path)
    if generatedWeight.is(module) then
      module:generate()
      for _, factor in ipairs(module:factors()) do state[path .. factor.name] = nil end
      local weight = core.tensor_new("cpu", module.weight:dtype(), module.weight:size())
      core.copy(weight, module.weight)
      state[path .. "weight"] = weight
    end
  end)
  return state
end
