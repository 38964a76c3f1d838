--- Which memory a network touches when: a training step and an evaluation, run on its shadow.
--
-- Time counts operations, and requests for a buffer. A row is a tensor that stays from step to step: one
-- that buffer.get keeps in a field, or one that a module keeps in another way. Its life in a phase goes
-- from the first operation that touches its storage to the last, whoever holds a view of it. The
-- network's output and gradInput live on to the end, where their reader is.
--
-- Which operation touches what is told by the device itself (core.plan_record, src/dn_plan.h), so a
-- module may reach operations in any way: core.binary, a local that keeps it, a tensor's operators.
--
-- A row: name, size, dtype, bytes; lives.training and lives.evaluation, each { first =, last = } or
-- nil; isBackward, born in the backward pass; module, keys and field, the place of its tensor, where
-- buffer.get put it there; nil otherwise.
-- @module densenet.nn.plan.trace

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local folding = require "densenet.nn.folding"
local freezing = require "densenet.nn.freezing"
local generatedWeight = require "densenet.nn.generated_weight"
local ownMethods = require "densenet.nn.own_methods"
local shadow = require "densenet.nn.plan.shadow"

local trace = {}

--- Bytes of a tensor's elements.
function trace.bytesOf(tensor)
  return tensor:nElement() * tensor:elementSize()
end

local Recorder = {}
Recorder.__index = Recorder

local function newRecorder()
  return setmetatable({
    phase = nil,
    operations = nil, -- of the phase: what core.plan_record returns
    rows = {},
    byOwner = {}, -- owner → field → row
    byStorage = {}, -- storage_key → list of rows, of which each had its tensor there once
  }, Recorder)
end

function Recorder:touchRow(row, time)
  local life = row.lives[self.phase]
  if not life then
    life = { first = time, last = time }
    row.lives[self.phase] = life
  end
  life.first, life.last = math.min(life.first, time), math.max(life.last, time)
end

function Recorder:touch(storage, time)
  local rows = self.byStorage[storage]
  if rows then
    for _, row in ipairs(rows) do
      self:touchRow(row, time)
    end
  end
end

function Recorder:put(row, tensor)
  local storage = core.storage_key(tensor)
  local there = self.byStorage[storage] or {}
  self.byStorage[storage] = there
  for _, other in ipairs(there) do
    if other == row then
      return
    end
  end
  there[#there + 1] = row
end

function Recorder:add(tensor, row)
  row.size, row.dtype, row.bytes, row.lives = tensor:size(), tensor:dtype(), trace.bytesOf(tensor), {}
  self.rows[#self.rows + 1] = row
  self:put(row, tensor)
  return row
end

-- A buffer was asked for; the next operation may use it.
function Recorder:keep(owner, field, tensor)
  local fields = self.byOwner[owner] or {}
  self.byOwner[owner] = fields
  local row = fields[field]
  if not row then
    row = self:add(tensor, { owner = owner, field = field })
    fields[field] = row
  else
    if trace.bytesOf(tensor) > row.bytes then
      row.size, row.bytes = tensor:size(), trace.bytesOf(tensor)
    end
    self:put(row, tensor)
  end
  self:touchRow(row, self.operations:tick())
end

-- Runs action() as a phase, told of every operation and every buffer.
function Recorder:watch(phase, action)
  local operations <close> = core.plan_record()
  self.phase, self.operations = phase, operations
  local observer = buffer.observe(function(...) self:keep(...) end)
  local _ <close> = setmetatable({}, { __close = function() buffer.observe(observer) end })
  action()
  for _, time, storage in operations:events() do
    self:touch(storage, time)
  end
end

-- Results are read after the phase; a table of tensors is one result.
function Recorder:keepToEnd(result)
  local time = self.operations:tick()
  local function visit(value)
    if type(value) == "table" then
      for _, each in pairs(value) do
        visit(each)
      end
    elseif core.is_tensor(value) then
      self:touch(core.storage_key(value), time)
    end
  end
  visit(result)
end

-- A gradient for a result of the network. The caller of a step owns it, not the network.
local function gradientOf(result, known)
  if type(result) == "table" then
    local gradient = {}
    for key, value in pairs(result) do
      gradient[key] = gradientOf(value, known)
    end
    return gradient
  end
  local gradient = core.tensor_new(result:device(), result:dtype(), result:size())
  known[core.storage_key(gradient)] = true
  return gradient
end

-- The scratch that operations on a network's device would have taken since it was last asked anew.
local function scratchPlanned(network, isAnew)
  return core.scratch_planned(isAnew or false, network._device)
end

-- Runs forward and backward; returns the times at which each ended, gradOutput, and the scratch that
-- the kernels of forward take.
local function runPhase(recorder, phase, network, input, known)
  local forwardEnd, backwardEnd, gradOutput, scratchBytes
  recorder:watch(phase, function()
    generatedWeight.prepare(network)
    local output = network:updateOutput(input)
    forwardEnd, scratchBytes = recorder.operations:time(), scratchPlanned(network)
    gradOutput = gradientOf(output, known)
    recorder:keepToEnd(network:backward(input, gradOutput))
    recorder:keepToEnd(output)
    backwardEnd = recorder.operations:time()
    generatedWeight.pull(network)
  end)
  return forwardEnd, backwardEnd, gradOutput, scratchBytes
end

-- Rows that are new in this phase: are they born in its backward pass?
local function markBackward(recorder, phase, forwardEnd)
  for _, row in ipairs(recorder.rows) do
    if row.isBackward == nil then
      row.isBackward = row.lives[phase].first > forwardEnd
    end
  end
end

-- Calls visit(table, module, keys, name) for each module of a tree and for each plain table in it.
local function walk(network, visit)
  local function inside(holder, module, keys, name)
    visit(holder, module, keys, name)
    for key, value in pairs(holder) do
      if type(value) == "table" and not getmetatable(value) and not (holder == module and key == "modules") then
        local deeper = table.move(keys, 1, #keys, 1, {})
        deeper[#deeper + 1] = key
        inside(value, module, deeper, key == "scratch" and name or ("%s%s."):format(name, key))
      end
    end
  end
  local function tree(module, name)
    inside(module, module, {}, name)
    for i, child in ipairs(module.modules or {}) do
      local childName = module.childName and module:childName(i) or tostring(i - 1)
      tree(child, childName == "" and name or name .. childName .. ".")
    end
  end
  tree(network, "")
end

local function isHeld(value)
  return core.is_tensor(value) and not value:isFreed()
end

-- The rows' names and places, and rows for tensors that modules made otherwise.
local function nameRows(recorder, network, originalOf, known, phase, phaseEnd)
  local seen = {}
  walk(network, function(holder, module, keys, name)
    if seen[holder] then
      return
    end
    seen[holder] = true
    for field, row in pairs(recorder.byOwner[holder] or {}) do
      row.name, row.module, row.keys = name .. tostring(field), originalOf[module], keys
    end
    for field, value in pairs(holder) do
      local storage = isHeld(value) and core.storage_key(value)
      if storage and not known[storage] and not recorder.byStorage[storage] and value:nElement() > 0 then
        local row = recorder:add(value, { name = name .. tostring(field) })
        row.lives[phase] = { first = 1, last = phaseEnd }
      end
    end
  end)
  for _, row in ipairs(recorder.rows) do
    row.name = row.name or tostring(row.field)
    row.owner = nil
  end
end

local function storages(network)
  local known = {}
  walk(network, function(holder)
    for _, value in pairs(holder) do
      if isHeld(value) then
        known[core.storage_key(value)] = true
      end
    end
  end)
  return known
end

local function inverse(map)
  local result = {}
  for from, to in pairs(map) do
    result[to] = from
  end
  return result
end

local recording -- the innermost record under way: { network=, scratchBytes= before records within it began }

-- From here on scratch is this record's; an enclosing one goes on afterwards with what it has had.
local function openScratch(network)
  local enclosing = recording
  if enclosing then enclosing.scratchBytes = math.max(enclosing.scratchBytes, scratchPlanned(enclosing.network)) end
  scratchPlanned(network, true)
  recording = setmetatable({ network = network, scratchBytes = 0 }, { __close = function()
    recording = enclosing
    scratchPlanned(network, true)
  end })
  return recording
end

local METHODS = { "updateOutput", "updateGradInput", "accGradParameters", "backward" }

--- What decides which operations a network runs, as far as its fields tell, as a text: two steps with
-- the same signature touch the same memory in the same order.
function trace.signature(network)
  local parts = {}
  network:apply(function(module)
    -- A container's gradInput is what its first child has left, and says nothing of its own.
    local skips = not module.modules and not module.gradInput
    parts[#parts + 1] = (module.train and "t" or "e") .. (skips and "-" or "")
      .. (module.inplace and "i" or "") .. (type(module.p) == "number" and module.p or "")
      .. (module.frozen and "f" .. (module.frozenStatistics or "") or "") .. (module.skipsGradInput and "n" or "")
    for _, name in ipairs(METHODS) do
      local method = rawget(module, name) and ownMethods.of(module, name)
      if method and method ~= getmetatable(module)[name] then
        parts[#parts + 1] = name .. tostring(method)
      end
    end
  end)
  return table.concat(parts, " ")
end

--- Records a network.
-- @param module any; it is not changed
-- @tparam table inputSize sizes of its input, the batch included
-- @tparam string dtype of its input
-- @treturn table rows, in the order of their first use; scratchBytes, what the kernels of a step
-- and of an evaluation need for themselves; input and gradOutput, tensors of "plan"; forwardEnd, the
-- time when training's backward begins; signatures, a set; callsHalves, whether its `backward` is made
-- of its updateGradInput and accGradParameters
-- @raise what the network raises for such an input
function trace.record(module, inputSize, dtype)
  local network, copies = shadow.of(module)
  local recorder, known = newRecorder(), storages(network)
  local result = { rows = recorder.rows, signatures = {} }
  local updateGradInput = network.updateGradInput
  ownMethods.wrap(network, "updateGradInput", function(...)
    result.callsHalves = true
    return updateGradInput(...)
  end)
  freezing.mark(network)
  local trainingEnd
  local own <close> = openScratch(network)
  shadow.withoutMemory(network._device, function()
    local input = core.tensor_new(network._device, dtype, inputSize)
    known[core.storage_key(input)] = true
    if not network.train then
      network:training()
    end
    result.signatures[trace.signature(network)] = true
    local forwardEnd, backwardEnd, gradOutput = runPhase(recorder, "training", network, input, known)
    markBackward(recorder, "training", forwardEnd)
    trainingEnd = backwardEnd
    result.input, result.gradOutput, result.forwardEnd = input, gradOutput, forwardEnd
    network:evaluate()
    result.signatures[trace.signature(network)] = true
    local evaluated, _, _, scratchBytes = runPhase(recorder, "evaluation", network, input, known)
    markBackward(recorder, "evaluation", evaluated)
    -- Gradients of evaluations are rare, and not counted.
    result.scratchBytes = math.max(scratchBytes, own.scratchBytes)
  end)
  nameRows(recorder, network, inverse(copies), known, "training", trainingEnd)
  return result
end

--- Records an evaluation and no more: no gradients, and nothing that they would need.
-- @param module any; it is not changed
-- @tparam table inputSize sizes of its input, the batch included
-- @tparam string dtype of its input
-- @tparam function compute (network, input), which evaluates
-- @treturn table rows, scratchBytes, input and signatures as of trace.record; rows of what is folded
-- (densenet.nn.folding) have isKept and live all the time
-- @raise what the network raises for such an input
function trace.evaluation(module, inputSize, dtype, compute)
  local network, copies = shadow.of(module)
  local recorder, known = newRecorder(), storages(network)
  local result = { rows = recorder.rows, signatures = {} }
  local phaseEnd
  local own <close> = openScratch(network)
  shadow.withoutMemory(network._device, function()
    local input = core.tensor_new(network._device, dtype, inputSize)
    known[core.storage_key(input)] = true
    network:evaluate()
    result.signatures[trace.signature(network)] = true
    recorder:watch("evaluation", function()
      generatedWeight.prepare(network)
      recorder:keepToEnd(compute(network, input))
      phaseEnd = recorder.operations:time()
    end)
    result.input = input
    result.scratchBytes = math.max(scratchPlanned(network), own.scratchBytes)
  end)
  for _, row in ipairs(recorder.rows) do
    row.isBackward, row.isKept = false, folding.isKept(row.field)
    if row.isKept then row.lives.evaluation = { first = 0, last = phaseEnd } end
  end
  nameRows(recorder, network, inverse(copies), known, "evaluation", phaseEnd)
  return result
end

return trace
