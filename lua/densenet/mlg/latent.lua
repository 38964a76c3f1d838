--- From a value to the trained number behind it: a quantised factor is made of tanh(x), so x = atanh(value), and values
-- lie between -1 and 1.
-- @module densenet.mlg.latent

local core = require "densenet.core"
local generatedWeight = require "densenet.nn.generated_weight"

local latent = {}

local MOST = 0.999 -- of a single weight, beyond which tanh has hardly a slope

--- x = atanh(value), values held within ±0.999; or x = value where nothing is quantised.
-- @tparam tensor x [out]
-- @tparam tensor value of x's size; may be x
-- @tparam integer bits
function latent.copy(x, value, bits)
  core.copy(x, value)
  if bits == generatedWeight.NOT_QUANTIZED then return end
  -- atanh v = (log(1 + v) - log(1 - v)) / 2
  core.binary_scalar(x, x, MOST, "min")
  core.binary_scalar(x, x, -MOST, "max")
  local other = core.tensor_new(x:device(), x:dtype(), x:size())
  core.unary(other, x, "neg")
  core.unary(other, other, "log1p")
  core.unary(x, x, "log1p")
  core.add_scaled(x, x, other, -1)
  core.binary_scalar(x, x, 0.5, "mul")
end

return latent
