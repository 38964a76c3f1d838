--- Evaluation of a network by its plan (densenet.nn.memory_plan): a few images at a time, with norms folded into
-- convolutions (densenet.nn.folding).
--
-- Every module that treats images one by one gives the same numbers for a part of a batch as for all of it, so a
-- batch is cut into parts of some images, and buffers are as large as a part. Networks with any other module are
-- computed whole. What is between the network's input and its output is overwritten on the way; the `output` of a
-- module inside is then a freed tensor, which refuses to be read. A network whose `keepsOutputs` is true is evaluated
-- as before: without a plan, and every module keeps its output.
-- @module densenet.nn.evaluation

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local folding = require "densenet.nn.folding"
local modes = require "densenet.nn.memory_modes"
local ownMethods = require "densenet.nn.own_methods"

local evaluation = {}

-- Pixels of the images that are computed at once: as many as keep threads busy in the last blocks, where images
-- are small, and no more, so that what one layer leaves is still in a cache when the next one reads it.
local PIXELS = 8 * 224 * 224

-- Classes of modules that treat images one by one in evaluation.
local BY_IMAGE = {}
for _, name in ipairs { "Sequential", "Concat", "Identity", "SpatialConvolution", "MLGConvolution",
  "SpatialBatchNormalization", "ReLU", "SpatialMaxPooling", "SpatialAveragePooling", "GlobalAveragePooling", "Dropout",
  "DenseBlock", "DenseLayer", "Transition", "NormReLUPool", "Linear", "MLGLinear", "ConcatTable", "CAddTable",
  "Padding", "SpatialZeroPadding" } do
  BY_IMAGE["nn." .. name] = true
end

local METHODS = { "updateOutput", "forwardBatch" }

local function isByImage(network)
  local answer = true
  network:apply(function(module)
    answer = answer and BY_IMAGE[module.__typename]
      and not ownMethods.overridden(module, getmetatable(module), METHODS)
      and (module.__typename ~= "nn.Concat" or module.dimension ~= 1)
  end)
  return answer
end

--- Images of a batch that are computed at once.
-- @param network
-- @tparam table sizes of the input
-- @treturn integer
function evaluation.imagesAtOnce(network, sizes)
  if #sizes ~= 4 or sizes[1] == 0 or not isByImage(network) then return math.max(1, sizes[1] or 1) end
  local perImage = math.max(1, sizes[3] * sizes[4])
  local most = math.max(1, PIXELS // perImage)
  local nParts = (sizes[1] + most - 1) // most
  return (sizes[1] + nParts - 1) // nParts
end

--- Is evaluation planned where a network is? On the CPU, also where it is only planned for.
function evaluation.isPlannedOn(device) return device == "cpu" or device == "plan" end

--- Can a network of a mode be evaluated by a plan? Where its mode lets outputs share memory, on the CPU.
function evaluation.suits(network, mode)
  local shares = modes[mode].shares
  return shares ~= nil and shares { isBackward = false } and evaluation.isPlannedOn(network._device)
end

local function computeAll(network, input, state)
  local nAtOnce = state.nAtOnce or evaluation.imagesAtOnce(network, input:size())
  local n = input:dim() == 4 and input:size(1) or nAtOnce
  local whole
  if n == 0 then return network:updateOutput(input) end
  for first = 1, n, nAtOnce do
    local count = math.min(nAtOnce, n - first + 1)
    local part = count == n and input or input:narrow(1, first, count)
    local output = network:updateOutput(part)
    if count == n and not core.is_tensor(output) then return output end
    if first == 1 then
      local sizes = output:size()
      if count < n then sizes[1] = n end
      whole = buffer.get(state, "output", output:device(), output:dtype(), sizes)
    end
    core.copy(count == n and whole or whole:narrow(1, first, count), output)
  end
  return whole
end

--- The output of a network for an input; it becomes the network's `output`.
-- @param network in evaluation mode
-- @tparam tensor input
-- @tparam table state of this network from one evaluation to the next: folds, output, nAtOnce; empty at first
-- @tparam boolean isFolding
function evaluation.compute(network, input, state, isFolding)
  state.folds = state.folds or {}
  local function all() return computeAll(network, input, state) end
  if isFolding then
    network.output = folding.run(state.folds, all)
  else
    network.output = all()
  end
  return network.output
end

local lost -- what stands for an output that has been overwritten

--- The same by a plan, in its buffers.
-- @param plan densenet.nn.MemoryPlan for evaluation, bound
-- @tparam tensor input
function evaluation.byPlan(plan, input)
  local binding, network = plan.binding, plan.module
  local state = binding.evaluation
  if core.stamp(binding.arena) ~= state.stamp then state.folds = {} end -- somebody wrote into the buffers
  state.stamp = nil
  local output = evaluation.compute(network, input, state, modes[plan.mode].isBuilt)
  state.stamp = core.stamp(binding.arena)
  if not lost then
    lost = core.tensor_new("cpu", "float", { 0 })
    lost:free()
  end
  for _, module in ipairs(binding.inner) do
    if core.is_tensor(module.output) then module.output = lost end
  end
  return output
end

return evaluation
