--- The parent of the modules that a DenseNet in linear memory is made of: nn.DenseBlock,
-- nn.Transition and nn.NormReLUPool. They are containers: their children hold parameters, running
-- statistics and settings, and the stage computes with them itself, several modules' work in one
-- pass over the data. Images are taken as ImageModule takes them. A subclass states
--
--    forwardBatch(x) → y
--    backwardBatch(x, dy, scale, field, isWhole) → dx
--
-- backwardBatch writes dx into scratch[field] (or returns nil where nobody reads it, skipsGradInput) and
-- adds scale times the gradients of the parameters; without a scale it leaves those alone. One
-- computation gives both, so each half of Torch's contract costs as much as `backward`, the whole.
-- `isWhole` says that it is `backward` that is running.
-- A stage reads its input and its output again in backward: nothing may overwrite them in between.
-- @classmod densenet.nn.FusedStage

local argument = require "densenet.argument"
local class = require "densenet.nn.class"
local Container = require "densenet.nn.container"
local ImageModule = require "densenet.nn.image_module"
local Module = require "densenet.nn.module"
local ownMethods = require "densenet.nn.own_methods"

local FusedStage = class("nn.FusedStage", Container)

FusedStage.batch = ImageModule.batch
FusedStage.gradBatch = ImageModule.gradBatch
FusedStage.unbatch = ImageModule.unbatch
FusedStage.updateOutput = ImageModule.updateOutput

local MEMORIES = { shared = true, linear = true, minimal = true }

--- Refuses words that are not a `memory`.
-- @tparam string word
-- @tparam integer position of the constructor's argument, counted from 1
function FusedStage:checkMemory(word, position)
  if not MEMORIES[word] then
    argument.raise("bad argument #%d to '%s' (memory is shared, linear or minimal, not %s)",
      position, self.__typename, tostring(word))
  end
end

FusedStage.markBackward = Container.markInOrder

local WHOLE = { "updateOutput", "forwardBatch", "backward", "updateGradInput", "accGradParameters", "backwardBatch" }

--- Does the stage compute as its class does? With an override it neither lends nor borrows what only the
-- class's own methods know how to read.
-- @param stage the class
function FusedStage:isAsItsClass(stage)
  return not ownMethods.overridden(self, stage, WHOLE)
end

local function backward(self, input, gradOutput, scale, field, isWhole)
  if self.isIdle then
    return nil
  end
  local x = self:batch(input, "inputCopy")
  local dx = self:backwardBatch(x, self:gradBatch(input, gradOutput), scale, field, isWhole)
  return dx and self.unbatch(input, dx)
end

function FusedStage:backward(input, gradOutput, scale)
  if self:hasOwnHalves(FusedStage) then
    return Module.backward(self, input, gradOutput, scale)
  end
  self.gradInput = backward(self, input, gradOutput, scale or 1, "gradInput", true)
  return self.gradInput
end

function FusedStage:updateGradInput(input, gradOutput)
  self.gradInput = backward(self, input, gradOutput, nil, "gradInput", false)
  return self.gradInput
end

-- gradInput is left alone here, because the module before may have changed it in place since.
function FusedStage:accGradParameters(input, gradOutput, scale)
  backward(self, input, gradOutput, scale or 1, "unusedGradInput", false)
end

return FusedStage
