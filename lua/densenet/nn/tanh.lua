--- The hyperbolic tangent, of a tensor of any size.
-- @classmod densenet.nn.Tanh

local core = require "densenet.core"
local class = require "densenet.nn.class"
local Elementwise = require "densenet.nn.elementwise"

local Tanh = class("nn.Tanh", Elementwise)

function Tanh:compute(y, x) core.unary(y, x, "tanh") end -- luacheck: ignore self

-- dy · (1 − y²)
function Tanh:differentiate(dx, dy, _, y) -- luacheck: ignore self
  core.binary(dx, y, y, "mul")
  core.binary_scalar(dx, dx, -1, "mul")
  core.binary_scalar(dx, dx, 1, "add")
  core.binary(dx, dx, dy, "mul")
end

return Tanh
