--- Keeps gradients in half within what half can hold. The loss, and with it every gradient, is
-- multiplied by a scale, a power of two, and the gradients of parameters are divided by it where they
-- are added up in float. Where a gradient overflows the step is skipped and the scale halved; after
-- 2,000 steps without one it is doubled.
--
--    local lossScale = optim.LossScale(model)
--    model:backward(input, criterion:backward(output, target, lossScale.scale), 1 / lossScale.scale)
--    if lossScale:check() then optimizer:step() end
--
-- `check` waits for the GPU. A captured step (densenet.captured) must not; there the scale stays on the GPU:
--
--    local lossScale = optim.LossScale(model):toDevice()
--    model:backward(input, criterion:backward(output, target, lossScale:number()))
--    lossScale:unscale()
--    optimizer.skip = lossScale:advance()
--    optimizer:step()
--
-- Source: Micikevicius et al. 2018 (arXiv:1710.03740), section 3.2.
-- @classmod densenet.optim.LossScale

local argument = require "densenet.argument"
local core = require "densenet.core"
local class = require "densenet.nn.class"
local flat = require "densenet.nn.flat_parameters"
local generatedWeight = require "densenet.nn.generated_weight"

local LossScale = class("optim.LossScale")

local FIRST, LEAST = 2.0 ^ 16, 1.0

local FIELDS = 4 -- of core.loss_scale's state: scale, good, skipped, whether this step is skipped

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
  self.sumHere = core.tensor_new("cpu", "double", { 1 })
  self.place = core.tensor_new("cpu", "double", { FIELDS })
  self:setState { scale = FIRST, good = 0, skipped = 0 }
end

-- It is another one after freeze.
local function findGradient(self)
  local _
  _, self.gradient = flat.vectors(self.module, "optim.LossScale")
end

-- What `check` and `advance` have in common.
local function addUp(self)
  generatedWeight.pullDue(self.module)
  findGradient(self)
  core.reduce(self.sum, self.gradient, "sum", 0) -- infinities and NaN stay, or become NaN
end

--- After a backward: are all gradients numbers? Moves the scale, and counts.
-- @treturn boolean false: skip this step
function LossScale:check()
  addUp(self)
  core.copy(self.sumHere, self.sum)
  core.loss_scale(self.place, self.sumHere)
  local place = self.place
  self:note(place:at(1), place:at(2), place:at(3))
  return place:at(FIELDS) == 0
end

-- ---- On the GPU ----

--- Moves the scale to where the gradients are, for steps that do not wait; `check` is not called any more.
-- @tparam[opt] tensor place four doubles there to keep it in
-- @return the loss scale
function LossScale:toDevice(place)
  self.place = place or core.tensor_new(self.gradient:device(), "double", { FIELDS })
  self.numberAt, self.skipAt = self.place:narrow(1, 1, 1), self.place:narrow(1, FIELDS, 1)
  self:setState { scale = self.scale, good = self.good, skipped = self.skipped }
  return self
end

--- The scale as a criterion's backward takes it.
function LossScale:number() return self.numberAt or self.scale end

--- After a backward: divides the gradients by the scale, which is exact.
function LossScale:unscale()
  findGradient(self)
  core.binary_scalar(self.gradient, self.gradient, self.numberAt, "div")
end

--- After that: moves the scale.
-- @return what an optimizer's `skip` is to be: a number on the GPU, not 0 where this step is to be skipped
function LossScale:advance()
  addUp(self)
  core.loss_scale(self.place, self.sum)
  return self.skipAt
end

--- Takes over where the scale was found to be.
function LossScale:note(scale, good, skipped)
  self.scale, self.good, self.skipped = scale, math.tointeger(good), math.tointeger(skipped)
end

--- Tells what a captured step takes over (densenet.captured).
function LossScale:noteState(note)
  note(self, "place")
  note(self, "gradient")
end

-- ---- Both ----

--- Is there nothing to halve any more? What overflows at this scale would without one.
function LossScale:isLeast()
  return self.scale == LEAST
end

--- A plain table that setState continues from: scale, good (steps since it last moved), skipped.
function LossScale:state()
  if self.numberAt then self:note(table.unpack(self.place:totable(), 1, 3)) end
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
  core.copy(self.place, core.tensor_from("cpu", "double", { self.scale, self.good, self.skipped, 0 }))
end

return LossScale
