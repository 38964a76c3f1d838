-- nn.MLGConvolution and nn.MLGLinear: which levels they have, when their weight is made and their gradients pulled, and
-- that everything which reads a convolution's weight need not know.

local dn = require "densenet"
local core = require "densenet.core"
local compare = require "spec.support.compare"
local finiteDifference = require "spec.support.finite_difference"
local generatedWeight = require "densenet.nn.generated_weight"
local nn = dn.nn

local function conv(factors, nInputs, nOutputs)
  return nn.MLGConvolution(nInputs or 12, nOutputs or 16, 3, 3, 1, 1, 1, 1, 1, factors):noBias()
end

local QUANTIZED = { baseIn = 2, baseOut = 5, basisBits = 4, coeffInBits = 6, coeffOutBits = 3 }

-- How often weights are made while action() runs.
local function generations(action)
  local n, original = 0, core.mlg_generate
  core.mlg_generate = function(...)
    n = n + 1
    return original(...)
  end
  local ok, message = pcall(action)
  core.mlg_generate = original
  if not ok then error(message, 0) end
  return n
end

describe("levels", function()
  -- 12 inputs, 9 taps, 16 outputs: level 1 below 9, level 2 below 16.
  for _, case in ipairs {
    { 0, 0 }, { 1, 0, "coeffIn" }, { 8, 0, "coeffIn" }, { 9, 0 }, { 10, 0 }, { 0, 1, nil, "coeffOut" },
    { 0, 15, nil, "coeffOut" }, { 0, 16 }, { 0, 17 }, { 8, 15, "coeffIn", "coeffOut" }, { 1000000, 1000000 },
  } do
    it(("of baseIn %d and baseOut %d"):format(case[1], case[2]), function()
      local module = conv { baseIn = case[1], baseOut = case[2] }
      assert.equal(case[3] == "coeffIn", module.coeffIn ~= nil)
      assert.equal(case[4] == "coeffOut", module.coeffOut ~= nil)
      local nKernels = case[4] and case[2] or 16
      assert.same({ nKernels, case[3] and case[1] or 12, 3, 3 }, module.basis:size())
      assert.same({ 2, 16, 5, 5 }, module:forward(dn.randn(2, 12, 5, 5)):size())
    end)
  end

  it("of a 1x1 convolution and of a linear layer are the second alone", function()
    assert.is_nil(nn.MLGConvolution(8, 8, 1, 1, 1, 1, 0, 0, 1, { baseIn = 1, baseOut = 4 }).coeffIn)
    local linear = nn.MLGLinear(8, 6, true, { baseIn = 1, baseOut = 5 })
    assert.is_nil(linear.coeffIn)
    assert.same({ 5, 8 }, linear.basis:size())
    assert.same({ 6, 5 }, linear.coeffOut:size())
    assert.is_nil(nn.MLGLinear(8, 6, true, { baseOut = 6 }).coeffOut)
  end)
end)

describe("a module with a generated weight", function()
  before_each(function() dn.manualSeed(3) end)

  it("says what it is, and names its parameters", function()
    local module = nn.MLGConvolution(12, 16, 3, 3, 1, 1, 1, 1, 1, QUANTIZED)
    assert.equal("nn.MLGConvolution(12 -> 16, 3x3, 1,1, 1,1; 2 of 12 in, 5 of 16 out, 4-6-3 bits)", tostring(module))
    assert.equal("nn.MLGLinear(4 -> 3; 8 bits)", tostring(nn.MLGLinear(4, 3, true, { basisBits = 8 })))
    local names = {}
    for name in pairs(module:stateDict()) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "basis", "bias", "coeffIn", "coeffOut" }, names)
    assert.equal(5 * 2 * 9 + 5 * 12 * 2 + 16 * 5 + 16, module:parameterCount())
  end)

  it("makes its weight in training each time, in evaluation once", function()
    local module, x = conv(QUANTIZED), dn.randn(1, 12, 5, 5)
    assert.equal(2, generations(function() module:forward(x) module:forward(x) end))
    module:evaluate()
    assert.equal(1, generations(function() module:forward(x) module:forward(x) end))
  end)

  it("makes it anew in evaluation after a step, a state, a conversion", function()
    local module, x = conv(QUANTIZED):evaluate(), dn.randn(1, 12, 5, 5)
    module:forward(x)
    local function isAnew(change)
      change()
      local input = x:type(module:type())
      local output = module:forward(input):clone()
      module:generate()
      compare.identical(output, module:forward(input), "output")
      return output
    end
    local sgd = dn.optim.SGD(module, { learningRate = 0.5 })
    local before = module.output:clone()
    local after = isAnew(function()
      module:backward(x, dn.randn(1, 16, 5, 5))
      sgd:step()
    end)
    assert.is_true((before - after):norm() > 0.01)
    isAnew(function() module:loadStateDict(conv(QUANTIZED):stateDict()) end)
    isAnew(function() module:double() end)
    isAnew(function()
      module:zeroGradParameters()
      module:backward(x:double(), dn.randn(1, 16, 5, 5, "double"))
      module:updateParameters(0.1)
    end)
    isAnew(function() module:reset() end)
  end)

  it("pulls its gradients once, and drops them", function()
    local module, x, dy = conv(QUANTIZED), dn.randn(2, 12, 5, 5), dn.randn(2, 16, 5, 5)
    module:forward(x)
    module:backward(x, dy)
    assert.is_true(module.gradWeight:norm() > 0)
    assert.equal(0, module.gradBasis:norm())
    module:pull()
    local first = module.gradBasis:clone()
    assert.is_true(first:norm() > 0)
    module:pull()
    compare.identical(module.gradBasis, first, "gradient")
    module:backward(x, dy)
    module:zeroGradParameters()
    assert.equal(0, module.gradWeight:norm() + module.gradBasis:norm())
  end)

  it("pulls a sum of two shares as it pulls the whole batch: as replicas do", function()
    local whole = conv({ baseIn = 2, baseOut = 5, basisBits = 4, coeffInBits = 6, coeffOutBits = 3 }):double()
    local x, dy = dn.randn(6, 12, 5, 5, "double"), dn.randn(6, 16, 5, 5, "double"):mul(3)
    local shares = { whole:clone(), whole:clone() }
    whole:forward(x)
    whole:backward(x, dy)
    for i, share in ipairs(shares) do
      local first = i == 1 and 1 or 3
      local images, gradient = x:narrow(1, first, 2 * i), dy:narrow(1, first, 2 * i)
      share:forward(images)
      share:backward(images, gradient)
    end
    local sums = {}
    for i, share in ipairs(shares) do sums[i] = generatedWeight.reducible(share, {}) end
    for i, tensor in ipairs(sums[1]) do core.add_scaled(tensor, tensor, sums[2][i], 1) end
    whole:pull()
    shares[1]:pull()
    for _, field in ipairs { "gradBasis", "gradCoeffIn", "gradCoeffOut" } do
      compare.near(shares[1][field], whole[field], 1e-13, field)
    end
    -- The limit acts on the sum: each share for itself would give another gradient.
    local apart = shares[2]:pull().gradCoeffOut
    assert.is_true((apart - whole.gradCoeffOut):norm() > 1e-3 * whole.gradCoeffOut:norm())
  end)

  it("lists what replicas add up: gradWeight in place of the factors' gradients", function()
    local network = nn.Sequential():add(nn.MLGConvolution(4, 6, 3, 3, 1, 1, 0, 0, 1, { baseIn = 2 }))
      :add(nn.SpatialBatchNormalization(6)):add(nn.SpatialConvolution(6, 2, 1, 1))
    local list = generatedWeight.reducible(network, require("densenet.nn.trained").of(network))
    local first, norm, last = network:get(1), network:get(2), network:get(3)
    assert.same({ first.gradWeight }, generatedWeight.weightGradients(network))
    assert.same({ first.gradWeight, first.gradBias, norm.gradWeight, norm.gradBias, last.gradWeight, last.gradBias },
      list)
  end)

  it("of zeros is a weight of zeros, through which gradients go", function()
    local module = conv { basisBits = 4 }
    module.basis:fill(0)
    module:forward(dn.randn(1, 12, 3, 3))
    assert.equal(0, module.weight:norm())
    module:backward(dn.randn(1, 12, 3, 3), dn.randn(1, 16, 3, 3))
    local gradient = module.gradWeight:clone()
    compare.identical(module:pull().gradBasis, gradient, "gradient")
  end)

  it("with a NaN in a factor shows it in its output", function()
    for _, field in ipairs { "basis", "coeffIn", "coeffOut" } do
      local module = conv(QUANTIZED)
      module[field]:view(module[field]:nElement())[7] = 0 / 0
      local output = module:forward(dn.randn(1, 12, 3, 3))
      local sum = output:sum()
      assert.is_true(sum ~= sum, field)
    end
  end)

  it("has the gradients of central differences where nothing is quantised", function()
    for _, factors in ipairs { { baseIn = 2, baseOut = 3 }, { baseOut = 3 }, { baseIn = 1 } } do
      local module = nn.MLGConvolution(4, 5, 3, 3, 1, 1, 1, 1, 1, factors):double()
      local x, dy = dn.randn(2, 4, 4, 3, "double"), dn.randn(2, 5, 4, 3, "double")
      module:forward(x)
      module:backward(x, dy)
      module:pull()
      local gradients, state = module:gradDict(), module:stateDict()
      for name, parameter in pairs(state) do
        local numerical = parameter:clone()
        local function loss() return (module:forward(x):clone():cmul(dy)):sum() end
        finiteDifference.gradient(loss, parameter, numerical)
        compare.near(gradients[name], numerical, compare.finite_difference, name)
      end
    end
  end)

  it("shows an overflow to a loss scale, and is clipped", function()
    local module = conv(QUANTIZED)
    local scale, x = dn.optim.LossScale(module), dn.randn(1, 12, 4, 4)
    module:forward(x)
    module:backward(x, dn.randn(1, 16, 4, 4))
    assert.is_true(scale:check())
    module:zeroGradParameters()
    module:forward(x)
    module:backward(x, dn.randn(1, 16, 4, 4))
    module.gradWeight[1][1][1][1] = math.huge
    assert.is_false(scale:check())
    module:zeroGradParameters()
    module:forward(x)
    module:backward(x, dn.randn(1, 16, 4, 4))
    assert.is_true(dn.optim.clipGradNorm(module, 0.01) > 0.01)
    assert.is_true(math.abs(module.gradBasis:norm() ^ 2 + module.gradCoeffIn:norm() ^ 2
      + module.gradCoeffOut:norm() ^ 2 - 1e-4) < 1e-6)
  end)

  it("is frozen and thawed as others are", function()
    local network = nn.Sequential():add(conv(QUANTIZED), "a"):add(conv(QUANTIZED, 16), "b")
    network:freeze "^a"
    assert.is_nil(network:get("a").gradBasis)
    local x, before = dn.randn(1, 12, 4, 4), network:get("a").basis:clone()
    network:forward(x)
    network:backward(x, dn.randn(1, 16, 4, 4))
    dn.optim.SGD(network, { learningRate = 0.1, weightDecay = 0.1 }):step()
    compare.identical(network:get("a").basis, before, "frozen factor")
    network:unfreeze "^a"
    network:forward(x)
    network:backward(x, dn.randn(1, 16, 4, 4))
    dn.mlg.pull(network)
    assert.is_true(network:get("a").gradBasis:norm() > 0)
  end)

  it("computes as its parts of one vector do", function()
    local module, x = conv(QUANTIZED), dn.randn(1, 12, 4, 4)
    local before = module:forward(x):clone()
    local vector, gradient = module:getParameters()
    compare.identical(module:forward(x), before, "output")
    module:backward(x, dn.randn(1, 16, 4, 4))
    module:pull()
    assert.is_true(gradient:norm() > 0)
    vector:mul(0.5)
    assert.is_true((module:forward(x) - before):norm() > 0)
    compare.identical(module:clone():forward(x), module:forward(x), "the copy's output")
  end)

  for _, wrong in ipairs {
    { { baseIn = -1 }, "baseIn: an integer of 0 or more expected, got %-1" },
    { { baseOut = 1.5 }, "baseOut: an integer of 0 or more expected, got 1.5" },
    { { basisBits = 1 }, "basisBits: 2 to 16, or 32 expected, got 1" },
    { { coeffInBits = 17 }, "coeffInBits: 2 to 16, or 32 expected, got 17" },
    { { baseOuts = 3 }, "there is no option 'baseOuts'; did you mean 'baseOut'" },
    { 3, "factors: a table expected, got 3" },
  } do
    it("refuses: " .. wrong[2], function()
      assert.error_matches(function() conv(wrong[1]) end, "bad argument #10 to 'nn.MLGConvolution' .*" .. wrong[2])
    end)
  end

  it("refuses levels beside groups, and quantises a grouped weight", function()
    assert.error_matches(function() nn.MLGConvolution(4, 4, 3, 3, 1, 1, 1, 1, 2, { baseIn = 1 }) end,
      "baseIn and baseOut of 0 expected with 2 groups, got 1 and 0")
    local module = nn.MLGConvolution(4, 4, 3, 3, 1, 1, 1, 1, 2, { basisBits = 8 })
    assert.same({ 4, 2, 3, 3 }, module.basis:size())
    module:forward(dn.randn(1, 4, 5, 5))
  end)
end)

describe("nn.DistillationCriterion", function()
  it("has the gradient of central differences", function()
    dn.manualSeed(5)
    local y, z = dn.randn(4, 6, "double"), dn.randn(4, 6, "double")
    local target, criterion = { dn.tensor({ 1, 6, 3, 3 }, "long"), z }, nn.DistillationCriterion(2.5, 0.7)
    criterion:forward(y, target)
    local gradient, numerical = criterion:backward(y, target):clone(), y:clone()
    finiteDifference.gradient(function() return criterion:forward(y, target) end, y, numerical)
    compare.near(gradient, numerical, compare.finite_difference, "gradient")
  end)

  it("takes scores in half, and a vector", function()
    dn.manualSeed(5)
    local y, z, criterion = dn.randn(4, 6), dn.randn(4, 6), nn.DistillationCriterion()
    local target = { dn.tensor({ 1, 6, 3, 3 }, "long"), z }
    local loss = criterion:forward(y, target)
    assert.is_true(math.abs(criterion:forward(y:half(), { target[1], z:half() }) - loss) < 1e-2 * loss)
    assert.equal("half", criterion:backward(y:half(), { target[1], z:half() }):dtype())
    assert.is_true(criterion:forward(y[1], { 2, z[1] }) > 0)
  end)

  it("compares labels by another criterion where one is given", function()
    dn.manualSeed(5)
    local y, target = dn.randn(4, 6, "double"), { dn.tensor({ 1, 6, 3, 3 }, "long"), dn.randn(4, 6, "double") }
    local smoothed = nn.CrossEntropyCriterion(nil, true, 0.3)
    local criterion = nn.DistillationCriterion(2, 0.25, smoothed)
    criterion:forward(y, target)
    assert.equal(nn.CrossEntropyCriterion(nil, true, 0.3):forward(y, target[1]), criterion.entropy)
    local gradient, numerical = criterion:backward(y, target):clone(), y:clone()
    finiteDifference.gradient(function() return criterion:forward(y, target) end, y, numerical)
    compare.near(gradient, numerical, compare.finite_difference, "gradient")
    assert.error_matches(function() nn.DistillationCriterion(2, 0.5, 3) end, "criterion: a criterion expected, got 3")
  end)

  it("refuses what it cannot be", function()
    assert.error_matches(function() nn.DistillationCriterion(0) end, "temperature: a number above 0 expected, got 0")
    assert.error_matches(function() nn.DistillationCriterion(3, 1.5) end,
      "beta: a number from 0 to 1 expected, got 1.5", 1, true)
    local criterion, y = nn.DistillationCriterion(), dn.randn(2, 3)
    assert.error_matches(function() criterion:forward(y, dn.tensor({ 1, 2 }, "long")) end,
      "{ labels, the teacher's scores } expected as target of nn.DistillationCriterion")
    assert.error_matches(function() criterion:forward(y, { dn.tensor({ 1, 2 }, "long"), dn.randn(2, 4) }) end,
      "the teacher's scores are 2x4; expected 2x3, as the input is")
  end)
end)
