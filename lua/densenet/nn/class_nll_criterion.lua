--- Negative log-likelihood: −log p of the target's class, from log-probabilities N,C (or a vector C).
-- Labels count from 1.
-- @classmod densenet.nn.ClassNLLCriterion

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Criterion = require "densenet.nn.criterion"

local ClassNLLCriterion, parent = class("nn.ClassNLLCriterion", Criterion)

--- @tparam[opt] tensor weights C, one a class, of the input's dtype
-- @tparam[opt=true] boolean sizeAverage divide the sum by the rows (with weights: by their weights)
function ClassNLLCriterion:__init(weights, sizeAverage)
  parent.__init(self)
  if weights ~= nil then argument.tensor(1, "nn.ClassNLLCriterion", weights, "weights") end
  self.weights = weights
  self.sizeAverage = argument.optional("boolean", true, 2, "nn.ClassNLLCriterion", sizeAverage, "sizeAverage")
end

function ClassNLLCriterion:updateOutput(input, target)
  local loss = self:lossFor(input)
  core.nll_forward(loss, self.rows(self.scratch, "inputCopy", input), self.labels(self.scratch, input, target),
    self.weights, self.sizeAverage)
  self.output = self.valueOf(self.scratch, "value", loss)
  return self.output
end

function ClassNLLCriterion:updateGradInput(input, target)
  argument.passed(self, "input", input)
  self.gradInput = buffer.like(self.scratch, "gradInput", input)
  core.nll_backward(self.rows(self.scratch, "unused", self.gradInput), self.labels(self.scratch, input, target),
    self.weights, self.sizeAverage)
  return self.gradInput
end

return ClassNLLCriterion
