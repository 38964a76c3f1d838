--- A table of tables and tensors as one list of its tensors, in order and at every depth.
-- @classmod densenet.nn.FlattenTable

local argument = require "densenet.argument"
local core = require "densenet.core"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local FlattenTable, parent = class("nn.FlattenTable", Module)

function FlattenTable:__init()
  parent.__init(self)
  self.output, self.gradInput = {}, {}
end

local function flatten(self, list, value)
  if core.is_tensor(value) then
    list[#list + 1] = value
  else
    argument.passedTable(self, "input", value)
    for i = 1, #value do flatten(self, list, value[i]) end
  end
  return list
end

-- A table like `value` with the tensors of `list`, from position `n` on, and the position behind them.
local function unflatten(value, list, n)
  if core.is_tensor(value) then return list[n], n + 1 end
  local result = {}
  for i = 1, #value do result[i], n = unflatten(value[i], list, n) end
  return result, n
end

function FlattenTable:updateOutput(input)
  argument.passedTable(self, "input", input)
  self.output = flatten(self, {}, input)
  return self.output
end

function FlattenTable:updateGradInput(input, gradOutput)
  argument.passedTable(self, "gradOutput", gradOutput)
  local n = #flatten(self, {}, input)
  if #gradOutput ~= n then
    argument.raise("%d gradients expected as gradOutput of nn.FlattenTable, got %d", n, #gradOutput)
  end
  self.gradInput = unflatten(input, gradOutput, 1)
  return self.gradInput
end

return FlattenTable
