--- What a training run prints. Into a file, lines of at most 80 characters in the form Torch users know; on a
-- terminal one line that is redrawn in place, and a line like those for each epoch.
--
-- A line stands for the batches since the line before: Time is seconds a batch, Loss the mean loss, top1 and
-- top5 are error rates in percent, left is the time until the run is done. In a file a line comes every
-- 50 batches or 10 seconds, for the first batch and for the last, so that it shows life and stays short.
-- On a terminal figures are those of the epoch so far.
local core = require "densenet.core"
local liveLine = require "densenet.train.live_line"
local meters = require "densenet.train.meters"
local wrap = require "densenet.train.wrap"

local Console = {}
Console.__index = Console

local batchesALine, secondsALine = 50, 10
local secondsADrawing = 0.1
local lineWidth = 80
local columnsFree = 3 -- beside the redrawn line: a terminal shows ^C there, and breaks a line that is full
local shareWorthTelling = 0.1 -- of the time, waiting for images

--- "45s", "3m20s", "2h05m", "3d04h".
function Console.duration(seconds)
  local s = math.floor(seconds + 0.5)
  if s < 60 then return ("%ds"):format(s) end
  if s < 3600 then return ("%dm%02ds"):format(s // 60, s % 60) end
  if s < 86400 then return ("%dh%02dm"):format(s // 3600, s % 3600 // 60) end
  return ("%dd%02dh"):format(s // 86400, s % 86400 // 3600)
end

local function printLine(line)
  liveLine.clear()
  print(line)
  io.stdout:flush()
end

local noScreen = { columns = function() return nil end }

--- @param nEpochs epochs of the run
-- @param loaders by name; those but "train" are for evaluations, whose time counts as time left
-- @param write (optional) function(line); standard output when left out
-- @param screen (optional) { columns= function() → width or nil, show= function(text) } for the redrawn line;
-- standard output, where that is a terminal, when both are left out; none when only this is
function Console.new(nEpochs, loaders, write, screen)
  local nTest = 0
  for name, loader in pairs(loaders) do
    if name ~= "train" then nTest = nTest + loader:size() end
  end
  return setmetatable({
    write = write or printLine, screen = screen or (write and noScreen or liveLine),
    nEpochs = nEpochs, nTest = nTest,
    secondsTest = nil, -- of an epoch's evaluations, once there was one
    testing = 0.0, -- of this epoch's, so far
  }, Console)
end

function Console:print(format, ...) self.write(select("#", ...) > 0 and core.format(format, ...) or format) end

--- Prints a fact of the run: its name in a column of its own, and a text; words stay whole on a terminal.
-- @param name such as "network:", "" where the fact before goes on
-- @param format of core.format
-- @param ... its values
function Console:fact(name, format, ...)
  local text, columns = core.format(format, ...), self.screen.columns()
  name = ("%-10s "):format(name)
  if not columns or #name + #text <= columns then return self:print("%s%s", name, text) end
  for i, line in ipairs(wrap(text, math.max(columns - #name, 20))) do
    self:print("%s%s", i == 1 and name or (" "):rep(#name), line)
  end
end

-- Once, before the first figures.
local function explain(self)
  if self.hasExplained then return end
  self.hasExplained = true
  self:print("=> top1 and top5 are errors in %")
end

local function newMeans()
  return { time = meters.MeanMeter(), data = meters.MeanMeter(), errors = meters.ErrorMeter(),
    since = meters.Stopwatch() }
end

local function add(means, seen)
  means.time:add(seen.time)
  means.data:add(seen.data)
  means.errors:add(seen.score)
end

-- Before the batches of an epoch or of an evaluation.
local function start(self)
  self.line, self.whole, self.drawn = newMeans(), newMeans(), nil
end

--- Before an epoch's batches.
-- @param epoch its number
-- @param first batch to come
-- @param count of batches in the epoch
-- @param learningRate of that batch
function Console:startTraining(epoch, first, count, learningRate)
  explain(self)
  if first > 1 then
    self:print("=> Training epoch # %d, from batch %d of %d, lr %.4g", epoch, first, count, learningRate)
  elseif not self.screen.columns() then
    self:print("=> Training epoch # %d, lr %.4g", epoch, learningRate)
  end
  start(self)
  if self.testing > 0 then self.secondsTest, self.testing = self.testing, 0.0 end
end

-- Is a line due after batch n of count?
local function isDue(line, n, count)
  return n == count or line.time.count >= batchesALine or line.since:seconds() >= secondsALine
end

-- Draws the line of a terminal, unless it was drawn just now.
local function draw(self, pieces, share, columns)
  if self.drawn and self.drawn:seconds() < secondsADrawing then return end
  self.drawn = meters.Stopwatch()
  self.screen.show(liveLine.fit(pieces(), share, columns - columnsFree))
end

-- Seconds until the epoch's batches are done and until the run is. Before the first evaluation
-- has been timed, a batch of it counts as a third of a training batch: a forward pass of three.
local function timeLeft(self, epoch, n, count)
  local batch = self.whole.time:mean()
  local test = self.secondsTest or self.nTest * batch / 3
  local thisEpoch = (count - n) * batch
  return thisEpoch, thisEpoch + test + (self.nEpochs - epoch) * (count * batch + test)
end

-- "97 images/s", "4.1 images/s"
local function speedText(means)
  local speed = means.errors.count / means.time.sum
  return core.format(speed < 10 and "%.1f images/s" or "%.0f images/s", speed)
end

-- " 87/938": as wide for each n
local function ofAll(n, count) return ("%" .. #tostring(count) .. "d/%d"):format(n, count) end

-- What the redrawn line can say of training, and how important that is.
local function trainingPieces(self, epoch, n, count, seen)
  local mean = self.whole.errors:result()
  local left, runLeft = timeLeft(self, epoch, n, count)
  local pieces = {
    { rank = 1, text = ("epoch %d/%d %s"):format(epoch, self.nEpochs, ofAll(n, count)) },
    { rank = 3, text = core.format("loss %.3f", mean.loss) },
    { rank = 4, text = core.format("top1 error %4.1f%%", mean.top1) },
    { rank = 6, text = core.format("top5 error %4.1f%%", mean.top5) },
    { rank = 7, text = core.format("lr %.4g", seen.learningRate) },
    { rank = 5, text = speedText(self.whole) },
    { rank = 2, text = "left " .. Console.duration(runLeft) },
    { rank = 8, text = "epoch " .. Console.duration(left) },
  }
  if seen.lossScale then
    pieces[#pieces + 1] = { rank = 9, text = core.format("scale %g", seen.lossScale.scale) }
  end
  return pieces
end

-- ` | Epoch: [1][87/938]  Time 0.657 Loss 1.243 …`; what is left only where there is room.
local function trainingLine(self, means, epoch, n, count)
  local mean = means.errors:result()
  local line = core.format(" | Epoch: [%d][%d/%d]  Time %.3f Loss %.3f top1 %4.1f top5 %4.1f", epoch, n, count,
    means.time:mean(), mean.loss, mean.top1, mean.top5)
  local _, runLeft = timeLeft(self, epoch, n, count)
  local left = " left " .. Console.duration(runLeft)
  return #line + #left <= lineWidth and line .. left or line
end

-- The loss scale of half precision, where it is another than in the line before.
local function reportScale(self, scaling)
  if not scaling or self.scale == scaling.scale and self.skipped == scaling.skipped then return end
  self.scale, self.skipped = scaling.scale, scaling.skipped
  self:print(" | loss scale %g, skipped %d steps that overflowed", scaling.scale, scaling.skipped)
end

-- After an epoch: did training wait for images?
local function reportWaiting(self)
  local share = self.whole.data.sum / self.whole.time.sum
  if share >= shareWorthTelling then
    self:print(" | %.0f %% of the time went by waiting for images (-nThreads sets who loads them)", 100 * share)
  end
end

--- After a training batch.
-- @param epoch its number
-- @param n the batch
-- @param count of batches in the epoch
-- @param seen { time=, data=, score=, learningRate=, lossScale= or nil }: seconds, what meters.score gave,
-- and the trainer's optim.LossScale
function Console:trained(epoch, n, count, seen)
  local columns = self.screen.columns()
  add(self.line, seen)
  add(self.whole, seen)
  if columns and n < count then
    return draw(self, function() return trainingPieces(self, epoch, n, count, seen) end, n / count, columns)
  end
  if self.whole.time.count > 1 and not isDue(self.line, n, count) then return end
  self:print("%s", trainingLine(self, columns and self.whole or self.line, epoch, n, count))
  reportScale(self, seen.lossScale)
  if n == count then reportWaiting(self) end
  self.line = newMeans()
end

--- Before an evaluation.
function Console:startTesting()
  explain(self)
  start(self)
  self.stopwatch = meters.Stopwatch()
end

local function testingPieces(self, name, epoch, n, count, overall)
  local mean = overall:result()
  return {
    { rank = 1, text = ("%s %d %s"):format(name:lower(), epoch, ofAll(n, count)) },
    { rank = 3, text = core.format("loss %.3f", mean.loss) },
    { rank = 2, text = core.format("top1 error %4.1f%%", mean.top1) },
    { rank = 5, text = core.format("top5 error %4.1f%%", mean.top5) },
    { rank = 4, text = speedText(self.whole) },
  }
end

--- After a batch of an evaluation.
-- @param name "Test" or "Validation"
-- @param epoch its number
-- @param n the batch
-- @param count of batches
-- @param seen { time=, data=, score= }
-- @param overall the error meter of the evaluation so far
function Console:tested(name, epoch, n, count, seen, overall)
  local columns = self.screen.columns()
  add(self.line, seen)
  add(self.whole, seen)
  if columns then
    return draw(self, function() return testingPieces(self, name, epoch, n, count, overall) end, n / count, columns)
  end
  if not isDue(self.line, n, count) then return end
  local mean = self.line.errors:result()
  self:print(" | %s: [%d][%d/%d]  Time %.3f Loss %.3f top1 %4.1f top5 %4.1f", name, epoch, n, count,
    self.line.time:mean(), mean.loss, mean.top1, mean.top5)
  self.line = newMeans()
end

--- After an evaluation.
function Console:finished(name, epoch, result)
  self.testing = self.testing + self.stopwatch:seconds()
  self:print(" * Finished %s # %d     top1: %7.3f  top5: %7.3f  (of %d images)",
    name == "Test" and "epoch" or "validation", epoch, result.top1, result.top5, result.count)
end

return Console
