--- The largest value in each window of N,C,H,W.
-- @classmod densenet.nn.SpatialMaxPooling

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local SpatialPooling = require "densenet.nn.spatial_pooling"

local SpatialMaxPooling, parent = class("nn.SpatialMaxPooling", SpatialPooling)

--- @tparam integer kW window width
-- @tparam integer kH window height
-- @tparam[opt=kW] integer dW horizontal step
-- @tparam[opt=kH] integer dH vertical step
-- @tparam[opt=0] integer padW at most half the window
-- @tparam[opt=0] integer padH likewise
function SpatialMaxPooling:__init(kW, kH, dW, dH, padW, padH)
  if dW == nil then dW = kW end
  if dH == nil then dH = kH end
  parent.__init(self, kW, kH, dW, dH, padW, padH)
end

function SpatialMaxPooling:forwardBatch(input)
  local n, c, nRows, nColumns = input:size(1), input:size(2), self:outputSize(input)
  local output = buffer.shaped(self.scratch, "output", input, n, c, nRows, nColumns)
  local indices = buffer.get(self.scratch, "indices", input:device(), "long", n, c, nRows, nColumns)
  core.max_pool2d_forward(output, indices, input, self.kH, self.kW, self.dH, self.dW, self.padH, self.padW,
    self.ceilMode, self.countPadding)
  return output
end

function SpatialMaxPooling:gradInputBatch(input, gradOutput)
  local gradInput = buffer.like(self.scratch, "gradInput", input)
  core.max_pool2d_backward(gradInput, gradOutput, self.scratch.indices)
  return gradInput
end

return SpatialMaxPooling
