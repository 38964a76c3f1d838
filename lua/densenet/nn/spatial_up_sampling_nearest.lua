--- Each pixel of N,C,H,W as a square of scale by scale: N,C,scale·H,scale·W.
-- @classmod densenet.nn.SpatialUpSamplingNearest

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local ImageModule = require "densenet.nn.image_module"

local SpatialUpSamplingNearest, parent = class("nn.SpatialUpSamplingNearest", ImageModule)

--- @tparam integer scale
function SpatialUpSamplingNearest:__init(scale)
  parent.__init(self)
  self.scale_factor = argument.integer(1, "nn.SpatialUpSamplingNearest", scale, 1, "scale")
end

-- The small planes as N·C,H,1,W,1, and the sizes of the large ones, N·C,H,scale,W,scale.
local function squares(self, small)
  local n, height, width = small:size(1) * small:size(2), small:size(3), small:size(4)
  return small:view(n, height, 1, width, 1), { n, height, self.scale_factor, width, self.scale_factor }
end

function SpatialUpSamplingNearest:forwardBatch(input)
  input = buffer.contiguous(self.scratch, "whole", input)
  local output = buffer.shaped(self.scratch, "output", input, input:size(1), input:size(2),
    input:size(3) * self.scale_factor, input:size(4) * self.scale_factor)
  local small, sizes = squares(self, input)
  core.copy(output:view(sizes), small:expand(sizes))
  return output
end

function SpatialUpSamplingNearest:gradInputBatch(input, gradOutput)
  gradOutput = buffer.contiguous(self.scratch, "wholeGradient", gradOutput)
  local gradInput = buffer.shaped(self.scratch, "gradInput", input, input:size())
  local small, sizes = squares(self, gradInput)
  core.reduce(small, gradOutput:view(sizes), "sum", 0)
  return gradInput
end

function SpatialUpSamplingNearest:__tostring__()
  return ("nn.SpatialUpSamplingNearest(%d)"):format(self.scale_factor)
end

return SpatialUpSamplingNearest
