--- Networks by their options, or by name.
-- @module densenet.models

local densenet = require "densenet.models.densenet"
local presets = require "densenet.models.presets"

local models = {
  densenet = densenet.new,
  resetClassifier = densenet.resetClassifier,
  presets = presets,
}

--- The network that a model's `config` describes, with new weights: what a checkpoint is loaded into.
-- @tparam table config model.config of another time
function models.fromConfig(config)
  return densenet.new(config)
end

--- The same without memory: no tensor has values, nothing is allocated. For model:plan(inputSize).
-- @tparam table config
-- @tparam[opt="cpu"] string device that it would be on
function models.withoutMemory(config, device)
  return densenet.withoutMemory(config, device)
end

--- For training: nobody asks for the gradient of the images, so the first convolution skips it, and
-- model:backward returns nil.
-- @return the model
function models.withoutImageGradient(model)
  model:get(1).gradInput = nil
  return model
end

--- A network by name, such as "densenet121" or "bc-100-12"; densenet.models.presets lists them.
-- @tparam string name
-- @tparam[opt] table overrides options of models.densenet that replace or add to the preset's
function models.preset(name, overrides)
  if not presets[name] then
    local names = {}
    for known in pairs(presets) do
      names[#names + 1] = known
    end
    table.sort(names)
    error(("no network is called '%s'; there are %s"):format(tostring(name), table.concat(names, ", ")), 2)
  end
  local options = {}
  for option, value in pairs(presets[name].options) do
    options[option] = value
  end
  for option, value in pairs(overrides or {}) do
    options[option] = value
  end
  return densenet.new(options)
end

return models
