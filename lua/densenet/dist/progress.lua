--- What a rank tells the launcher that started it (densenet.dist.launcher): how far it is and what it has saved,
-- for the sentence that is written when a rank fails. A process that has no launcher says nothing.
--
-- Lines go through a pipe that the launcher reads; one that it does not read at once is lost.
local core = require "densenet.core"

local progress = {}

local nBatches = 0
local pipe -- its number; false: there is none

-- A program that a rank starts inherits the variable and not the pipe, so the variable names who has it.
local function find()
  local number, launcher = (os.getenv "DENSENET_REPORT" or ""):match "^(%d+):(%d+)$"
  local _, parent = core.process_id()
  return number ~= nil and math.tointeger(launcher) == parent and math.tointeger(number)
end

local function tell(format, ...)
  if pipe == nil then pipe = find() end
  if pipe then core.process_report(pipe, format:format(...)) end
end

--- A batch of training is done.
function progress.batch()
  nBatches = nBatches + 1
  tell("batches %d\n", nBatches)
end

--- A checkpoint is complete.
-- @param path of its file
function progress.checkpoint(path) tell("checkpoint %s\n", path) end

--- Where this rank computes.
-- @param name of the device
function progress.device(name) tell("device %s\n", name) end

return progress
