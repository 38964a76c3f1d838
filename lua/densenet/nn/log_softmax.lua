--- Logarithm of the softmax along the last dimension of N,C, or of a vector C.
-- @classmod densenet.nn.LogSoftMax

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local LogSoftMax = class("nn.LogSoftMax", Module)

function LogSoftMax:updateOutput(input)
  self.output = buffer.like(self.scratch, "output", input)
  core.log_softmax_forward(self.output, buffer.contiguous(self.scratch, "inputCopy", input))
  return self.output
end

function LogSoftMax:updateGradInput(_, gradOutput)
  self.gradInput = buffer.like(self.scratch, "gradInput", gradOutput)
  core.log_softmax_backward(self.gradInput, buffer.contiguous(self.scratch, "gradOutputCopy", gradOutput),
    self.output)
  return self.gradInput
end

return LogSoftMax
