--- x where x is above 0, else negval · x; of a tensor of any size.
-- Source: Maas et al. 2013.
-- @classmod densenet.nn.LeakyReLU

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Elementwise = require "densenet.nn.elementwise"

local LeakyReLU, parent = class("nn.LeakyReLU", Elementwise)

--- @tparam[opt=0.01] number negval slope below 0; 0 or more in place
-- @tparam[opt=false] boolean inplace write the output over the input, and gradInput over gradOutput
function LeakyReLU:__init(negval, inplace)
  parent.__init(self)
  self.negval = argument.optional("number", 0.01, 1, "nn.LeakyReLU", negval, "negval")
  self.inplace = argument.optional("boolean", false, 2, "nn.LeakyReLU", inplace, "inplace")
  if self.inplace and self.negval < 0 then
    argument.refuse(1, "nn.LeakyReLU", negval, "in place a number of 0 or more", "negval")
  end
end

function LeakyReLU:compute(y, x)
  local below = buffer.like(self.scratch, "part", x)
  core.binary_scalar(below, x, 0, "min")
  core.binary_scalar(y, x, 0, "max")
  core.add_scaled(y, y, below, self.negval)
end

function LeakyReLU:differentiate(dx, dy, x)
  local above = buffer.like(self.scratch, "part", dy)
  core.relu_backward(above, dy, x)
  core.binary(dx, dy, above, "sub")
  core.binary_scalar(dx, dx, self.negval, "mul")
  core.binary(dx, dx, above, "add")
end

function LeakyReLU:__tostring__()
  return core.format("nn.LeakyReLU(%g)", self.negval)
end

return LeakyReLU
