--- The network of a run: built from the options, or as the file it starts from describes it, and
-- filled with that file's weights.
local argument = require "densenet.argument"
local attempt = require "densenet.attempt"
local generation = require "densenet.train.generation"
local models = require "densenet.models"
local options = require "densenet.train.options"
local shallowCopy = require "densenet.shallow_copy"
local stateDict = require "densenet.nn.state_dict"
local optimizer = require "densenet.train.optimizer"

local network = {}

local function fits(config, images)
  if config.inputChannels ~= images.channels then
    return nil, ("the network takes images of %d channels, those of %s have %d; -retrain FILE -inputChannels %d "
      .. "changes a network's first layer"):format(config.inputChannels, images.name, images.channels, images.channels),
      "argument"
  end
  local least = models.leastSize(config)
  if images.height < least or images.width < least then
    return nil, ("images of %dx%d are too small for this network, which needs %dx%d at least"):format(images.height,
      images.width, least, least), "argument"
  end
  if config.nClasses < images.nClasses or images.hasOwnClasses and config.nClasses ~= images.nClasses then
    return nil, ("the network tells %d classes apart, %s has %d; -retrain FILE -resetClassifier true -nClasses %d "
      .. "gives a network a new last layer"):format(config.nClasses, images.name, images.nClasses,
      images.nClasses), "argument"
  end
  return true
end

-- The configuration to build, how many classes the network is to tell apart in the end, and whether
-- its classifier is to be a new one.
local function chosenOf(values, origin, images)
  local wanted = values.nClasses > 0 and values.nClasses or images.nClasses
  local isReset = values.resetClassifier and not origin.resumed
  local config = origin.network
  if not config then
    local message
    config, message = options.networkConfig(values, {}, images)
    if not config then return nil, message, "usage" end
    config.mlg = values.mlg and generation.settings(values) or nil
    local classifier = isReset and rawget(origin.model, models.classifierOf(config.family) .. ".weight")
    config.inputChannels, config.nClasses = images.channels, classifier and classifier:size(1) or wanted
  end
  local chosen = shallowCopy(config)
  chosen.optMemory, chosen.precision = values.optMemory, values.precision
  return chosen, wanted, isReset
end

-- The same configuration with the classes that the network is to tell apart in the end.
local function finalOf(config, wanted, isReset)
  return isReset and setmetatable({ nClasses = wanted }, { __index = config }) or config
end

-- Freezes what -freeze says. Returns the model; or nil, message, code.
local function frozen(model, values)
  if not values.freeze or values.freeze == "none" then return model end
  local patterns, wrong = models.freezing(model.config, values.freeze)
  if wrong then return nil, ("-freeze %s: %s"):format(values.freeze, wrong), "usage" end
  if not patterns then
    patterns = {}
    for pattern in values.freeze:gmatch("[^,]+") do patterns[#patterns + 1] = pattern end
  end
  local done, message = attempt.call(model.freeze, model, patterns)
  if not done then return nil, ("-freeze %s: %s"):format(values.freeze, (argument.sentence(message))), "usage" end
  if model:parameterCount() == 0 then
    return nil, ("-freeze %s: nothing is left to train"):format(values.freeze), "usage"
  end
  return model
end

--- The network that build would build, without memory: only to be asked for its plan.
-- @return model; or nil, message, code when images do not fit, or -freeze is wrong
function network.withoutMemory(values, origin, images)
  local config, wanted, isReset = chosenOf(values, origin, images)
  if not config then return nil, wanted, isReset end
  local fine, message, code = fits(finalOf(config, wanted, isReset), images)
  if not fine then return nil, message, code end
  if isReset then config.nClasses = wanted end
  return frozen(models.withoutImageGradient(models.withoutMemory(config, values.device)), values)
end

-- Fills `into` with a file's tensors. Returns it; or nil, message, code when they do not fit.
local function filled(method, into, tensors, file)
  local done, message = attempt.call(method, into, tensors)
  if done then return into end
  message = argument.sentence(tostring(message))
  return nil, message:sub(1, #file) == file and message or ("%s: %s"):format(file, message), "format"
end

-- Are a file's tensors those of a configuration's network? Asked without memory, so that no metadata makes
-- a network of another size than the file's. Returns true; or nil, message, code.
local function holds(tensors, config, file)
  local done, message = attempt.call(function() return stateDict.mismatch(models.withoutMemory(config), tensors) end)
  if not done then message = tostring(message) end
  if message then return nil, ("%s: %s"):format(file, message), "format" end
  return true
end

--- Builds it.
-- @param values options
-- @param origin from origin.find
-- @param images an opened data set: name, channels, nClasses
-- @return model, on values.device, in training mode, frozen as -freeze says, with its complete configuration in
-- model.config; or nil, message, code when weights or images do not fit, or -freeze matches nothing
function network.build(values, origin, images)
  local config, wanted, isReset = chosenOf(values, origin, images)
  if not config then return nil, wanted, isReset end
  local fine, message, code = fits(finalOf(config, wanted, isReset), images)
  if not fine then return nil, message, code end
  if origin.model then
    fine, message, code = holds(origin.model, config, values.resume or values.retrain)
    if not fine then return nil, message, code end
  end
  local model = models.fromConfig(config)
  if origin.model then model:loadStateDict(origin.model) end
  if isReset then models.resetClassifier(model, wanted) end
  fine, message, code = frozen(models.withoutImageGradient(model), values)
  if not fine then return nil, message, code end
  return model:to(values.device)
end

--- The optimizer of its parameters, going on from a state where one is given.
-- @return optimizer; or nil, message, code when the state is another network's
function network.optimizer(values, origin, model)
  local made = optimizer.new(values, model)
  if not origin.optimizer then return made end
  return filled(made.loadState, made, origin.optimizer, values.optimState or values.resume)
end

return network
