--- A copy of the input, of another type where one is given; the gradient is of the input's type.
-- @classmod densenet.nn.Copy

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Module = require "densenet.nn.module"

local Copy, parent = class("nn.Copy", Module)

local TYPES = { float = true, double = true, half = true, bfloat16 = true }

local function checkType(position, value, label)
  if value ~= nil and not TYPES[value] then
    argument.refuse(position, "nn.Copy", value, "float, double, half or bfloat16", label)
  end
  return value
end

--- @tparam[opt] string intype the type that inputs have; any, where it is left out
-- @tparam[opt] string outtype of outputs; by default the input's
function Copy:__init(intype, outtype)
  parent.__init(self)
  self.intype, self.outtype = checkType(1, intype, "intype"), checkType(2, outtype, "outtype")
end

function Copy:updateOutput(input)
  argument.passed(self, "input", input)
  if self.intype and input:dtype() ~= self.intype then
    argument.raise("a %s tensor expected as input of nn.Copy, got %s", self.intype, argument.describe(input))
  end
  self.output = buffer.get(self.scratch, "output", input:device(), self.outtype or input:dtype(), input:size())
  core.copy(self.output, input)
  return self.output
end

function Copy:updateGradInput(input, gradOutput)
  argument.passed(self, "input", input)
  argument.passed(self, "gradOutput", gradOutput)
  self.gradInput = buffer.like(self.scratch, "gradInput", input)
  core.copy(self.gradInput, gradOutput)
  return self.gradInput
end

return Copy
