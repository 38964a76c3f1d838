--- The mean of each plane: N,C,H,W to N,C, for any H and W.
-- @classmod densenet.nn.GlobalAveragePooling

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local ImageModule = require "densenet.nn.image_module"

local GlobalAveragePooling = class("nn.GlobalAveragePooling", ImageModule)

function GlobalAveragePooling:forwardBatch(input)
  local output = buffer.shaped(self.scratch, "output", input, input:size(1), input:size(2))
  core.global_avg_pool_forward(output, input)
  return output
end

function GlobalAveragePooling:gradInputBatch(input, gradOutput)
  local gradInput = buffer.like(self.scratch, "gradInput", input)
  core.global_avg_pool_backward(gradInput, gradOutput)
  return gradInput
end

return GlobalAveragePooling
