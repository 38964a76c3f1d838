--- Where a run starts from: nothing, a checkpoint to go on from (-resume), or weights to start with
-- (-retrain, -optimState). What a file says of itself counts unless the command line says otherwise,
-- and where both speak and differ, the run is refused.
local checkpoint = require "densenet.train.checkpoint"
local core = require "densenet.core"
local generation = require "densenet.train.generation"
local models = require "densenet.models"
local options = require "densenet.train.options"
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

-- A line about tensors of a file that this program cannot hold, or nil.
local function leftOutNote(path, leftOut)
  local names = {}
  for name in pairs(leftOut) do names[#names + 1] = name end
  if #names == 0 then return nil end
  table.sort(names, core.before)
  return ("%s: %d of its tensors are left out, the first is %q: %s"):format(path, #names, names[1],
    leftOut[names[1]])
end

local function loadWeights(values, given)
  local tensors, metadata, code = safetensors.load(values.retrain)
  if not tensors then return nil, metadata, code end
  local note = leftOutNote(values.retrain, code)
  local state, network, message, isPacked
  state, message, code = checkpoint.stateOf(metadata, values.retrain)
  if message then return nil, message, code end
  tensors, isPacked, code = generation.unpacked(values.retrain, tensors, metadata)
  if not tensors then return nil, isPacked, code end
  if state then
    if isPacked then state.network.mlg = nil end
    network, message, code = describedNetwork(state.network, tensors, values.retrain)
    if not network then return nil, message, code end
    local joined
    joined, message = joinNetwork(values, given, network)
    if not joined then return nil, message, "usage" end
  else
    local asked
    asked, message = options.networkConfig(values, given)
    if not asked then return nil, message, "usage" end
  end
  local isJoined
  isJoined, message = generation.join(values, given, network)
  if not isJoined then return nil, message, "usage" end
  local conflict = classesConflict(values, given, tensors, network)
  if conflict then return nil, conflict, "usage" end
  if state and values.testOnly then
    if not given.dataset then values.dataset = state.options.dataset end
    if not given.precision then values.precision = state.precision end
  end
  local optimizer
  if values.optimState then
    optimizer, message, code = safetensors.load(values.optimState)
    if not optimizer then return nil, message, code end
  end
  return { about = state, network = network, model = tensors, optimizer = optimizer, note = note }
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
    optimizer = values.momentum > 0 and saved.optimizer or nil, changes = dated(changes, state) }
end

--- Finds the origin of a run, and completes its options.
-- @param values from options.parse; changed
-- @param given from options.parse
-- @return origin: { about= state that the file holds, or nil; network= its configuration, or nil;
-- model=, optimizer= tables of tensors, or nil; resumed= the checkpoint, or nil; note= what to tell of
-- the file, or nil; changes= options that are others than the checkpoint's from there on, { option=, from=,
-- to=, epoch=, iteration= } each }; or
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
  if not fine then return nil, message, "usage" end
  fine, message, code = options.complete(values)
  if not fine then return nil, message, code end
  return found
end

return origin
