--- The positions offset to offset + length − 1 along a dimension: a view of the input.
-- @classmod densenet.nn.Narrow

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local dimension = require "densenet.nn.dimension"
local Module = require "densenet.nn.module"

local Narrow, parent = class("nn.Narrow", Module)

--- @tparam integer dim dimension, from 1; negative ones from the last
-- @tparam integer offset first position; negative ones from the last
-- @tparam[opt=1] integer length −1 reaches to the last position, −2 to the one before
function Narrow:__init(dim, offset, length)
  parent.__init(self)
  self.dimension = dimension.check(1, "nn.Narrow", dim)
  self.index = dimension.check(2, "nn.Narrow", offset, "offset")
  self.length = length == nil and 1 or dimension.check(3, "nn.Narrow", length, "length")
end

-- Dimension, first position and count for an input.
local function rangeOf(self, input)
  local dim = dimension.of(self, input, self.dimension)
  local first = dimension.place(self, input, dim, self.index)
  local length = self.length < 0 and input:size(dim) - first + 2 + self.length or self.length
  if length < 1 or first + length - 1 > input:size(dim) then
    argument.raise("nn.Narrow of %d positions from %d of an input of %s, which has %d along dimension %d", self.length,
      self.index, buffer.sizeText(input), input:size(dim), dim)
  end
  return dim, first, length
end

function Narrow:updateOutput(input)
  argument.passed(self, "input", input)
  self.output = input:narrow(rangeOf(self, input))
  return self.output
end

function Narrow:updateGradInput(input, gradOutput)
  argument.passed(self, "input", input)
  argument.passed(self, "gradOutput", gradOutput)
  self.gradInput = buffer.like(self.scratch, "gradInput", input)
  core.fill(self.gradInput, 0)
  core.copy(self.gradInput:narrow(rangeOf(self, input)), gradOutput)
  return self.gradInput
end

function Narrow:__tostring__()
  return ("nn.Narrow(%d, %d, %d)"):format(self.dimension, self.index, self.length)
end

return Narrow
