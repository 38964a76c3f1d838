--- Checkpoints: a directory from which a run goes on exactly, whenever it was killed.
--
--   model_<epoch>.safetensors        network after an epoch; its metadata says how to use it
--   optimState_<epoch>.safetensors   what the optimizer carries over
--   …_<epoch>_<iteration>…           the same, within an epoch
--   model_best.safetensors           copy of the model file with the best score
--   latest.json                      the run's state, and the names of the files to go on from
--   run.lock                         while a run is at work there (densenet.train.claim)
--
-- Every file is written under another name, flushed and renamed (core.file_write), so each is whole
-- or absent. The order makes the directory as a whole so: new model, new optimizer, then
-- latest.json, which alone decides what counts; then the copy of the best; then what is no longer
-- needed goes. A run killed before latest.json leaves files that nothing names, and the next save
-- removes them. One killed between latest.json and the copy leaves an old model_best; then the best
-- epoch is the one that latest.json points to, and `repair` makes the copy.
local checkpointState = require "densenet.train.checkpoint_state"
local core = require "densenet.core"
local fileKind = require "densenet.io.file_kind"
local json = require "densenet.io.json"
local safetensors = require "densenet.io.safetensors"

local checkpoint = {}

local format_version = 1
local metadataKey = "densenet" -- of a model file: the run's state as JSON

local function join(directory, name) return directory .. "/" .. name end

local function baseName(state)
  return state.finished and tostring(state.epoch) or ("%d_%d"):format(state.epoch, state.iteration)
end

local function modelName(suffix) return ("model_%s.safetensors"):format(suffix) end
local function optimizerName(suffix) return ("optimState_%s.safetensors"):format(suffix) end
local bestName, latestName = modelName("best"), "latest.json"

-- ---- Reading ----

local function refusal(path, what)
  return nil, ("%s is not a checkpoint of this program: %s"):format(path, what), "format"
end

local function checkState(state, path)
  local complaint = checkpointState.complaint(state, format_version)
  if complaint then return refusal(path, complaint) end
  return state
end

--- What a model file says of itself: the state of the run that saved it.
-- @return state; or nil when the file is of another program, or nil, message, code
function checkpoint.stateOf(metadata, path)
  local text = metadata and metadata[metadataKey]
  if not text then return nil end
  local state, message, code = json.decode(text)
  if state == nil then return nil, path .. ": " .. message, code end
  return checkState(state, path)
end

-- The value, and the text that it was read from.
local function readJson(path)
  local text, message, code = core.file_read(path)
  if not text then return nil, message, code end
  local value
  value, message, code = json.decode(text)
  if value == nil then return nil, fileKind.explain(path, "JSON", message, text:sub(1, 512)), code end
  return value, text
end

-- What latest.json holds beside the state.
local ownFields = { "model", "optimState", "kept", "settings", "pending" }

-- { state=, text= of the file, and ownFields }.
local function readLatest(directory)
  local path = join(directory, latestName)
  if not core.file_exists(path) then
    return nil, ("nothing to resume in '%s': it has no %s"):format(directory, latestName), "io"
  end
  local state, text, code = readJson(path)
  if not state then return nil, text, code end
  local message
  state, message, code = checkState(state, path)
  if not state then return nil, message, code end
  local own = { text = text }
  for _, field in ipairs(ownFields) do
    own[field], state[field] = state[field], nil
  end
  -- No other names than those that a save gives: a file cannot lead out of its directory.
  for field, name in pairs { model = modelName(baseName(state)), optimState = optimizerName(baseName(state)) } do
    if own[field] ~= name then
      return refusal(path, ("%s: expected %s, the file of this epoch and iteration, got %s"):format(field, name,
        tostring(own[field]):sub(1, 80)))
    end
  end
  local complaint = checkpointState.complaintAboutRest(own)
  if complaint then return refusal(path, complaint) end
  own.state = state
  return own
end

-- The checkpoint that a model file of a directory belongs to.
local function latestFromModel(directory, name)
  local suffix = name:match("^model_(%d+)%.safetensors$") or name:match("^model_(%d+_%d+)%.safetensors$")
  if not suffix then
    return nil, ("cannot resume from %s: expected a directory or its model_<epoch>.safetensors"):format(
      join(directory, name)), "format"
  end
  local path = join(directory, name)
  local _, metadata, code = safetensors.load(path)
  if not _ then return nil, metadata, code end
  local state, message
  state, message, code = checkpoint.stateOf(metadata, path)
  if not state then return nil, message or (path .. " does not hold the state of a run"), code or "format" end
  local latest = readLatest(directory) -- only for what does not decide the result
  if latest and latest.model == name then return latest end
  local kept = {}
  for _, epoch in ipairs(latest and latest.kept or {}) do
    if epoch <= state.epoch then kept[#kept + 1] = epoch end
  end
  return { model = name, optimState = optimizerName(suffix), state = state, kept = kept,
    settings = latest and latest.settings or {}, text = latest and latest.text }
end

--- Finds what to go on from.
-- @param path a checkpoint directory, its latest.json, or one of its model files
-- @return { directory=, state=, settings=, kept=, pending=, text=, model=, optimizer= }, the last two being
-- tables name → tensor, pending the options that changed since the state was saved (Store:amend), text what
-- stood in latest.json, or nil; or nil, message, code
function checkpoint.load(path)
  path = #path > 1 and path:gsub("/+$", "") or path
  local directory, name = path, latestName
  if path:find("%.json$") or path:find("%.safetensors$") then
    directory, name = path:match("^(.*)/([^/]*)$")
    if not directory then directory, name = ".", path end
  end
  local read = name == latestName and readLatest or latestFromModel
  local latest, message, code = read(directory, name)
  if not latest then return nil, message, code end
  local model, metadata, optimizer
  model, metadata, code = safetensors.load(join(directory, latest.model))
  if not model then return nil, metadata, code end
  optimizer, message, code = safetensors.load(join(directory, latest.optimState))
  if not optimizer then return nil, message, code end
  if metadata[metadataKey] ~= json.encode(latest.state) then
    return nil, ("%s and %s in '%s' are of different checkpoints"):format(name, latest.model, directory), "format"
  end
  return { directory = directory, state = latest.state, settings = latest.settings, kept = latest.kept,
    pending = latest.pending or {}, text = latest.text, model = model, optimizer = optimizer }
end

--- Is a directory's latest.json still as it was when checkpoint.load read it?
-- @param saved what load returned
function checkpoint.isUnchanged(saved)
  local path = join(saved.directory, latestName)
  return saved.text == (core.file_exists(path) and core.file_read(path) or nil)
end

--- Is there anything of an earlier run in a directory? What a run leaves that was killed before its first
-- latest.json is nothing.
function checkpoint.holdsRun(directory)
  for _, name in ipairs(core.directory_list(directory) or {}) do
    local suffix = name:match("^model_(.+)%.safetensors$") or name:match("^optimState_(.+)%.safetensors$")
    if name == latestName or suffix and (suffix == "best" or suffix:find("^%d+$")
      or suffix:find("^%d+_%d+$") and not suffix:find("_0$")) then
      return true
    end
  end
  return false
end

-- ---- Writing ----

local Store = {}
Store.__index = Store

--- Opens a directory for saving, making it where it is missing.
-- @param options { directory=, keep= epochs to keep, kept= epochs kept so far }
-- @return store; or nil, message, code when nothing can be written there
function checkpoint.Store(options)
  local directory = #options.directory > 1 and options.directory:gsub("/+$", "") or options.directory
  local self = setmetatable({ directory = directory, keep = options.keep, kept = options.kept or {} }, Store)
  local probe = join(directory, "probe.tmp")
  local made, message, code = core.directory_make(directory)
  if made then made, message, code = core.file_write(probe, "", {}) end
  if made then made, message, code = core.file_remove(probe) end
  if not made then return nil, ("cannot save in '%s': %s"):format(directory, message), code end
  return self
end

--- The path of a file in the directory.
function Store:path(name) return join(self.directory, name) end

--- The name of the model file that latest.json points to, or nil.
function Store:latest()
  local latest = readLatest(self.directory)
  return latest and latest.model or nil
end

--- The path of the best model.
function Store:bestPath() return self:path(bestName) end

local function copy(from, to)
  local content, message, code = core.file_read(from)
  if not content then return nil, message, code end
  return core.file_write(to, content, {})
end

-- Epochs whose files stay, once `state` is saved.
local function epochsToKeep(self, state)
  local epochs = {}
  for _, epoch in ipairs(self.kept) do
    if epoch < state.epoch then epochs[#epochs + 1] = epoch end
  end
  if state.finished then epochs[#epochs + 1] = state.epoch end
  return json.array(table.move(epochs, math.max(1, #epochs - self.keep + 1), #epochs, 1, {}))
end

-- What is ours and no longer named goes. A file that cannot be removed is no reason to stop.
local function clean(self, state)
  local stays = { [bestName] = true, [latestName] = true }
  local function stay(suffix) stays[modelName(suffix)], stays[optimizerName(suffix)] = true, true end
  stay(baseName(state))
  for _, epoch in ipairs(self.kept) do stay(tostring(epoch)) end
  for _, name in ipairs(core.directory_list(self.directory) or {}) do
    local whole = name:gsub("%.tmp$", "")
    local suffix = whole:match("^model_(.+)%.safetensors$") or whole:match("^optimState_(.+)%.safetensors$")
    local ours = whole == latestName or suffix and (suffix == "best" or suffix:find("^%d+_?%d*$"))
    if ours and not stays[name] then core.file_remove(self:path(name)) end
  end
end

local function writeLatest(self, state, kept, settings, pending)
  local latest = { model = modelName(baseName(state)), optimState = optimizerName(baseName(state)),
    kept = json.array(kept), settings = settings, pending = pending and #pending > 0 and json.array(pending) or nil }
  for name, value in pairs(state) do latest[name] = value end
  return core.file_write(self:path(latestName), json.encode(latest, "  ") .. "\n", {})
end

--- Saves.
-- @param snapshot
--   state      { version, epoch=, iteration=, finished=, best=, … }: what a run needs to go on, the
--              same for runs with the same result; also goes into the model file
--   settings   what may differ between such runs
--   pending    (optional) options that changed since the state was as it is, as for amend
--   model, optimizer   tables name → tensor
-- @param spare true: files that the new latest.json does not name stay for now
-- @return true, or nil, message, code
function Store:save(snapshot, spare)
  local state = snapshot.state
  state.version = format_version
  local suffix, text = baseName(state), json.encode(state)
  local kept = epochsToKeep(self, state)
  local modelPath, optimizerPath = self:path(modelName(suffix)), self:path(optimizerName(suffix))
  local done, message, code = safetensors.save(modelPath, snapshot.model, { format = "pt", [metadataKey] = text })
  if done then done, message, code = safetensors.save(optimizerPath, snapshot.optimizer, {}) end
  if done then done, message, code = writeLatest(self, state, kept, snapshot.settings, snapshot.pending) end
  if done and state.finished and state.best and state.best.epoch == state.epoch then
    done, message, code = copy(modelPath, self:bestPath())
  end
  if not done then return nil, message, code end
  self.kept = kept
  if not spare then clean(self, state) end
  return true
end

--- Goes on from `saved` with other options, as from now on the directory says too: a process that is killed
-- before its first save has not lost them. The model file stays as it is, so latest.json holds them aside.
-- @param saved what checkpoint.load returned, from this directory
-- @param pending all options that changed since it was saved
-- @param settings options that do not decide the result
-- @return true, or nil, message, code
function Store:amend(saved, pending, settings)
  return writeLatest(self, saved.state, saved.kept, settings, pending)
end

local function holdsBest(path, best)
  if not core.file_exists(path) then return false end
  local tensors, metadata = safetensors.load(path)
  local state = tensors and checkpoint.stateOf(metadata, path)
  return state and state.finished and state.best and json.encode(state.best) == json.encode(best) or false
end

-- Makes model_best what `state` says it is.
local function repairBest(self, state, from)
  local best = state.best
  if not best or holdsBest(self:bestPath(), best) then return true end
  for _, name in ipairs { bestName, modelName(tostring(best.epoch)) } do
    if holdsBest(join(from, name), best) then return copy(join(from, name), self:bestPath()) end
  end
  return false
end

--- Finishes what a kill left undone: copies the best model, also from another directory that is
-- resumed from, and removes what latest.json does not name.
-- @param state of the checkpoint resumed
-- @param from the directory resumed from
-- @return true; false when no file holds the best model any more; or nil, message, code
function Store:repair(state, from)
  local hasBest, message, code = repairBest(self, state, from)
  if self:latest() == modelName(baseName(state)) then clean(self, state) end
  return hasBest, message, code
end

return checkpoint
