--- A table of tensors joined along a dimension.
-- The gradient is a table of slices of gradOutput: views, not copies.
-- @classmod densenet.nn.JoinTable

local argument = require "densenet.argument"
local class = require "densenet.nn.class"
local join = require "densenet.nn.join"
local Module = require "densenet.nn.module"

local JoinTable, parent = class("nn.JoinTable", Module)

--- @tparam integer dimension counted from 1
-- @tparam[opt] integer nInputDims dimensions of one sample: inputs with one more are batches, and
-- `dimension` counts within a sample
function JoinTable:__init(dimension, nInputDims)
  parent.__init(self)
  self.dimension = argument.integer(1, "nn.JoinTable", dimension, 1, "dimension")
  self.nInputDims = argument.optional("integer", nil, 2, "nn.JoinTable", nInputDims, 1, "nInputDims")
  self.gradInput = {}
end

local function dimensionFor(self, input)
  local isBatch = self.nInputDims and input[1]:dim() == self.nInputDims + 1
  return self.dimension + (isBatch and 1 or 0)
end

function JoinTable:updateOutput(input)
  argument.passedList(self, "input", input)
  return join.output(self, input, dimensionFor(self, input))
end

function JoinTable:updateGradInput(input, gradOutput)
  argument.passedList(self, "input", input)
  argument.passed(self, "gradOutput", gradOutput)
  local dimension, first = dimensionFor(self, input), 1
  self.gradInput = {}
  for i, part in ipairs(input) do
    local length = part:size(dimension)
    self.gradInput[i] = gradOutput:narrow(dimension, first, length)
    first = first + length
  end
  return self.gradInput
end

return JoinTable
