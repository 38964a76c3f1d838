--- The step that is being captured as a graph of the GPU (densenet.captured), for whatever takes part in one.
--
-- A captured step is what operations were told once, done again at each launch. A Lua number that an operation
-- was told is therefore the same for ever; one that is to change from step to step is asked for here, and the
-- operation is given its place in the GPU's memory instead.
-- @module densenet.capture

local argument = require "densenet.argument"
local core = require "densenet.core"

local capture = {}

local current     -- the record of the step that is being captured
local isRehearsed -- true while a step runs plainly that will be captured

--- Is a step being captured? Or does it run the time before, when it makes the tensors that the captured one uses?
function capture.isOn() return current ~= nil or isRehearsed == true end

--- A number that may be another one at each step.
-- @tparam function read () → number; called now, and in a captured step before each launch
-- @param owner (optional) with `name`: who asks for the same number again gets the same place
-- @param name (optional)
-- @return the number itself; while a step is captured, a tensor of one double on the GPU, as
-- core.fill, core.binary_scalar, core.sgd_step and core.dropout_forward and _backward take it in a number's place
-- @raise where a step has more than 64
function capture.number(read, owner, name)
  if not current then return read() end
  local known = owner and current.places[owner]
  if known and known[name] then return known[name] end
  local place = core.graph_number(current.graph, #current.readers + 1)
  current.readers[#current.readers + 1] = read
  if owner then
    known = known or {}
    current.places[owner], known[name] = known, place
  end
  return place
end

--- Raises `bad step: SENTENCE` in a step that is or will be captured.
function capture.refuse(sentence, ...)
  if capture.isOn() then argument.raise("bad step: " .. sentence, ...) end
end

--- The same only while it is captured: for what its plain run may do.
function capture.refuseAgain(sentence, ...)
  if current then argument.raise("bad step: " .. sentence, ...) end
end

--- Where positions of the default generator stand for, in a captured step: what they are counted from, and its
-- place in the GPU's memory; nothing outside of one.
-- @treturn ?integer
-- @treturn ?tensor
function capture.start()
  local record = current
  if not record then return end
  return record.start, capture.number(function() return record.start end, record, "start")
end

--- Runs a function as the plain run of a step that will be captured.
-- @param action function()
-- @return what it returns
function capture.rehearse(action)
  isRehearsed = true
  local results = table.pack(pcall(action))
  isRehearsed = nil
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- Runs a function while its operations are captured.
-- @param record of the step: graph, `start` (where the default generator stands), readers (its numbers, filled here)
-- @param action function()
-- @return what pcall returns
function capture.run(record, action)
  record.readers, record.places = {}, {}
  current = record
  local results = table.pack(pcall(action))
  current = nil
  record.places = nil
  return table.unpack(results, 1, results.n)
end

return capture
