--- Runs a function on a network in evaluation mode, and leaves every module in the mode of before, also when the
-- function raises.
-- @module densenet.models.evaluating

--- @param model any module
-- @param action called without arguments
-- @return what the action returns
return function(model, action)
  local modes = {}
  model:apply(function(module) modes[module] = module.train end)
  local function restore()
    model:apply(function(module)
      if modes[module] ~= nil then module.train = modes[module] end
    end)
  end
  local _ <close> = setmetatable({}, { __close = restore })
  model:evaluate()
  return action()
end
