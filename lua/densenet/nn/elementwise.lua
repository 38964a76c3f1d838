--- The parent of modules that apply one function to each element of a tensor of any size. A subclass states the
-- function and its derivative on tensors that exist:
--
--    compute(y, x)                y = f(x)
--    differentiate(dx, dy, x, y)  dx = dy · f'(x), from the input or the output
--
-- In 16 bits both are computed in float and rounded once. With `inplace` y may be x and dx may be dy; x is
-- then y in differentiate.
-- @classmod densenet.nn.Elementwise

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local Elementwise = class("nn.Elementwise", Module)

-- Where the result for `given`, computed as `wide`, is written: over `given` itself in place.
local function resultFor(self, field, given, wide)
  if wide ~= given then return buffer.like(self.scratch, "wide" .. field, wide) end
  return self.inplace and given or buffer.like(self.scratch, field, given)
end

-- The result in the dtype of `given`.
local function rounded(self, field, given, result)
  if result:dtype() == given:dtype() then return result end
  local narrow = self.inplace and given or buffer.like(self.scratch, field, given)
  core.copy(narrow, result)
  return narrow
end

function Elementwise:updateOutput(input)
  argument.passed(self, "input", input)
  local x = buffer.widened(self.scratch, "wideInput", input)
  local y = resultFor(self, "output", input, x)
  self:compute(y, x)
  self.output = rounded(self, "output", input, y)
  return self.output
end

--- Input, gradOutput and output, in float where they are of 16 bits.
function Elementwise:wide(input, gradOutput)
  return buffer.widened(self.scratch, "wideInput", input),
    buffer.widened(self.scratch, "wideGradOutput", gradOutput),
    buffer.widened(self.scratch, "wideoutput", self.output)
end

function Elementwise:updateGradInput(input, gradOutput)
  argument.passed(self, "input", input)
  argument.passed(self, "gradOutput", gradOutput)
  local x, dy, y = self:wide(input, gradOutput)
  local dx = resultFor(self, "gradInput", gradOutput, dy)
  self:differentiate(dx, dy, self.inplace and y or x, y)
  self.gradInput = rounded(self, "gradInput", gradOutput, dx)
  return self.gradInput
end

return Elementwise
