--- A dimension made longer by elements of one value, before or after the input's, or in between.
-- @classmod densenet.nn.Padding

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local dimension = require "densenet.nn.dimension"
local Module = require "densenet.nn.module"

local Padding, parent = class("nn.Padding", Module)

--- @tparam integer dim dimension, from 1
-- @tparam integer pad how many elements: above 0 after the input, below 0 before it
-- @tparam[opt] integer nInputDims dimensions of one sample: an input with one more is a batch
-- @tparam[opt=0] number value of the elements
-- @tparam[opt=1] integer index 1 at the very end (or beginning); i before the last (after the first) i − 1
-- elements of the input
function Padding:__init(dim, pad, nInputDims, value, index)
  parent.__init(self)
  self.dim = argument.integer(1, "nn.Padding", dim, 1, "dim")
  self.pad = argument.integer(2, "nn.Padding", pad, nil, "pad")
  self.nInputDims = argument.optional("integer", nil, 3, "nn.Padding", nInputDims, 1, "nInputDims")
  self.value = argument.optional("number", 0, 4, "nn.Padding", value, "value")
  self.index = argument.optional("integer", 1, 5, "nn.Padding", index, 1, "index")
end

-- Calls visit(part of the input, its part of the output) for what is before the pad, and behind it.
local function eachPart(self, dim, input, output, visit)
  local size, count = input:size(dim), math.abs(self.pad)
  if self.index > size + 1 then
    argument.raise("nn.Padding at position %d of an input of %s, which has %d along dimension %d", self.index,
      buffer.sizeText(input), size, dim)
  end
  local nBefore = self.pad > 0 and size - self.index + 1 or self.index - 1
  if nBefore > 0 then visit(input:narrow(dim, 1, nBefore), output:narrow(dim, 1, nBefore)) end
  local nBehind = size - nBefore
  if nBehind > 0 then
    visit(input:narrow(dim, nBefore + 1, nBehind), output:narrow(dim, nBefore + count + 1, nBehind))
  end
end

function Padding:updateOutput(input)
  argument.passed(self, "input", input)
  local dim, sizes = dimension.of(self, input, self.dim), input:size()
  sizes[dim] = sizes[dim] + math.abs(self.pad)
  self.output = buffer.shaped(self.scratch, "output", input, sizes)
  core.fill(self.output, self.value)
  eachPart(self, dim, input, self.output, function(from, to) core.copy(to, from) end)
  return self.output
end

function Padding:updateGradInput(input, gradOutput)
  argument.passed(self, "input", input)
  argument.passed(self, "gradOutput", gradOutput)
  local dim = dimension.of(self, input, self.dim)
  self.gradInput = buffer.like(self.scratch, "gradInput", input)
  eachPart(self, dim, self.gradInput, gradOutput, function(to, from) core.copy(to, from) end)
  return self.gradInput
end

function Padding:__tostring__()
  return ("nn.Padding(%d, %d)"):format(self.dim, self.pad)
end

return Padding
