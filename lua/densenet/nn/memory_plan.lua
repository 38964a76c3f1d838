--- The memory that training a module takes, as a table, before any of it is taken.
--
-- The module is run on a device without memory (densenet.nn.plan.trace); every tensor that stays from
-- step to step gets a row, and those whose lives do not meet get the same bytes of one arena, as far
-- as the mode allows (densenet.nn.memory_modes, densenet.nn.plan.layout):
--
--    optMemory 0, standard          nothing is shared
--              1, liveness          every buffer, by its life
--              2, shared-gradients  the buffers that are born in the backward pass
--              3, 4, 5              every buffer; the modes differ in how a family of networks is built
--
-- A plan counts what a step of training holds at its peak: parameters, their gradients, the momentum
-- of SGD, running statistics, buffers, input and gradOutput, and the scratch memory of kernels. A plan for
-- evaluation counts what a forward in evaluation mode holds: parameters and the gradients that a network has all
-- the same, running statistics, weights with norms folded into them (densenet.nn.folding), the input, the output,
-- and the buffers of a part of the batch (densenet.nn.evaluation).
-- @classmod densenet.nn.MemoryPlan

local argument = require "densenet.argument"
local class = require "densenet.nn.class"
local flat = require "densenet.nn.flat_parameters"
local freezing = require "densenet.nn.freezing"
local stateDict = require "densenet.nn.state_dict"
local trained = require "densenet.nn.trained"
local views = require "densenet.nn.views"
local trace = require "densenet.nn.plan.trace"
local layout = require "densenet.nn.plan.layout"
local evaluation = require "densenet.nn.evaluation"
local inForce = require "densenet.nn.plan.in_force"
local modes = require "densenet.nn.memory_modes"
local planText = require "densenet.nn.plan.text"

local MemoryPlan = class("nn.MemoryPlan")

-- Bytes of the rows of a lifetime, or of all.
local function sumOf(rows, lifetime)
  local n = 0
  for _, row in ipairs(rows) do
    if not lifetime or row.lifetime == lifetime then
      n = n + row.bytes
    end
  end
  return n
end

local function rowOf(name, tensor, lifetime)
  return {
    name = name, size = tensor:size(), dtype = tensor:dtype(), lifetime = lifetime, bytes = trace.bytesOf(tensor),
  }
end

-- What an optimizer steps.
local function steppedTensors(module)
  local list = {}
  for i, parameter in ipairs(trained.of(module)) do list[i] = parameter.tensor end
  return list
end

-- What lies between parameters that are one vector, between their gradients, and in what an optimizer keeps.
local function addRoomRows(rows, module, held, gradients, nMomenta)
  local stepped, nRoom = steppedTensors(module), 0
  local function add(name, n)
    if n <= 0 then return end
    rows[#rows + 1] = { name = name, size = { n }, dtype = held[1]:dtype(), lifetime = "parameter", isRoom = true,
      bytes = n * held[1]:elementSize() }
  end
  flat.eachSpan(stepped, function(span, first, last)
    nRoom = nRoom + span:nElement()
    for i = first, last do nRoom = nRoom - stepped[i]:nElement() end
  end)
  local narrow, nNarrow = flat.narrowOf(module)
  if narrow then
    rows[#rows + 1] = { name = "parameters in 16 bits", size = { nNarrow }, dtype = narrow, lifetime = "parameter",
      isRoom = true, bytes = 2 * nNarrow }
  end
  add("room between parameters", flat.room(held))
  add("room between parameters gradient", flat.room(gradients))
  for _ = 1, nMomenta do add("room between parameters momentum", nRoom) end
end

-- Parameters, gradients, nMomenta tensors of an optimizer for each parameter that is trained, running
-- statistics, and what is made of parameters and stays; what shares its memory is there once.
local function addHeldRows(rows, module, nMomenta)
  local isStepped = {} -- by the tensor that an optimizer steps
  for _, parameter in ipairs(trained.of(module)) do
    isStepped[parameter.tensor] = true
  end
  local leaders, gradients = {}, {}
  local function refuse(a, b)
    argument.raise("%s and %s overlap in part", a.name, b.name)
  end
  for _, group in ipairs(views.groups(stateDict.held(module), refuse)) do
    local held = group.leader
    local row = rowOf(held.name, held.tensor, held.isState and "state" or "parameter")
    row.isFrozen = held.isFrozen
    rows[#rows + 1] = row
    local list = held.isGradient and gradients or leaders
    list[#list + 1] = held.tensor
    for _ = 1, isStepped[held.tensor] and nMomenta or 0 do
      rows[#rows + 1] = rowOf(held.name .. " momentum", held.tensor, "parameter")
    end
  end
  addRoomRows(rows, module, leaders, gradients, nMomenta)
  for _, derived in ipairs(stateDict.derived(module)) do
    local row = rowOf(derived.name, derived.tensor, "parameter")
    row.isDerived = true
    rows[#rows + 1] = row
  end
end

-- The tensors in which an optimizer computes a step: of parameters that are one vector for all at once, else for one
-- after the other.
local function addOptimizerScratch(rows, module, count)
  local largest
  flat.eachSpan(steppedTensors(module), function(span)
    if not largest or span:nElement() > largest:nElement() then largest = span end
  end)
  for _ = 1, largest and count or 0 do
    rows[#rows + 1] = rowOf("scratch of the optimizer", largest, "step")
  end
end

-- What ranks on the CPU send each other of the gradients: as many bytes again (densenet.dist).
local function addExchange(rows, module)
  local size, dtype, bytes = 0, nil, 0
  for _, parameter in ipairs(trained.of(module)) do
    size, dtype = size + parameter.tensor:nElement(), parameter.tensor:dtype()
    bytes = bytes + trace.bytesOf(parameter.tensor)
  end
  rows[#rows + 1] = { name = "gradients between ranks", size = { size }, dtype = dtype, lifetime = "step",
    bytes = bytes }
end

local function addTensors(rows, name, value)
  if type(value) == "table" then
    for key, each in pairs(value) do
      addTensors(rows, ("%s.%s"):format(name, key), each)
    end
  else
    rows[#rows + 1] = rowOf(name, value, "step")
  end
end

-- When a row is used in training; in evaluation where training has no use for it.
local function describeLife(row)
  local life = row.lives.training or row.lives.evaluation
  row.first, row.last = life.first, life.last
  local isLong = row.isKept or not row.isBackward and row.lives.training and life.last > row.forwardEnd
  row.lifetime = isLong and "step" or "layer"
end

--- Plans a module for an input.
-- @param module any
-- @tparam table inputSize sizes of the input, the batch included
-- @tparam[opt] table options
--
--    optMemory  0 to 5; by default what the module was built with (config.optMemory), else 0
--    momentum   false: an optimizer without; or how many tensors it keeps for each parameter, 1 by default
--    optimizerScratch  how many it computes in, as large as what it steps at once: all parameters where they are one
--                      vector (nn.flat_parameters), else the largest; 0 by default
--    exchange   true: of a rank that sends its gradients to others by way of the host's memory
--    besides    list of rows of what is held beside the module, such as another network's: name, size, dtype, bytes,
--               lifetime
--    type       dtype of the input, by default the module's type()
--    evaluate   true: a plan for evaluation, on the CPU
--    record     of densenet.nn.plan.trace for the same module and input, if there is one already
--
-- @raise what the module raises for an input of that size
function MemoryPlan:__init(module, inputSize, options)
  options = options or {}
  local built = type(module.config) == "table" and module.config.optMemory
  self.module, self.inputSize, self.mode = module, inputSize, options.optMemory or built or 0
  if not modes[self.mode] then
    error(("bad argument #2 to 'plan' (optMemory is an integer from 0 to %d, not %s)"):format(#modes,
      tostring(self.mode)), 4)
  end
  self.type = options.type or module:activationType()
  self.isOfEvaluation, self.device = options.evaluate or false, module._device
  if self.isOfEvaluation then
    if not evaluation.isPlannedOn(module._device) then
      error(("bad argument #2 to 'plan' (evaluate: evaluation is planned on cpu, got a network on %s)"):format(
        module._device), 4)
    end
    options = { momentum = false, optMemory = options.optMemory, besides = options.besides, record = options.record }
    local isPlanned = evaluation.suits(module, self.mode)
    self.nAtOnce = isPlanned and evaluation.imagesAtOnce(module, inputSize) or math.max(1, inputSize[1] or 1)
  end
  self.nMomenta = math.type(options.momentum) == "integer" and options.momentum or options.momentum == false and 0 or 1
  self.optimizerScratch = options.optimizerScratch or 0
  self.exchange = options.exchange or false
  self.besides = options.besides or {}
  local record = options.record or self:trace()
  self.record = record
  self.signatures, self.callsHalves = record.signatures, record.callsHalves
  local shares = modes[self.mode].shares
  self.sharesForward = shares ~= nil and shares { isBackward = false }

  self.rows, self.placed = {}, {}
  addHeldRows(self.rows, module, self.nMomenta)
  addOptimizerScratch(self.rows, module, self.optimizerScratch)
  if self.exchange then addExchange(self.rows, module) end
  table.move(self.besides, 1, #self.besides, #self.rows + 1, self.rows)
  addTensors(self.rows, "input", record.input)
  if record.gradOutput then addTensors(self.rows, "gradOutput", record.gradOutput) end
  for _, kept in ipairs(record.rows) do
    local row = setmetatable({ forwardEnd = record.forwardEnd }, { __index = kept })
    describeLife(row)
    if shares and row.module then
      self.placed[#self.placed + 1] = row
      self.rows[#self.rows + 1] = row
    elseif self.isOfEvaluation or row.lives.training then -- else an evaluation adds what it needs when it comes
      self.rows[#self.rows + 1] = row
    end
  end
  self.rows[#self.rows + 1] = { name = "scratch of kernels", size = { record.scratchBytes }, dtype = "byte",
    lifetime = "layer", bytes = record.scratchBytes }

  self.arenaBytes = shares and layout.place(self.placed, shares) or 0
  self.totalBytes = sumOf(self.rows) - sumOf(self.placed) + self.arenaBytes
end

--- What densenet.nn.plan.trace sees of the module.
function MemoryPlan:trace()
  if not self.isOfEvaluation then return trace.record(self.module, self.inputSize, self.type) end
  local isFolding = modes[self.mode].isBuilt and evaluation.suits(self.module, self.mode)
  return trace.evaluation(self.module, self.inputSize, self.type, function(network, input)
    return evaluation.compute(network, input, { nAtOnce = self.nAtOnce }, isFolding)
  end)
end

--- Bytes of the rows of a lifetime ("parameter", "state", "step", "layer"), each counted by itself.
function MemoryPlan:bytesOf(lifetime)
  return sumOf(self.rows, lifetime)
end

--- Is an input of these sizes as large as the planned one, or smaller?
function MemoryPlan:fits(sizes)
  if #sizes ~= #self.inputSize then
    return false
  end
  for d, size in ipairs(sizes) do
    if size > self.inputSize[d] then
      return false
    end
  end
  return true
end

-- The module that another mode is planned of: this one where the mode is the plan's alone, else what
-- module:inMode(optMemory) makes; nil where there is none.
local function moduleInMode(module, from, to)
  if module.inMode then
    return module:inMode(to)
  end
  return not modes[from].isBuilt and not modes[to].isBuilt and module or nil
end

--- The plan of the same network in another mode. A network of a family is asked for itself in that mode
-- (`inMode`); it gives itself where both are built alike.
-- @treturn MemoryPlan nil where the module has no such mode
function MemoryPlan:inMode(mode)
  if mode == self.mode then
    return self
  end
  local module = moduleInMode(self.module, self.mode, mode)
  local record = module == self.module and self.record or nil
  if module and module ~= self.module then
    freezing.copy(self.module, module)
  end
  return module and MemoryPlan(module, self.inputSize,
    { evaluate = self.isOfEvaluation, optMemory = mode, momentum = self.nMomenta,
      optimizerScratch = self.optimizerScratch, exchange = self.exchange, besides = self.besides, type = self.type,
      record = record })
end

--- The plan of evaluating the same network on the same input.
-- @treturn MemoryPlan nil on a GPU, where evaluation has none
function MemoryPlan:ofEvaluation()
  if not evaluation.isPlannedOn(self.module._device) then return nil end
  return MemoryPlan(self.module, self.inputSize,
    { evaluate = true, optMemory = self.mode, besides = self.besides, type = self.type })
end

--- The plan as a text: totals in MB of 2^20 bytes, what each optMemory would need, and the buffers.
-- @tparam[opt] boolean hasRows true: each buffer by itself, with its place and its life; else equal ones
-- in a line
function MemoryPlan:table(hasRows)
  return planText(self, hasRows)
end

--- Makes the arena and puts its parts into the module's fields, in place of the buffers it has. Nothing
-- in mode 0.
-- @raise when the memory lacks; the module is then without buffers, as after clearState
-- @return the plan
function MemoryPlan:bind()
  if modes[self.mode].shares then
    inForce.release(self.module)
    inForce.activate(self)
  end
  return self
end

--- Is it a plan for what the module is set to now, in a mode and on inputs of a dtype?
function MemoryPlan:isFor(mode, dtype)
  local module = self.module
  return self.mode == mode and self.device == module._device and self.type == dtype
    and self.signatures[trace.signature(module)] or false
end

return MemoryPlan
