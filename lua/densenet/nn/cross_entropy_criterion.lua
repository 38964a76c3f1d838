--- LogSoftMax and ClassNLLCriterion in one: the loss of scores N,C (or a vector C) against labels
-- from 1.
--
-- With label smoothing a row's target is no class alone: 1 - s of it is the label's, and s is spread evenly over all
-- C classes. The row's loss is (1 - s) w[label] (-log p[label]) + s / C sum over c of w[c] (-log p[c]), as PyTorch's
-- cross_entropy has it, with class weights too; the average divides by the rows, or by the sum of w[label].
-- Source: Szegedy et al. 2016 (arXiv:1512.00567), section 7.
-- @classmod densenet.nn.CrossEntropyCriterion

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Criterion = require "densenet.nn.criterion"

local CrossEntropyCriterion, parent = class("nn.CrossEntropyCriterion", Criterion)

--- @tparam[opt] tensor weights C, one a class, of the input's dtype
-- @tparam[opt=true] boolean sizeAverage divide the sum by the rows (with weights: by their weights)
-- @tparam[opt=0] number labelSmoothing from 0 to below 1
function CrossEntropyCriterion:__init(weights, sizeAverage, labelSmoothing)
  parent.__init(self)
  if weights ~= nil then argument.tensor(1, "nn.CrossEntropyCriterion", weights, "weights") end
  self.weights = weights
  self.sizeAverage = argument.optional("boolean", true, 2, "nn.CrossEntropyCriterion", sizeAverage, "sizeAverage")
  self.labelSmoothing = argument.optional("number", 0, 3, "nn.CrossEntropyCriterion", labelSmoothing, "labelSmoothing")
  if not (self.labelSmoothing >= 0 and self.labelSmoothing < 1) then
    argument.refuse(3, "nn.CrossEntropyCriterion", labelSmoothing, "0 to below 1", "labelSmoothing")
  end
end

-- What the sum over rows is divided by: the rows, or the sum of their labels' weights.
local function divisorOf(self, scores, labels)
  if not self.sizeAverage then return 1 end
  if not self.weights then return scores:size(1) end
  local ofLabels = buffer.get(self.scratch, "weightOfLabels", scores:device(), scores:dtype(), scores:size(1))
  core.index_select(ofLabels, self.weights, labels)
  local sum = buffer.get(self.scratch, "sumOfWeights", scores:device(), scores:dtype(), 1)
  core.reduce(sum, ofLabels, "sum", 0)
  return Criterion.valueOf(self.scratch, "divisor", sum)
end

-- The sum over rows and classes of w[c] log p[c].
local function spreadSum(self, logProbabilities)
  local terms = logProbabilities
  if self.weights then
    terms = buffer.like(self.scratch, "weighted", logProbabilities)
    core.binary(terms, logProbabilities, self.weights:view(1, self.weights:size(1)), "mul")
  end
  local sum = buffer.get(self.scratch, "spread", terms:device(), terms:dtype(), 1)
  core.reduce(sum, terms:view(terms:nElement()), "sum", 0)
  return Criterion.valueOf(self.scratch, "spreadValue", sum)
end

function CrossEntropyCriterion:updateOutput(input, target)
  argument.passed(self, "input", input)
  local scores = self.rows(self.scratch, "inputCopy", input)
  local logProbabilities = buffer.like(self.scratch, "logProbabilities", scores)
  core.log_softmax_forward(logProbabilities, scores)
  local loss, labels = self:lossFor(input), self.labels(self.scratch, input, target)
  core.nll_forward(loss, logProbabilities, labels, self.weights, self.sizeAverage)
  self.output = self.valueOf(self.scratch, "value", loss)
  local share = self.labelSmoothing
  if share > 0 then
    local spread = self.quotient(self.scratch, spreadSum(self, logProbabilities), -scores:size(2))
    spread = self.quotient(self.scratch, spread, divisorOf(self, scores, labels))
    self.output = self.mixed(1 - share, self.output, share, spread)
  end
  return self.output
end

-- Adds the gradient of the spread part to that of the label's.
local function addSpread(self, rows, labels)
  local share = self.labelSmoothing
  local each = self.quotient(self.scratch, -share / rows:size(2), divisorOf(self, rows, labels))
  core.binary_scalar(rows, rows, 1 - share, "mul")
  if self.weights then
    core.add_scaled(rows, rows, self.weights:view(1, self.weights:size(1)), each)
  else
    core.binary_scalar(rows, rows, each, "add")
  end
end

function CrossEntropyCriterion:updateGradInput(input, target)
  argument.passed(self, "input", input)
  self.gradInput = buffer.like(self.scratch, "gradInput", input)
  local rows, labels = self.rows(self.scratch, "unused", self.gradInput), self.labels(self.scratch, input, target)
  core.nll_backward(rows, labels, self.weights, self.sizeAverage)
  if self.labelSmoothing > 0 then addSpread(self, rows, labels) end
  core.log_softmax_backward(rows, rows, self.scratch.logProbabilities)
  return self.gradInput
end

return CrossEntropyCriterion
