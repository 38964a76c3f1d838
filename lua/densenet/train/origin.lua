--- Where a run starts from: nothing, a checkpoint to go on from (-resume), or weights to start with
-- (-retrain, -optimState). What a file says of itself counts unless the command line says otherwise,
-- and where both speak and differ, the run is refused.
local checkpoint = require "densenet.train.checkpoint"
local options = require "densenet.train.options"
local safetensors = require "densenet.io.safetensors"

local origin = {}

-- An option that was given and asks for another network than the file's, in a sentence, or nil.
local function networkConflict(values, given, network)
  local function conflict(name, has)
    return ("-%s %s, but the network in -retrain %s has %s"):format(name, options.text(values[name]), values.retrain,
      has)
  end
  local layers = table.concat(network.blocks, ", ")
  for _, name in ipairs { "depth", "d1", "d2", "d3", "d4" } do
    if given[name] and table.concat(options.blocks(values), ", ") ~= layers then
      return conflict(name, ("blocks of %s layers"):format(layers))
    end
  end
  for _, name in ipairs { "growthRate", "bottleneck", "reduction" } do
    if given[name] and values[name] ~= network[name] then return conflict(name, options.text(network[name])) end
  end
end

-- The file's network, with what may be chosen anew.
local function adapted(network, values, given)
  local config = {}
  for name, value in pairs(network) do config[name] = value end
  if given.dropRate then config.dropRate = values.dropRate end
  return config
end

-- A line about tensors of a file that this program cannot hold, or nil.
local function leftOutNote(path, leftOut)
  local names = {}
  for name in pairs(leftOut) do names[#names + 1] = name end
  if #names == 0 then return nil end
  table.sort(names)
  return ("%s: %d of its tensors are left out, the first is %q: %s"):format(path, #names, names[1],
    leftOut[names[1]])
end

local function loadWeights(values, given)
  local tensors, metadata, code = safetensors.load(values.retrain)
  if not tensors then return nil, metadata, code end
  local note = leftOutNote(values.retrain, code)
  local state, message
  state, message, code = checkpoint.stateOf(metadata, values.retrain)
  if message then return nil, message, code end
  local conflict = state and networkConflict(values, given, state.network)
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
  return { about = state, network = state and adapted(state.network, values, given), model = tensors,
    optimizer = optimizer, note = note }
end

local function loadCheckpoint(values, given)
  local saved, message, code = checkpoint.load(values.resume)
  if not saved then return nil, message, code end
  local before = { precision = saved.state.precision }
  for _, part in ipairs { saved.state.options, saved.settings } do
    for name, value in pairs(part) do before[name] = value end
  end
  local merged
  merged, message = options.merge(values, given, before)
  if merged then merged, message = options.check(values, given) end
  if not merged then return nil, message, "usage" end
  if not given.save then values.save = saved.directory end
  return { about = saved.state, network = saved.state.network, model = saved.model, optimizer = saved.optimizer,
    resumed = saved }
end

--- Finds the origin of a run, and completes its options.
-- @param values, given from options.parse; values is changed
-- @return origin: { about= state that the file holds, or nil; network= its configuration, or nil;
-- model=, optimizer= tables of tensors, or nil; resumed= the checkpoint, or nil; note= what to tell of
-- the file, or nil }; or
-- nil, message, code, code being "usage" when the command line is to blame
function origin.find(values, given)
  local found, message, code = {}, nil, nil
  if values.resume then
    found, message, code = loadCheckpoint(values, given)
  elseif values.retrain then
    found, message, code = loadWeights(values, given)
  end
  if not found then return nil, message, code end
  options.complete(values)
  return found
end

return origin
