--- The network of a run: built from the options, or as the file it starts from describes it, and
-- filled with that file's weights.
local models = require "densenet.models"
local options = require "densenet.train.options"
local SGD = require "densenet.optim.sgd"

local network = {}

-- A network as the options ask for it, for images of a data set.
local function configOf(values, images, nClasses)
  return {
    blocks = options.blocks(values), growthRate = values.growthRate, bottleneck = values.bottleneck,
    reduction = values.reduction, dropRate = values.dropRate, stem = "cifar",
    inputChannels = images.channels, nClasses = nClasses, precision = values.precision,
    optMemory = values.optMemory,
  }
end

local function fits(config, images)
  if config.inputChannels ~= images.channels then
    return nil, ("the network takes images of %d channels, those of %s have %d"):format(config.inputChannels,
      images.name, images.channels), "argument"
  end
  if config.nClasses < images.nClasses then
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
    local classifier = isReset and origin.model["classifier.weight"]
    config = configOf(values, images, classifier and classifier:size(1) or wanted)
  end
  local chosen = {}
  for name, value in pairs(config) do chosen[name] = value end
  chosen.optMemory, chosen.precision = values.optMemory, values.precision
  return chosen, wanted, isReset
end

--- The network that build would build, without memory: only to be asked for its plan.
function network.withoutMemory(values, origin, images)
  local config, wanted, isReset = chosenOf(values, origin, images)
  if isReset then config.nClasses = wanted end
  return models.withoutImageGradient(models.withoutMemory(config, values.device))
end

-- Fills `into` with a file's tensors. Returns it; or nil, message, code when they do not fit.
local function filled(method, into, tensors, file)
  local done, message = pcall(method, into, tensors)
  if done then return into end
  message = tostring(message)
  return nil, message:sub(1, #file) == file and message or ("%s: %s"):format(file, message), "format"
end

--- Builds it.
-- @param values options
-- @param origin from origin.find
-- @param images an opened data set: name, channels, nClasses
-- @return model, on values.device, in training mode, with its complete configuration in model.config; or nil,
-- message, code when weights or images do not fit
function network.build(values, origin, images)
  local config, wanted, isReset = chosenOf(values, origin, images)
  local model = models.fromConfig(config)
  if origin.model then
    local loaded, message, code = filled(model.loadStateDict, model, origin.model, values.resume or values.retrain)
    if not loaded then return nil, message, code end
  end
  if isReset then models.resetClassifier(model, wanted) end
  local fine, message, code = fits(model.config, images)
  if not fine then return nil, message, code end
  return models.withoutImageGradient(model):to(values.device)
end

--- SGD over its parameters, going on from a state where one is given.
-- @return optimizer; or nil, message, code when the state is another network's
function network.optimizer(values, origin, model)
  local optimizer = SGD(model, { learningRate = values.LR, momentum = values.momentum, dampening = 0,
    nesterov = values.momentum > 0, weightDecay = values.weightDecay })
  if not origin.optimizer then return optimizer end
  return filled(optimizer.loadState, optimizer, origin.optimizer, values.optimState or values.resume)
end

return network
