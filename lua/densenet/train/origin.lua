--- Where a run starts from: nothing, a checkpoint to go on from (-resume), or weights to start with
-- (-retrain, -optimState). What a file says of itself counts unless the command line says otherwise,
-- and where both speak and differ, the run is refused.
local checkpoint = require "densenet.train.checkpoint"
local dataOptions = require "densenet.train.data_options"
local formats = require "densenet.models.formats"
local generation = require "densenet.train.generation"
local inputChannels = require "densenet.models.input_channels"
local models = require "densenet.models"
local options = require "densenet.train.options"
local preprocessing = require "densenet.models.preprocessing"
local safetensors = require "densenet.io.safetensors"

local origin = {}

-- Does -nClasses ask for another number than the file's network has?
local function classesConflict(values, given, tensors, network)
  local classifier = tensors["classifier.weight"]
  local has = network and network.nClasses or classifier and classifier:dim() == 2 and classifier:size(1)
  if not given.nClasses or values.nClasses == 0 or values.resetClassifier or not has or has == values.nClasses then
    return nil
  end
  return ("-nClasses %d, but the network in -retrain %s tells %s classes apart; -resetClassifier true gives it a "
    .. "new last layer"):format(values.nClasses, values.retrain, tostring(has))
end

-- The network that a file's metadata describes, complete; or nil, message, code when there can be none such.
local function describedNetwork(network, tensors, file)
  local nTensors = 0
  for _ in pairs(tensors) do nTensors = nTensors + 1 end
  local config, wrong = models.complete(network, nTensors)
  if not config then return nil, ("%s: its metadata describes no network: %s"):format(file, wrong), "format" end
  return config
end

local function textOf(value)
  return type(value) == "table" and table.concat(value, ", ") or options.text(value)
end

-- Joins the options with the network of -retrain: what may be chosen anew and was given changes the network,
-- and the rest must not differ. Returns true; or nil and a sentence.
local function joinNetwork(values, given, network)
  local function conflict(name, has)
    return nil, ("-%s %s, but the network in -retrain %s %s"):format(name, options.text(values[name]), values.retrain,
      has)
  end
  local family, familyName, preset = models.find(values.netType)
  if familyName ~= network.family then
    if given.netType then return conflict("netType", "is of the family " .. network.family) end
    local adopted, message = options.adopt(values, given, network.family)
    if not adopted then return nil, message end
    return joinNetwork(values, given, network)
  end
  local isAsked
  for _, option in ipairs(family.options) do
    isAsked = isAsked or given[option.name] or given.netType and preset.options[option.name] ~= nil
  end
  if not isAsked then return true end
  local wanted, message = options.networkConfig(values, given)
  if not wanted then return nil, message end
  for _, option in ipairs(family.options) do
    local field = option.field or option.name
    local byPreset = given.netType and preset.options[option.name] ~= nil
    if option.isFree and given[option.name] then
      network[field] = wanted[field]
    elseif (given[option.name] or byPreset) and textOf(wanted[field]) ~= textOf(network[field]) then
      return conflict(given[option.name] and option.name or "netType", ("has %s%s"):format(
        field ~= option.name and field .. " " or "", textOf(network[field])))
    end
  end
  return true
end

-- The network of a file: as it says itself, else as its tensors' names and shapes tell; nil alone where neither
-- does, and the options have to. Joined with the options. Or nil, message, code.
local function networkOf(content, values, given)
  local network, message, code
  if content.config ~= nil then
    network, message, code = describedNetwork(content.config, content.tensors, values.retrain)
    if not network then return nil, message, code end
  else
    network = models.infer(content.tensors)
  end
  if not network then
    network, message = options.networkConfig(values, given)
    return nil, not network and message or nil, "usage"
  end
  local joined
  joined, message = joinNetwork(values, given, network)
  if not joined then return nil, message, "usage" end
  return network
end

-- The weights for images of -inputChannels channels. Returns true; or nil, message, code.
local function adaptChannels(content, values, network)
  local wanted = values.inputChannels
  if not wanted or wanted == 0 or network and network.inputChannels == wanted then return true end
  local tensors, note = inputChannels.adapt(content.tensors, wanted)
  if not tensors then return nil, ("-inputChannels %d: %s: %s"):format(wanted, values.retrain, note), "usage" end
  content.tensors, content.adaptedFrom = tensors, network and network.inputChannels
  if network then network.inputChannels = wanted end
  content.notes[#content.notes + 1] = note
  return true
end

-- The recipe that the network's images went through, which those of a folder then go through too, where the command
-- line says nothing else. Returns it; nil alone where nobody says one; or nil, message, code.
local function recipeOf(content, values, given, network)
  local channels = network and network.inputChannels
  local recipe, message, code
  if channels then
    recipe, message, code = preprocessing.choose(content, { preprocess = values.preprocess }, channels)
    if message then return nil, message, values.preprocess and "usage" or code end
    dataOptions.adoptRecipe(values, given, recipe, channels)
  end
  if values.testOnly and not recipe and not content.state and dataOptions.hasOwnClasses(values) then
    return nil, ("%s does not say what images go through before its network sees them: -preprocess %s"):format(
      values.retrain, table.concat(preprocessing.names(), "|")), "usage"
  end
  return recipe
end

local function loadWeights(values, given)
  local content, message, code = formats.read(values.retrain)
  if not content then return nil, message, code end
  local state, network, adapted, isJoined
  state, message, code = checkpoint.stateOf(content.metadata, values.retrain)
  if message then return nil, message, code end
  network, message, code = networkOf(content, values, given)
  if message then return nil, message, code end
  isJoined, message = generation.join(values, given, network)
  if not isJoined then return nil, message, "usage" end
  adapted, message, code = adaptChannels(content, values, network)
  if not adapted then return nil, message, code end
  local conflict = classesConflict(values, given, content.tensors, network)
  if conflict then return nil, conflict, "usage" end
  if state and values.testOnly then
    if not given.dataset then values.dataset = state.options.dataset end
    if not given.precision then values.precision = state.precision end
    dataOptions.adopt(values, given, state.options)
  end
  local recipe
  recipe, message, code = recipeOf(content, values, given, network)
  if message then return nil, message, code end
  local optimizer
  if values.optimState then
    optimizer, message, code = safetensors.load(values.optimState)
    if not optimizer then return nil, message, code end
  end
  return { about = state, network = network, model = content.tensors, optimizer = optimizer, notes = content.notes,
    recipe = recipe }
end

-- What changes in a resumed run, with the epoch and the number of its batches that are done by then.
local function dated(changes, state)
  for _, change in ipairs(changes) do
    change.epoch = state.finished and state.epoch + 1 or state.epoch
    change.iteration = state.finished and 0 or state.iteration
  end
  return changes
end

local function loadCheckpoint(values, given)
  local saved, message, code = checkpoint.load(values.resume)
  if not saved then return nil, message, code end
  local network
  network, message, code = describedNetwork(saved.state.network, saved.model, saved.directory)
  if not network then return nil, message, code end
  local state, before = saved.state, { precision = saved.state.precision }
  for _, part in ipairs { state.options, saved.settings } do
    for name, value in pairs(part) do before[name] = value end
  end
  for _, change in ipairs(saved.pending) do before[change.option] = change.to end
  -- A test has its own batches.
  local merged, changes = options.merge(values, given, before, values.testOnly and { finished = true } or state)
  message = changes
  if merged then merged, message = options.check(values, given) end
  if not merged then return nil, message, "usage" end
  if not given.save then values.save = saved.directory end
  return { about = state, network = network, model = saved.model, resumed = saved,
    optimizer = values.momentum > 0 and saved.optimizer or nil, recipe = state.preprocess,
    changes = dated(changes, state) }
end

--- Finds the origin of a run, and completes its options.
-- @param values from options.parse; changed
-- @param given from options.parse
-- @return origin: { about= state that the file holds, or nil; network= its configuration, or nil;
-- model=, optimizer= tables of tensors, or nil; resumed= the checkpoint, or nil; notes= what to tell of
-- the file, a list of sentences; recipe= what the network's images went through
-- (densenet.data.recipe), or nil; changes= options that are others than the checkpoint's from there on, { option=,
-- from=, to=, epoch=, iteration= } each }; or
-- nil, message, code, code being "usage" when the command line is to blame
function origin.find(values, given)
  local found, message, code = {}, nil, nil
  if values.resume then
    found, message, code = loadCheckpoint(values, given)
  elseif values.retrain then
    found, message, code = loadWeights(values, given)
  end
  if not found then return nil, message, code end
  local fine
  fine, message = options.checkMode(values)
  if fine then fine, message = dataOptions.check(values) end
  if not fine then return nil, message, "usage" end
  fine, message, code = options.complete(values, values.testOnly and found.about and found.about.classes or nil)
  if not fine then return nil, message, code end
  return found
end

return origin
