--- Several modules, the i-th on position i of the input along one dimension; their outputs are joined along
-- another.
-- @classmod densenet.nn.Parallel

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local dimension = require "densenet.nn.dimension"
local Container = require "densenet.nn.container"

local Parallel, parent = class("nn.Parallel", Container)

--- @tparam integer inputDimension of the input, from 1; it disappears from what a module gets
-- @tparam integer outputDimension of the outputs, from 1
function Parallel:__init(inputDimension, outputDimension)
  parent.__init(self)
  self.inputDimension = argument.integer(1, "nn.Parallel", inputDimension, 1, "inputDimension")
  self.outputDimension = argument.integer(2, "nn.Parallel", outputDimension, 1, "outputDimension")
  self.outputs = {}
end

local function check(self, input)
  argument.passed(self, "input", input)
  local dim = dimension.of(self, input, self.inputDimension)
  if input:size(dim) ~= #self.modules or #self.modules == 0 then
    argument.raise("%d positions along dimension %d, one a module, expected as input of nn.Parallel, got %s",
      #self.modules, dim, buffer.sizeText(input))
  end
end

function Parallel:updateOutput(input)
  check(self, input)
  local outputs, total = {}, 0
  for i = 1, #self.modules do
    outputs[i] = self:callChild(i, "updateOutput", input:select(self.inputDimension, i))
    total = total + outputs[i]:size(self.outputDimension)
  end
  self.outputs = outputs
  local sizes, first = outputs[1]:size(), 1
  sizes[self.outputDimension] = total
  self.output = buffer.shaped(self.scratch, "joined", outputs[1], sizes)
  for _, output in ipairs(outputs) do
    local length = output:size(self.outputDimension)
    core.copy(self.output:narrow(self.outputDimension, first, length), output)
    first = first + length
  end
  return self.output
end

-- visit(i, the child's input, its slice of gradOutput)
local function eachSlice(self, input, gradOutput, visit)
  argument.passed(self, "gradOutput", gradOutput)
  local first = 1
  for i = 1, #self.modules do
    local length = self.outputs[i]:size(self.outputDimension)
    visit(i, input:select(self.inputDimension, i), gradOutput:narrow(self.outputDimension, first, length))
    first = first + length
  end
end

local function collect(self, input, gradOutput, method, scale)
  check(self, input)
  local gradInput = buffer.like(self.scratch, "gradInput", input)
  eachSlice(self, input, gradOutput, function(i, part, gradient)
    core.copy(gradInput:select(self.inputDimension, i), self:callChild(i, method, part, gradient, scale))
  end)
  self.gradInput = gradInput
  return gradInput
end

function Parallel:updateGradInput(input, gradOutput)
  return collect(self, input, gradOutput, "updateGradInput")
end

function Parallel:backward(input, gradOutput, scale)
  return collect(self, input, gradOutput, "backward", scale or 1)
end

function Parallel:accGradParameters(input, gradOutput, scale)
  check(self, input)
  eachSlice(self, input, gradOutput, function(i, part, gradient)
    self:callChild(i, "accGradParameters", part, gradient, scale)
  end)
end

return Parallel
