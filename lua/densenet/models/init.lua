--- Networks by their configurations, of any family (densenet.models.family).
--
-- A configuration is a flat table of plain values, complete once it was through models.complete: `family`,
-- `inputChannels`, `nClasses`, `optMemory`, `precision`, and the family's own fields. It is stored beside the
-- weights and builds the same network again.
-- @module densenet.models

local argument = require "densenet.argument"
local core = require "densenet.core"
local shallowCopy = require "densenet.shallow_copy"
local sortedNames = require "densenet.sorted_names"
local nn = require "densenet.nn"
local modes = require "densenet.nn.memory_modes"
local shadow = require "densenet.nn.plan.shadow"
local convert = require "densenet.mlg.convert"
local mlgSettings = require "densenet.mlg.settings"
local flat = require "densenet.nn.flat_parameters"
local stateDict = require "densenet.nn.state_dict"
local trained = require "densenet.nn.trained"
local family = require "densenet.models.family"
local load = require "densenet.models.load"
local methods = require "densenet.models.methods"
local fields = require "densenet.models.fields"
local precision = require "densenet.models.precision"
local presets = require "densenet.models.presets"

local models = { presets = presets, find = family.find, names = family.names, memoryOf = family.memoryOf }

local USUAL_FAMILY = "densenet" -- of files without a word on it
local COMMON = { "family", "inputChannels", "mlg", "nClasses", "optMemory", "precision" }

--- A family by its name, or by that of one of its presets.
-- @return the table; or nil, message, code
function models.family(name) return family.find(name == nil and USUAL_FAMILY or name) end

--- What is wrong with an optMemory for a family: a sentence, or nil.
-- @tparam string name the family's
-- @tparam integer optMemory from 0 to 5
function models.modeComplaint(name, optMemory)
  local builds = family.memoryOf(models.family(name)).builds
  if builds[optMemory] then return nil end
  local there = {}
  for mode = 0, #modes do
    if builds[mode] then there[#there + 1] = modes.text(mode) end
  end
  return ("optMemory %s is no mode of %s, which has %s"):format(modes.text(optMemory), name, table.concat(there, ", "))
end

-- A network: a module, and with a configuration where that is needed.
local function checkModel(name, model, needsConfig)
  local isModule = type(model) == "table" and model.updateOutput
  if not isModule or needsConfig and type(model.config) ~= "table" then
    argument.refuse(1, name, model, needsConfig and "a network of dn.models" or "a module")
  end
end

-- The family's fields apart from those that every network has.
local function split(config)
  local own, common = shallowCopy(config), {}
  for _, name in ipairs(COMMON) do
    own[name], common[name] = nil, config[name]
  end
  return own, common
end

local function addCommon(config, common, name, definition)
  local read = fields.reader(common, COMMON)
  config.family = name
  config.inputChannels = read:integer("inputChannels", 3, 1)
  config.nClasses = read:integer("nClasses", config.nClasses or 10, 1)
  config.optMemory = read:integer("optMemory", family.memoryOf(definition).default, 0)
  config.precision = read:word("precision", "single", precision.words)
  if common.mlg ~= nil then
    local wrong
    config.mlg, wrong = mlgSettings.complete(common.mlg)
    if not config.mlg then read:refuse("mlg: %s", wrong) end
  end
  if config.optMemory > #modes then
    read:refuse("optMemory must be an integer from 0 to %d, got %d", #modes, config.optMemory)
  else
    local wrong = models.modeComplaint(name, config.optMemory)
    if wrong then read:refuse("%s", wrong) end
  end
  return read:result(config)
end

--- A complete configuration of a given one.
-- @tparam table options a configuration; what it lacks becomes the usual value
-- @tparam[opt] integer nTensors of the file that it comes from: a network of more layers is refused, at once
-- @treturn table or nil and a sentence that begins with the field at fault
function models.complete(options, nTensors)
  if type(options) ~= "table" then
    return nil, ("a table of options expected, got %s"):format(type(options))
  end
  local definition, name, preset = models.family(options.family)
  if not definition then return nil, ("family %s: %s"):format(tostring(options.family), name) end
  local own, common = split(options)
  for option, value in pairs(preset.options) do
    if own[option] == nil then own[option] = value end
  end
  local config, wrong = definition.complete(own)
  if config then config, wrong = addCommon(config, common, name, definition) end
  if not config then return nil, wrong end
  local nLayers = nTensors and definition.layers and definition.layers(config) or 0
  if nTensors and nLayers > nTensors then
    return nil, ("a network of %.0f layers has more than the %d tensors of the file"):format(nLayers, nTensors)
  end
  return config
end

-- The same network, new, without memory and in another mode, for nn.MemoryPlan to compare with: itself
-- where the family builds both alike, nil where it has no such mode.
local function inMode(model, optMemory)
  local config = shallowCopy(model.config)
  local builds = family.memoryOf(models.family(config.family)).builds
  if not builds[optMemory] then return nil end
  if builds[optMemory] == builds[config.optMemory] then return model end
  config.optMemory = optMemory
  return models.withoutMemory(config, model._device)
end

--- What network a state (table name → tensor) is of, where a family can tell from names and shapes.
-- @treturn ?string
function models.describeState(state)
  for _, definition in pairs(family.known) do
    local text = definition.likeness and definition.likeness(state)
    if text then return text end
  end
end

--- The configuration of the network that a state (table name → tensor, under torchvision's names) is of, from
-- names and shapes alone.
-- @treturn table a complete configuration; or nil and a sentence
function models.infer(state)
  local wrong
  for _, name in ipairs(family.names()) do
    local definition = family.known[name]
    local config, message
    if definition and definition.infer then config, message = definition.infer(state) end
    if config then
      config.family = name
      return models.complete(config)
    end
    wrong = wrong or message
  end
  return nil, wrong or "its metadata describes no network, and its tensors have the names of none that is known here"
end

local function build(options, what, level)
  local config, wrong = models.complete(options)
  if not config then error(("models.%s: %s"):format(what, wrong), level) end
  local model = models.family(config.family).build(config)
  if config.mlg then model = convert(model, config.mlg) end
  model.config, model.inMode, model.describeState = config, inMode, models.describeState
  for method, action in pairs(methods) do
    if model[method] == nil then model[method] = action end -- a family's class may have its own
  end
  model:type(precision.dtypes[config.precision])
  if #trained.of(model) > 0 then flat.vectors(model, "models." .. what) end
  return model
end

--- The network that a configuration describes, with new weights: also what a checkpoint is loaded into.
-- @tparam table config model.config of another time, or less: see the families for their fields, and
--
--    family         "densenet"; models.names() lists what there is, and a module of your own can add
--    inputChannels  3
--    nClasses       10 (the family may say otherwise)
--    optMemory      what training keeps in memory, 0 to 5 (densenet.nn.memory_modes); the family's usual one
--    precision      "single"; "tf32", the same where a GPU may round products' factors to 10 bits; "double";
--                   "half" or "bfloat16" for activations beside parameters in float
--    mlg            (none) a table: weights are generated or quantised so (densenet.mlg.settings)
--
-- @return the model, in training mode; model.config holds the complete configuration
-- @raise a sentence that names the option, what is expected and what was given
function models.fromConfig(config) return build(config, "fromConfig", 0) end

for name in pairs(family.known) do
  -- models.densenet, models.preresnet: the same for a family.
  models[name] = function(options)
    if type(options) ~= "table" then return build(options, name, 0) end
    local config = shallowCopy(options)
    config.family = config.family or name
    if config.family ~= name then
      error(("models.%s: family must be %s, got %s"):format(name, name, tostring(config.family)), 0)
    end
    return build(config, name, 0)
  end
end

--- The same without memory: no tensor has values, nothing is allocated. For model:plan(inputSize).
-- @tparam table config
-- @tparam[opt="cpu"] string device that it would be on
function models.withoutMemory(config, device)
  return shadow.build(function() return models.fromConfig(config) end, device)
end

--- A trained network from a file, known by its content: one that a run here saved, or a run's directory; PyTorch's
-- weights of a DenseNet (.safetensors, .pth) under the names of torchvision (also those of before 2018), timm or
-- MONAI, from whose names and shapes the network follows; a DenseNet of Torch7 (.t7) or in an ONNX file.
--
--    local model = assert(dn.models.load("densenet121.safetensors",
--      { preprocess = "torchvision", classes = "imagenet_classes.txt" }))
--    for _, guess in ipairs(model:classify("cat.jpg")) do print(guess.probability, guess.class) end
--
-- @tparam string path
-- @tparam[opt] table options what the file does not say, or what is to count instead
--
--    classes        list of the classes' names, or a text file with one a line
--    preprocess     what images go through: a recipe (densenet.data.recipe) or the name of one
--    mean, std, range, scale, filter, crop, rounding  fields of a recipe by themselves
--    inputChannels  for images of another number of channels: the first convolution's weights are summed to 1,
--                   or repeated and scaled (densenet.models.input_channels)
--    device, precision, optMemory  of the network; by default "cpu" and what the file says
--
-- @return the model in evaluation mode, whose `classes`, `recipe` (nil where nobody says them), `notes` (a list of
-- sentences on what was read and changed) and `file` tell what is known of it; or nil, message, code
function models.load(path, options) return load(models, path, options) end

--- The network that Torch7 saved, from what dn.io.t7.load gave: a module of nn, cudnn or cunn, or a table with one as
-- its `model`. models.load takes a .t7 file itself.
-- @param value what was loaded
-- @treturn module the network in evaluation mode; or nil, message, "format"
function models.fromTorch7(value)
  local tree, message = require "densenet.models.torch7_tree" (value)
  if not tree then return nil, message, "format" end
  local config
  config, message = models.infer(tree.tensors)
  if not config then return nil, message, "format" end
  config.dropRate = tree.dropRate
  message = stateDict.mismatch(models.withoutMemory(config), tree.tensors)
  if message then return nil, message, "format" end
  local model = models.fromConfig(config)
  model:loadStateDict(tree.tensors)
  model.notes = tree.notes
  return model:evaluate()
end

--- A network as the tree that Torch7 loads, for dn.io.t7.save: without gradients, for evaluation.
-- @param model from models.fromConfig or models.load
-- @treturn table objects of nn's classes
-- @raise for a module without a form there, by its class and name
function models.toTorch7(model)
  checkModel("toTorch7", model, true)
  return require "densenet.models.torch7_export" (model)
end

--- A line on a configuration: what its family says of it.
function models.describe(config)
  argument.table(1, "describe", config, "config")
  return models.family(config.family).describe(config)
end

--- The height and width that images need at least for the network of a configuration.
function models.leastSize(config)
  argument.table(1, "leastSize", config, "config")
  local definition = models.family(config.family)
  return definition.leastSize and definition.leastSize(config) or 1
end

--- What a word of -freeze stands for in a network: "classifier-only", or "block2", all up to a block.
-- @tparam table config of the network
-- @tparam string word
-- @treturn table patterns for model:freeze; nil where the word is none of the family's; or nil and a sentence
function models.freezing(config, word)
  local definition = models.family(config.family)
  if definition.freezing then return definition.freezing(config, word) end
end

--- The name of a family's last layer, which tells the classes apart.
function models.classifierOf(name) return models.family(name).classifier or "classifier" end

--- For training: nobody asks for the gradient of the images, so the first convolution skips it, and
-- model:backward returns nil.
-- @return the model
function models.withoutImageGradient(model)
  checkModel("withoutImageGradient", model)
  local first = model
  while first.__typename == "nn.Sequential" and first:get(1) do first = first:get(1) end
  first.gradInput = nil
  return model
end

--- A network by name, such as "densenet121" or "bc-100-12"; densenet.models.presets lists them.
-- @tparam string name
-- @tparam[opt] table overrides options of the family that replace or add to the preset's
function models.preset(name, overrides)
  if not presets[name] then
    argument.raise("no network is called '%s'; there are %s", tostring(name),
      table.concat(sortedNames(presets), ", "))
  end
  local options = shallowCopy(presets[name].options)
  options.family = presets[name].family
  for option, value in pairs(overrides or {}) do options[option] = value end
  return models.fromConfig(options)
end

--- Gives a model a new classifier, for another set of classes; the rest keeps its weights.
-- Optimizers and getParameters' vectors of before do not know of it: make new ones.
-- @param model from models.fromConfig
-- @tparam integer nClasses
-- @return the model
function models.resetClassifier(model, nClasses)
  if math.type(nClasses) ~= "integer" or nClasses < 1 then
    argument.refuse(2, "resetClassifier", nClasses, "a number of classes")
  end
  checkModel("resetClassifier", model, true)
  local name = models.classifierOf(model.config.family)
  local old = model:get(name)
  if not old or old.__typename ~= "nn.Linear" then
    error(("bad argument #1 to 'resetClassifier' (its last layer '%s' should be an nn.Linear, got %s)"):format(name,
      old and old.__typename or "none"), 2)
  end
  local new = nn.Linear(old.nInputs, nClasses)
  core.fill(new.bias, 0)
  model:replace(name, new:type(model:activationType()):to(model._device))
  new.train = old.train
  model.config.nClasses = nClasses
  return model
end

return argument.closed(models, "dn.models")
