--- The input itself where it is row-major, else its copy; likewise for gradients.
-- @classmod densenet.nn.Contiguous

local argument = require "densenet.argument"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local Contiguous = class("nn.Contiguous", Module)

function Contiguous:updateOutput(input)
  argument.passed(self, "input", input)
  self.output = buffer.contiguous(self.scratch, "input", input)
  return self.output
end

function Contiguous:updateGradInput(_, gradOutput)
  argument.passed(self, "gradOutput", gradOutput)
  self.gradInput = buffer.contiguous(self.scratch, "gradOutput", gradOutput)
  return self.gradInput
end

return Contiguous
