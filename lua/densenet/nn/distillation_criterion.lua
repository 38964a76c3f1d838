--- The loss of scores y N,C that are to be like a teacher's, z, and to tell labels apart:
--
--    beta·T²·KL(softmax(z/T) ‖ softmax(y/T)) + (1 − beta)·cross-entropy(y, labels)
--
-- each a mean over the batch. The gradient of y is
-- (beta·T·(softmax(y/T) − softmax(z/T)) + (1 − beta)·(softmax(y) − onehot)) / N.
-- Source: Hinton et al. 2015 (arXiv:1503.02531).
-- @classmod densenet.nn.DistillationCriterion

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Criterion = require "densenet.nn.criterion"
local CrossEntropyCriterion = require "densenet.nn.cross_entropy_criterion"

local DistillationCriterion, parent = class("nn.DistillationCriterion", Criterion)

--- @tparam[opt=3] number temperature T, above 0
-- @tparam[opt=0.9] number beta 0 to 1: the teacher's share
-- @param criterion what labels are compared by, nn.CrossEntropyCriterion() when left out: one with class weights or
-- smoothed labels, say
function DistillationCriterion:__init(temperature, beta, criterion)
  parent.__init(self)
  local name = "nn.DistillationCriterion"
  self.temperature = argument.optional("number", 3, 1, name, temperature, "temperature")
  self.beta = argument.optional("number", 0.9, 2, name, beta, "beta")
  if not (self.temperature > 0 and self.temperature < math.huge) then
    argument.refuse(1, name, temperature, "a number above 0", "temperature")
  elseif not (self.beta >= 0 and self.beta <= 1) then
    argument.refuse(2, name, beta, "a number from 0 to 1", "beta")
  end
  if criterion ~= nil and not (type(criterion) == "table" and criterion.updateGradInput) then
    argument.refuse(3, name, criterion, "a criterion", "criterion")
  end
  self.crossEntropy = criterion or CrossEntropyCriterion()
end

-- log softmax(x/T), kept under a name.
local function logShares(self, name, x)
  local scaled, logs = buffer.like(self.scratch, name .. "Scaled", x), buffer.like(self.scratch, name, x)
  core.binary_scalar(scaled, x, 1 / self.temperature, "mul")
  core.log_softmax_forward(logs, scaled)
  return logs
end

local function read(self, input, target)
  argument.passed(self, "input", input)
  if type(target) ~= "table" or not core.is_tensor(target[2]) then
    argument.raise("{ labels, the teacher's scores } expected as target of %s, got %s", self.__typename,
      argument.describe(target))
  end
  local rows = self.rows(self.scratch, "inputCopy", input)
  local teacher = self.rows(self.scratch, "teacherCopy", buffer.widened(self.scratch, "wideTeacher", target[2]))
  if not buffer.sameSize(rows, teacher) then
    argument.raise("the teacher's scores are %s; expected %s, as the input is", buffer.sizeText(target[2]),
      buffer.sizeText(input))
  end
  return rows, teacher
end

-- p_z, of the last updateOutput; log p_y and log p_z are kept beside it.
local function shares(self, rows, teacher)
  local ours, theirs = logShares(self, "logShares", rows), logShares(self, "teacherLogShares", teacher)
  local part = buffer.like(self.scratch, "teacherShares", rows)
  core.unary(part, theirs, "exp")
  return part, ours, theirs
end

--- @tparam tensor input y N,C, or a vector C
-- @tparam table target { labels from 1, z of y's sizes }
-- @treturn number the loss; its parts are in `divergence` (KL) and `entropy` (cross-entropy)
function DistillationCriterion:updateOutput(input, target)
  local rows, teacher = read(self, input, target)
  self.entropy, self.divergence = self.crossEntropy:updateOutput(input, target[1]), 0.0
  if self.beta > 0 then
    local part, ours, theirs = shares(self, rows, teacher)
    local terms = buffer.like(self.scratch, "terms", rows)
    core.binary(terms, theirs, ours, "sub")
    core.binary(terms, terms, part, "mul")
    local sum = buffer.shaped(self.scratch, "sum", rows, 1, 1)
    core.reduce(sum, terms, "sum", 0)
    self.divergence = self.quotient(self.scratch, self.valueOf(self.scratch, "divergence", sum:view(1)), rows:size(1))
  end
  self.output = self.mixed(1 - self.beta, self.entropy, self.beta * self.temperature ^ 2,
    self.beta > 0 and self.divergence or nil)
  return self.output
end

function DistillationCriterion:updateGradInput(input, target)
  local rows = read(self, input, target)
  self.gradInput = self.crossEntropy:updateGradInput(input, target[1])
  if self.beta == 0 then return self.gradInput end
  local gradient = self.rows(self.scratch, "unused", self.gradInput)
  core.binary_scalar(gradient, gradient, 1 - self.beta, "mul")
  local share, weight = buffer.like(self.scratch, "terms", rows), self.beta * self.temperature / rows:size(1)
  core.unary(share, self.scratch.logShares, "exp")
  core.add_scaled(gradient, gradient, share, weight)
  core.add_scaled(gradient, gradient, self.scratch.teacherShares, -weight)
  return self.gradInput
end

function DistillationCriterion:clearState()
  self.crossEntropy:clearState()
  return parent.clearState(self)
end

return DistillationCriterion
