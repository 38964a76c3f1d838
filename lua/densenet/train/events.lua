--- What a run tells TensorBoard (-tensorboard): event files of densenet.io.event_file.
--
-- The step is the number of training batches done since the run's first. Batches come as means over ten of
-- them, evaluations once an epoch. The score of the batches since the last record is kept with each checkpoint,
-- so that a run that was killed and resumed tells what an unbroken one does, but for times. Errors are in
-- percent, times in seconds, memory, the most held at once so far, in MB of 2^20 bytes.
local core = require "densenet.core"
local EventFile = require "densenet.io.event_file"
local meters = require "densenet.train.meters"

local Events = {}
Events.__index = Events

local batchesARecord = 10

local measured = { { "loss", "loss" }, { "top1_error", "top1" }, { "top5_error", "top5" } } -- tag, field

local function newMeans(errors)
  return { errors = meters.ErrorMeter(errors), time = meters.MeanMeter(), data = meters.MeanMeter() }
end

--- @param directory where event files go; made where it is missing
-- @param steps batches that the run has trained before
-- @param device whose memory is told of
-- @param state (optional) what state() gave when the run's checkpoint was saved; one of another step is left out
-- @return events; or nil, message, code
function Events.open(directory, steps, device, state)
  local file, message, code = EventFile.open(directory, steps + 1)
  if not file then return nil, message, code end
  local errors = state and state.steps == steps and state.errors or nil
  return setmetatable({ file = file, device = device, steps = steps, means = newMeans(errors) }, Events)
end

--- What a checkpoint has to keep, as a plain table.
function Events:state() return { steps = self.steps, errors = self.means.errors:state() } end

--- After a training batch.
-- @param steps batches of the run so far
-- @param n number of the batch in its epoch
-- @param count batches in the epoch
-- @param seen as Console:trained gets it
-- @return true; or nil, message, code
function Events:trained(steps, n, count, seen)
  local means = self.means
  self.steps = steps
  means.errors:add(seen.score)
  means.time:add(seen.time)
  means.data:add(seen.data)
  if n % batchesARecord ~= 0 and n < count then return true end
  self.means = newMeans()
  local result = means.errors:result()
  return self.file:add(steps, {
    { "train/loss", result.loss }, { "train/top1_error", result.top1 }, { "train/top5_error", result.top5 },
    { "lr", seen.learningRate }, { "time/data", means.data:mean() }, { "time/step", means.time:mean() },
    { "images_per_second", seen.score.count / means.time:mean() },
    { "memory/MB", core.memory(self.device).peak / 2 ^ 20 },
  })
end

--- After an epoch's evaluations.
-- @param steps batches of the run so far
-- @param tested as Run:test gives it
-- @return true; or nil, message, code
function Events:tested(steps, tested)
  local values = {}
  for _, part in ipairs { { "val", tested.validation }, { "test", tested.test } } do
    for _, each in ipairs(part[2] and measured or {}) do
      values[#values + 1] = { part[1] .. "/" .. each[1], part[2][each[2]] }
    end
  end
  return self.file:add(steps, values)
end

function Events:close() self.file:close() end

return Events
