--- N,... to N, everything else.
-- @classmod densenet.nn.Flatten

local argument = require "densenet.argument"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local Flatten = class("nn.Flatten", Module)

function Flatten:updateOutput(input)
  argument.passed(self, "input", input)
  if input:dim() == 0 then argument.raise("input of nn.Flatten is a scalar; at least one dimension expected") end
  local whole = buffer.contiguous(self.scratch, "input", input)
  local n = input:size(1)
  self.output = whole:view(n, n == 0 and 0 or input:nElement() // n)
  return self.output
end

function Flatten:updateGradInput(input, gradOutput)
  argument.passed(self, "gradOutput", gradOutput)
  self.gradInput = buffer.contiguous(self.scratch, "gradOutput", gradOutput):view(input:size())
  return self.gradInput
end

return Flatten
