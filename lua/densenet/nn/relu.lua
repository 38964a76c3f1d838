--- max(x, 0).
-- In place it overwrites its input, and later its gradOutput, with its results: right after a module
-- that needs its own output no more, such as batch normalization, this saves both buffers.
-- @classmod densenet.nn.ReLU

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local ReLU, parent = class("nn.ReLU", Module)

--- @tparam[opt=false] boolean inplace
function ReLU:__init(inplace)
  parent.__init(self)
  self.inplace = argument.optional("boolean", false, 1, "nn.ReLU", inplace, "inplace")
end

function ReLU:updateOutput(input)
  argument.passed(self, "input", input)
  self.output = self.inplace and input or buffer.like(self.scratch, "output", input)
  core.relu_forward(self.output, input)
  return self.output
end

function ReLU:updateGradInput(_, gradOutput)
  argument.passed(self, "gradOutput", gradOutput)
  self.gradInput = self.inplace and gradOutput or buffer.like(self.scratch, "gradInput", gradOutput)
  core.relu_backward(self.gradInput, gradOutput, self.output)
  return self.gradInput
end

return ReLU
