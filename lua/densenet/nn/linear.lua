--- y = x · weightᵀ + bias, for N,nIn or one vector nIn.
-- @classmod densenet.nn.Linear

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local Linear, parent = class("nn.Linear", Module)

--- @tparam integer nInputs
-- @tparam integer nOutputs
-- @tparam[opt=true] boolean bias
function Linear:__init(nInputs, nOutputs, bias)
  parent.__init(self)
  nInputs = argument.integer(1, "nn.Linear", nInputs, 1, "nInputs")
  nOutputs = argument.integer(2, "nn.Linear", nOutputs, 1, "nOutputs")
  bias = argument.optional("boolean", true, 3, "nn.Linear", bias, "bias")
  self.nInputs, self.nOutputs = nInputs, nOutputs
  self.weight = self:newTensor(nOutputs, nInputs)
  self.gradWeight = self:newTensor(nOutputs, nInputs)
  if bias then
    self.bias = self:newTensor(nOutputs)
    self.gradBias = self:newTensor(nOutputs)
  end
  self:reset()
  self:zeroGradParameters()
end

--- New weights, uniform in ±1/√nInputs, or in ±√3·deviation.
function Linear:reset(deviation)
  if deviation ~= nil then argument.number(1, "reset", deviation, "deviation") end
  local most = deviation and deviation * math.sqrt(3) or 1 / math.sqrt(self.nInputs)
  self.weight:uniform(-most, most)
  if self.bias then
    self.bias:uniform(-most, most)
  end
  return self
end

--- Drops the bias.
-- @return the module
function Linear:noBias()
  self.bias, self.gradBias = nil, nil
  return self
end

-- A vector as a matrix of one row.
local function rows(self, x, field)
  argument.passed(self, field == "inputCopy" and "input" or "gradOutput", x)
  local whole = buffer.contiguous(self.scratch, field, x)
  return x:dim() == 1 and whole:view(1, x:size(1)) or whole
end

function Linear:updateOutput(input)
  argument.passed(self, "input", input)
  if input:dim() ~= 1 and input:dim() ~= 2 then
    argument.raise("expected N,%d or %d, got %s", self.nInputs, self.nInputs, buffer.sizeText(input))
  end
  local matrix = rows(self, input, "inputCopy")
  local output = buffer.shaped(self.scratch, "output", input, matrix:size(1), self.nOutputs)
  core.linear_forward(output, matrix, self.weight, self.bias)
  self.output = input:dim() == 1 and output:view(self.nOutputs) or output
  return self.output
end

function Linear:updateGradInput(input, gradOutput)
  if not self.gradInput or self.skipsGradInput then
    return nil
  end
  local matrix = rows(self, gradOutput, "gradOutputCopy")
  local gradInput = buffer.shaped(self.scratch, "gradInput", input, matrix:size(1), self.nInputs)
  core.linear_backward_data(gradInput, matrix, self.weight)
  self.gradInput = input:dim() == 1 and gradInput:view(self.nInputs) or gradInput
  return self.gradInput
end

function Linear:accGradParameters(input, gradOutput, scale)
  if self.frozen then
    return
  end
  core.linear_backward_weight(self.gradWeight, self.gradBias, rows(self, gradOutput, "gradOutputCopy"),
    rows(self, input, "inputCopy"), scale or 1)
end

function Linear:__tostring__()
  return ("nn.Linear(%d -> %d)%s"):format(self.nInputs, self.nOutputs, self.bias and "" or " without bias")
end

return Linear
