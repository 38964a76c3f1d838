--- Binary cross-entropy of probabilities x in 0..1 against targets t of the same size, as Torch7 has it:
-- −t · log(x + 1e-12) − (1 − t) · log(1 − x + 1e-12), summed.
-- @classmod densenet.nn.BCECriterion

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Criterion = require "densenet.nn.criterion"

local BCECriterion, parent = class("nn.BCECriterion", Criterion)

local EPSILON = 1e-12

--- @tparam[opt] tensor weights of the terms, of the input's dtype; broadcast over the input
-- @tparam[opt=true] boolean sizeAverage divide the sum by the number of elements
function BCECriterion:__init(weights, sizeAverage)
  parent.__init(self)
  if weights ~= nil then argument.tensor(1, "nn.BCECriterion", weights, "weights") end
  self.weights = weights
  self.sizeAverage = argument.optional("boolean", true, 2, "nn.BCECriterion", sizeAverage, "sizeAverage")
end

local function check(self, input, target)
  argument.passed(self, "input", input)
  argument.passed(self, "target", target)
  if not buffer.sameSize(input, target) then
    argument.raise("target of %s for an input of %s of nn.BCECriterion", buffer.sizeText(target),
      buffer.sizeText(input))
  end
end

-- y = slope · x + offset + EPSILON
local function shifted(y, x, slope, offset)
  core.binary_scalar(y, x, slope, "mul")
  core.binary_scalar(y, y, offset, "add")
  core.binary_scalar(y, y, EPSILON, "add")
end

function BCECriterion:updateOutput(input, target)
  check(self, input, target)
  local terms = buffer.like(self.scratch, "terms", input)
  local other, share = buffer.like(self.scratch, "other", input), buffer.like(self.scratch, "share", input)
  shifted(terms, input, 1, 0)
  core.unary(terms, terms, "log")
  core.binary(terms, terms, target, "mul")
  shifted(other, input, -1, 1)
  core.unary(other, other, "log")
  core.binary_scalar(share, target, -1, "mul")
  core.binary_scalar(share, share, 1, "add")
  core.binary(other, other, share, "mul")
  core.binary(terms, terms, other, "add")
  if self.weights then core.binary(terms, terms, self.weights, "mul") end
  local loss = self:lossFor(input)
  core.reduce(loss, terms:view(terms:nElement()), "sum", 0)
  self.output = -loss:item() / (self.sizeAverage and input:nElement() or 1)
  return self.output
end

-- (x − t) / ((1 − x + ε) · (x + ε))
function BCECriterion:updateGradInput(input, target)
  check(self, input, target)
  self.gradInput = buffer.like(self.scratch, "gradInput", input)
  local divisor, other = buffer.like(self.scratch, "terms", input), buffer.like(self.scratch, "other", input)
  shifted(divisor, input, 1, 0)
  shifted(other, input, -1, 1)
  core.binary(divisor, divisor, other, "mul")
  core.binary(self.gradInput, input, target, "sub")
  core.binary(self.gradInput, self.gradInput, divisor, "div")
  if self.weights then core.binary(self.gradInput, self.gradInput, self.weights, "mul") end
  if self.sizeAverage then core.binary_scalar(self.gradInput, self.gradInput, 1 / input:nElement(), "mul") end
  return self.gradInput
end

return BCECriterion
