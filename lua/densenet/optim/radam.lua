--- Adam with its warm-up worked out instead of tuned, and decoupled weight decay. With
-- ρ∞ = 2/(1 − beta2) − 1 and ρ = ρ∞ − 2·t·beta2^t/(1 − beta2^t), after w −= learningRate·weightDecay·w:
--
--    ρ ≥ 5:  w −= learningRate/(1 − beta1^t) · r · m/(√v + epsilon),
--            r = √((1 − beta2^t) · (ρ − 4)(ρ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ))
--    else:   w −= learningRate/(1 − beta1^t) · m
--
-- Source: Liu et al. 2020 (arXiv:1908.03265), as its authors' program computes it.
-- @classmod densenet.optim.RAdam

local core = require "densenet.core"
local class = require "densenet.nn.class"
local Adam = require "densenet.optim.adam"

--- Constructed as optim.Adam.
local RAdam = class("optim.RAdam", Adam)

RAdam.isDecoupled = true

local LEAST_LENGTH = 5

function RAdam:move(weight, mean, square, part, rate)
  local t, power = self.nSteps, self.beta2 ^ self.nSteps
  local longest = 2 / (1 - self.beta2) - 1
  local length = longest - 2 * t * power / (1 - power)
  rate = rate / (1 - self.beta1 ^ t)
  if length < LEAST_LENGTH then
    core.add_scaled(weight, weight, mean, -rate)
    return
  end
  local rectifier = math.sqrt((1 - power) * (length - 4) * (length - 2) * longest
    / ((longest - 4) * (longest - 2) * length))
  core.unary(part, square, "sqrt")
  core.binary_scalar(part, part, self.epsilon, "add")
  core.binary(part, mean, part, "div")
  core.add_scaled(weight, weight, part, -rate * rectifier)
end

return RAdam
