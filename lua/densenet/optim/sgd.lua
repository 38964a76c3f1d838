--- Stochastic gradient descent with momentum, as Torch's optim.sgd computes it:
--
--    g' = g + weightDecay·w;  v = momentum·v + (1 − dampening)·g' (the first time v = g')
--    w −= learningRate · (nesterov: g' + momentum·v;  else v)
--
-- Source: Sutskever et al. 2013. Settings are fields and may be changed between steps.
-- @classmod densenet.optim.SGD

local argument = require "densenet.argument"
local core = require "densenet.core"
local class = require "densenet.nn.class"
local misfit = require "densenet.nn.misfit"
local stateDict = require "densenet.nn.state_dict"

local SGD = class("optim.SGD")

local DEFAULTS = { learningRate = 1e-3, momentum = 0, dampening = 0, weightDecay = 0, nesterov = false }

-- Parameters of a module follow conversions of it; those given as two lists (or two tensors) are
-- called by their number.
local function parametersOf(source)
  if type(source) == "table" and source.updateOutput then
    local parameters = {}
    for _, entry in ipairs(stateDict.entries(source)) do
      if not entry.isState then
        parameters[#parameters + 1] = entry
      end
    end
    return parameters
  end
  local weights, gradients = table.unpack(type(source) == "table" and source or {})
  if core.is_tensor(weights) then
    weights, gradients = { weights }, { gradients }
  end
  if type(weights) ~= "table" or type(gradients) ~= "table" or #weights ~= #gradients then
    argument.refuse(1, "optim.SGD", source, "a module, or a table {parameters, gradients},")
  end
  local parameters = {}
  for i, weight in ipairs(weights) do
    argument.tensor(1, "optim.SGD", weight, ("parameter %d"):format(i))
    argument.tensor(1, "optim.SGD", gradients[i], ("gradient %d"):format(i))
    parameters[i] = { name = tostring(i), tensor = weight, gradient = gradients[i] }
  end
  return parameters
end

local function checkSetting(name, value)
  if DEFAULTS[name] == nil then
    argument.raise("optim.SGD has no setting '%s'; it has dampening, learningRate, momentum, nesterov, weightDecay",
      tostring(name))
  end
  local isNumber = type(DEFAULTS[name]) == "number"
  if type(value) ~= type(DEFAULTS[name]) or (isNumber and not (value >= 0 and value < math.huge)) then
    argument.raise("optim.SGD: %s must be %s, got %s",
      name, isNumber and "a number of 0 or more" or "a boolean", value)
  end
end

--- @param source a module, or {parameters, gradients}: what module:parameters() or getParameters() returns
-- @tparam[opt] table settings learningRate (1e-3), momentum (0), dampening (0), weightDecay (0, for every
-- parameter), nesterov (false; needs momentum and no dampening)
function SGD:__init(source, settings)
  if settings ~= nil then argument.table(2, "optim.SGD", settings, "settings") end
  for name, value in pairs(settings or {}) do
    checkSetting(name, value)
  end
  for name, value in pairs(DEFAULTS) do
    self[name] = settings and settings[name] ~= nil and settings[name] or value
  end
  if self.nesterov and (self.momentum == 0 or self.dampening ~= 0) then
    argument.raise("optim.SGD: nesterov needs a momentum above 0 and no dampening, got %g and %g",
      self.momentum, self.dampening)
  end
  self.parameters = parametersOf(source)
  self.velocities = {}
end

-- Distinct parameters: one that occurs twice (shared between modules) is stepped once.
local function distinct(parameters)
  local seen, list = {}, {}
  for _, entry in ipairs(parameters) do
    local tensor = stateDict.tensor(entry)
    if not seen[tensor] then
      seen[tensor] = true
      list[#list + 1] = entry
    end
  end
  return list
end

--- One step, from the gradients as they are now. Allocates nothing but the velocities, the first time.
function SGD:step()
  self.distinct = self.distinct or distinct(self.parameters)
  for _, entry in ipairs(self.distinct) do
    local weight, velocity, isFirst = stateDict.tensor(entry), nil, false
    if self.momentum ~= 0 then
      velocity = self.velocities[entry.name]
      isFirst = velocity == nil
      if isFirst then
        velocity = core.tensor_new(weight:device(), weight:dtype(), weight:size())
      else
        velocity = velocity:type(weight:dtype()):to(weight:device()) -- itself where nothing changed
      end
      self.velocities[entry.name] = velocity
    end
    core.sgd_step(weight, velocity, stateDict.gradient(entry), self.learningRate, self.momentum, self.dampening,
      self.weightDecay, self.nesterov, isFirst)
  end
end

--- The velocities under the names of their parameters: its own tensors, none before the first step.
function SGD:state()
  local state = {}
  for name, velocity in pairs(self.velocities) do
    state[name] = velocity
  end
  return state
end

--- Copies velocities in; none at all means that no step has been taken.
-- @raise one error that counts the missing and unknown entries and those of a wrong shape, and names the first
-- of each
function SGD:loadState(state)
  argument.table(1, "loadState", state, "state")
  local wrong, velocities = misfit.new(), {}
  for _, entry in ipairs(distinct(self.parameters)) do
    local weight, given = stateDict.tensor(entry), state[entry.name]
    velocities[entry.name] = given or false
    if given then
      wrong:check(entry.name, given, weight)
    elseif next(state) then
      wrong.missing[#wrong.missing + 1] = entry.name
    end
  end
  for name in pairs(state) do
    if velocities[name] == nil then wrong.unknown[#wrong.unknown + 1] = tostring(name) end
  end
  local message = wrong:text("the state does not fit the optimizer")
  if message then argument.raise(message) end
  for _, entry in ipairs(distinct(self.parameters)) do
    local weight, given = stateDict.tensor(entry), velocities[entry.name]
    if given then
      velocities[entry.name] = core.tensor_new(weight:device(), weight:dtype(), weight:size())
      core.copy(velocities[entry.name], given)
    end
  end
  self.velocities = next(state) and velocities or {}
end

function SGD:__tostring__()
  return core.format("optim.SGD(learningRate %g, momentum %g, dampening %g, weightDecay %g%s)", self.learningRate,
    self.momentum, self.dampening, self.weightDecay, self.nesterov and ", nesterov" or "")
end

return SGD
