-- Generated weights as PyTorch computes them in double (mlg/make_mlg_golden.py): layers, the quantiser, distillation,
-- projection, and a network's training step in every memory mode, in double and in float.

local dn = require "densenet"
local core = require "densenet.core"
local compare = require "spec.support.compare"
local bits = require "densenet.mlg.bits"
local project = require "densenet.mlg.project"
local svdStart = require "densenet.mlg.svd_start"
local mlgGolden = require "spec.support.mlg_golden"

local FACTORS = { "basis", "coeffIn", "coeffOut" }
local DTYPES = { { "double", 1e-10 }, { "float", 2e-4 } }
local load = mlgGolden.load

local LAYERS = { "conv3x3", "conv3x3_in_only_stride2", "conv1x1", "conv3x3_largest", "conv3x3_out_only",
  "conv3x5_unquantized", "conv3x3_unquantized", "linear", "linear_unquantized", "linear_plain8" }

-- The module that a file is about, with its parameters.
local function layerOf(file, about, dtype)
  local weight, hasBias = file["out/weight"], file["p/bias"] ~= nil
  local b = mlgGolden.numbers(about.bits)
  local factors = { baseIn = tonumber(about.baseIn), baseOut = tonumber(about.baseOut), basisBits = b[1],
    coeffInBits = b[2], coeffOutBits = b[3] }
  local module
  if about.kind == "linear" then
    module = dn.nn.MLGLinear(weight:size(2), weight:size(1), hasBias, factors)
  else
    local stride, padding = mlgGolden.numbers(about.stride), mlgGolden.numbers(about.padding)
    module = dn.nn.MLGConvolution(weight:size(2), weight:size(1), weight:size(4), weight:size(3), stride[2], stride[1],
      padding[2], padding[1], 1, factors)
    if not hasBias then module:noBias() end
  end
  module:type(dtype)
  module:loadStateDict(mlgGolden.part(file, "p"))
  return module
end

local function codesOf(factor)
  local codes = core.tensor_new("cpu", "long", factor.tensor:size())
  local scale = core.tensor_new("cpu", factor.tensor:dtype(), {})
  core.quantize(codes, scale, factor.tensor, factor.bits)
  local value = factor.tensor:clone()
  core.dequantize(value, codes, scale, factor.bits)
  return codes, scale, value
end

local function sgd(module)
  return dn.optim.SGD(module, { learningRate = 0.1, momentum = 0.9, nesterov = true, weightDecay = 1e-4 })
end

for _, kind in ipairs(DTYPES) do
  local dtype, tolerance = kind[1], kind[2]

  describe("generated weights in " .. dtype, function()
    for _, name in ipairs(LAYERS) do
      it(name .. ": codes, weight, output, gradients, penalty, step", function()
        local file, about = load(name)
        local module, ours = layerOf(file, about, dtype), {}
        local x, gradOutput = file["in/x"]:type(dtype), file["in/gradOutput"]:type(dtype)
        for _, factor in ipairs(module:factors()) do
          if factor.bits < 32 then
            local codes, scale, value = codesOf(factor)
            ours["q/" .. factor.name], ours["q/" .. factor.name .. ".scale"] = codes, scale
            ours["q/" .. factor.name .. ".value"] = value
          end
        end
        ours["out/y"] = module:forward(x)
        ours["out/weight"] = module.weight
        ours["g/x"] = module:backward(x, gradOutput)
        ours["g/weight"] = module.gradWeight:clone()
        ours["out/loss"] = dn.tensor((ours["out/y"]:clone():cmul(gradOutput)):sum(), dtype)
        module:pull()
        for key, gradient in pairs(module:gradDict()) do ours["g/" .. key] = gradient:clone() end
        local lambda = tonumber(about.lambda)
        module:zeroGradParameters()
        ours["ortho/total"] = dn.tensor(dn.mlg.penalty(module, 1), dtype)
        for key, gradient in pairs(module:gradDict()) do
          ours["ortho/g/" .. key] = gradient:clone()
          gradient:mul(lambda):add(ours["g/" .. key])
        end
        sgd(module):step()
        for key, tensor in pairs(module:stateDict()) do ours["sgd/" .. key] = tensor end
        mlgGolden.compare(ours, file, tolerance, { "^in/", "^p/", "^ortho/[%a]+$" }, { "^ortho/total$" })
      end)
    end

    it("the quantiser: codes, scale, values, gradient, bytes", function()
      local file = load "quantizer"
      for width = 2, 8 do
        local function get(key) return file[width .. "/" .. key] end
        local x = get("x"):type(dtype)
        local codes, scale, value = codesOf { tensor = x, bits = width }
        compare.identical(codes, get "code", "codes")
        compare.near(scale, get "scale", tolerance, "scale")
        compare.near(value, get "value", tolerance, "value")
        local gradInput = dn.zeros(41, 1, 1, dtype)
        core.mlg_pull(gradInput, nil, nil, get("gradOutput"):type(dtype):view(41, 1, 1), x:view(41, 1, 1), nil, nil,
          width, 32, 32)
        compare.near(gradInput:view(41), get "gradInput", tolerance, "gradient")
        local bytes = {}
        bits.pack(bytes, codes:totable(), width)
        assert.same(get("packed"):totable(), bytes)
        assert.same(codes:totable(), bits.unpack(bytes, 1, 41, width))
        compare.identical(codesOf { tensor = get("edge/x"):type(dtype), bits = width }, get "edge/code", "ties")
      end
    end)

    for _, case in ipairs { { 3, 0.9 }, { 1, 1 }, { 6, 0.5 }, { 4, 0 } } do
      it(("distillation at T %d, beta %g"):format(case[1], case[2]), function()
        local file, key = load "distillation", ("T%g_beta%g/"):format(case[1], case[2])
        local criterion = dn.nn.DistillationCriterion(case[1], case[2])
        local y = file["in/y"]:type(dtype)
        local target = { file["in/target"] + 1, file["in/teacher"]:type(dtype) }
        local loss = criterion:forward(y, target)
        local function near(got, name)
          assert.is_true(math.abs(got - file[key .. name]:item()) <= tolerance * file[key .. name]:item(), name)
        end
        near(loss, "loss")
        near(criterion.entropy, "ce")
        if case[2] > 0 then near(criterion.divergence, "kl") end
        compare.near(criterion:backward(y, target), file[key .. "g/y"], tolerance, "gradient")
      end)
    end

    it("projection: every loss of twelve steps, and the factors after", function()
      local file, about = load "projection"
      for _, case in ipairs { { "full", 32, 32, 32 }, { "3-6-3", 3, 6, 3 } } do
        local module = dn.nn.MLGConvolution(12, 16, 3, 3, 1, 1, 0, 0, 1, { baseIn = 2, baseOut = 5, basisBits = case[2],
          coeffInBits = case[3], coeffOutBits = case[4] }):noBias():type(dtype)
        module:loadStateDict(mlgGolden.part(file, case[1] .. "/p"))
        local losses = project.fit(module, file["in/target"]:type(dtype), tonumber(about.steps), false)
        compare.near(dn.tensor(losses, "double"), file[case[1] .. "/losses"], tolerance, "losses")
        for _, factor in ipairs(FACTORS) do
          compare.near(module[factor], file[("%s/after/%s"):format(case[1], factor)], tolerance, factor)
        end
      end
    end)
  end)

  describe("a network with generated weights in " .. dtype, function()
    for optMemory = 0, 5 do
      it("one step, optMemory " .. optMemory, function()
        local file, about = load "network"
        local ours = mlgGolden.trainingStep(file, about, dtype, optMemory, "cpu")
        mlgGolden.compare(ours, file, tolerance, { "^in/", "^p/" })
      end)
    end
  end)
end

describe("the start by singular values", function()
  it("has PyTorch's loss and weight", function()
    local file = load "projection"
    local target = file["in/target"]:double()
    local values = svdStart.factors(target:view(16, 12, 9), 2, 5)
    local weight = dn.empty(16, 12, 9, "double")
    core.mlg_generate(weight, values.basis, values.coeffIn, values.coeffOut, 32, 32, 32)
    compare.near(weight, file["svd/weight"]:view(16, 12, 9), 1e-10, "weight")
  end)

  it("gives a module that weight, by way of tanh, too", function()
    local file = load "projection"
    for _, width in ipairs { 32, 16 } do
      local module = dn.nn.MLGConvolution(12, 16, 3, 3, 1, 1, 0, 0, 1, { baseIn = 2, baseOut = 5, basisBits = width,
        coeffInBits = width, coeffOutBits = width }):noBias():double()
      svdStart.start(module, file["in/target"])
      compare.near(module:generate().weight, file["svd/weight"], width == 32 and 1e-12 or 1e-3, "weight")
    end
  end)
end)
