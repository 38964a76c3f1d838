--- LogSoftMax and ClassNLLCriterion in one: the loss of scores N,C (or a vector C) against labels
-- from 1.
-- @classmod densenet.nn.CrossEntropyCriterion

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Criterion = require "densenet.nn.criterion"

local CrossEntropyCriterion, parent = class("nn.CrossEntropyCriterion", Criterion)

--- @tparam[opt] tensor weights C, one a class, of the input's dtype
-- @tparam[opt=true] boolean sizeAverage divide the sum by the rows (with weights: by their weights)
function CrossEntropyCriterion:__init(weights, sizeAverage)
  parent.__init(self)
  if weights ~= nil then argument.tensor(1, "nn.CrossEntropyCriterion", weights, "weights") end
  self.weights = weights
  self.sizeAverage = argument.optional("boolean", true, 2, "nn.CrossEntropyCriterion", sizeAverage, "sizeAverage")
end

function CrossEntropyCriterion:updateOutput(input, target)
  argument.passed(self, "input", input)
  local scores = self.rows(self.scratch, "inputCopy", input)
  local logProbabilities = buffer.like(self.scratch, "logProbabilities", scores)
  core.log_softmax_forward(logProbabilities, scores)
  local loss = self:lossFor(input)
  core.nll_forward(loss, logProbabilities, self.labels(self.scratch, input, target), self.weights, self.sizeAverage)
  self.output = loss:item()
  return self.output
end

function CrossEntropyCriterion:updateGradInput(input, target)
  argument.passed(self, "input", input)
  self.gradInput = buffer.like(self.scratch, "gradInput", input)
  local rows = self.rows(self.scratch, "unused", self.gradInput)
  core.nll_backward(rows, self.labels(self.scratch, input, target), self.weights, self.sizeAverage)
  core.log_softmax_backward(rows, rows, self.scratch.logProbabilities)
  return self.gradInput
end

return CrossEntropyCriterion
