--- Keeps gradients in half within what half can hold. The loss, and with it every gradient, is
-- multiplied by a scale, a power of two, and the gradients of parameters are divided by it where they
-- are added up in float. Where a gradient overflows the step is skipped and the scale halved; after
-- 2,000 steps without one it is doubled.
--
--    local lossScale = optim.LossScale(model)
--    model:backward(input, criterion:backward(output, target, lossScale.scale), 1 / lossScale.scale)
--    if lossScale:check() then optimizer:step() end
--
-- Source: Micikevicius et al. 2018 (arXiv:1710.03740), section 3.2.
-- @classmod densenet.optim.LossScale

local argument = require "densenet.argument"
local core = require "densenet.core"
local class = require "densenet.nn.class"
local flat = require "densenet.nn.flat_parameters"
local generatedWeight = require "densenet.nn.generated_weight"

local LossScale = class("optim.LossScale")

local FIRST, LEAST, MOST = 2.0 ^ 16, 1.0, 2.0 ^ 24
local STEPS_TO_DOUBLE = 2000

--- @param module the network; its gradients become one vector where they are not (nn.flat_parameters). Make it
-- after any change of type or device, and of the network's modules.
function LossScale:__init(module)
  if type(module) ~= "table" or not module.getParameters then
    argument.refuse(1, "optim.LossScale", module, "a module")
  end
  local _, gradient = flat.vectors(module, "optim.LossScale")
  self.module, self.gradient = module, gradient
  -- Whatever finite numbers of 32 bits add up to is finite in double.
  self.sum = core.tensor_new(gradient:device(), "double", { 1 })
  self.scale, self.good, self.skipped = FIRST, 0, 0
end

--- After a backward: are all gradients numbers? Moves the scale, and counts.
-- @treturn boolean false: skip this step
function LossScale:check()
  generatedWeight.pullDue(self.module)
  local _
  _, self.gradient = flat.vectors(self.module, "optim.LossScale") -- others after freeze
  core.reduce(self.sum, self.gradient, "sum", 0) -- infinities and NaN stay, or become NaN
  local sum = self.sum:item()
  if sum - sum ~= 0 then
    self.scale, self.good, self.skipped = math.max(self.scale / 2, LEAST), 0, self.skipped + 1
    return false
  end
  self.good = self.good + 1
  if self.good == STEPS_TO_DOUBLE then
    self.scale, self.good = math.min(2 * self.scale, MOST), 0
  end
  return true
end

--- Is there nothing to halve any more? What overflows at this scale would without one.
function LossScale:isLeast()
  return self.scale == LEAST
end

--- A plain table that setState continues from: scale, good (steps since it last moved), skipped.
function LossScale:state()
  return { scale = self.scale, good = self.good, skipped = self.skipped }
end

function LossScale:setState(state)
  argument.table(1, "setState", state)
  for _, name in ipairs { "scale", "good", "skipped" } do
    if type(state[name]) ~= "number" then
      argument.raise("bad argument #1 to 'setState' (a table with scale, good and skipped expected; %s is %s)",
        name, core.format("%s", state[name]))
    end
  end
  self.scale, self.good, self.skipped = state.scale + 0.0, state.good, state.skipped
end

return LossScale
