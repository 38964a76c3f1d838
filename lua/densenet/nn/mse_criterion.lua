--- Mean squared difference of two tensors of one size.
-- @classmod densenet.nn.MSECriterion

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Criterion = require "densenet.nn.criterion"

local MSECriterion, parent = class("nn.MSECriterion", Criterion)

--- @tparam[opt=true] boolean sizeAverage divide the sum by the number of elements
function MSECriterion:__init(sizeAverage)
  parent.__init(self)
  self.sizeAverage = argument.optional("boolean", true, 1, "nn.MSECriterion", sizeAverage, "sizeAverage")
end

function MSECriterion:updateOutput(input, target)
  argument.passed(self, "input", input)
  argument.passed(self, "target", target)
  local loss = self:lossFor(input)
  core.mse_forward(loss, input, target, self.sizeAverage)
  self.output = self.valueOf(self.scratch, "value", loss)
  return self.output
end

function MSECriterion:updateGradInput(input, target)
  argument.passed(self, "input", input)
  argument.passed(self, "target", target)
  self.gradInput = buffer.like(self.scratch, "gradInput", input)
  core.mse_backward(self.gradInput, input, target, self.sizeAverage)
  return self.gradInput
end

return MSECriterion
