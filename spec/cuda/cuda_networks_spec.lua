-- Networks on a GPU: a training step is PyTorch's and the CPU's, in every memory mode; it takes the
-- memory that was planned; and a training run follows the CPU's losses.

local core = require "densenet.core"
local dn = require "densenet"
local tablex = require "pl.tablex"
local compare = require "spec.support.compare"
local golden = require "spec.support.golden"

local DEVICE = "cuda:0"
local MODES = { 0, 1, 2, 3, 4, 5 }
local DTYPE = { double = "double", single = "float" }
local N_CLASSES, N_CHANNELS = 5, 2

after_each(function()
  collectgarbage()
  core.testing.memory_trim(DEVICE)
end)

describe("PyTorch's training step on a GPU", function()
  for _, case in ipairs(golden.cases) do
    for precision, tolerance in tablex.sort(golden.tolerance) do
      for _, mode in ipairs(MODES) do
        it(("of %s, every tensor, in %s precision, optMemory %d"):format(case.file, precision, mode), function()
          local file = golden.load(case)
          golden.compare(golden.trainingStep(case, file, precision, mode, DEVICE), file, tolerance)
        end)
      end
    end
  end
end)

local networks = {
  ["bottlenecks, dropout"] = { net = { blocks = { 2, 2 }, growthRate = 3, dropRate = 0.3 }, size = { 4, 8, 8 } },
  ["no bottlenecks, one image of odd sizes"] = {
    net = { blocks = { 2, 2 }, growthRate = 4, bottleneck = false, reduction = 0.7 }, size = { 1, 9, 7 },
  },
}

-- The same network, on the same numbers, wherever it is.
local function build(net, mode, precision, device)
  local options = { nClasses = N_CLASSES, inputChannels = N_CHANNELS, optMemory = mode, precision = precision }
  for name, value in pairs(net) do options[name] = value end
  dn.manualSeed(7)
  local model = dn.models.densenet(options)
  for _, norm in ipairs(model:findModules("nn.SpatialBatchNormalization")) do
    norm.weight:uniform(0.5, 1.5)
    norm.bias:uniform(-1, 1)
  end
  return model:to(device)
end

local function batch(size, precision, device)
  dn.manualSeed(8)
  local labels = {}
  for i = 1, size[1] do labels[i] = i % N_CLASSES + 1 end
  local x = dn.randn(size[1], N_CHANNELS, size[2], size[3])
  return x:type(DTYPE[precision]):to(device), dn.tensor(labels, "long"):to(device)
end

local function optimizer_of(model)
  return dn.optim.SGD(model, { learningRate = 0.05, momentum = 0.9, nesterov = true, weightDecay = 1e-4 })
end

-- Everything that a step of training, and an evaluation after it, make, by name, on the CPU.
local function step(network, mode, precision, device)
  local model = build(network.net, mode, precision, device)
  local x, target = batch(network.size, precision, device)
  local criterion, results = dn.nn.CrossEntropyCriterion(), {}
  local function keep(prefix, tensors)
    for name, tensor in pairs(tensors) do results[prefix .. name] = tensor:clone():to("cpu") end
  end
  dn.manualSeed(9) -- of the masks
  local output = model:forward(x)
  keep("", { logits = output })
  results.loss = dn.tensor({ criterion:forward(output, target) }, "double")
  model:zeroGradParameters()
  keep("gradient of the ", { input = model:backward(x, criterion:backward(output, target)) })
  keep("gradient of ", model:gradDict())
  optimizer_of(model):step()
  keep("after the step, ", model:stateDict())
  keep("", { ["logits in evaluation"] = model:evaluate():forward(x) })
  return results
end

describe("a training step on a GPU is the CPU's:", function()
  for name, network in tablex.sort(networks) do
    for precision, tolerance in tablex.sort { double = 1e-10, single = 1e-4 } do
      for _, mode in ipairs(MODES) do
        it(("%s, %s precision, mode %d"):format(name, precision, mode), function()
          local right, found = step(network, mode, precision, "cpu"), step(network, mode, precision, DEVICE)
          local bad = {}
          for what, tensor in pairs(right) do
            local is_near, message = pcall(compare.near, found[what], tensor, tolerance, what)
            if not is_near then bad[#bad + 1] = message end
          end
          table.sort(bad)
          assert.equal("", table.concat(bad, "\n"))
        end)
      end
    end
  end

  it("has the same bits when run again", function()
    local network = networks["bottlenecks, dropout"]
    local first, second = step(network, 4, "single", DEVICE), step(network, 4, "single", DEVICE)
    for what, tensor in pairs(first) do compare.identical(second[what], tensor, what) end
  end)
end)

describe("memory on a GPU", function()
  local net = { blocks = { 2, 2 }, growthRate = 8, nClasses = N_CLASSES, inputChannels = N_CHANNELS }

  for _, mode in ipairs(MODES) do
    it(("is as planned in mode %d, and steps after the first allocate nothing"):format(mode), function()
      local size, options = { 4, 16, 16 }, { optMemory = mode }
      for name, value in pairs(net) do options[name] = value end
      local planned = dn.models.withoutMemory(options, DEVICE)
        :plan({ size[1], N_CHANNELS, size[2], size[3] }).totalBytes
      collectgarbage()
      collectgarbage()
      core.scratch_release(DEVICE)
      local before = core.memory(DEVICE).live
      local model = build(net, mode, "single", DEVICE)
      local x, target = batch(size, "single", DEVICE)
      local criterion, optimizer = dn.nn.CrossEntropyCriterion(), optimizer_of(model)
      collectgarbage()
      collectgarbage()
      core.memory_reset_peak(DEVICE)
      local allocations
      for i = 1, 3 do
        local output = model:forward(x)
        criterion:forward(output, target)
        model:zeroGradParameters()
        model:backward(x, criterion:backward(output, target))
        optimizer:step()
        allocations = i == 1 and core.memory(DEVICE).allocations or allocations
      end
      local figures = core.memory(DEVICE)
      local measured = figures.peak - before
      assert.is_true(math.abs(measured / planned - 1) <= 0.02,
        ("planned %d, measured %d bytes"):format(planned, measured))
      assert.equal(allocations, figures.allocations)
    end)
  end
end)

describe("a training run on a GPU", function()
  it("follows the CPU's losses, and learns", function()
    local curves = {}
    for _, device in ipairs { "cpu", DEVICE } do
      local model = build({ blocks = { 2, 2 }, growthRate = 4, dropRate = 0.1 }, 4, "single", device)
      local x, target = batch({ 10, 8, 8 }, "single", device)
      local criterion, optimizer, losses = dn.nn.CrossEntropyCriterion(), optimizer_of(model), {}
      for i = 1, 15 do
        local output = model:forward(x)
        losses[i] = criterion:forward(output, target)
        model:zeroGradParameters()
        model:backward(x, criterion:backward(output, target))
        optimizer:step()
      end
      curves[device] = losses
    end
    compare.values(dn.tensor(curves[DEVICE], "double"), curves.cpu, 2e-3, "losses")
    assert.is_true(curves.cpu[15] < curves.cpu[1] * 0.9)
  end)
end)
