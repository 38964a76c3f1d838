--- x where x is above 0, else alpha · (exp(x) − 1); of a tensor of any size.
-- Source: Clevert et al. 2016 (arXiv:1511.07289).
-- @classmod densenet.nn.ELU

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Elementwise = require "densenet.nn.elementwise"

local ELU, parent = class("nn.ELU", Elementwise)

--- @tparam[opt=1] number alpha minus the limit far below 0; 0 or more
-- @tparam[opt=false] boolean inplace write the output over the input, and gradInput over gradOutput
function ELU:__init(alpha, inplace)
  parent.__init(self)
  self.alpha = argument.optional("number", 1, 1, "nn.ELU", alpha, "alpha")
  if self.alpha ~= self.alpha or self.alpha < 0 then
    argument.refuse(1, "nn.ELU", alpha, "a number of 0 or more", "alpha")
  end
  self.inplace = argument.optional("boolean", false, 2, "nn.ELU", inplace, "inplace")
end

function ELU:compute(y, x)
  local below = buffer.like(self.scratch, "part", x)
  core.binary_scalar(below, x, 0, "min")
  core.unary(below, below, "exp")
  core.binary_scalar(below, below, -1, "add")
  core.binary_scalar(y, x, 0, "max")
  core.add_scaled(y, y, below, self.alpha)
end

-- Below 0 the derivative is y + alpha.
function ELU:differentiate(dx, dy, _, y)
  local above = buffer.like(self.scratch, "part", dy)
  local slope = buffer.like(self.scratch, "slope", dy)
  core.relu_backward(above, dy, y)
  core.binary_scalar(slope, y, 0, "min")
  core.binary_scalar(slope, slope, self.alpha, "add")
  core.binary(dx, dy, above, "sub")
  core.binary(dx, dx, slope, "mul")
  core.binary(dx, dx, above, "add")
end

function ELU:__tostring__()
  return core.format("nn.ELU(%g)", self.alpha)
end

return ELU
