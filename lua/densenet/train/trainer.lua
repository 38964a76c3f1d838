--- Trains a model for an epoch and tests it. The trainer is handed everything: a model, a
-- criterion, an optimizer, a schedule, loaders; it knows no data set and no file.
--
-- Where a training run stands is kept here, in plain numbers, so that a checkpoint taken between
-- any two batches can be gone on from: epoch, iteration (batches of that epoch done), steps (batches of all
-- epochs done), the score of the epoch's batches, and where the loss scale of half precision is.
--
-- Batches come to the model's device and dtype by themselves (densenet.train.feed).
local CapturedStep = require "densenet.train.captured_step"
local crops = require "densenet.train.crops"
local finite = require "densenet.train.finite"
local Feed = require "densenet.train.feed"
local LossScale = require "densenet.optim.loss_scale"
local meters = require "densenet.train.meters"
local sharedBatch = require "densenet.train.shared_batch"

local Trainer = {}
Trainer.__index = Trainer

--- @param parts
--   model      of the type and on the device that it stays in; in half the loss is scaled
--   criterion, optimizer   as in densenet.nn and densenet.optim
--   target     (optional) function(batch) → what the criterion compares outputs with in training; batch.target when
--              left out
--   testCriterion  (optional) of evaluations, with batch.target, where the one of training is weighted or smoothed,
--              or compares with a teacher
--   complete   (optional) function(): called once a step when the batch's gradients are there, before anything reads
--              them. Where replicas share a step it comes behind their sum: of generated weights they sum
--              generatedWeight.reducible's tensors, and what is done here is done to the sum, once
--   schedule   learningRate(epoch, iteration, count): for the iteration-th (from 1) of count batches
--   console    what prints (densenet.train.console)
--   epoch      number of the first epoch, 1 when left out
--   onBatch    (optional) function(n, count) after each training batch, when it may be saved, after `settle`; returning
--              nil, message, code, … stops the training
--   interrupted  (optional) function() → true to stop an evaluation
--   ranks      (optional) densenet.train.ranks, of which this process is one; the model is attached here
--   syncBN     (optional) with ranks: norms take the statistics of the whole batch
--   captures   (optional) true: steps are captured as graphs of the GPU, and scores known a batch later
--   onScore    (optional) function(seen) after each training batch whose score is known, in order; returning as onBatch
function Trainer.new(parts)
  local self = setmetatable({
    model = parts.model, criterion = parts.criterion, testCriterion = parts.testCriterion or parts.criterion,
    optimizer = parts.optimizer, schedule = parts.schedule, target = parts.target, complete = parts.complete,
    console = parts.console, onBatch = parts.onBatch, interrupted = parts.interrupted,
    epoch = parts.epoch or 1, iteration = 0, steps = 0, errors = meters.ErrorMeter(),
    lossScale = parts.model:activationType() == "half" and LossScale(parts.model) or nil,
    feeds = setmetatable({}, { __mode = "k" }), -- by loader
    ranks = parts.ranks, onScore = parts.onScore,
  }, Trainer)
  if self.ranks then self.ranks:attach(self.model, self.optimizer, parts.syncBN or false) end
  if parts.captures then self.captured = CapturedStep.new(self) end
  return self
end

-- The loader's batches on the model's device.
local function feedOf(self, loader)
  local feed = self.feeds[loader]
  if not feed then
    feed = Feed.new(loader, self.model._device, self.model:activationType())
    self.feeds[loader] = feed
  end
  return feed
end

--- Goes to the start of an epoch, unless the trainer stands within it.
function Trainer:enter(epoch)
  if self.epoch == epoch then return end
  self.epoch, self.iteration = epoch, 0
  self.pending, self.failure = nil, nil
  self.errors:reset()
end

--- Where training stands, as a plain table; goTo returns there.
function Trainer:position()
  self:settle()
  return { epoch = self.epoch, iteration = self.iteration, steps = self.steps, errors = self.errors:state(),
    lossScale = self.lossScale and self.lossScale:state() }
end

function Trainer:goTo(position)
  self.pending, self.failure = nil, nil
  self.epoch, self.iteration, self.steps = position.epoch, position.iteration, position.steps or 0
  self.errors = meters.ErrorMeter(position.errors)
  if self.lossScale and position.lossScale then self.lossScale:setState(position.lossScale) end
end

local function lossText(loss) return loss == loss and "the loss is infinite" or "the loss is not a number" end

local OVERFLOW = "gradients overflow half precision without any loss scale"

local function divergence(wrong, epoch, n, count)
  return nil, ("%s in epoch %d, iteration %d of %d: training diverged"):format(wrong, epoch, n, count), "diverged"
end

-- The step that follows a backward pass, unless gradients overflow. Returns nil and a sentence where training has
-- diverged.
local function update(self)
  if self.complete then self.complete() end
  local scaling = self.lossScale
  local isLeast = scaling and scaling:isLeast()
  if not scaling or scaling:check() then
    self.optimizer:step()
  elseif isLeast then
    return nil, OVERFLOW
  end
  return true
end

-- `step` on a share of the batch. All ranks have the same gradients, so all skip the same steps.
local function sharedStep(self, batch, n)
  local score, loss = sharedBatch.backward(self, batch, self.lossScale and self.lossScale.scale or 1, { self.epoch, n })
  if not finite.number(loss) then return nil, lossText(loss) end
  local done, wrong = update(self)
  return done and score, wrong
end

-- One step of SGD on a batch. Returns the batch's score from before the step; or nil and a sentence
-- where training has diverged.
local function step(self, batch, n)
  if self.ranks then return sharedStep(self, batch, n) end
  local output = self.model:forward(batch.input)
  local target = self.target and self.target(batch) or batch.target
  local loss = self.criterion:forward(output, target)
  if not finite.number(loss) then return nil, lossText(loss) end
  -- Before the backward pass, so that a GPU has something to do while the next batch is prepared.
  local score = meters.score(output, batch.target, loss)
  local scaling = self.lossScale
  local scale = scaling and scaling.scale or 1
  self.model:zeroGradParameters()
  self.model:backward(batch.input, self.criterion:backward(output, target, scale), 1 / scale)
  local done, wrong = update(self)
  return done and score, wrong
end

-- Once: why the network trains without a memory plan.
local function reportPlan(self)
  local reason = self.model.planFailure
  if not reason or self.hasReported then return end
  self.hasReported = true
  self.console:print("The network's memory cannot be planned, so every buffer is kept by itself: %s", reason)
end

-- What there is to do with a batch's score. Returns true; or nil, message, code, …
local function account(self, seen)
  self.errors:add(seen.score)
  self.console:trained(seen.epoch, seen.n, seen.count, seen)
  if self.onScore then return self.onScore(seen) end
  return true
end

-- The score of the captured step whose score is not known yet: `back` as for CapturedStep:score.
local function readScore(self, back)
  local seen = self.pending
  if self.failure or not seen then return end
  self.pending = nil
  local score, wrong, loss = self.captured:score(back)
  if score then
    seen.score = score
    local answer = table.pack(account(self, seen))
    if not answer[1] then self.failure = answer end
  else
    local text = wrong == "loss" and lossText(loss) or OVERFLOW
    self.failure = table.pack(divergence(text, seen.epoch, seen.n, seen.count))
  end
end

-- true; or nil, message, code, where a captured step went wrong.
local function outcome(self)
  if self.failure then return table.unpack(self.failure, 1, self.failure.n) end
  return true
end

--- Waits for the score of the last batch, where it is not known yet: `errors` then has all, and the console too.
-- @return true; or nil, message, code as train returns them
function Trainer:settle()
  readScore(self, 0)
  return outcome(self)
end

-- A step whose score comes later. Returns true, or what became of the step before: nil, message, code.
local function launch(self, batch, seen)
  self.captured:run(batch)
  readScore(self, 1)
  if not self.failure then self.pending = seen end
  return outcome(self)
end

-- A step with its score. Returns true; or nil, message, code.
local function compute(self, batch, seen)
  local score, wrong = step(self, batch, seen.n)
  if not score then return divergence(wrong, seen.epoch, seen.n, seen.count) end
  seen.score = score
  return true
end

--- Trains until the end of the epoch, from where the trainer stands in it.
-- @param epoch number of the epoch
-- @param loader size() → batches in an epoch; run(epoch, first) iterates over n, batch from batch
-- first on; a batch has input and target
-- @return { loss=, top1=, top5=, count= } over the whole epoch, errors in percent, and the seconds
-- spent; or nil, message, code: "diverged" for a loss or gradients that are no numbers, or what onBatch
-- returned
function Trainer:train(epoch, loader)
  self:enter(epoch)
  self.model:training()
  local count = loader:size()
  self.whole = meters.Stopwatch()
  local first = self.iteration + 1
  self.console:startTraining(epoch, first, count, self.schedule:learningRate(epoch, math.min(first, count), count))
  if first > count then
    self.whole = nil
    return self.errors:result(), 0.0
  end
  local since = meters.Stopwatch()
  for n, batch in feedOf(self, loader):run(epoch, first) do
    local waited = since:seconds()
    self.optimizer.learningRate = self.schedule:learningRate(epoch, n, count)
    local seen = { epoch = epoch, n = n, count = count, steps = self.steps + 1, data = waited,
      learningRate = self.optimizer.learningRate, lossScale = self.lossScale }
    local done, message, code, status = (self.captured and launch or compute)(self, batch, seen)
    if not done then return nil, message, code, status end
    reportPlan(self)
    self.iteration, self.steps = n, self.steps + 1
    seen.time = since:lap()
    if seen.score then done, message, code, status = account(self, seen) end
    if done and self.onBatch then done, message, code, status = self.onBatch(n, count) end
    if not done then return nil, message, code, status end
  end
  local done, message, code, status = self:settle()
  if not done then return nil, message, code, status end
  local seconds = self:secondsTraining()
  self.whole = nil
  return self.errors:result(), seconds
end

--- Seconds since train was called, until it returns the epoch's scores; 0 outside.
function Trainer:secondsTraining() return self.whole and self.whole:seconds() or 0.0 end

-- A batch's score, and what is wrong with the outputs or the loss.
local function tested(self, batch, n, observe)
  local score, loss, isFinite
  if self.ranks then
    score, loss, isFinite = sharedBatch.test(self, batch, { self.epoch, self.iteration, n }, observe)
  else
    local output = crops.forward(self.model, batch.input)
    loss = self.testCriterion:forward(output, batch.target)
    isFinite = finite.tensor(output)
    if observe and isFinite then observe(output, batch.target) end
    score = isFinite and finite.number(loss) and meters.score(output, batch.target, loss)
  end
  return score, not isFinite and "the network's outputs are not all finite numbers"
    or not finite.number(loss) and lossText(loss) or nil
end

--- Tests the model as it is: evaluation mode, batch by batch, in the loader's order.
-- @param name "Test" or "Validation", for the console
-- @param epoch number shown
-- @param loader as for train
-- @param observe (optional) function(output, target) of each batch
-- @return { loss=, top1=, top5=, count= } and seconds; or nil, message, code: "interrupted", or "diverged"
-- where an output or the loss is no finite number, of which no error rate would mean anything
function Trainer:test(name, epoch, loader, observe)
  if self.ranks then self.ranks:averageStatistics() end
  self.model:evaluate()
  local count, whole = loader:size(), meters.Stopwatch()
  local errors = meters.ErrorMeter()
  self.console:startTesting()
  local since = meters.Stopwatch()
  for n, batch in feedOf(self, loader):run(epoch) do
    local waited = since:seconds()
    local score, wrong = tested(self, batch, n, observe)
    if wrong then
      return nil, ("%s in the %s of epoch %d, batch %d of %d"):format(wrong, name:lower(), epoch, n, count), "diverged"
    end
    errors:add(score)
    self.console:tested(name, epoch, n, count, { time = since:lap(), data = waited, score = score }, errors)
    if self.interrupted and self.interrupted() then return nil, "interrupted", "interrupted" end
  end
  local result = errors:result()
  self.console:finished(name, epoch, result)
  return result, whole:seconds()
end

return Trainer
