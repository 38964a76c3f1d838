--- A batch that ranks share (densenet.train.ranks): a step of training, and a batch of an evaluation. What the trainer
-- is told of them is of the whole batch, the same numbers on every rank.
local crops = require "densenet.train.crops"
local finite = require "densenet.train.finite"
local meters = require "densenet.train.meters"

local sharedBatch = {}

-- This rank's part of the sums: share · loss, the counts of meters.score, and whether the outputs are no numbers.
local function numbersOf(output, batch, loss, share, isEvaluation)
  if batch.size == 0 then return { 0, 0, 0, 0, 0 } end
  local score = meters.score(output, batch.target, loss)
  local isBad = isEvaluation and not finite.tensor(output)
  return { share * loss, score.wrong1, score.wrong5, score.count, isBad and 1 or 0 }
end

-- The whole batch's score, and its loss.
local function scoreOf(sums)
  local loss, count = sums[1], math.tointeger(sums[4])
  return { lossSum = loss * count, wrong1 = math.tointeger(sums[2]), wrong5 = math.tointeger(sums[3]), count = count },
    loss
end

-- The forward pass of this rank's share; targetOf(batch) → what the criterion compares with, the labels when left out.
local function forward(trainer, batch, criterion, targetOf)
  local ranks = trainer.ranks
  ranks.comm:enter(batch)
  local output = crops.forward(trainer.model, batch.input)
  local target = targetOf and targetOf(batch) or batch.target
  local loss = criterion:forward(output, target)
  return output, loss, ranks.comm:share(batch, criterion), target
end

--- Computes the gradients of a training batch: those of the whole batch, on every rank.
-- @param trainer densenet.train.Trainer
-- @param batch this rank's share
-- @tparam number scale of the loss
-- @tparam table position where this rank stands
-- @treturn table score of the whole batch
-- @treturn number its loss
function sharedBatch.backward(trainer, batch, scale, position)
  local model, ranks = trainer.model, trainer.ranks
  local output, loss, share, target = forward(trainer, batch, trainer.criterion, trainer.target)
  ranks:startSum(numbersOf(output, batch, loss, share, false), position)
  model:zeroGradParameters()
  model:backward(batch.input, trainer.criterion:backward(output, target, scale * share), 1 / scale)
  ranks.sync:wait()
  return scoreOf(ranks:sum())
end

--- Tests a batch.
-- @param trainer densenet.train.Trainer
-- @param batch this rank's share
-- @tparam table position where this rank stands
-- @tparam[opt] function observe of this rank's output and target
-- @treturn table score of the whole batch
-- @treturn number its loss
-- @treturn boolean are all outputs finite numbers?
function sharedBatch.test(trainer, batch, position, observe)
  local ranks = trainer.ranks
  local output, loss, share = forward(trainer, batch, trainer.testCriterion)
  if observe and batch.size > 0 then observe(output, batch.target) end
  ranks:startSum(numbersOf(output, batch, loss, share, true), position)
  ranks.comm:join()
  local sums = ranks:sum()
  local score, whole = scoreOf(sums)
  return score, whole, sums[5] == 0
end

return sharedBatch
