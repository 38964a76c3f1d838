--- The sum of a table of tensors of one size.
-- @classmod densenet.nn.CAddTable

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local CAddTable, parent = class("nn.CAddTable", Module)

--- @tparam[opt] boolean inplace write the sum over input[1], and give gradOutput itself to every input
function CAddTable:__init(inplace)
  parent.__init(self)
  self.inplace = argument.optional("boolean", false, 1, "nn.CAddTable", inplace, "inplace")
  self.gradInput = {}
end

function CAddTable:updateOutput(input)
  argument.passedList(self, "input", input)
  local output
  if self.inplace then
    output = input[1]
  else
    output = buffer.like(self.scratch, "sum", input[1])
    core.copy(output, input[1])
  end
  for i = 2, #input do
    core.binary(output, output, input[i], "add")
  end
  self.output = output
  return output
end

-- Each input gets a copy of its own, because the module behind it may work in place.
function CAddTable:updateGradInput(input, gradOutput)
  argument.passedList(self, "input", input)
  argument.passed(self, "gradOutput", gradOutput)
  for i = 1, #input do
    if self.inplace then
      self.gradInput[i] = gradOutput
    else
      self.gradInput[i] = buffer.like(self.scratch, i, gradOutput)
      core.copy(self.gradInput[i], gradOutput)
    end
  end
  for i = #input + 1, #self.gradInput do
    self.gradInput[i] = nil
  end
  return self.gradInput
end

return CAddTable
