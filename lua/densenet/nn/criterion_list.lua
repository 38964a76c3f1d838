--- The parent of criterions made of criterions, each with a weight in the sum of their losses.
-- @classmod densenet.nn.CriterionList

local argument = require "densenet.argument"
local class = require "densenet.nn.class"
local Criterion = require "densenet.nn.criterion"

local CriterionList, parent = class("nn.CriterionList", Criterion)

function CriterionList:__init()
  parent.__init(self)
  self.criterions, self.weights = {}, {}
end

--- Appends a criterion.
-- @param criterion
-- @tparam[opt=1] number weight of its loss
-- @return the list
function CriterionList:add(criterion, weight)
  if type(criterion) ~= "table" or not criterion.updateGradInput or criterion.parameters then
    argument.refuse(1, "add", criterion, "a criterion")
  end
  self.criterions[#self.criterions + 1] = criterion
  self.weights[#self.criterions] = argument.optional("number", 1, 2, "add", weight, "weight")
  return self
end

--- Raises where there is no criterion to ask.
function CriterionList:checkFilled()
  if #self.criterions == 0 then argument.raise("%s has no criterions; add one", self.__typename) end
end

function CriterionList:updateGradInput(input, target) return self:backward(input, target) end

function CriterionList:clearState()
  parent.clearState(self)
  for _, criterion in ipairs(self.criterions) do criterion:clearState() end
  return self
end

return CriterionList
