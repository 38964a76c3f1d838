--- 1 / (1 + exp(−x)), of a tensor of any size.
-- @classmod densenet.nn.Sigmoid

local core = require "densenet.core"
local class = require "densenet.nn.class"
local Elementwise = require "densenet.nn.elementwise"

local Sigmoid = class("nn.Sigmoid", Elementwise)

function Sigmoid:compute(y, x) core.unary(y, x, "sigmoid") end -- luacheck: ignore self

-- dy · y · (1 − y)
function Sigmoid:differentiate(dx, dy, _, y) -- luacheck: ignore self
  core.binary_scalar(dx, y, -1, "mul")
  core.binary_scalar(dx, dx, 1, "add")
  core.binary(dx, dx, y, "mul")
  core.binary(dx, dx, dy, "mul")
end

return Sigmoid
