--- 2-d convolution of N,C,H,W (as everywhere in this field, a correlation).
-- @classmod densenet.nn.SpatialConvolution

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local ImageModule = require "densenet.nn.image_module"

local SpatialConvolution, parent = class("nn.SpatialConvolution", ImageModule)

--- @tparam integer nInputPlane channels in
-- @tparam integer nOutputPlane channels out
-- @tparam integer kW kernel width
-- @tparam integer kH kernel height
-- @tparam[opt=1] integer dW horizontal step
-- @tparam[opt=1] integer dH vertical step
-- @tparam[opt=0] integer padW zeros left and right
-- @tparam[opt=padW] integer padH zeros above and below
-- @tparam[opt=1] integer groups divides both channel counts; group i of the outputs sees group i of the inputs
function SpatialConvolution:__init(nInputPlane, nOutputPlane, kW, kH, dW, dH, padW, padH, groups)
  parent.__init(self)
  local name = "nn.SpatialConvolution"
  nInputPlane = argument.integer(1, name, nInputPlane, 1, "nInputPlane")
  nOutputPlane = argument.integer(2, name, nOutputPlane, 1, "nOutputPlane")
  kW, kH = argument.integer(3, name, kW, 1, "kW"), argument.integer(4, name, kH, 1, "kH")
  self.nInputPlane, self.nOutputPlane = nInputPlane, nOutputPlane
  self.kW, self.kH = kW, kH
  self.dW = argument.optional("integer", 1, 5, name, dW, 1, "dW")
  self.dH = argument.optional("integer", 1, 6, name, dH, 1, "dH")
  self.padW = argument.optional("integer", 0, 7, name, padW, 0, "padW")
  self.padH = argument.optional("integer", self.padW, 8, name, padH, 0, "padH")
  self.groups = argument.optional("integer", 1, 9, name, groups, 1, "groups")
  if nInputPlane % self.groups ~= 0 or nOutputPlane % self.groups ~= 0 then
    argument.raise("bad argument #9 to 'nn.SpatialConvolution' (%d groups do not divide %d -> %d channels)",
      self.groups, nInputPlane, nOutputPlane)
  end
  local sizes = { nOutputPlane, nInputPlane // self.groups, kH, kW }
  self.weight = self:newTensor(table.unpack(sizes))
  self.gradWeight = self:newTensor(table.unpack(sizes))
  self.bias = self:newTensor(nOutputPlane)
  self.gradBias = self:newTensor(nOutputPlane)
  self:reset()
  self:zeroGradParameters()
end

--- New weights, uniform in ±1/√(inputs of one output), or in ±√3·deviation.
function SpatialConvolution:reset(deviation)
  if deviation ~= nil then argument.number(1, "reset", deviation, "deviation") end
  local most = deviation and deviation * math.sqrt(3)
    or 1 / math.sqrt(self.kW * self.kH * (self.nInputPlane // self.groups))
  self.weight:uniform(-most, most)
  if self.bias then
    self.bias:uniform(-most, most)
  end
  return self
end

--- Drops the bias.
-- @return the module
function SpatialConvolution:noBias()
  self.bias, self.gradBias = nil, nil
  return self
end

function SpatialConvolution:forwardBatch(input)
  local nRows, nColumns = core.conv2d_output_size(input:size(3), input:size(4), self.kH, self.kW, self.dH, self.dW,
    self.padH, self.padW)
  local output = buffer.shaped(self.scratch, "output", input, input:size(1), self.nOutputPlane, nRows, nColumns)
  core.conv2d_forward(output, input, self.weight, self.bias, self.dH, self.dW, self.padH, self.padW, self.groups)
  return output
end

function SpatialConvolution:gradInputBatch(input, gradOutput)
  local gradInput = buffer.like(self.scratch, "gradInput", input)
  core.conv2d_backward_data(gradInput, gradOutput, self.weight, self.dH, self.dW, self.padH, self.padW, self.groups)
  return gradInput
end

function SpatialConvolution:accumulateBatch(input, gradOutput, scale)
  core.conv2d_backward_weight(self.gradWeight, self.gradBias, gradOutput, input, self.dH, self.dW, self.padH,
    self.padW, self.groups, scale)
end

function SpatialConvolution:updateGradInput(input, gradOutput)
  if not self.gradInput or self.skipsGradInput then
    return nil
  end
  return parent.updateGradInput(self, input, gradOutput)
end

function SpatialConvolution:__tostring__()
  local parts = { ("%d -> %d, %dx%d"):format(self.nInputPlane, self.nOutputPlane, self.kW, self.kH) }
  local isPadded = self.padW ~= 0 or self.padH ~= 0
  if self.dW ~= 1 or self.dH ~= 1 or isPadded then
    parts[#parts + 1] = ("%d,%d"):format(self.dW, self.dH)
  end
  if isPadded then
    parts[#parts + 1] = ("%d,%d"):format(self.padW, self.padH)
  end
  if self.groups > 1 then
    parts[#parts + 1] = self.groups .. " groups"
  end
  return ("nn.SpatialConvolution(%s)%s"):format(table.concat(parts, ", "), self.bias and "" or " without bias")
end

return SpatialConvolution
