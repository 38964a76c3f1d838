--- The parent of modules with one learned tensor that broadcasts over the input: `weight`, of `weightView`'s
-- sizes beside an input. What accGradParameters adds is the sum of dy · slope(x) over what the weight repeats.
--
--    weightView(x, weight) → the weight with x's dimensions
--    slope(into, x)  the derivative of the output by the weight, of x's size
--
-- @classmod densenet.nn.Weighted

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Elementwise = require "densenet.nn.elementwise"

local Weighted = class("nn.Weighted", Elementwise)

--- The limit of uniform numbers: √3·deviation, or where no deviation is given `usual`.
function Weighted.resetLimit(deviation, usual)
  if deviation == nil then return usual end
  return argument.number(1, "reset", deviation, "deviation") * math.sqrt(3)
end

function Weighted:accGradParameters(input, gradOutput, scale)
  argument.passed(self, "input", input)
  argument.passed(self, "gradOutput", gradOutput)
  local x, dy = self:wide(input, gradOutput)
  local product = buffer.like(self.scratch, "part", x)
  self:slope(product, x)
  core.binary(product, product, dy, "mul")
  local gradient = self:weightView(x, self.gradWeight)
  local sums = buffer.shaped(self.scratch, "sums", x, gradient:size())
  core.reduce(sums, product, "sum", 0)
  core.add_scaled(gradient, gradient, sums, scale or 1)
end

return Weighted
