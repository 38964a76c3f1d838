--- The transposed convolution of N,C,H,W, to planes of (H − 1) · dH − 2 · padH + kH + adjH lines: what a
-- SpatialConvolution of the same geometry does to the gradient of its output.
-- @classmod densenet.nn.SpatialFullConvolution

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local ImageModule = require "densenet.nn.image_module"

local SpatialFullConvolution, parent = class("nn.SpatialFullConvolution", ImageModule)

--- @tparam integer nInputPlane channels in
-- @tparam integer nOutputPlane channels out
-- @tparam integer kW kernel width
-- @tparam integer kH kernel height
-- @tparam[opt=1] integer dW horizontal step of the output
-- @tparam[opt=1] integer dH vertical step
-- @tparam[opt=0] integer padW columns taken away left and right
-- @tparam[opt=padW] integer padH lines above and below
-- @tparam[opt=0] integer adjW columns more at the right, below dW
-- @tparam[opt=adjW] integer adjH lines more at the bottom, below dH
function SpatialFullConvolution:__init(nInputPlane, nOutputPlane, kW, kH, dW, dH, padW, padH, adjW, adjH)
  parent.__init(self)
  local name = "nn.SpatialFullConvolution"
  self.nInputPlane = argument.integer(1, name, nInputPlane, 1, "nInputPlane")
  self.nOutputPlane = argument.integer(2, name, nOutputPlane, 1, "nOutputPlane")
  self.kW, self.kH = argument.integer(3, name, kW, 1, "kW"), argument.integer(4, name, kH, 1, "kH")
  self.dW = argument.optional("integer", 1, 5, name, dW, 1, "dW")
  self.dH = argument.optional("integer", 1, 6, name, dH, 1, "dH")
  self.padW = argument.optional("integer", 0, 7, name, padW, 0, "padW")
  self.padH = argument.optional("integer", self.padW, 8, name, padH, 0, "padH")
  self.adjW = argument.optional("integer", 0, 9, name, adjW, 0, "adjW")
  self.adjH = argument.optional("integer", self.adjW, 10, name, adjH, 0, "adjH")
  if self.adjW >= self.dW then argument.refuse(9, name, adjW, ("less than dW, %d,"):format(self.dW), "adjW") end
  if self.adjH >= self.dH then argument.refuse(10, name, adjH, ("less than dH, %d,"):format(self.dH), "adjH") end
  local sizes = { self.nInputPlane, self.nOutputPlane, self.kH, self.kW }
  self.weight, self.gradWeight = self:newTensor(table.unpack(sizes)), self:newTensor(table.unpack(sizes))
  self.bias, self.gradBias = self:newTensor(self.nOutputPlane), self:newTensor(self.nOutputPlane)
  self:reset()
  self:zeroGradParameters()
end

--- New weights, uniform in ±1/√(kW · kH · nInputPlane), or in ±√3·deviation.
function SpatialFullConvolution:reset(deviation)
  if deviation ~= nil then argument.number(1, "reset", deviation, "deviation") end
  local most = deviation and deviation * math.sqrt(3) or 1 / math.sqrt(self.kW * self.kH * self.nInputPlane)
  self.weight:uniform(-most, most)
  if self.bias then self.bias:uniform(-most, most) end
  return self
end

--- Drops the bias.
-- @return the module
function SpatialFullConvolution:noBias()
  self.bias, self.gradBias = nil, nil
  return self
end

function SpatialFullConvolution:forwardBatch(input)
  local nRows = (input:size(3) - 1) * self.dH - 2 * self.padH + self.kH + self.adjH
  local nColumns = (input:size(4) - 1) * self.dW - 2 * self.padW + self.kW + self.adjW
  if input:size(2) ~= self.nInputPlane or nRows < 1 or nColumns < 1 then
    argument.raise("input of %s for %s", buffer.sizeText(input), tostring(self))
  end
  local output = buffer.shaped(self.scratch, "output", input, input:size(1), self.nOutputPlane, nRows, nColumns)
  core.conv2d_backward_data(output, input, self.weight, self.dH, self.dW, self.padH, self.padW, 1)
  if self.bias then
    local bias = buffer.narrowed(self.scratch, "narrowBias", output, self.bias)
    core.binary(output, output, bias:view(1, self.nOutputPlane, 1, 1), "add")
  end
  return output
end

function SpatialFullConvolution:gradInputBatch(input, gradOutput)
  local gradInput = buffer.like(self.scratch, "gradInput", input)
  core.conv2d_forward(gradInput, gradOutput, self.weight, nil, self.dH, self.dW, self.padH, self.padW, 1)
  return gradInput
end

function SpatialFullConvolution:accumulateBatch(input, gradOutput, scale)
  core.conv2d_backward_weight(self.gradWeight, nil, input, gradOutput, self.dH, self.dW, self.padH, self.padW, 1, scale)
  if self.bias then
    local wide = buffer.widened(self.scratch, "wideGradOutput", gradOutput)
    local sums = buffer.shaped(self.scratch, "biasSums", wide, 1, self.nOutputPlane, 1, 1)
    core.reduce(sums, wide, "sum", 0)
    core.add_scaled(self.gradBias, self.gradBias, sums:view(self.nOutputPlane), scale)
  end
end

function SpatialFullConvolution:updateGradInput(input, gradOutput)
  if not self.gradInput then return nil end
  return parent.updateGradInput(self, input, gradOutput)
end

function SpatialFullConvolution:__tostring__()
  return ("nn.SpatialFullConvolution(%d -> %d, %dx%d, %d,%d, %d,%d%s)%s"):format(self.nInputPlane, self.nOutputPlane,
    self.kW, self.kH, self.dW, self.dH, self.padW, self.padH,
    (self.adjW > 0 or self.adjH > 0) and (", %d,%d"):format(self.adjW, self.adjH) or "",
    self.bias and "" or " without bias")
end

return SpatialFullConvolution
