--- The trainer's step as a graph of the GPU (densenet.captured). Nothing in it waits: a batch's score, whether its loss
-- is a number, and where the loss scale is, stay in nine doubles on the GPU, which are read while the next batch
-- computes.
local argument = require "densenet.argument"
local buffer = require "densenet.nn.buffer"
local captured = require "densenet.captured"
local core = require "densenet.core"

local SCORE, SCALE = 5, 4 -- doubles of core.score, and of core.loss_scale

local CapturedStep = {}
CapturedStep.__index = CapturedStep

--- Why a trainer's step cannot be captured, as the end of a sentence; nil where it can.
-- @param optimizer the trainer's
-- @param ranks the trainer's, or nil
function CapturedStep.obstacle(optimizer, ranks)
  if ranks then return "the processes of a run add up their gradients in between" end
  if not optimizer.isCapturable then
    return ("%s counts its steps on the CPU"):format(optimizer.__typename)
  end
end

local function compute(self)
  local trainer, batch, scaling = self.trainer, self.batch, self.trainer.lossScale
  local model, criterion = trainer.model, trainer.criterion
  local output = model:forward(batch.input)
  local target = trainer.target and trainer.target(batch) or batch.target
  local loss = criterion:forward(output, target)
  core.score(self.scoreTensor, output, batch.target, loss)
  model:zeroGradParameters()
  model:backward(batch.input, criterion:backward(output, target, scaling and scaling:number()))
  if scaling then scaling:unscale() end
  if trainer.complete then trainer.complete() end
  trainer.optimizer.skip = scaling and scaling:advance() or nil
  trainer.optimizer:step()
  return self.result
end

--- @param trainer densenet.train.Trainer; its loss scale, where it has one, moves to the GPU
-- @raise where there is an obstacle
function CapturedStep.new(trainer)
  local obstacle = CapturedStep.obstacle(trainer.optimizer, trainer.ranks)
  if obstacle then argument.raise("the step cannot be captured: %s", obstacle) end
  local device, scaling = trainer.model._device, trainer.lossScale
  local result = core.tensor_new(device, "double", { scaling and SCORE + SCALE or SCORE })
  core.fill(result, 0)
  local self = setmetatable({ trainer = trainer, device = device, result = result,
    scoreTensor = result:narrow(1, 1, SCORE), batch = {} }, CapturedStep)
  local uses = { trainer.model, trainer.criterion, trainer.optimizer }
  if scaling then uses[#uses + 1] = scaling:toDevice(result:narrow(1, SCORE + 1, SCALE)) end
  self.step = captured(function() return compute(self) end, { device = device, uses = uses,
    key = function() return self.batch.input:size() end })
  return self
end

-- A batch where the graph reads it.
local function stage(self, field, x)
  local staged = buffer.get(self.batch, field, self.device, x:dtype(), x:size())
  core.copy(staged, x)
end

--- Computes a step on a batch of the device; waits for nothing, but for the first step of each size.
-- @param batch input, target
function CapturedStep:run(batch)
  stage(self, "input", batch.input)
  stage(self, "target", batch.target)
  self.step()
end

--- The score of a batch that was computed.
-- @tparam integer back 0: the last one, for which this waits; 1: the one before
-- @return as meters.score; or nil and what is wrong: "loss", the loss; or "overflow"
function CapturedStep:score(back)
  local lossSum, wrong1, wrong5, count, isBad, scale, good, skipped, skips = self.step:results(back)
  local scaling = self.trainer.lossScale
  if scaling then scaling:note(scale, good, skipped) end
  if isBad ~= 0 then return nil, "loss", lossSum end
  if skips == 2 then return nil, "overflow" end
  return { lossSum = lossSum, wrong1 = math.tointeger(wrong1), wrong5 = math.tointeger(wrong5),
    count = math.tointeger(count) }
end

return CapturedStep
