--- What is measured while training: the loss, the error rates, and the time.
--
-- An error meter counts samples, not batches, so a ragged last batch weighs what it holds. Its
-- state is a sum and three counts: written to a checkpoint and read back it goes on exactly.
local argument = require "densenet.argument"
local core = require "densenet.core"

local meters = {}

-- ---- Error rates ----

local ErrorMeter = {}
ErrorMeter.__index = ErrorMeter

--- Loss and top-1/top-5 errors over the samples seen.
-- @param state what an earlier meter's state() gave; nothing: a new count
function meters.ErrorMeter(state)
  if state ~= nil then argument.table(1, "ErrorMeter", state, "state") end
  local meter = setmetatable({}, ErrorMeter)
  meter:reset()
  for name, value in pairs(state or {}) do meter[name] = value end
  return meter
end

function ErrorMeter:reset()
  self.lossSum, self.wrong1, self.wrong5, self.count = 0.0, 0, 0, 0
end

--- Adds a batch's score.
function ErrorMeter:add(score)
  for name, value in pairs(score) do self[name] = self[name] + value end
end

--- { loss=, top1=, top5=, count= }: means per sample, errors in percent. With fewer than five
-- classes top5 asks whether the label is among all of them. NaN before the first sample.
function ErrorMeter:result()
  local n = self.count
  return { loss = self.lossSum / n, top1 = 100 * self.wrong1 / n, top5 = 100 * self.wrong5 / n, count = n }
end

--- A plain table that continues this count.
function ErrorMeter:state()
  return { lossSum = self.lossSum, wrong1 = self.wrong1, wrong5 = self.wrong5, count = self.count }
end

-- How many labels are among the first `width` guesses of their row.
local function hits(guesses, labels, width)
  local n = 0
  for i, label in ipairs(labels) do
    for j = 1, width do
      if guesses[i][j] == label then
        n = n + 1
        break
      end
    end
  end
  return n
end

--- The score of one batch, for ErrorMeter:add.
-- @param output N,C: a number per class, the largest is the guess
-- @param target N: labels, long, from 1
-- @param loss mean over the batch
function meters.score(output, target, loss)
  argument.tensor(1, "score", output, "output")
  argument.tensor(2, "score", target, "target")
  argument.number(3, "score", loss, "loss")
  local k = math.min(5, output:size(2))
  local _, indices = output:topk(k, true)
  local guesses, labels = indices:totable(), target:totable()
  local n = #labels
  return {
    lossSum = loss * n, count = n,
    wrong1 = n - hits(guesses, labels, 1), wrong5 = n - hits(guesses, labels, k),
  }
end

-- ---- Time ----

local Stopwatch = {}
Stopwatch.__index = Stopwatch

--- Counts seconds from now.
function meters.Stopwatch()
  return setmetatable({ start = core.clock() }, Stopwatch)
end

--- Seconds since the start or the last lap, which becomes the start.
function Stopwatch:lap()
  local now = core.clock()
  local seconds = now - self.start
  self.start = now
  return seconds
end

--- Seconds since the start or the last lap.
function Stopwatch:seconds() return core.clock() - self.start end

-- ---- Means ----

local MeanMeter = {}
MeanMeter.__index = MeanMeter

--- The mean of numbers.
function meters.MeanMeter() return setmetatable({ sum = 0.0, count = 0 }, MeanMeter) end

function MeanMeter:add(value)
  self.sum = self.sum + value
  self.count = self.count + 1
end

--- NaN before the first number.
function MeanMeter:mean() return self.sum / self.count end

return meters
