--- nn.SpatialConvolution whose weight is made from a few small factors of few bits: see
-- densenet.nn.generated_weight. It computes as any convolution does, fused stages included.
-- @classmod densenet.nn.MLGConvolution

local argument = require "densenet.argument"
local class = require "densenet.nn.class"
local generatedWeight = require "densenet.nn.generated_weight"
local SpatialConvolution = require "densenet.nn.spatial_convolution"

local MLGConvolution, parent = class("nn.MLGConvolution", SpatialConvolution)

generatedWeight.extend(MLGConvolution, parent)

--- @tparam integer nInputPlane as nn.SpatialConvolution has it, as the next eight
-- @tparam integer nOutputPlane channels out
-- @tparam integer kW kernel width
-- @tparam integer kH kernel height
-- @tparam[opt=1] integer dW horizontal step
-- @tparam[opt=1] integer dH vertical step
-- @tparam[opt=0] integer padW zeros left and right
-- @tparam[opt=padW] integer padH zeros above and below
-- @tparam[opt=1] integer groups above 1 no level can be on
-- @tparam[opt] table factors
--
--    baseIn       0: basis kernels for each of the next level's; 0, or as many as there are: level 1 is off
--    baseOut      0: kernels that outputs are mixed of; 0, or as many as there are: level 2 is off
--    basisBits    32: bits of the basis, 2 to 16, or 32 for numbers as they are
--    coeffInBits, coeffOutBits   32: those of the coefficients of level 1 and level 2
function MLGConvolution:__init(nInputPlane, nOutputPlane, kW, kH, dW, dH, padW, padH, groups, factors)
  parent.__init(self, nInputPlane, nOutputPlane, kW, kH, dW, dH, padW, padH, groups)
  local options = generatedWeight.options(10, "nn.MLGConvolution", factors)
  if self.groups > 1 and (options.baseIn > 0 or options.baseOut > 0) then
    argument.raise("bad argument #10 to 'nn.MLGConvolution' (baseIn and baseOut of 0 expected with %d groups, got %d "
      .. "and %d)", self.groups, options.baseIn, options.baseOut)
  end
  generatedWeight.make(self, options)
  self:resetFactors()
  self:zeroGradParameters()
end

function MLGConvolution:__tostring__()
  local text = parent.__tostring__(self):gsub("^nn%.SpatialConvolution%(", "nn.MLGConvolution(")
  return (text:gsub("%)", "; " .. self:factorText() .. ")", 1))
end

return MLGConvolution
