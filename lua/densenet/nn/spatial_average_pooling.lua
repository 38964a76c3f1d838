--- The mean of each window of N,C,H,W.
-- @classmod densenet.nn.SpatialAveragePooling

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local SpatialPooling = require "densenet.nn.spatial_pooling"

local SpatialAveragePooling, parent = class("nn.SpatialAveragePooling", SpatialPooling)

--- @tparam integer kW window width
-- @tparam integer kH window height
-- @tparam[opt=1] integer dW horizontal step
-- @tparam[opt=1] integer dH vertical step
-- @tparam[opt=0] integer padW zeros left and right, at most half the window
-- @tparam[opt=0] integer padH likewise above and below
function SpatialAveragePooling:__init(kW, kH, dW, dH, padW, padH)
  if dW == nil then dW = 1 end
  if dH == nil then dH = 1 end
  parent.__init(self, kW, kH, dW, dH, padW, padH)
end

--- Padded zeros count as elements of a window, the default.
-- @return the module
function SpatialAveragePooling:setCountIncludePad()
  self.countPadding = true
  return self
end

--- Means are over the elements inside the image only.
-- @return the module
function SpatialAveragePooling:setCountExcludePad()
  self.countPadding = false
  return self
end

function SpatialAveragePooling:forwardBatch(input)
  local output = buffer.shaped(self.scratch, "output", input, input:size(1), input:size(2), self:outputSize(input))
  core.avg_pool2d_forward(output, input, self.kH, self.kW, self.dH, self.dW, self.padH, self.padW, self.ceilMode,
    self.countPadding)
  return output
end

function SpatialAveragePooling:gradInputBatch(input, gradOutput)
  local gradInput = buffer.like(self.scratch, "gradInput", input)
  core.avg_pool2d_backward(gradInput, gradOutput, self.kH, self.kW, self.dH, self.dW, self.padH, self.padW,
    self.ceilMode, self.countPadding)
  return gradInput
end

return SpatialAveragePooling
