-- Networks whose dense layers run in fused kernels (cuda/cuda_fused.h): a training step and an evaluation
-- are the CPU's in every memory mode and precision that there are kernels for, with dropout, and with
-- batches of changing sizes; they take the memory that was planned, and have the same bits when run again.

local core = require "densenet.core"
local dn = require "densenet"
local tablex = require "pl.tablex"
local compare = require "spec.support.compare"

local DEVICE = "cuda:0"
local N_CLASSES, N_CHANNELS = 5, 2

-- Of the CPU's step in the same precision, in float instead of TF32. A rounding of a factor or of an
-- activation, 2^-11 in TF32 and half and 2^-8 in bfloat16, is as large a share of the elements that a ReLU
-- treats otherwise; each is wrong by all of itself, so the norm of a gradient is off by that share's square
-- root. What is not fused is as far off (DENSENET_CUDA_FUSED=0 shows it); single operations are compared
-- closely in cuda_fused_spec.lua.
local TOLERANCE = { tf32 = 6 * 2 ^ -5.5, half = 6 * 2 ^ -5.5, bfloat16 = 6 * 2 ^ -4 }

after_each(function()
  core.tf32(DEVICE, false)
  collectgarbage()
  core.testing.memory_trim(DEVICE)
end)

local function build(mode, precision, device, dropRate)
  dn.manualSeed(7)
  local model = dn.models.densenet {
    nClasses = N_CLASSES, inputChannels = N_CHANNELS, optMemory = mode, precision = precision, blocks = { 2, 2 },
    growthRate = 12, dropRate = dropRate,
  }
  for _, norm in ipairs(model:findModules("nn.SpatialBatchNormalization")) do
    norm.weight:uniform(0.5, 1.5)
    norm.bias:uniform(-1, 1)
  end
  if device ~= "cpu" then core.tf32(device, precision == "tf32") end
  return model:to(device)
end

local function batch(n, precision, device)
  dn.manualSeed(8 + n)
  local labels = {}
  for i = 1, n do labels[i] = i % N_CLASSES + 1 end
  local dtype = precision == "tf32" and "float" or precision
  return dn.randn(n, N_CHANNELS, 16, 16):type(dtype):to(device), dn.tensor(labels, "long"):to(device)
end

-- What two steps, the second of fewer images, and an evaluation make, by name, on the CPU.
local function train(mode, precision, device, dropRate)
  local model = build(mode, precision, device, dropRate)
  local optimizer = dn.optim.SGD(model, { learningRate = 0.05, momentum = 0.9 })
  local criterion, results = dn.nn.CrossEntropyCriterion(), {}
  local function keep(prefix, tensors)
    for name, tensor in pairs(tensors) do results[prefix .. name] = tensor:clone():to("cpu") end
  end
  dn.manualSeed(9) -- of the masks
  for step, n in ipairs { 3, 2 } do
    local x, target = batch(n, precision, device)
    local output = model:forward(x)
    results["loss " .. step] = dn.tensor({ criterion:forward(output, target) }, "double")
    model:zeroGradParameters()
    keep("gradient of input " .. step, { model:backward(x, criterion:backward(output, target)) })
    if step == 1 then keep("gradient of ", model:gradDict()) end
    optimizer:step()
  end
  keep("after the steps, ", model:stateDict())
  keep("", { ["logits in evaluation"] = model:evaluate():forward((batch(3, precision, device))) })
  return results
end

describe("training with fused kernels is the CPU's:", function()
  for precision, tolerance in tablex.sort(TOLERANCE) do
    for _, dropRate in ipairs { 0, 0.3 } do
      it(("%s, dropout %g, modes 3 to 5"):format(precision, dropRate), function()
        local right, bad = train(4, precision, "cpu", dropRate), {}
        for mode = 3, 5 do
          local found = train(mode, precision, DEVICE, dropRate)
          for what, tensor in pairs(right) do
            local is_near, message = pcall(compare.near, found[what], tensor, tolerance, what .. ", mode " .. mode)
            if not is_near then bad[#bad + 1] = message end
          end
        end
        table.sort(bad)
        assert.equal("", table.concat(bad, "\n"))
      end)
    end
  end

  it("has the same bits when run again", function()
    local first, second = train(4, "bfloat16", DEVICE, 0.3), train(4, "bfloat16", DEVICE, 0.3)
    for what, tensor in pairs(first) do compare.identical(second[what], tensor, what) end
  end)
end)

describe("memory with fused kernels", function()
  for precision in tablex.sort(TOLERANCE) do
    for mode = 3, 5 do
      it(("is as planned in %s, mode %d, and later steps allocate nothing"):format(precision, mode), function()
        core.tf32("plan:cuda:0", precision == "tf32")
        local planned = dn.models.withoutMemory({
          nClasses = N_CLASSES, inputChannels = N_CHANNELS, optMemory = mode, precision = precision, blocks = { 2, 2 },
          growthRate = 12,
        }, DEVICE):plan({ 3, N_CHANNELS, 16, 16 }).totalBytes
        collectgarbage()
        collectgarbage()
        core.scratch_release(DEVICE)
        local before = core.memory(DEVICE).live
        local model = build(mode, precision, DEVICE, 0)
        local x, target = batch(3, precision, DEVICE)
        local criterion = dn.nn.CrossEntropyCriterion()
        local optimizer = dn.optim.SGD(model, { learningRate = 0.05, momentum = 0.9 })
        collectgarbage()
        collectgarbage()
        core.memory_reset_peak(DEVICE)
        local allocations
        for i = 1, 2 do
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
  end
end)
