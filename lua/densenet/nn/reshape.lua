--- The same elements, row by row, under other sizes.
-- @classmod densenet.nn.Reshape

local argument = require "densenet.argument"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local Reshape, parent = class("nn.Reshape", Module)

--- @param ... sizes of one sample, one by one or in a list; the last argument may be `batchMode`: true, the
-- input's first dimension is the batch; false, it is one sample; by default a batch unless one sample has all
-- of the elements and the first dimension is not of size 1
function Reshape:__init(...)
  parent.__init(self)
  local arguments = table.pack(...)
  if type(arguments[arguments.n]) == "boolean" then
    self.batchMode, arguments.n = arguments[arguments.n], arguments.n - 1
  end
  if arguments.n == 1 and type(arguments[1]) == "table" then arguments = table.pack(table.unpack(arguments[1])) end
  if arguments.n == 0 then argument.refuse(1, "nn.Reshape", nil, "sizes") end
  self.size, self.nElements = {}, 1
  for i = 1, arguments.n do
    self.size[i] = argument.integer(i, "nn.Reshape", arguments[i], 1, "size")
    self.nElements = self.nElements * self.size[i]
  end
end

local function isSample(self, input)
  if self.batchMode ~= nil then return not self.batchMode end
  return input:nElement() == self.nElements and not (input:dim() > 0 and input:size(1) == 1)
end

function Reshape:updateOutput(input)
  argument.passed(self, "input", input)
  local isOne = isSample(self, input)
  local n = isOne and 1 or input:dim() > 0 and input:size(1) or 0
  if n * self.nElements ~= input:nElement() then
    argument.raise("input of %s for nn.Reshape to %s", buffer.sizeText(input), table.concat(self.size, "x"))
  end
  local whole = buffer.contiguous(self.scratch, "input", input)
  self.output = isOne and whole:view(self.size) or whole:view(n, table.unpack(self.size))
  return self.output
end

function Reshape:updateGradInput(input, gradOutput)
  argument.passed(self, "input", input)
  argument.passed(self, "gradOutput", gradOutput)
  self.gradInput = buffer.contiguous(self.scratch, "gradOutput", gradOutput):view(input:size())
  return self.gradInput
end

function Reshape:__tostring__()
  return ("nn.Reshape(%s)"):format(table.concat(self.size, "x"))
end

return Reshape
