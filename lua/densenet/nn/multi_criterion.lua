--- The weighted sum of several criterions of one input and one target.
--
--    nn.MultiCriterion():add(nn.MSECriterion(), 0.5):add(nn.SmoothL1Criterion())
--
-- @classmod densenet.nn.MultiCriterion

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local CriterionList = require "densenet.nn.criterion_list"

local MultiCriterion = class("nn.MultiCriterion", CriterionList)

function MultiCriterion:forward(input, target)
  self:checkFilled()
  self.output = 0
  for i, criterion in ipairs(self.criterions) do
    self.output = self.output + self.weights[i] * criterion:forward(input, target)
  end
  return self.output
end

function MultiCriterion:updateOutput(input, target) return self:forward(input, target) end

--- The gradient, times scale; of a tensor.
function MultiCriterion:backward(input, target, scale)
  self:checkFilled()
  argument.passed(self, "input", input)
  scale = argument.optional("number", 1, 3, "backward", scale, "scale")
  self.gradInput = buffer.like(self.scratch, "gradInput", input)
  for i, criterion in ipairs(self.criterions) do
    local gradient = criterion:backward(input, target, scale * self.weights[i])
    if i == 1 then
      core.copy(self.gradInput, gradient)
    else
      core.binary(self.gradInput, self.gradInput, gradient, "add")
    end
  end
  return self.gradInput
end

return MultiCriterion
