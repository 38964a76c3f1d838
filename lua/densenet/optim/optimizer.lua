--- The parent of optimizers: which parameters they step, by what rates, and what they carry from step to step.
--
-- Parameters can be told apart by their names (nn.state_dict):
--
--    optim.SGD(model, { learningRate = 0.1, groups = {
--      { match = "%.bias$", weightDecay = 0 },
--      { match = "^classifier", learningRate = 1 },
--    } })
--
-- Each group that matches a parameter's name, by a Lua pattern, applies to it; where several set the same, the
-- last one does. When learningRate moves, as by a schedule, groups' rates move in proportion.
--
-- A subclass says what settings it has (`defaults`), which of them are below 1 (`isBelowOne`), the endings of the
-- names of what it keeps for each parameter (`kept`), and has `step`.
-- @classmod densenet.optim.Optimizer

local argument = require "densenet.argument"
local attempt = require "densenet.attempt"
local capture = require "densenet.capture"
local core = require "densenet.core"
local sortedNames = require "densenet.sorted_names"
local class = require "densenet.nn.class"
local flat = require "densenet.nn.flat_parameters"
local misfit = require "densenet.nn.misfit"
local generatedWeight = require "densenet.nn.generated_weight"
local stateDict = require "densenet.nn.state_dict"
local trained = require "densenet.nn.trained"
local runs = require "densenet.optim.runs"

local Optimizer = class("optim.Optimizer")

Optimizer.isBelowOne = {}

-- ---- Parameters ----

-- Parameters given as two lists (or two tensors), called by their number.
local function listed(self, source)
  local name = self.__typename
  local weights, gradients = table.unpack(type(source) == "table" and source or {})
  if core.is_tensor(weights) then
    weights, gradients = { weights }, { gradients }
  end
  if type(weights) ~= "table" or type(gradients) ~= "table" or #weights ~= #gradients then
    argument.refuse(1, name, source, "a module, or a table {parameters, gradients},")
  end
  local parameters = {}
  for i, weight in ipairs(weights) do
    argument.tensor(1, name, weight, ("parameter %d"):format(i))
    argument.tensor(1, name, gradients[i], ("gradient %d"):format(i))
    parameters[i] = { name = tostring(i), tensor = weight, gradient = gradients[i] }
  end
  return trained.merge(parameters)
end

-- What is carried is of parameters that are trained: a frozen one has none of it, and begins anew when it
-- thaws.
local function dropOthers(states, parameters)
  local isHere = {}
  for _, parameter in ipairs(parameters) do
    isHere[parameter.name] = true
  end
  for _, tensors in pairs(states) do
    for name in pairs(tensors) do
      if not isHere[name] then
        tensors[name] = nil
      end
    end
  end
end

--- What it steps, as things stand, as entries of nn.trained: of a module, what it trains now, so that
-- conversions, freeze and unfreeze are followed. Parameters that share memory are there once.
function Optimizer:distinct()
  local parameters = self.list or trained.of(self.module)
  if parameters ~= self.seen then -- a change makes another list
    for _, parameter in ipairs(parameters) do
      trained.gradient(parameter)
    end
    dropOthers(self.states, parameters)
    self.seen = parameters
  end
  return parameters
end

--- `distinct` for a step: gradients of generated weights have become those of their factors.
function Optimizer:due()
  if self.module then generatedWeight.pullDue(self.module) end
  return self:distinct()
end

-- ---- Settings ----

local function namesOf(defaults)
  local names = sortedNames(defaults)
  return table.concat(names, ", ")
end

local function checkSetting(self, name, value)
  local default = self.defaults[name]
  if default == nil then
    argument.raise("%s has no setting '%s'; it has %s, groups", self.__typename, tostring(name),
      namesOf(self.defaults))
  end
  local isNumber, below = type(default) == "number", self.isBelowOne[name] and 1 or math.huge
  if type(value) ~= type(default) or (isNumber and not (value >= 0 and value < below)) then
    local expected = isNumber and "a number of 0 or more" .. (below == 1 and " and below 1" or "") or "a boolean"
    argument.raise("%s: %s must be %s, got %s", self.__typename, name, expected, value)
  end
end

local OF_GROUPS = { match = true, learningRate = true, weightDecay = true }

local function isMatch(self, i, pattern, name)
  local isPattern, found = attempt.call(string.find, name, pattern)
  if not isPattern then
    argument.raise("%s: match of group %d is no pattern of Lua's: %s", self.__typename, i,
      (tostring(found):gsub("^[^:]*:%d+: ", "")))
  end
  return found ~= nil
end

local function checkGroup(self, i, group)
  if type(group) ~= "table" or type(group.match) ~= "string" then
    argument.raise("%s: group %d must be a table with match, a pattern of names, got %s", self.__typename, i,
      argument.describe(group))
  end
  for name, value in pairs(group) do
    if not OF_GROUPS[name] then
      argument.raise("%s: group %d has no setting '%s'; it has learningRate, match, weightDecay", self.__typename, i,
        tostring(name))
    end
    if name ~= "match" then checkSetting(self, name, value) end
  end
  if group.learningRate and self.learningRate == 0 then
    argument.raise("%s: group %d has a learningRate beside one of 0, and could not move in proportion",
      self.__typename, i)
  end
  local parameters = self:distinct()
  for _, entry in ipairs(parameters) do
    if isMatch(self, i, group.match, entry.name) then return end
  end
  argument.raise("%s: group %d matches no parameter: no name is like '%s'; the first is '%s'", self.__typename, i,
    group.match, parameters[1] and parameters[1].name or "")
end

--- @param source a module, of which it steps what is trained, or {parameters, gradients}: what
-- module:parameters() or getParameters() returns
-- @tparam[opt] table settings by name; groups, a list, may be among them
function Optimizer:__init(source, settings)
  if settings ~= nil then argument.table(2, self.__typename, settings, "settings") end
  for name, value in pairs(settings or {}) do
    if name ~= "groups" then checkSetting(self, name, value) end
  end
  for name, value in pairs(self.defaults) do
    self[name] = settings and settings[name] ~= nil and settings[name] or value
  end
  local isModule = type(source) == "table" and source.updateOutput
  self.module, self.list = isModule and source or nil, not isModule and listed(self, source) or nil
  self.states, self.scratch = {}, {}
  for _, ending in ipairs(self.kept) do self.states[ending] = {} end
  self:distinct() -- says at once what is wrong with them
  self.groups, self.firstRate, self.ofName = {}, self.learningRate, {}
  if settings and settings.groups ~= nil then
    for i, group in ipairs(argument.table(2, self.__typename, settings.groups, "groups")) do
      checkGroup(self, i, group)
      self.groups[i] = { match = group.match, learningRate = group.learningRate, weightDecay = group.weightDecay }
    end
  end
end

-- What the groups set for a parameter.
local function groupOf(self, name)
  local found = self.ofName[name]
  if not found then
    found = {}
    for i, group in ipairs(self.groups) do
      if isMatch(self, i, group.match, name) then
        found.learningRate = group.learningRate or found.learningRate
        found.weightDecay = group.weightDecay or found.weightDecay
      end
    end
    self.ofName[name] = found
  end
  return found
end

--- The learning rate and the weight decay of a parameter, as things stand.
function Optimizer:ratesOf(entry)
  local own, rate = groupOf(self, entry.name), self.learningRate
  if own.learningRate then
    rate = rate == self.firstRate and own.learningRate or rate * (own.learningRate / self.firstRate)
  end
  return rate, own.weightDecay or self.weightDecay
end

--- The learning rate of a parameter as operations take it, so that a captured step follows it.
function Optimizer:rateFor(entry)
  local function read() return (self:ratesOf(entry)) end
  return capture.number(read, self, groupOf(self, entry.name).learningRate or 0)
end

-- Do the groups set the same for two parameters?
local function isAlike(self, a, b)
  local one, other = groupOf(self, a.name), groupOf(self, b.name)
  return one.learningRate == other.learningRate and one.weightDecay == other.weightDecay
end

-- Is everything where it was when the runs were made?
local function isInPlace(made)
  for _, tensor in ipairs(made.placed) do
    if not flat.isPlaced(tensor) then return false end
  end
  return true
end

--- What a step takes at once (densenet.optim.runs), for subclasses' `step`.
-- @tparam boolean isCarried does it carry anything from step to step?
-- @treturn table list of { weight=, gradient=, carried= ending → tensor, isFresh=, entry= for ratesOf }; isFresh is the
-- caller's to change
function Optimizer:runs(isCarried)
  local parameters, made = self:due(), self.made
  if not (made and made.parameters == parameters and made.isCarried == isCarried and isInPlace(made)) then
    capture.refuseAgain("%s makes what it carries at this step, which would be made anew at each", self.__typename)
    made = { parameters = parameters, isCarried = isCarried, placed = {} }
    for _, parameter in ipairs(parameters) do
      for _, tensor in ipairs { parameter.tensor, parameter.gradient } do
        if flat.isPlaced(tensor) then made.placed[#made.placed + 1] = tensor end
      end
    end
    made.list = runs.of(self, parameters, function(i) return isAlike(self, parameters[i], parameters[i - 1]) end,
      isCarried)
    self.made = made
  end
  return made.list
end

-- ---- What is carried from step to step ----

--- The tensor that goes with a parameter, of its size, type and device.
-- @param ending one of `kept`
-- @param entry of the parameter in the list of those that are trained
-- @param weight the parameter
-- @return tensor; true where it is new, and its content undefined
function Optimizer:carried(ending, entry, weight)
  local tensors = self.states[ending]
  local tensor = tensors[entry.name]
  local isNew = tensor == nil
  if isNew then
    tensor = core.tensor_new(weight:device(), weight:dtype(), weight:size())
  else
    tensor = tensor:type(weight:dtype()):to(weight:device()) -- itself where nothing changed
  end
  tensors[entry.name] = tensor
  return tensor, isNew
end

--- What it carries, under the names of the parameters and what they end in: its own tensors, none before the
-- first step.
function Optimizer:state()
  local state = {}
  self:distinct()
  for ending, tensors in pairs(self.states) do
    for name, tensor in pairs(tensors) do state[name .. ending] = tensor end
  end
  if self.nSteps and self.nSteps > 0 then
    state.step = core.tensor_from("cpu", "long", { self.nSteps })
  end
  return state
end

-- Notes what of a state does not fit. Frozen parameters may have entries, from a time before.
local function compare(self, state)
  local wrong, known = misfit.new(), {}
  for _, entry in ipairs(self.module and stateDict.entries(self.module) or {}) do
    for _, ending in ipairs(not entry.isState and entry.owner.frozen and self.kept or {}) do
      known[entry.name .. ending] = true
    end
  end
  local function check(name, expected)
    known[name] = true
    local given = state[name]
    if given then
      wrong:check(name, given, expected)
    elseif next(state) then
      wrong.missing[#wrong.missing + 1] = name
    end
  end
  for _, entry in ipairs(self:distinct()) do
    for _, ending in ipairs(self.kept) do check(entry.name .. ending, stateDict.tensor(entry)) end
  end
  if self.nSteps then check("step", core.tensor_from("cpu", "long", { 0 })) end
  for name in pairs(state) do
    if not known[name] then wrong.unknown[#wrong.unknown + 1] = tostring(name) end
  end
  return wrong:text("the state does not fit the optimizer")
end

--- Copies a state in; an empty one means that no step has been taken. What is of frozen parameters is left out.
-- @raise one error that counts the missing and unknown entries and those of a wrong shape, and names the first
-- of each
function Optimizer:loadState(state)
  argument.table(1, "loadState", state, "state")
  local message = compare(self, state)
  if message then argument.raise(message) end
  local isEmpty = next(state) == nil
  self.made = nil
  for _, ending in ipairs(self.kept) do
    self.states[ending] = {}
  end
  if not isEmpty then
    self:runs(true)
    for _, ending in ipairs(self.kept) do
      for _, entry in ipairs(self:distinct()) do
        core.copy(self.states[ending][entry.name], state[entry.name .. ending])
      end
    end
    for _, run in ipairs(self.made.list) do run.isFresh = false end
  end
  if self.nSteps then
    self.nSteps = isEmpty and 0 or math.max(0, math.tointeger(state.step:to("cpu"):long():at(1)))
  end
end

--- Tells what a captured step takes over from the optimizer as it is (densenet.captured): its settings but the
-- learning rate, and what it carries.
function Optimizer:noteState(note)
  for name in pairs(self.defaults) do
    if name ~= "learningRate" then note(self, name) end
  end
  note(self, "skip")
  note(self, "made")
  for ending, tensors in pairs(self.states) do
    note(self.states, ending)
    for name in pairs(tensors) do note(tensors, name) end
  end
end

--- ", 2 groups" for a text, or "".
function Optimizer:groupText()
  return #self.groups > 0 and (", %d group%s"):format(#self.groups, #self.groups > 1 and "s" or "") or ""
end

return Optimizer
