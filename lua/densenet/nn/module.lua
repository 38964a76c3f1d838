--- The parent of every module, and the contract that a module of one's own keeps.
--
-- A module turns an input into an output and a gradient of its output into one of its input:
--
--    updateOutput(input) → output                 writes self.output
--    updateGradInput(input, gradOutput) → gradInput   writes self.gradInput
--    accGradParameters(input, gradOutput, scale)  gradWeight += scale * gradient, and so on
--
-- `forward` calls the first, `backward` the other two; a module that gets both at once cheaper
-- overrides `backward`. `backward` follows a `forward` on the same input. Outputs and gradients are
-- the module's own tensors, overwritten by the next call.
--
-- Fields: output, gradInput, train; weight, bias and gradWeight, gradBias where it has parameters.
-- The field that holds a parameter gives the parameter its name in stateDict; a module whose
-- parameters stand in other fields overrides `parameters` to list them.
-- Setting `gradInput` to nil on a network's first module says that nobody reads it; modules with a
-- costly one (SpatialConvolution, Linear) then skip it.
-- @classmod densenet.nn.Module

local argument = require "densenet.argument"
local core = require "densenet.core"
local constructors = require "densenet.constructors"
local deviceOf = require "densenet.device"
local class = require "densenet.nn.class"
local clone = require "densenet.nn.clone"
local buffer = require "densenet.nn.buffer"
local stateDict = require "densenet.nn.state_dict"
local evaluation = require "densenet.nn.evaluation"
local MemoryPlan = require "densenet.nn.memory_plan"
local flat = require "densenet.nn.flat_parameters"
local prepare = require "densenet.nn.plan.prepare"
local parameterVector = require "densenet.nn.parameter_vector"
local freezing = require "densenet.nn.freezing"
local generatedWeight = require "densenet.nn.generated_weight"
local notedState = require "densenet.nn.noted_state"
local trained = require "densenet.nn.trained"
local views = require "densenet.nn.views"
require "densenet.tensor"

local Module = class("nn.Module")

--- Pairs of fields: a parameter and its gradient.
Module.parameterFields = { { "weight", "gradWeight" }, { "bias", "gradBias" } }

--- Fields with state that is saved but not trained, such as running statistics.
Module.stateFields = {}

--- Fields with tensors that are made from parameters and stay: neither trained nor saved, but planned.
Module.derivedFields = {}

local REAL = { float = true, double = true }
local PRECISIONS = { float = true, double = true, half = true, bfloat16 = true }

function Module:__init()
  local default = constructors.getDefaultType()
  self._type = REAL[default] and default or "float" -- of parameters
  self._activations = self._type
  self._device = "cpu"
  self.train = true
  self.scratch = {}
  self.output = self:newTensor(0)
  self.gradInput = self:newTensor(0)
end

--- A tensor of the parameters' dtype and the module's device, content undefined.
function Module:newTensor(...)
  return core.tensor_new(self._device, self._type, { ... })
end

local isInForward = false -- of any network

--- Output for an input. Training a network that models.densenet built with an optMemory above 0 first
-- lays its buffers out for inputs of that size, where that has not been done (densenet.nn.memory_plan).
-- A module that cannot be planned computes with buffers of its own, and says in `planFailure` why.
function Module:forward(input)
  if input == nil then argument.refuse(1, "forward", input, "an input") end
  local isOutermost = not isInForward -- a container of one's own may call its children so
  local _ <close> = setmetatable({}, { __close = function() isInForward = not isOutermost end })
  isInForward = true
  if isOutermost then
    freezing.mark(self)
    generatedWeight.prepare(self)
  end
  local failure, plan = prepare(self, input, isOutermost)
  local output
  if plan then
    output = evaluation.byPlan(plan, input)
  else
    output = self:updateOutput(input)
  end
  if self.train then
    self.planFailure = failure -- not where the input is to blame, which updateOutput has raised then
  end
  return output
end

--- Gradient of the input, with gradients of parameters accumulated times scale (default 1).
function Module:backward(input, gradOutput, scale)
  if gradOutput == nil then argument.refuse(2, "backward", gradOutput, "a gradOutput") end
  local gradInput = self:updateGradInput(input, gradOutput)
  if not self.frozen or self.modules then
    self:accGradParameters(input, gradOutput, scale or 1)
  end
  return gradInput
end

--- The `backward` that leaves the parameters of a frozen module alone; a class with another one of its own
-- that does so too says so here. Modules with any other `backward` keep their gradients when they are
-- frozen, and nobody reads them.
Module.frozenBackward = Module.backward

function Module:updateOutput()
  argument.raise("%s has no updateOutput", self.__typename)
end

function Module:updateGradInput()
  argument.raise("%s has no updateGradInput", self.__typename)
end

--- Nothing, for a module without parameters.
function Module.accGradParameters() end

--- Lists of the parameters that are trained and of their gradients, in one order; nothing for a module
-- without. An override decides what is trained, not what is saved (nn.trained, nn.state_dict).
function Module:parameters()
  local weights, gradients
  if self.frozen then
    return nil
  end
  for _, pair in ipairs(self.parameterFields) do
    local weight = self[pair[1]]
    if weight then
      weights, gradients = weights or {}, gradients or {}
      weights[#weights + 1], gradients[#gradients + 1] = weight, self[pair[2]]
    end
  end
  return weights, gradients
end

--- How many numbers are trained; shared parameters count once.
function Module:parameterCount()
  return trained.count(self)
end

--- How many numbers are frozen; shared parameters count once.
function Module:frozenCount()
  return freezing.count(self)
end

--- Freezes the modules of a name: their parameters stay as they are, without gradient, momentum or step,
-- and are saved as ever. A batch norm normalises with its running statistics and keeps them. What stands
-- before the first parameter that is trained keeps nothing for the backward pass and has none; `backward`
-- of a network that begins so returns nil. Optimizers of the network follow; vectors that getParameters
-- gave before still hold what is frozen now, so freeze first.
--
--    model:freeze "^features%.denseblock[12]"
--
-- @param pattern a Lua pattern for the names in stateDict, or a list of them. A module is meant where it matches the
-- module's name (features.conv0) or the names of all its parameters; one of which some are meant is refused
-- @tparam[opt] table options
--
--    batchStatistics  true: norms go on with the batch's statistics, and move the running ones
--    gradInput        true: the network's backward gives gradInput all the same
--
-- @treturn table the names of the modules meant, frozen before or not
-- @raise where nothing matches, or a parameter shares its memory with one that is not meant
function Module:freeze(pattern, options)
  return freezing.freeze(self, pattern, options)
end

--- Takes `freeze` back; gradients are new and 0.
-- @param pattern as for freeze; all modules when left out
-- @treturn table the names of the modules meant
function Module:unfreeze(pattern)
  return freezing.unfreeze(self, pattern)
end

--- Says what the next backward is to give: see nn.freezing.
-- @tparam boolean isNeeded does anybody read this module's gradInput?
-- @treturn boolean does the module, or one inside it, train parameters?
function Module:markBackward(isNeeded)
  local trains = freezing.trainsOwn(self)
  self.skipsGradInput = not isNeeded or nil
  self.isIdle = (not isNeeded and not trains) or nil
  return trains
end

--- All trained parameters as one vector, all gradients as another. The module's own tensors become views of
-- them, so changing one changes the other. Call it once, after any change of type; call it again
-- after another change.
-- @treturn tensor parameters
-- @treturn tensor gradients
function Module:getParameters()
  return parameterVector(self)
end

--- Sets the gradients to 0.
function Module:zeroGradParameters()
  local list = {}
  self:listGradients(list)
  flat.zero(list)
end

--- For zeroGradParameters: adds the gradients of what `parameters` lists to a list.
function Module:listGradients(list)
  local weights, gradients = self:parameters()
  for i = 1, weights and #weights or 0 do list[#list + 1] = gradients[i] end
end

-- The modules inside one that have an updateParameters of their own, and what they hold: a set.
local function apartFrom(module, standard, apart)
  for _, child in ipairs(module.modules or {}) do
    if child.updateParameters ~= standard then
      apart[#apart + 1] = child
      child:apply(function(each) apart[each] = true end)
    else
      apartFrom(child, standard, apart)
    end
  end
  return apart
end

--- weight -= learningRate * gradWeight, once for every parameter that is trained (nn.trained). A module
-- inside with an updateParameters of its own steps its parameters itself.
function Module:updateParameters(learningRate)
  argument.number(1, "updateParameters", learningRate, "learningRate")
  generatedWeight.pull(self)
  local apart = apartFrom(self, Module.updateParameters, {})
  for _, parameter in ipairs(trained.of(self)) do
    local isApart = apart[parameter.owner]
    for _, other in ipairs(parameter.others) do
      isApart = isApart and apart[other.owner]
    end
    if not isApart then
      core.add_scaled(parameter.tensor, parameter.tensor, trained.gradient(parameter), -learningRate)
    end
  end
  for _, module in ipairs(apart) do
    module:updateParameters(learningRate)
  end
end

--- Makes the named fields the other module's very tensors: `self:share(other, "weight", "gradWeight")`.
function Module:share(other, ...)
  argument.table(1, "share", other, "other")
  for _, field in ipairs { ... } do
    self[field] = other[field]
  end
  return self
end

--- A deep copy, without buffers (densenet.nn.clone). Fields that are named are then shared with it, in every
-- module inside: `self:clone("weight", "bias")` learns what this module learns.
function Module:clone(...)
  local copy = clone(self)
  if flat.isFlat(self) then flat.vectors(copy, "clone") end
  return select("#", ...) > 0 and copy:share(self, ...) or copy
end

--- Calls action(module) for this module and every one inside it.
function Module:apply(action)
  argument.callable(1, "apply", action, "action")
  action(self)
  for _, module in ipairs(self.modules or {}) do
    module:apply(action)
  end
  return self
end

--- The modules of a class inside this one, itself included.
-- @tparam string typename "nn.Linear"
-- @treturn table the modules, in order
-- @treturn table the container of each; false for this module itself
function Module:findModules(typename)
  local found, containers = {}, {}
  local function visit(module, container)
    if module.__typename == typename then
      found[#found + 1], containers[#containers + 1] = module, container
    end
    for _, child in ipairs(module.modules or {}) do
      visit(child, module)
    end
  end
  visit(self, false)
  return found, containers
end

--- Training mode: batch statistics, dropout.
function Module:training()
  return self:apply(function(module) module.train = true end)
end

--- Evaluation mode: running statistics, no dropout.
function Module:evaluate()
  return self:apply(function(module) module.train = false end)
end

-- What stands for a result that was given up: a table for a table, which a module's code writes into.
local function cleared(module, result)
  if type(result) == "table" then return {} end
  return module:newTensor(0)
end

--- Draws the parameters anew; a module without any has nothing to do.
function Module:reset() return self end

--- Gives up everything that the next forward makes anew. An output or gradInput that is a table becomes an
-- empty one, and a gradInput of nil stays nil.
function Module:clearState()
  self.output = cleared(self, self.output)
  self.gradInput = self.gradInput and cleared(self, self.gradInput)
  self.scratch, self.planFailure = {}, nil
  return self
end

-- Is there a parameter to convert?
local function isElsewhere(held, device, dtype)
  for _, one in ipairs(held) do
    if not one.isState and (one.tensor:device() ~= device or one.tensor:dtype() ~= dtype) then return true end
  end
end

-- Converts every tensor of real numbers that a module holds. Parameters and gradients that share their
-- memory share it afterwards.
local function convert(module, device, dtype, change)
  module:clearState()
  local held = stateDict.held(module)
  local moved = isElsewhere(held, device, dtype) and flat.moved(module, held, device, dtype) or {}
  local others = {}
  for _, one in ipairs(held) do
    if not moved[one.tensor] then others[#others + 1] = one end
  end
  for tensor, successor in pairs(views.together(others, change)) do moved[tensor] = successor end
  buffer.replace(module, function(tensor)
    return moved[tensor] or (REAL[tensor:dtype()] and change(tensor)) or tensor
  end)
  trained.forget()
  flat.accompany(module)
  return module
end

--- Without an argument: "float", "double", "half" or "bfloat16", the dtype that the module's inputs are
-- to have. Outputs, gradients of activations and buffers follow the input; parameters, their gradients,
-- statistics and losses are double beside double and float beside all others.
-- With one: parameters and state are converted, buffers given up. Optimizers follow; vectors from
-- getParameters do not.
function Module:type(dtype)
  if not dtype then
    return self._activations
  end
  if not PRECISIONS[dtype] then
    argument.raise("bad argument #1 to 'type' (a module is float, double, half or bfloat16, not %s)", tostring(dtype))
  end
  local parameters = buffer.parameterType(dtype)
  self:apply(function(module) module._type, module._activations = parameters, dtype end)
  return convert(self, self._device, parameters, function(held) return held:type(parameters) end)
end

--- The dtype that the module's inputs are to have: what type() returns, unless somebody gives type another
-- meaning (densenet.torch7).
function Module:activationType()
  return self._activations
end

function Module:float()
  return self:type("float")
end

function Module:double()
  return self:type("double")
end

function Module:half()
  return self:type("half")
end

function Module:bfloat16()
  return self:type("bfloat16")
end

--- Moves parameters and state to a device ("cpu", "cuda", "cuda:1"), or converts them when given a dtype.
-- @raise where the device is missing, and says why
function Module:to(target)
  if PRECISIONS[target] then
    return self:type(target)
  end
  if target == nil then argument.refuse(1, "to", target, "a dtype, a device or its name") end
  -- "cuda" is the name of no device, but says which.
  local device = core.tensor_new(deviceOf.nameOf(target), "byte", { 0 }):device()
  convert(self, device, self._type, function(held) return held:to(device) end)
  return self:apply(function(module) module._device = device end):clearState()
end

--- The memory that a training step on inputs of a size takes, or with `evaluate` an evaluation. Nothing is allocated
-- for it.
-- @tparam table inputSize the batch included: {64, 3, 32, 32}
-- @tparam[opt] table options optMemory, by default the one the network was built with, else 0;
-- momentum (false: an optimizer that keeps nothing; or how many tensors it keeps for each parameter, by default 1);
-- optimizerScratch (how many it computes in, by default 0); type, of the inputs, by default the module's; evaluate
-- (true: of an evaluation, on the CPU)
-- @return densenet.nn.MemoryPlan: totalBytes, rows, table(), bind()
function Module:plan(inputSize, options)
  argument.table(1, "plan", inputSize, "inputSize")
  for d, size in ipairs(inputSize) do argument.integer(1, "plan", size, 0, ("size %d"):format(d)) end
  if options ~= nil then argument.table(2, "plan", options, "options") end
  return MemoryPlan(self, inputSize, options)
end

--- Tells what a captured step takes over from the module as it is (densenet.captured).
function Module:noteState(note) notedState.ofModule(self, note) end

--- The module's state by name: its own tensors, not copies. See densenet.nn.state_dict.
function Module:stateDict()
  return stateDict.state(self)
end

--- The gradients of its parameters, under the parameters' names.
function Module:gradDict()
  return stateDict.gradients(self)
end

--- Copies a state into the module; missing and unknown entries and wrong shapes are told in one error.
function Module:loadStateDict(state)
  stateDict.load(self, state)
  generatedWeight.forget(self)
  return self
end

--- Writes the network for evaluation as an ONNX file (IR version 7, operator set 13), which other programs run:
-- images "input" N,C,H,W in float to "logits". Tensors are float, whatever the network's precision, and carry their
-- names of stateDict; classes, preprocessing and configuration, where the network has them, are in the file's metadata.
-- @tparam string path the file, replaced whole or not at all
-- @tparam[opt] table options
--
--    inputSize  {channels, height, width} of images; by default the network's own crop
--    batch      "N": any number of images, under that name; or a number of them
--    softmax    true: probabilities in place of scores
--    normalize  true: the file's images are those before normalisation (on the recipe's range); or {mean =, std =}
--    classes    list of names; by default the network's own
--
-- @return true; or nil, message, code
-- @raise for a module that has no ONNX form, by its class and its name in stateDict
function Module:saveOnnx(path, options)
  return require "densenet.nn.onnx.export" (self, path, options)
end

function Module:__tostring__()
  return self.__typename
end

--- module(input) is module:forward(input).
function Module:__call__(input)
  return self:forward(input)
end

return Module
