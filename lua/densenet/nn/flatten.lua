--- N,... to N, everything else.
-- @classmod densenet.nn.Flatten

local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local Flatten = class("nn.Flatten", Module)

function Flatten:updateOutput(input)
  local whole = buffer.contiguous(self.scratch, "input", input)
  local n = input:size(1)
  self.output = whole:view(n, n == 0 and 0 or input:nElement() // n)
  return self.output
end

function Flatten:updateGradInput(input, gradOutput)
  self.gradInput = buffer.contiguous(self.scratch, "gradOutput", gradOutput):view(input:size())
  return self.gradInput
end

return Flatten
