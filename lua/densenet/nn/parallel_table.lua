--- Several modules, each on its own entry of the input, a table; the output is the table of their outputs.
-- @classmod densenet.nn.ParallelTable

local argument = require "densenet.argument"
local class = require "densenet.nn.class"
local Container = require "densenet.nn.container"

local ParallelTable, parent = class("nn.ParallelTable", Container)

function ParallelTable:__init()
  parent.__init(self)
  self.output, self.gradInput = {}, {}
end

local function check(self, what, list)
  argument.passedTable(self, what, list)
  if #list ~= #self.modules then
    argument.raise("a table of %d entries, one a module, expected as %s of %s, got one of %d", #self.modules, what,
      self.__typename, #list)
  end
end

function ParallelTable:updateOutput(input)
  check(self, "input", input)
  self.output = {}
  for i = 1, #self.modules do self.output[i] = self:callChild(i, "updateOutput", input[i]) end
  return self.output
end

function ParallelTable:updateGradInput(input, gradOutput)
  check(self, "gradOutput", gradOutput)
  self.gradInput = {}
  for i = 1, #self.modules do
    self.gradInput[i] = self:callChild(i, "updateGradInput", input[i], gradOutput[i])
  end
  return self.gradInput
end

function ParallelTable:backward(input, gradOutput, scale)
  check(self, "gradOutput", gradOutput)
  self.gradInput = {}
  for i = 1, #self.modules do
    self.gradInput[i] = self:callChild(i, "backward", input[i], gradOutput[i], scale or 1)
  end
  return self.gradInput
end

function ParallelTable:accGradParameters(input, gradOutput, scale)
  check(self, "gradOutput", gradOutput)
  for i = 1, #self.modules do self:callChild(i, "accGradParameters", input[i], gradOutput[i], scale) end
end

return ParallelTable
