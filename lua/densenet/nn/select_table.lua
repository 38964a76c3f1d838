--- One entry of a table. The other entries' gradients are zeros.
-- @classmod densenet.nn.SelectTable

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local dimension = require "densenet.nn.dimension"
local Module = require "densenet.nn.module"

local SelectTable, parent = class("nn.SelectTable", Module)

--- @tparam integer index from 1; negative ones from the last
function SelectTable:__init(index)
  parent.__init(self)
  self.index = dimension.check(1, "nn.SelectTable", index, "index")
  self.gradInput = {}
end

local function placeOf(self, input)
  argument.passedTable(self, "input", input)
  local place = self.index < 0 and #input + 1 + self.index or self.index
  if input[place] == nil then
    argument.raise("nn.SelectTable of entry %d of an input of %d", self.index, #input)
  end
  return place
end

-- Zeros of the sizes of a tensor, or of the tensors of a table, kept in owner[field].
local function zerosLike(owner, field, like)
  if core.is_tensor(like) then
    core.fill(buffer.like(owner, field, like), 0)
  else
    owner[field] = type(owner[field]) == "table" and owner[field] or {}
    for key, value in pairs(like) do zerosLike(owner[field], key, value) end
  end
  return owner[field]
end

function SelectTable:updateOutput(input)
  self.output = input[placeOf(self, input)]
  return self.output
end

function SelectTable:updateGradInput(input, gradOutput)
  local place = placeOf(self, input)
  self.gradInput = {}
  for i = 1, #input do
    self.gradInput[i] = i == place and gradOutput or zerosLike(self.scratch, i, input[i])
  end
  return self.gradInput
end

function SelectTable:__tostring__()
  return ("nn.SelectTable(%d)"):format(self.index)
end

return SelectTable
