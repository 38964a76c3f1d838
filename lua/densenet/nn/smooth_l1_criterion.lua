--- The sum of d²/2 where |d| < 1, else |d| − 1/2, d being the difference of two tensors of one size.
-- Source: Girshick 2015 (arXiv:1504.08083), section 2.3.
-- @classmod densenet.nn.SmoothL1Criterion

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Criterion = require "densenet.nn.criterion"

local SmoothL1Criterion, parent = class("nn.SmoothL1Criterion", Criterion)

--- @tparam[opt=true] boolean sizeAverage divide the sum by the number of elements
function SmoothL1Criterion:__init(sizeAverage)
  parent.__init(self)
  self.sizeAverage = argument.optional("boolean", true, 1, "nn.SmoothL1Criterion", sizeAverage, "sizeAverage")
end

local function difference(self, field, input, target)
  argument.passed(self, "input", input)
  argument.passed(self, "target", target)
  if not buffer.sameSize(input, target) then
    argument.raise("target of %s for an input of %s of nn.SmoothL1Criterion", buffer.sizeText(target),
      buffer.sizeText(input))
  end
  local result = buffer.like(self.scratch, field, input)
  core.binary(result, input, target, "sub")
  return result
end

-- With m = min(|d|, 1) a term is m · (|d| − m/2).
function SmoothL1Criterion:updateOutput(input, target)
  local distance = difference(self, "distance", input, target)
  local least = buffer.like(self.scratch, "least", input)
  core.unary(distance, distance, "abs")
  core.binary_scalar(least, distance, 1, "min")
  core.add_scaled(distance, distance, least, -0.5)
  core.binary(distance, distance, least, "mul")
  local loss = self:lossFor(input)
  core.reduce(loss, distance:view(distance:nElement()), "sum", 0)
  self.output = loss:item() / (self.sizeAverage and input:nElement() or 1)
  return self.output
end

function SmoothL1Criterion:updateGradInput(input, target)
  self.gradInput = difference(self, "gradInput", input, target)
  core.binary_scalar(self.gradInput, self.gradInput, 1, "min")
  core.binary_scalar(self.gradInput, self.gradInput, -1, "max")
  if self.sizeAverage then core.binary_scalar(self.gradInput, self.gradInput, 1 / input:nElement(), "mul") end
  return self.gradInput
end

return SmoothL1Criterion
