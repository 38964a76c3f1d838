--- Torch7's functions of optim: optim.sgd(feval, x, config [, state]). feval(x) returns the loss and its gradient;
-- x, a tensor, is changed in place; state (config itself where none is given) keeps what goes from step to step.
-- Each returns x and a list of the loss. Defaults and field names are Torch7's.

local argument = require "densenet.argument"
local core = require "densenet.core"
local optim = require "densenet.optim"

local function check(name, feval, x, config, state)
  argument.callable(1, name, feval, "feval")
  argument.tensor(2, name, x, "x")
  config = argument.table(3, name, config == nil and {} or config, "config")
  return config, argument.table(4, name, state == nil and config or state, "state")
end

local function evaluate(name, feval, x)
  local loss, gradient = feval(x)
  return loss, argument.tensor(1, name, gradient, "the gradient that feval returns")
end

-- What a step starts with, checked: config, state, loss, gradient.
local function begin(name, feval, x, config, state)
  config, state = check(name, feval, x, config, state)
  return config, state, evaluate(name, feval, x)
end

local function zerosLike(x) return core.tensor_new(x:device(), x:dtype(), x:size()):zero() end

-- A tensor of the state as one beside x; a checkpoint may have been made on another device.
local function beside(x, held) return held and held:to(x:device()):to(x:dtype()) end

local function kept(state, name, x)
  state[name] = beside(x, state[name]) or zerosLike(x)
  return state[name]
end

-- The gradient with weight decay, in a tensor of its own where there is one.
local function decayed(gradient, x, weightDecay)
  if not weightDecay or weightDecay == 0 then return gradient end
  return gradient:clone():add(weightDecay, x)
end

local function countSteps(config, state, default)
  local n = state.evalCounter or 0
  state.evalCounter = n + 1
  return (config.learningRate or default) / (1 + n * (config.learningRateDecay or 0))
end

--- Stochastic gradient descent: learningRate (1e-3), learningRateDecay, weightDecay, momentum, dampening
-- (momentum's value), nesterov. learningRates and weightDecays, one for each parameter, are tensors.
function optim.sgd(feval, x, config, state)
  local loss, gradient
  config, state, loss, gradient = begin("optim.sgd", feval, x, config, state)
  local momentum = config.momentum or 0
  local dampening = config.dampening or momentum
  if config.nesterov and (momentum <= 0 or dampening ~= 0) then
    argument.raise("optim.sgd: nesterov needs a momentum above 0 and a dampening of 0, got %g and %g", momentum,
      dampening)
  end
  local rate, weightDecay = countSteps(config, state, 1e-3), config.weightDecay or 0
  local rates, decays = config.learningRates, config.weightDecays
  if rates or decays then
    gradient, weightDecay = decayed(gradient, x, weightDecay), 0
    if decays then gradient = gradient + decays * x end
    if rates then gradient = gradient * rates end
  end
  local isFirst = momentum ~= 0 and state.dfdx == nil
  local velocity = momentum ~= 0 and (beside(x, state.dfdx) or core.tensor_new(x:device(), x:dtype(), x:size())) or nil
  core.sgd_step(x, velocity, gradient, rate, momentum, dampening, weightDecay, config.nesterov or false, isFirst)
  state.dfdx = velocity
  return x, { loss }
end

--- Nesterov's accelerated gradient: learningRate (1e-3), learningRateDecay, weightDecay, momentum (0.9).
function optim.nag(feval, x, config, state)
  config, state = check("optim.nag", feval, x, config, state)
  local momentum = config.momentum or 0.9
  local velocity = beside(x, state.dfdx)
  if velocity then x:add(momentum, velocity) end -- the gradient is that of the point ahead
  local loss, gradient = evaluate("optim.nag", feval, x)
  local rate = countSteps(config, state, 1e-3)
  gradient = decayed(gradient, x, config.weightDecay)
  if velocity then x:add(-momentum, velocity) end
  velocity = kept(state, "dfdx", x)
  velocity:mul(momentum):add(-rate, gradient)
  x:add(velocity)
  return x, { loss }
end

--- Adam (Kingma & Ba 2015): learningRate (1e-3), learningRateDecay, beta1 (0.9), beta2 (0.999), epsilon (1e-8),
-- weightDecay.
function optim.adam(feval, x, config, state)
  local loss, gradient
  config, state, loss, gradient = begin("optim.adam", feval, x, config, state)
  local beta1, beta2 = config.beta1 or 0.9, config.beta2 or 0.999
  gradient = decayed(gradient, x, config.weightDecay)
  local t = (state.t or 0) + 1
  state.t = t
  local rate = (config.learningRate or 1e-3) / (1 + (t - 1) * (config.learningRateDecay or 0))
  local mean, square = kept(state, "m", x), kept(state, "v", x)
  mean:mul(beta1):add(1 - beta1, gradient)
  square:mul(beta2):add(1 - beta2, gradient:clone():cmul(gradient))
  local deviation = square:clone():sqrt():add(config.epsilon or 1e-8)
  x:add(-rate * math.sqrt(1 - beta2 ^ t) / (1 - beta1 ^ t), mean:clone():cdiv(deviation))
  return x, { loss }
end

--- RMSprop: learningRate (1e-2), alpha (0.99), epsilon (1e-8), weightDecay.
function optim.rmsprop(feval, x, config, state)
  local loss, gradient
  config, state, loss, gradient = begin("optim.rmsprop", feval, x, config, state)
  local alpha = config.alpha or 0.99
  gradient = decayed(gradient, x, config.weightDecay)
  local square = kept(state, "m", x)
  square:mul(alpha):add(1 - alpha, gradient:clone():cmul(gradient))
  x:add(-(config.learningRate or 1e-2), gradient:clone():cdiv(square:clone():sqrt():add(config.epsilon or 1e-8)))
  return x, { loss }
end

--- Adagrad (Duchi et al. 2011): learningRate (1e-3), learningRateDecay, weightDecay.
function optim.adagrad(feval, x, config, state)
  local loss, gradient
  config, state, loss, gradient = begin("optim.adagrad", feval, x, config, state)
  gradient = decayed(gradient, x, config.weightDecay)
  local rate = countSteps(config, state, 1e-3)
  local sum = kept(state, "paramVariance", x):add(gradient:clone():cmul(gradient))
  x:add(-rate, gradient:clone():cdiv(sum:clone():sqrt():add(1e-10)))
  return x, { loss }
end

--- Adadelta (Zeiler 2012): rho (0.9), eps (1e-6), weightDecay.
function optim.adadelta(feval, x, config, state)
  local loss, gradient
  config, state, loss, gradient = begin("optim.adadelta", feval, x, config, state)
  local rho, eps = config.rho or 0.9, config.eps or 1e-6
  gradient = decayed(gradient, x, config.weightDecay)
  local square, step = kept(state, "paramVariance", x), kept(state, "accDelta", x)
  square:mul(rho):add(1 - rho, gradient:clone():cmul(gradient))
  local change = step:clone():add(eps):sqrt():cdiv(square:clone():add(eps):sqrt()):cmul(gradient)
  x:add(-1, change)
  step:mul(rho):add(1 - rho, change:clone():cmul(change))
  return x, { loss }
end

for _, name in ipairs { "lbfgs", "cg", "asgd", "rprop", "adamax", "fista" } do
  optim[name] = function()
    argument.raise("optim.%s is not there; there are sgd, nag, adam, rmsprop, adagrad and adadelta", name)
  end
end

return optim
