--- The parent of criterions: a loss of an input and a target, and its gradient.
--
--    forward(input, target) → loss, a number;   also in self.output
--    backward(input, target) → gradInput        after a forward on the same two
--
-- Buffers follow the input's dtype and device. An input in 16 bits is taken as float: losses are float,
-- and only the gradient is rounded. So updateOutput and updateGradInput, which a criterion of one's own
-- has, see float and double.
-- @classmod densenet.nn.Criterion

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local capture = require "densenet.capture"
local clone = require "densenet.nn.clone"
local notedState = require "densenet.nn.noted_state"
require "densenet.tensor"

local Criterion = class("nn.Criterion")

function Criterion:__init()
  self.output = 0
  self.scratch = {}
end

-- Both, in float where they are of 16 bits.
local function widened(self, input, target)
  return buffer.widened(self.scratch, "wideInput", input), buffer.widened(self.scratch, "wideTarget", target)
end

local function checkGiven(name, input, target)
  if input == nil then argument.refuse(1, name, input, "an input") end
  if target == nil then argument.refuse(2, name, target, "a target") end
end

function Criterion:forward(input, target)
  checkGiven("forward", input, target)
  return self:updateOutput(widened(self, input, target))
end

--- The gradient, of the input's dtype.
-- @param input as forward had it
-- @param target as forward had it
-- @tparam[opt=1] number scale of the gradient, before it is rounded to the input's dtype: what keeps
-- small gradients in half from vanishing (densenet.optim.LossScale); or a tensor of one double that has it
function Criterion:backward(input, target, scale)
  checkGiven("backward", input, target)
  if not core.is_tensor(scale) then
    scale = argument.optional("number", 1, 3, "backward", scale, "scale")
  end
  local gradInput = self:updateGradInput(widened(self, input, target))
  if scale ~= 1 then
    core.binary_scalar(gradInput, gradInput, scale, "mul")
  end
  if buffer.isNarrow(input) then
    gradInput = buffer.narrowed(self.scratch, "narrowGradInput", input, gradInput)
    self.gradInput = gradInput
  end
  return gradInput
end

function Criterion:updateOutput()
  argument.raise("%s has no updateOutput", self.__typename)
end

function Criterion:updateGradInput()
  argument.raise("%s has no updateGradInput", self.__typename)
end

--- Tells what a captured step takes over from the criterion as it is (densenet.captured).
function Criterion:noteState(note) notedState.ofCriterion(self, note) end

--- What a tensor of one element comes to: a number, for which this waits; in a captured step, which must not wait, a
-- kept tensor of one double in `owner`[field].
function Criterion.valueOf(owner, field, tensor)
  if not capture.isOn() then return tensor:item() end
  local value = buffer.get(owner, field, tensor:device(), "double", 1)
  core.copy(value, tensor:view(1))
  return value
end

--- a / b of what valueOf gives, or of a number and that: a number; in a captured step a tensor, a itself or kept in
-- `owner`.
function Criterion.quotient(owner, a, b)
  local isTensor = core.is_tensor(b)
  if not core.is_tensor(a) then
    if not isTensor then return a / b end
    local quotient = buffer.shaped(owner, "quotient", b, 1)
    core.fill(quotient, a)
    a = quotient
  end
  if isTensor then core.binary(a, a, b, "div") else core.binary_scalar(a, a, b, "div") end
  return a
end

--- a·x + b·y, and a·x without y, of numbers a and b and of what valueOf gives, which tensors are overwritten of.
function Criterion.mixed(a, x, b, y)
  if not core.is_tensor(x) then return y and a * x + b * y or a * x end
  core.binary_scalar(x, x, a, "mul")
  if y then
    core.binary_scalar(y, y, b, "mul")
    core.binary(x, x, y, "add")
  end
  return x
end

--- The kept one-element tensor that a loss of `input` goes into.
function Criterion:lossFor(input)
  argument.passed(self, "input", input)
  return buffer.shaped(self.scratch, "loss", input, 1)
end

--- A deep copy, without buffers.
function Criterion:clone() return clone(self) end

--- Gives up buffers.
function Criterion:clearState()
  self.scratch = {}
  self.gradInput = nil
  return self
end

--- Converts what the criterion holds (class weights) to "float" or "double".
function Criterion:type(dtype)
  self:clearState()
  buffer.replace(self, function(held) return held:type(dtype) end)
  return self
end

function Criterion:float()
  return self:type("float")
end

function Criterion:double()
  return self:type("double")
end

--- Moves what the criterion holds to a device, or converts it when given a dtype.
function Criterion:to(target)
  self:clearState()
  buffer.replace(self, function(held) return held:to(target) end)
  return self
end

--- Labels as a long vector on the input's device: as they are, or copied into a kept one.
-- @param owner table that keeps the copy
-- @param input what they label
-- @param target tensor of any dtype with one label a row, a list of numbers, or a number
function Criterion.labels(owner, input, target)
  argument.tensor(2, "labels", input, "input")
  if type(target) == "number" then
    local kept = buffer.get(owner, "labels", input:device(), "long", 1)
    core.fill(kept, target)
    return kept
  elseif type(target) == "table" then
    return core.tensor_from(input:device(), "long", target)
  elseif not core.is_tensor(target) then
    argument.raise("target must be a tensor of labels, a list or a number, got %s", argument.describe(target))
  elseif target:dtype() == "long" and target:dim() == 1 and target:isContiguous()
    and target:device() == input:device() then
    return target
  end
  local kept = buffer.get(owner, "labels", input:device(), "long", target:nElement())
  core.copy(target:dim() == 1 and kept or kept:view(target:size()), target)
  return kept
end

--- A vector as a matrix of one row.
function Criterion.rows(owner, field, x)
  argument.tensor(3, "rows", x)
  local whole = buffer.contiguous(owner, field, x)
  return x:dim() == 1 and whole:view(1, x:size(1)) or whole
end

function Criterion:__tostring__()
  return self.__typename
end

--- criterion(input, target) is criterion:forward(input, target).
function Criterion:__call__(input, target)
  return self:forward(input, target)
end

return Criterion
