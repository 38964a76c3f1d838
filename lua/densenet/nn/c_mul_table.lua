--- The product, element by element, of a table of tensors of one size.
-- @classmod densenet.nn.CMulTable

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local CMulTable, parent = class("nn.CMulTable", Module)

function CMulTable:__init()
  parent.__init(self)
  self.gradInput = {}
end

function CMulTable:updateOutput(input)
  argument.passedList(self, "input", input)
  self.output = buffer.like(self.scratch, "product", input[1])
  core.copy(self.output, input[1])
  for i = 2, #input do core.binary(self.output, self.output, input[i], "mul") end
  return self.output
end

-- For each input the product of the others: a quotient of the output would fail at 0.
function CMulTable:updateGradInput(input, gradOutput)
  argument.passedList(self, "input", input)
  argument.passed(self, "gradOutput", gradOutput)
  self.gradInput = {}
  for i = 1, #input do
    local gradient = buffer.like(self.scratch, i, gradOutput)
    core.copy(gradient, gradOutput)
    for j = 1, #input do
      if j ~= i then core.binary(gradient, gradient, input[j], "mul") end
    end
    self.gradInput[i] = gradient
  end
  return self.gradInput
end

return CMulTable
