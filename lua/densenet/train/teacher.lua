--- The teacher of a run: an ordinary, trained network of the same architecture, which is only asked.
local core = require "densenet.core"
local evaluation = require "densenet.nn.evaluation"
local formats = require "densenet.models.formats"
local models = require "densenet.models"
local shadow = require "densenet.nn.plan.shadow"
local shallowCopy = require "densenet.shallow_copy"
local stateDict = require "densenet.nn.state_dict"

local teacher = {}

-- The ordinary network's configuration, in the mode that an evaluation takes least in.
local function ordinary(config)
  local copy = shallowCopy(config)
  copy.mlg, copy.optMemory = nil, models.memoryOf(models.family(config.family)).default
  return copy
end

-- Nothing of it is trained, and nothing kept for a backward pass.
local function still(model)
  models.withoutImageGradient(model):freeze "."
  return model:evaluate()
end

-- FNV-1a (public domain), over words of 8 bytes and then over bytes.
local function checksumOf(text)
  local hash, at = 0xcbf29ce484222325, 1
  local function add(value) hash = (hash ~ value) * 0x100000001b3 end
  while at + 7 <= #text do
    add((("<i8"):unpack(text, at)))
    at = at + 8
  end
  for i = at, #text do add(text:byte(i)) end
  return ("%016x"):format(hash)
end

--- Reads a teacher's file, of any kind that densenet.models.formats knows.
-- @param path of -teacher
-- @param config of the student
-- @return name → tensor of the ordinary network, and the file's checksum; or nil, message, code where it is of another
-- network, named beside the student's
function teacher.read(path, config)
  local bytes, unread, code = core.file_read(path)
  if not bytes then return nil, unread, code end
  local content, message
  content, message, code = formats.read(path)
  if not content then return nil, message, code end
  local network = type(content.config) == "table" and content.config or nil
  if network and network.mlg then
    return nil, ("-teacher %s has generated weights; expected an ordinary network, such as -mlgExportDense writes")
      :format(path), "usage"
  end
  message = stateDict.mismatch(models.withoutMemory(ordinary(config)), content.tensors)
  if message then
    local theirs, complete = "", network and models.complete(network)
    if complete then theirs = (" (%s)"):format(models.describe(complete)) end
    return nil, ("-teacher %s%s is of another network than the student (%s): %s"):format(path, theirs,
      models.describe(config), message), "usage"
  end
  return content.tensors, checksumOf(bytes)
end

--- The teacher itself, on a device.
-- @param config of the student
-- @param tensors from teacher.read
-- @param device a device's name
function teacher.build(config, tensors, device)
  local model = models.fromConfig(ordinary(config))
  model:loadStateDict(tensors)
  return still(model):to(device)
end

local function rowOf(name, size, dtype, bytes, lifetime)
  return { name = name, size = size, dtype = dtype, bytes = bytes, lifetime = lifetime }
end

-- Bytes of what an evaluation leaves in a network's buffers; scratch of kernels is the student's as well.
local function buffersOf(model, inputSize)
  if evaluation.suits(model, model.config.optMemory) then
    return model:plan(inputSize, { evaluate = true }).arenaBytes
  end
  return shadow.withoutMemory(model._device, function()
    local input = core.tensor_new(model._device, model:activationType(), inputSize)
    local before = core.memory(model._device).live
    model:updateOutput(input)
    return core.memory(model._device).live - before
  end)
end

--- What a teacher takes beside its student, as rows of nn.MemoryPlan: its parameters and statistics, and what an
-- evaluation leaves in its buffers.
-- @param config of the student
-- @param inputSize the batch included
-- @param device a device's name
-- @return a list of rows
function teacher.planRows(config, inputSize, device)
  local model = still(models.withoutMemory(ordinary(config), device))
  local rows = {}
  for _, held in ipairs(stateDict.held(model)) do
    rows[#rows + 1] = rowOf("teacher." .. held.name, held.tensor:size(), held.tensor:dtype(),
      held.tensor:nElement() * held.tensor:elementSize(), held.isState and "state" or "parameter")
  end
  local bytes = buffersOf(model, inputSize)
  rows[#rows + 1] = rowOf("teacher's buffers", { bytes }, "byte", bytes, "step")
  return rows
end

return teacher
