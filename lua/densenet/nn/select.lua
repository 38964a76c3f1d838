--- One position along a dimension, which disappears: a view of the input.
-- @classmod densenet.nn.Select

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local dimension = require "densenet.nn.dimension"
local Module = require "densenet.nn.module"

local Select, parent = class("nn.Select", Module)

--- @tparam integer dim dimension, from 1; negative ones from the last
-- @tparam integer index position, from 1; negative ones from the last
function Select:__init(dim, index)
  parent.__init(self)
  self.dimension = dimension.check(1, "nn.Select", dim)
  self.index = dimension.check(2, "nn.Select", index, "index")
end

local function placeOf(self, input)
  local dim = dimension.of(self, input, self.dimension)
  return dim, dimension.place(self, input, dim, self.index)
end

function Select:updateOutput(input)
  argument.passed(self, "input", input)
  self.output = input:select(placeOf(self, input))
  return self.output
end

function Select:updateGradInput(input, gradOutput)
  argument.passed(self, "input", input)
  argument.passed(self, "gradOutput", gradOutput)
  self.gradInput = buffer.like(self.scratch, "gradInput", input)
  core.fill(self.gradInput, 0)
  core.copy(self.gradInput:select(placeOf(self, input)), gradOutput)
  return self.gradInput
end

function Select:__tostring__()
  return ("nn.Select(%d, %d)"):format(self.dimension, self.index)
end

return Select
