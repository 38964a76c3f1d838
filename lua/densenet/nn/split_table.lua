--- A tensor as the table of its positions along a dimension, which disappears: views of the input.
-- @classmod densenet.nn.SplitTable

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local dimension = require "densenet.nn.dimension"
local Module = require "densenet.nn.module"

local SplitTable, parent = class("nn.SplitTable", Module)

--- @tparam integer dim dimension, from 1; negative ones from the last
-- @tparam[opt] integer nInputDims dimensions of one sample: an input with one more is a batch, and a positive
-- dimension counts within a sample
function SplitTable:__init(dim, nInputDims)
  parent.__init(self)
  self.dimension = dimension.check(1, "nn.SplitTable", dim)
  self.nInputDims = argument.optional("integer", nil, 2, "nn.SplitTable", nInputDims, 1, "nInputDims")
end

function SplitTable:updateOutput(input)
  argument.passed(self, "input", input)
  local dim = dimension.of(self, input, self.dimension)
  self.output = {}
  for i = 1, input:size(dim) do self.output[i] = input:select(dim, i) end
  return self.output
end

function SplitTable:updateGradInput(input, gradOutput)
  argument.passed(self, "input", input)
  argument.passedList(self, "gradOutput", gradOutput)
  local dim = dimension.of(self, input, self.dimension)
  if #gradOutput ~= input:size(dim) then
    argument.raise("%d gradients expected as gradOutput of nn.SplitTable, got %d", input:size(dim), #gradOutput)
  end
  self.gradInput = buffer.like(self.scratch, "gradInput", input)
  for i = 1, #gradOutput do core.copy(self.gradInput:select(dim, i), gradOutput[i]) end
  return self.gradInput
end

function SplitTable:__tostring__()
  return ("nn.SplitTable(%d)"):format(self.dimension)
end

return SplitTable
