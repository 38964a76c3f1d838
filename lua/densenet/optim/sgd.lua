--- Stochastic gradient descent with momentum, as Torch's optim.sgd computes it:
--
--    g' = g + weightDecay·w;  v = momentum·v + (1 − dampening)·g' (the first time v = g')
--    w −= learningRate · (nesterov: g' + momentum·v;  else v)
--
-- Source: Sutskever et al. 2013. Settings are fields and may be changed between steps; groups of parameters may
-- have rates of their own (densenet.optim.Optimizer).
-- @classmod densenet.optim.SGD

local argument = require "densenet.argument"
local core = require "densenet.core"
local class = require "densenet.nn.class"
local Optimizer = require "densenet.optim.optimizer"

local SGD, parent = class("optim.SGD", Optimizer)

SGD.defaults = { learningRate = 1e-3, momentum = 0, dampening = 0, weightDecay = 0, nesterov = false }

--- Is a step of it the same operations each time, so that it can be captured (densenet.captured)?
SGD.isCapturable = true

SGD.kept = { "" } -- the velocity goes under the parameter's name

--- @param source a module, or {parameters, gradients}: what module:parameters() or getParameters() returns
-- @tparam[opt] table settings learningRate (1e-3), momentum (0), dampening (0), weightDecay (0, for every
-- parameter), nesterov (false; needs momentum and no dampening), groups
function SGD:__init(source, settings)
  parent.__init(self, source, settings)
  if self.nesterov and (self.momentum == 0 or self.dampening ~= 0) then
    argument.raise("optim.SGD: nesterov needs a momentum above 0 and no dampening, got %g and %g",
      self.momentum, self.dampening)
  end
end

--- One step, from the gradients as they are now. Allocates nothing but the velocities, the first time.
-- Where `skip` is set, a tensor of one double (densenet.optim.LossScale), nothing moves while that is not 0.
function SGD:step()
  if self.skip and self.dampening ~= 0 then
    argument.raise("optim.SGD: a step that the GPU may skip needs a dampening of 0, got %g", self.dampening)
  end
  for _, run in ipairs(self:runs(self.momentum ~= 0)) do
    local _, decay = self:ratesOf(run.entry)
    core.sgd_step(run.weight, run.carried[""], run.gradient, self:rateFor(run.entry), self.momentum, self.dampening,
      decay, self.nesterov, run.isFresh and not self.skip, self.skip)
    run.isFresh = false
  end
end

function SGD:__tostring__()
  return core.format("optim.SGD(learningRate %g, momentum %g, dampening %g, weightDecay %g%s%s)", self.learningRate,
    self.momentum, self.dampening, self.weightDecay, self.nesterov and ", nesterov" or "", self:groupText())
end

return SGD
