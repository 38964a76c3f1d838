--- Adam, as PyTorch computes it; t counts steps from 1:
--
--    g' = g + weightDecay·w
--    m = beta1·m + (1 − beta1)·g';  v = beta2·v + (1 − beta2)·g'²      from 0
--    w −= learningRate/(1 − beta1^t) · m / (√v/√(1 − beta2^t) + epsilon)
--
-- Source: Kingma & Ba 2015 (arXiv:1412.6980). Settings are fields and may be changed between steps; groups of
-- parameters may have rates of their own (densenet.optim.Optimizer). Of each parameter it carries m
-- ("NAME.exp_avg") and v ("NAME.exp_avg_sq"), and t ("step").
-- @classmod densenet.optim.Adam

local capture = require "densenet.capture"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Optimizer = require "densenet.optim.optimizer"

local Adam, parent = class("optim.Adam", Optimizer)

Adam.defaults = { learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 }

Adam.isBelowOne = { beta1 = true, beta2 = true }

local MEAN, SQUARE = ".exp_avg", ".exp_avg_sq"

Adam.kept = { MEAN, SQUARE }

--- Does weight decay shrink the weights themselves, instead of adding to the gradient?
Adam.isDecoupled = false

--- @param source a module, or {parameters, gradients}: what module:parameters() or getParameters() returns
-- @tparam[opt] table settings learningRate (1e-3), beta1 (0.9), beta2 (0.999), epsilon (1e-8), weightDecay (0,
-- for every parameter), groups
function Adam:__init(source, settings)
  parent.__init(self, source, settings)
  self.nSteps = 0
end

-- y = beta·y + (1 − beta)·x
local function average(y, x, beta)
  core.binary_scalar(y, y, beta, "mul")
  core.add_scaled(y, y, x, 1 - beta)
end

--- w −= the step that m and v make.
-- @param weight w
-- @param mean m
-- @param square v
-- @param part a tensor of w's size to compute in
-- @param rate the learning rate
function Adam:move(weight, mean, square, part, rate)
  core.unary(part, square, "sqrt")
  core.binary_scalar(part, part, 1 / math.sqrt(1 - self.beta2 ^ self.nSteps), "mul")
  core.binary_scalar(part, part, self.epsilon, "add")
  core.binary(part, mean, part, "div")
  core.add_scaled(weight, weight, part, -rate / (1 - self.beta1 ^ self.nSteps))
end

--- One step, from the gradients as they are now. Allocates nothing after the first time.
function Adam:step()
  capture.refuse("%s counts its steps on the CPU, so a captured one would be the same for ever; SGD can be captured",
    self.__typename)
  self.nSteps = self.nSteps + 1
  for _, run in ipairs(self:runs(true)) do
    local weight, gradient = run.weight, run.gradient
    local rate, decay = self:ratesOf(run.entry)
    local part = buffer.shaped(self.scratch, "part", weight, weight:size())
    if decay ~= 0 and self.isDecoupled then
      core.binary_scalar(weight, weight, 1 - rate * decay, "mul")
    elseif decay ~= 0 then
      local decayed = buffer.shaped(self.scratch, "decayed", weight, weight:size())
      core.add_scaled(decayed, gradient, weight, decay)
      gradient = decayed
    end
    local mean, square = run.carried[MEAN], run.carried[SQUARE]
    average(mean, gradient, self.beta1)
    core.binary(part, gradient, gradient, "mul")
    average(square, part, self.beta2)
    self:move(weight, mean, square, part, rate)
  end
end

function Adam:__tostring__()
  return core.format("%s(learningRate %g, beta1 %g, beta2 %g, epsilon %g, weightDecay %g%s)", self.__typename,
    self.learningRate, self.beta1, self.beta2, self.epsilon, self.weightDecay, self:groupText())
end

return Adam
