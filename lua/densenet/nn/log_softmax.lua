--- Logarithm of the softmax along the last dimension of N,C, or of a vector C. Of an input in 16 bits
-- the logarithms are float.
-- @classmod densenet.nn.LogSoftMax

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local LogSoftMax = class("nn.LogSoftMax", Module)

function LogSoftMax:updateOutput(input)
  argument.passed(self, "input", input)
  local scores = buffer.widened(self.scratch, "wideInput", buffer.contiguous(self.scratch, "inputCopy", input))
  self.output = buffer.like(self.scratch, "output", scores)
  core.log_softmax_forward(self.output, scores)
  return self.output
end

function LogSoftMax:updateGradInput(input, gradOutput)
  argument.passed(self, "gradOutput", gradOutput)
  local gradInput = buffer.like(self.scratch, "gradInput", gradOutput)
  core.log_softmax_backward(gradInput, buffer.contiguous(self.scratch, "gradOutputCopy", gradOutput), self.output)
  self.gradInput = buffer.narrowed(self.scratch, "narrowGradInput", input, gradInput)
  return self.gradInput
end

return LogSoftMax
