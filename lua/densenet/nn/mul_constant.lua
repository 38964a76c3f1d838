--- A number times each element, of a tensor of any size.
-- @classmod densenet.nn.MulConstant

local argument = require "densenet.argument"
local core = require "densenet.core"
local class = require "densenet.nn.class"
local Elementwise = require "densenet.nn.elementwise"

local MulConstant, parent = class("nn.MulConstant", Elementwise)

--- @tparam number constant_scalar the factor
-- @tparam[opt=false] boolean inplace write the output over the input, and gradInput over gradOutput
function MulConstant:__init(constant_scalar, inplace)
  parent.__init(self)
  self.constant_scalar = argument.number(1, "nn.MulConstant", constant_scalar, "constant")
  self.inplace = argument.optional("boolean", false, 2, "nn.MulConstant", inplace, "inplace")
end

function MulConstant:compute(y, x) core.binary_scalar(y, x, self.constant_scalar, "mul") end

function MulConstant:differentiate(dx, dy) core.binary_scalar(dx, dy, self.constant_scalar, "mul") end

function MulConstant:__tostring__()
  return core.format("nn.MulConstant(%g)", self.constant_scalar)
end

return MulConstant
