--- Several modules on one input, their outputs joined along a dimension.
--
-- Forward copies each output once, into its slice. Backward hands each child its slice of gradOutput,
-- a view, and sums what comes back: with nn.Identity beside one other child, as in a dense layer,
-- that is one pass.
-- @classmod densenet.nn.Concat

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Container = require "densenet.nn.container"
local join = require "densenet.nn.join"
local Module = require "densenet.nn.module"

local Concat, parent = class("nn.Concat", Container)

--- @tparam integer dimension counted from 1, the batch included: 2 joins channels
function Concat:__init(dimension)
  parent.__init(self)
  self.dimension = argument.integer(1, "nn.Concat", dimension, 1, "dimension")
  self.outputs = {}
end

Concat.markBackward = Container.markBranches

function Concat:updateOutput(input)
  if #self.modules == 0 then argument.raise("%s has no modules whose outputs it could join", self.__typename) end
  local outputs = self.outputs
  for i = 1, #self.modules do
    outputs[i] = self:callChild(i, "updateOutput", input)
  end
  for i = #self.modules + 1, #outputs do
    outputs[i] = nil
  end
  return join.output(self, outputs, self.dimension)
end

-- visit(i, the child's slice of gradOutput) for each child; returns the sum of what it gives.
local function sumOverSlices(self, input, gradOutput, visit)
  local sum, first = nil, 1
  for i = 1, #self.modules do
    local length = self.outputs[i]:size(self.dimension)
    local gradient = not self.modules[i].isIdle and visit(i, gradOutput:narrow(self.dimension, first, length))
    first = first + length
    if self.skipsGradInput then
      sum = nil
    elseif gradient and not sum then
      sum = gradient
    elseif gradient then
      local total = buffer.like(self.scratch, "sum", input)
      core.binary(total, sum, gradient, "add")
      sum = total
    end
  end
  self.gradInput = sum
  return sum
end

function Concat:updateGradInput(input, gradOutput)
  argument.passed(self, "gradOutput", gradOutput)
  return sumOverSlices(self, input, gradOutput, function(i, slice)
    return self:callChild(i, "updateGradInput", input, slice)
  end)
end

function Concat:backward(input, gradOutput, scale)
  argument.passed(self, "gradOutput", gradOutput)
  if self:hasOwnHalves(Concat) then
    return Module.backward(self, input, gradOutput, scale)
  end
  return sumOverSlices(self, input, gradOutput, function(i, slice)
    return self:callChild(i, "backward", input, slice, scale or 1)
  end)
end

function Concat:accGradParameters(input, gradOutput, scale)
  local first = 1
  for i = 1, #self.modules do
    local length = self.outputs[i]:size(self.dimension)
    if not self.modules[i].isIdle then
      self:accumulateChild(i, input, gradOutput:narrow(self.dimension, first, length), scale)
    end
    first = first + length
  end
end

function Concat:clearState()
  self.outputs = {}
  return parent.clearState(self)
end

function Concat:__tostring__()
  local lines = self:childLines("    |`-> ")
  table.insert(lines, 1, "  input")
  lines[#lines + 1] = "     ... -> output"
  return ("%s(%d) {\n%s\n}"):format(self.__typename, self.dimension, table.concat(lines, "\n"))
end

return Concat
