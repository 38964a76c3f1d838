--- The lines a training run prints, in the form Torch users know, with the time that is left.
--
-- A line stands for the batches since the line before: Time and Data are seconds a batch (Data is
-- the part spent waiting for the loader), Err is the loss, and top1 and top5 are error rates in
-- percent; scale and skipped, in half precision, are the loss scale and the steps that overflowed so
-- far. A line comes every 50 batches or 10 seconds, for the first batch and for the last, so
-- that a terminal shows life and a file stays short.
local core = require "densenet.core"
local meters = require "densenet.train.meters"

local Console = {}
Console.__index = Console

local batchesALine, secondsALine = 50, 10

--- "45s", "3m20s", "2h05m", "3d04h".
function Console.duration(seconds)
  local s = math.floor(seconds + 0.5)
  if s < 60 then return ("%ds"):format(s) end
  if s < 3600 then return ("%dm%02ds"):format(s // 60, s % 60) end
  if s < 86400 then return ("%dh%02dm"):format(s // 3600, s % 3600 // 60) end
  return ("%dd%02dh"):format(s // 86400, s % 86400 // 3600)
end

--- @param nEpochs epochs of the run
-- @param loaders by name; those but "train" are for evaluations, whose time counts as time left
-- @param write (optional) function(line); print when left out
function Console.new(nEpochs, loaders, write)
  local nTest = 0
  for name, loader in pairs(loaders) do
    if name ~= "train" then nTest = nTest + loader:size() end
  end
  return setmetatable({
    write = write or function(line)
      print(line)
      io.stdout:flush()
    end,
    nEpochs = nEpochs, nTest = nTest,
    secondsTest = nil, -- of an epoch's evaluations, once there was one
    testing = 0.0, -- of this epoch's, so far
  }, Console)
end

function Console:print(format, ...) self.write(select("#", ...) > 0 and core.format(format, ...) or format) end

--- Before an epoch's batches.
-- @param first, count the first batch to come, and how many the epoch has
function Console:startTraining(epoch, first, count)
  if first == 1 then
    self:print("=> Training epoch # %d (top1, top5: errors in %%)", epoch)
  else
    self:print("=> Training epoch # %d, from batch %d of %d (top1, top5: errors in %%)", epoch, first, count)
  end
  self:startLine()
  self.total = meters.MeanMeter()
  if self.testing > 0 then self.secondsTest, self.testing = self.testing, 0.0 end
end

function Console:startLine()
  self.line = {
    time = meters.MeanMeter(), data = meters.MeanMeter(), errors = meters.ErrorMeter(), since = meters.Stopwatch(),
  }
end

-- Is a line due after batch n of count?
local function isDue(line, n, count)
  return n == count or line.time.count >= batchesALine or line.since:seconds() >= secondsALine
end

local function add(line, seen)
  line.time:add(seen.time)
  line.data:add(seen.data)
  line.errors:add(seen.score)
end

-- Seconds until the epoch's batches are done and until the run is. Before the first evaluation
-- has been timed, a batch of it counts as a third of a training batch: a forward pass of three.
local function timeLeft(self, epoch, n, count)
  local batch = self.total:mean()
  local test = self.secondsTest or self.nTest * batch / 3
  local thisEpoch = (count - n) * batch
  return thisEpoch, thisEpoch + test + (self.nEpochs - epoch) * (count * batch + test)
end

-- "  scale 65536  skipped 2"; nothing without a loss scale.
local function scaleText(scaling)
  return scaling and core.format("  scale %g  skipped %d", scaling.scale, scaling.skipped) or ""
end

--- After a training batch.
-- @param epoch, n, count batch n of count
-- @param seen { time=, data=, score=, learningRate=, lossScale= or nil }: seconds, what meters.score gave,
-- and the trainer's optim.LossScale
function Console:trained(epoch, n, count, seen)
  local line = self.line
  self.total:add(seen.time)
  add(line, seen)
  if self.total.count > 1 and not isDue(line, n, count) then return end
  local mean = line.errors:result()
  local left, runLeft = timeLeft(self, epoch, n, count)
  self:print(" | Epoch: [%d][%d/%d]  Time %.3f  Data %.3f  Err %.4f  top1 %7.3f  top5 %7.3f  lr %.4f%s  "
    .. "left %s (run %s)",
    epoch, n, count, line.time:mean(), line.data:mean(), mean.loss, mean.top1, mean.top5, seen.learningRate,
    scaleText(seen.lossScale), Console.duration(left), Console.duration(runLeft))
  self:startLine()
end

--- Before an evaluation.
function Console:startTesting()
  self:startLine()
  self.stopwatch = meters.Stopwatch()
end

--- After a batch of an evaluation.
-- @param name "Test" or "Validation"
-- @param seen { time=, data=, score= }
-- @param overall the error meter of the evaluation so far
function Console:tested(name, epoch, n, count, seen, overall)
  local line = self.line
  add(line, seen)
  if not isDue(line, n, count) then return end
  local mean, all = line.errors:result(), overall:result()
  self:print(" | %s: [%d][%d/%d]  Time %.3f  Data %.3f  top1 %7.3f (%7.3f)  top5 %7.3f (%7.3f)",
    name, epoch, n, count, line.time:mean(), line.data:mean(), mean.top1, all.top1, mean.top5, all.top5)
  self:startLine()
end

--- After an evaluation.
function Console:finished(name, epoch, result)
  self.testing = self.testing + self.stopwatch:seconds()
  self:print(" * Finished %s # %d     top1: %7.3f  top5: %7.3f  (errors in %%, of %d images)",
    name == "Test" and "epoch" or "validation of epoch", epoch, result.top1, result.top5, result.count)
end

return Console
