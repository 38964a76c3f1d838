-- A small network and its training step, plainly and captured, whose numbers are to be the same bits.

local core = require "densenet.core"
local dn = require "densenet"
local random = require "densenet.random"

local capturedStep = { device = "cuda:0" }

local CLASSES = 5

--- The parts of a step, made alike each time.
-- @param options mode (optMemory), precision, dropRate, nesterov, criterion, device
function capturedStep.parts(options)
  dn.manualSeed(1)
  local device = options.device or capturedStep.device
  local model = dn.models.densenet { blocks = { 2, 1 }, growthRate = 4, nClasses = CLASSES, inputChannels = 3,
    optMemory = options.mode or 0, precision = options.precision, dropRate = options.dropRate or 0.3 }:to(device)
  local parts = {
    device = device, model = model, dtype = model:activationType(),
    criterion = options.criterion and options.criterion(device) or dn.nn.CrossEntropyCriterion(),
    optimizer = dn.optim.SGD(model, { learningRate = 0.05, momentum = 0.9, nesterov = true, weightDecay = 1e-2 }),
  }
  if parts.dtype == "half" then parts.lossScale = dn.optim.LossScale(model) end
  return parts
end

--- The batch of step i, of n images, on the CPU.
function capturedStep.batch(parts, i, n)
  local generator = random.generator(i, 77)
  local input = dn.empty(n, 3, 8, 8)
  core.random_normal(input, 0, 1, generator:reserve(input:nElement()))
  local labels = {}
  for k = 1, n do labels[k] = generator:integer(CLASSES) end
  return input:type(parts.dtype), dn.tensor(labels, "long")
end

-- What every step does; in half the host decides.
local function plainly(parts, input, target)
  local scaling = parts.lossScale
  local scale = scaling and scaling.scale or 1
  local output = parts.model:forward(input)
  local loss = parts.criterion:forward(output, target)
  parts.model:zeroGradParameters()
  parts.model:backward(input, parts.criterion:backward(output, target, scale), 1 / scale)
  if not scaling or scaling:check() then parts.optimizer:step() end
  return loss
end

-- The same for a step that does not wait.
local function withoutWaiting(parts, input, target)
  local scaling = parts.lossScale
  local output = parts.model:forward(input)
  local loss = parts.criterion:forward(output, target)
  parts.model:zeroGradParameters()
  parts.model:backward(input, parts.criterion:backward(output, target, scaling and scaling:number()))
  if scaling then
    scaling:unscale()
    parts.optimizer.skip = scaling:advance()
  end
  parts.optimizer:step()
  return loss
end

--- Steps that are computed plainly: function(i, n) → loss, on batch i of n images.
function capturedStep.plain(parts)
  return function(i, n)
    local input, target = capturedStep.batch(parts, i, n)
    return plainly(parts, input:to(parts.device), target:to(parts.device))
  end
end

--- The same captured, and what was captured: function(i, n) → loss; step.
function capturedStep.captured(parts)
  if parts.lossScale then parts.lossScale:toDevice() end
  local staged = {}
  local step = dn.captured(function() return withoutWaiting(parts, staged.input, staged.target) end, {
    device = parts.device, key = function() return staged.input:size() end,
    uses = { parts.model, parts.criterion, parts.optimizer, parts.lossScale },
  })
  return function(i, n)
    local input, target = capturedStep.batch(parts, i, n)
    for name, x in pairs { input = input, target = target } do
      staged[name] = require("densenet.nn.buffer").get(staged, name, parts.device, x:dtype(), x:size())
      staged[name]:copy(x)
    end
    step()
    return (step:results())
  end, step
end

--- Everything that a step leaves behind, as a table of plain numbers.
function capturedStep.state(parts)
  local state = { scale = parts.lossScale and parts.lossScale:state(), random = random.state() }
  for _, tensors in ipairs { parts.model:stateDict(), parts.optimizer:state() } do
    for name, tensor in pairs(tensors) do
      local list = state[name] or {}
      list[#list + 1] = tensor:to("cpu"):totable()
      state[name] = list
    end
  end
  return state
end

return capturedStep
