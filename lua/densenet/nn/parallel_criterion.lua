--- The weighted sum of several criterions, the i-th of entry i of the input and of the target, two tables.
-- @classmod densenet.nn.ParallelCriterion

local argument = require "densenet.argument"
local class = require "densenet.nn.class"
local CriterionList = require "densenet.nn.criterion_list"

local ParallelCriterion, parent = class("nn.ParallelCriterion", CriterionList)

--- @tparam[opt=false] boolean repeatTarget one target for all
function ParallelCriterion:__init(repeatTarget)
  parent.__init(self)
  self.repeatTarget = argument.optional("boolean", false, 1, "nn.ParallelCriterion", repeatTarget, "repeatTarget")
end

local function checkList(self, what, list)
  argument.passedTable(self, what, list)
  if #list ~= #self.criterions then
    argument.raise("a table of %d entries, one a criterion, expected as %s of nn.ParallelCriterion, got one of %d",
      #self.criterions, what, #list)
  end
end

local function check(self, input, target)
  self:checkFilled()
  checkList(self, "input", input)
  if not self.repeatTarget then checkList(self, "target", target) end
end

local function targetOf(self, target, i)
  if self.repeatTarget then return target end
  return target[i]
end

function ParallelCriterion:forward(input, target)
  check(self, input, target)
  self.output = 0
  for i, criterion in ipairs(self.criterions) do
    self.output = self.output + self.weights[i] * criterion:forward(input[i], targetOf(self, target, i))
  end
  return self.output
end

function ParallelCriterion:updateOutput(input, target) return self:forward(input, target) end

--- The table of gradients, times scale.
function ParallelCriterion:backward(input, target, scale)
  check(self, input, target)
  scale = argument.optional("number", 1, 3, "backward", scale, "scale")
  self.gradInput = {}
  for i, criterion in ipairs(self.criterions) do
    self.gradInput[i] = criterion:backward(input[i], targetOf(self, target, i), scale * self.weights[i])
  end
  return self.gradInput
end

return ParallelCriterion
