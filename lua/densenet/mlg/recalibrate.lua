--- Takes the running statistics of a network's batch norms anew, as plain averages over some batches: those of a
-- teacher do not fit the weights that a projection leaves.
-- @module densenet.mlg.recalibrate

local argument = require "densenet.argument"

local function normsOf(model)
  local norms = {}
  model:apply(function(module)
    if module.running_mean and module.momentum then norms[#norms + 1] = module end
  end)
  return norms
end

--- @param model a network; its mode and momenta are as before afterwards, and nothing is trained
-- @param inputs a list of inputs, or a function that returns the next one, and nil after the last
-- @treturn integer how many batches there were
return function(model, inputs)
  if type(model) ~= "table" or not model.updateOutput then argument.refuse(1, "recalibrate", model, "a module") end
  local at = 0
  local function listed()
    at = at + 1
    return inputs[at]
  end
  local following = type(inputs) == "table" and listed or argument.callable(2, "recalibrate", inputs, "inputs")
  local norms, momenta, modes = normsOf(model), {}, {}
  for i, norm in ipairs(norms) do momenta[i] = norm.momentum end
  model:apply(function(module) modes[module] = module.train end)
  local _ <close> = setmetatable({}, { __close = function()
    for i, norm in ipairs(norms) do norm.momentum = momenta[i] end
    model:apply(function(module) module.train = modes[module] end)
  end })
  model:training()
  local n = 0
  for input in following do
    n = n + 1
    for _, norm in ipairs(norms) do norm.momentum = 1 / n end
    model:forward(input)
  end
  return n
end
