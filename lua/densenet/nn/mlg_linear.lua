--- nn.Linear whose weight is the product of two small factors of few bits, or one of few bits: see
-- densenet.nn.generated_weight, of which it has level 2.
-- @classmod densenet.nn.MLGLinear

local class = require "densenet.nn.class"
local generatedWeight = require "densenet.nn.generated_weight"
local Linear = require "densenet.nn.linear"

local MLGLinear, parent = class("nn.MLGLinear", Linear)

generatedWeight.extend(MLGLinear, parent)

--- @tparam integer nInputs
-- @tparam integer nOutputs
-- @tparam[opt=true] boolean bias
-- @tparam[opt] table factors baseOut (0: rows that outputs are mixed of; 0, or as many as there are: the weight
-- is one factor), basisBits and coeffOutBits (32; 2 to 16 are quantised)
function MLGLinear:__init(nInputs, nOutputs, bias, factors)
  parent.__init(self, nInputs, nOutputs, bias)
  generatedWeight.make(self, generatedWeight.options(4, "nn.MLGLinear", factors))
  self:resetFactors()
  self:zeroGradParameters()
end

function MLGLinear:__tostring__()
  local text = parent.__tostring__(self):gsub("^nn%.Linear%(", "nn.MLGLinear(")
  return (text:gsub("%)", "; " .. self:factorText() .. ")", 1))
end

return MLGLinear
