-- A training step of a network of two dense layers on a GPU, in the memory modes that differ and in each precision,
-- beside the CPU's: small enough for compute-sanitizer, whose tools take a hundred times as long as a step
-- (make sanitize-cuda).

local core = require "densenet.core"
local dn = require "densenet"
local compare = require "spec.support.compare"

local DEVICE = "cuda:0"
local PRECISIONS = { single = 1e-4, half = 6e-2, bfloat16 = 3e-1 } -- in 16 bits: of biases that begin at 0

-- Parameters after two steps, by name, on the CPU.
local function train(mode, precision, device)
  dn.manualSeed(5)
  local model = dn.models.densenet { blocks = { 2 }, growthRate = 4, nClasses = 3, inputChannels = 3, dropRate = 0.2,
    optMemory = mode, precision = precision }:to(device)
  local input = dn.randn(3, 3, 8, 8):type(model:activationType()):to(device)
  local target = dn.tensor({ 1, 2, 3 }, "long"):to(device)
  local criterion = dn.nn.CrossEntropyCriterion()
  local optimizer = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, nesterov = true, weightDecay = 1e-4 })
  dn.manualSeed(6) -- of the masks
  for _ = 1, 2 do
    local output = model:forward(input)
    criterion:forward(output, target)
    model:zeroGradParameters()
    model:backward(input, criterion:backward(output, target))
    optimizer:step()
  end
  local state = {}
  for name, tensor in pairs(model:stateDict()) do state[name] = tensor:clone():to("cpu") end
  return state
end

describe("two steps of two layers on a GPU are the CPU's:", function()
  for precision, tolerance in require "pl.tablex".sort(PRECISIONS) do
    for _, mode in ipairs { 0, 4, 5 } do
      it(("mode %d, %s"):format(mode, precision), function()
        local right = train(mode, precision, "cpu")
        for name, tensor in pairs(train(mode, precision, DEVICE)) do
          compare.near(tensor, right[name], tolerance, name)
        end
        collectgarbage()
        core.testing.memory_trim(DEVICE)
      end)
    end
  end
end)
