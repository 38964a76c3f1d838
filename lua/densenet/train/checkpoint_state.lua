--- What a checkpoint says of itself, checked field by field before any of it is used: a file may be
-- damaged, edited by hand, or of somebody who means harm.
--
-- Every check answers nothing, or what is wrong, in the words "FIELD: expected …, got …".
local core = require "densenet.core"
local json = require "densenet.io.json"
local options = require "densenet.train.options"
local recipes = require "densenet.data.recipe"

local checkpointState = {}

local MOST_EPOCHS, MOST_TEXT = 1000000, 60

-- A value of a file, for a message; not at full length.
local function show(value)
  if value == nil then return "nothing" end
  if type(value) == "string" then return core.format("%q", value:sub(1, MOST_TEXT)):gsub("\n", "n") end
  if type(value) ~= "table" or value == json.null then return core.format("%s", value) end
  return json.isArray(value) and ("a list of %d"):format(#value) or "an object"
end

local function wrong(field, expected, value)
  return ("%s: expected %s, got %s"):format(field, expected, (show(value)))
end

-- ---- Kinds of values: { accepts(value), text } ----

local function whole(least, most)
  return { text = ("a whole number from %d to %d"):format(least, most),
    accepts = function(v) return math.type(v) == "integer" and v >= least and v <= most end }
end

local function real(text, accepts)
  return { text = text, accepts = function(v) return type(v) == "number" and v - v == 0 and accepts(v) end }
end

local function ofType(name, text)
  return { text = text, accepts = function(v) return type(v) == name and v ~= json.null end }
end

local count = whole(0, 2 ^ 53 | 0)
local epochNumber = whole(1, MOST_EPOCHS)
local anyWhole = whole(math.mininteger, math.maxinteger)
local finite = real("a finite number", function() return true end)
local percent = real("a number from 0 to 100", function(v) return v >= 0 and v <= 100 end)
local positive = real("a finite number above 0", function(v) return v > 0 end)
local boolean = ofType("boolean", "true or false")
local text = ofType("string", "a text")
local object = { text = "an object",
  accepts = function(v) return type(v) == "table" and v ~= json.null and not json.isArray(v) end }

local function listOf(kind, length)
  return { text = length and ("a list of %d"):format(length) or "a list", item = kind,
    accepts = function(v)
      if type(v) ~= "table" or v == json.null or length and #v ~= length then return false end
      local n = 0
      for _ in pairs(v) do n = n + 1 end
      return n == #v
    end }
end

-- What is wrong with a value of a file; nil when nothing is.
local function complaintOf(value, kind, place)
  if not kind.accepts(value) then return wrong(place, kind.text, value) end
  for i, item in ipairs(kind.item and value or {}) do
    local complaint = complaintOf(item, kind.item, ("%s[%d]"):format(place, i))
    if complaint then return complaint end
  end
end

-- { name, kind, "optional" or nil }, in the order in which they are looked at.
local STATE = {
  { "epoch", epochNumber }, { "iteration", count }, { "steps", count, "optional" }, { "finished", boolean },
  { "options", object }, { "network", object }, { "random", object }, { "best", object, "optional" },
  { "errors", object, "optional" }, { "lossScale", object, "optional" }, { "teacher", object, "optional" },
  { "precision", text, "optional" }, { "dataset", text, "optional" },
  { "classes", listOf(text), "optional" }, { "mean", listOf(finite), "optional" },
  { "std", listOf(positive), "optional" }, { "inputSize", listOf(whole(1, 1 << 20), 3), "optional" },
  { "trainFiles", listOf(count, 3), "optional" },
  { "changes", listOf(object), "optional" }, { "preprocess", object, "optional" },
}
local PARTS = {
  random = { { "seed", anyWhole }, { "position", anyWhole } },
  best = { { "epoch", epochNumber }, { "top1", percent }, { "top5", percent, "optional" },
    { "by", text, "optional" } },
  errors = { { "lossSum", finite }, { "wrong1", count }, { "wrong5", count }, { "count", count } },
  lossScale = { { "scale", positive }, { "good", count }, { "skipped", count } },
  teacher = { { "path", text }, { "checksum", text } },
}
local CHANGE = { { "option", text }, { "epoch", epochNumber }, { "iteration", count } }
local SETTINGS = { { "seconds", real("a number of seconds", function(v) return v >= 0 end), "optional" },
  { "device", text, "optional" }, { "events", object, "optional" } }
local EVENTS = { { "steps", count }, { "errors", object } }

local function complaintAbout(value, fields, place)
  for _, field in ipairs(fields) do
    local name, kind, isOptional = table.unpack(field)
    local v = value[name]
    local complaint = not (v == nil and isOptional) and complaintOf(v, kind, place .. name)
    if complaint then return complaint end
  end
end

-- A meter or a loss scale takes over what its part of the state holds, so it may hold nothing else.
local function strangerIn(value, fields, place)
  local known = {}
  for _, field in ipairs(fields) do known[field[1]] = true end
  for name in pairs(value) do
    if not known[name] then return ("%s has a field %s that is not known"):format(place, (show(name))) end
  end
end

local function complaintAboutChanges(changes, place)
  for i, change in ipairs(changes or {}) do
    local at = ("%s[%d]."):format(place, i)
    local complaint = complaintAbout(change, CHANGE, at)
      or options.complaint({ [change.option] = change.to }, at)
    if complaint then return complaint end
    if not options.mayChange(change.option) then return wrong(at .. "option", "one that may change", change.option) end
  end
end

-- Do numbers that are about one image have as many channels as it has?
local function complaintAboutChannels(state)
  local channels = state.inputSize and state.inputSize[1]
  for _, name in ipairs { "mean", "std" } do
    local list = state[name]
    if channels and list and #list ~= channels then
      return wrong(name, ("a list of %d, as many as inputSize has channels"):format(channels), list)
    end
  end
end

local function complaintAboutRecipe(recipe)
  return recipe ~= nil and select(2, recipes.validate(recipe)) or nil
end

--- What is wrong with a state, as run.lua writes it; nil when nothing is.
-- @param state what stands in a file, JSON as it was decoded
-- @param version of the format
function checkpointState.complaint(state, version)
  if not object.accepts(state) then return "no state" end
  if state.version ~= version then return wrong("version", tostring(version), state.version) end
  local complaint = complaintAbout(state, STATE, "")
  if complaint then return complaint end
  for part, fields in pairs(PARTS) do
    local value = state[part]
    complaint = value and (complaintAbout(value, fields, part .. ".") or strangerIn(value, fields, part))
    if complaint then return complaint end
  end
  return options.complaint(state.options, "options.") or options.complaint({ precision = state.precision }, "")
    or complaintAboutChannels(state) or complaintAboutRecipe(state.preprocess)
    or complaintAboutChanges(state.changes, "changes")
end

local function complaintAboutEvents(events)
  if not events then return nil end
  local place, errors = "settings.events.errors", PARTS.errors
  return complaintAbout(events, EVENTS, "settings.events.") or complaintAbout(events.errors, errors, place .. ".")
    or strangerIn(events.errors, errors, place)
end

--- What is wrong with the rest of latest.json: settings, and changes that wait for the next save.
function checkpointState.complaintAboutRest(rest)
  local complaint = complaintOf(rest.settings, object, "settings")
    or complaintOf(rest.kept, listOf(epochNumber), "kept")
    or rest.pending ~= nil and complaintOf(rest.pending, listOf(object), "pending")
  if complaint then return complaint end
  return complaintAbout(rest.settings, SETTINGS, "settings.") or complaintAboutEvents(rest.settings.events)
    or options.complaint(rest.settings, "settings.") or complaintAboutChanges(rest.pending, "pending")
end

return checkpointState
