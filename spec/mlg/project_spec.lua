-- From a trained network to one with generated weights: projection by every method, and running statistics.

local dn = require "densenet"
local compare = require "spec.support.compare"
local nn = dn.nn

local CONFIG = { blocks = { 2, 2 }, growthRate = 8, inputChannels = 2, nClasses = 4, optMemory = 4 }

local function network(settings)
  local config = { mlg = settings }
  for name, value in pairs(CONFIG) do config[name] = value end
  return dn.models.densenet(config)
end

-- A layer, and a weight of rank 4 and a little more.
local function layer(bits)
  local module = nn.MLGConvolution(12, 16, 3, 3, 1, 1, 1, 1, 1, { baseIn = 3, baseOut = 6, basisBits = bits,
    coeffInBits = bits, coeffOutBits = bits }):noBias()
  local weight = dn.randn(16, 4):mm(dn.randn(4, 108)):mul(0.05):add(dn.randn(16, 108):mul(0.01)):view(16, 12, 3, 3)
  return module, weight
end

local function distance(module, weight) return (module:generate().weight - weight):norm() / weight:norm() end

describe("dn.mlg.projectLayer", function()
  before_each(function() dn.manualSeed(6) end)

  it("comes near to a weight by every method, nearest by svd+train", function()
    for _, bits in ipairs { 4, 32 } do
      local module, weight = layer(bits)
      local left = {}
      for _, method in ipairs(dn.mlg.projectionMethods) do
        dn.manualSeed(7)
        local missed, whole = dn.mlg.projectLayer(module, weight, { method = method, steps = 60 })
        left[method] = distance(module, weight)
        assert.is_true(math.abs(missed / whole - left[method] ^ 2) < 1e-4 * left[method] ^ 2, method)
        assert.equal(0, module.gradBasis:norm() + module.gradWeight:norm())
      end
      assert.is_true(left["svd+train"] < left.svd or bits == 32 and left["svd+train"] <= left.svd * 1.0001)
      assert.is_true(left.svd < 0.8 and left.train < left.none)
    end
  end)

  it("keeps the best of its steps", function()
    local project = require "densenet.mlg.project"
    local module, weight = layer(3)
    dn.mlg.projectLayer(module, weight, { method = "svd" })
    local losses, least = project.fit(module, weight, 25)
    assert.equal(26, #losses)
    assert.equal(math.min(table.unpack(losses)), least)
    local now = (module:generate().weight - weight):norm() ^ 2 / weight:nElement()
    assert.is_true(math.abs(now - least) < 1e-5 * least)
  end)

  it("of zeros, and of a weight beyond 1, ends with finite factors", function()
    local module = layer(4)
    dn.mlg.projectLayer(module, dn.zeros(16, 12, 3, 3), { steps = 3 })
    assert.is_true(module:generate().weight:norm() < 1e-6)
    local plain = nn.MLGLinear(3, 2, true, { basisBits = 8 })
    dn.mlg.projectLayer(plain, dn.tensor { { 2, -3, 0.5 }, { 1, 0, -1 } }, { steps = 5 })
    local norm = plain:generate().weight:norm()
    assert.is_true(norm == norm and norm < 10)
  end)
end)

describe("dn.mlg.project", function()
  before_each(function() dn.manualSeed(6) end)

  it("copies what is not generated, and says how much is left", function()
    local teacher, student = network(), network {}
    for _, tensor in pairs(teacher:stateDict()) do tensor:add(dn.rand(table.unpack(tensor:size())):mul(0.1)) end
    local left = dn.mlg.project(student, teacher, { steps = 5 })
    assert.is_true(left > 0 and left < 1)
    local theirs, nCompared = teacher:stateDict(), 0
    for name, tensor in pairs(student:stateDict()) do
      if theirs[name] then
        compare.identical(tensor, theirs[name], name)
        nCompared = nCompared + 1
      end
    end
    assert.equal(10 * 4 + 1, nCompared) -- ten norms, and the classifier's bias
    assert.equal(left, (dn.mlg.project(student, teacher:stateDict(), { steps = 5 })))
  end)

  it("gives the teacher's outputs where nothing is generated and many bits are left", function()
    local teacher, student = network(), network { baseIn = 0, ratio = 0, plainBits = 16 }
    local x = dn.randn(2, 2, 8, 8)
    for name, tensor in pairs(teacher:stateDict()) do -- below 1, which tanh can say
      if name:find "conv" then tensor:mul(0.5) end
    end
    assert.is_true(dn.mlg.project(student, teacher, { method = "svd" }) < 1e-6)
    compare.near(student:evaluate():forward(x), teacher:evaluate():forward(x), 1e-3, "outputs")
  end)

  it("refuses another network, and changes nothing then", function()
    local student, other = network {}, dn.models.densenet { blocks = { 2, 2 }, growthRate = 6, inputChannels = 2 }
    local before = student:get("features"):get("conv0").basis:clone()
    assert.error_matches(function() dn.mlg.project(student, other) end,
      "mlg.project: the teacher has %S+ for %S+, which is %S+ here: it is another network")
    compare.identical(student:get("features"):get("conv0").basis, before, "basis")
    assert.error_matches(function() dn.mlg.project(student, network(), { method = "best" }) end,
      "method: svd%+train, train, svd, none expected, got 'best'")
    assert.error_matches(function() dn.mlg.project(student, network(), { step = 1 }) end, "there is no option 'step'")
    assert.error_matches(function() dn.mlg.project(student, 3) end, "a network or its state expected, got 3")
  end)
end)

describe("dn.mlg.recalibrate", function()
  it("takes plain averages of the batches' statistics, and leaves the rest as it was", function()
    dn.manualSeed(8)
    local norm = nn.SpatialBatchNormalization(2)
    local net = nn.Sequential():add(norm):evaluate()
    local inputs = { dn.randn(4, 2, 3, 3), dn.randn(4, 2, 3, 3):add(1), dn.randn(4, 2, 3, 3):mul(2) }
    assert.equal(3, dn.mlg.recalibrate(net, inputs))
    local mean, variance = 0, 0
    for _, input in ipairs(inputs) do
      local values = input:select(2, 1):clone():view(36)
      mean, variance = mean + values:mean() / 3, variance + values:var() / 3
    end
    assert.is_true(math.abs(norm.running_mean:at(1) - mean) < 1e-5)
    assert.is_true(math.abs(norm.running_var:at(1) - variance) < 1e-5)
    assert.equal(0.1, norm.momentum)
    assert.is_false(norm.train)
  end)

  it("works in fused stages, from a function", function()
    local student, n = network {}, 0
    local before = student:get("features"):get("norm5"):get(1).running_mean:clone()
    dn.mlg.recalibrate(student, function()
      n = n + 1
      return n <= 2 and dn.randn(2, 2, 8, 8) or nil
    end)
    assert.is_true((student:get("features"):get("norm5"):get(1).running_mean - before):norm() > 0)
    assert.error_matches(function() dn.mlg.recalibrate(student, 3) end, "inputs: a function expected, got 3")
    assert.error_matches(function() dn.mlg.recalibrate(nil, {}) end, "a module expected, got nil")
  end)
end)
