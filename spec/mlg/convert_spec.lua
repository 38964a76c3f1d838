-- dn.mlg.convert: which layers become what, in any module tree; penalty of a network; settings that are refused.

local dn = require "densenet"
local compare = require "spec.support.compare"
local nn = dn.nn

local function keysOf(state)
  local names = {}
  for name in pairs(state) do names[#names + 1] = name:gsub("%.%a+$", "") end
  table.sort(names)
  return table.concat(names, " ")
end

local function tree()
  return nn.Sequential():add(nn.SpatialConvolution(3, 12, 3, 3, 2, 1, 1, 0), "first")
    :add(nn.ConcatTable():add(nn.SpatialConvolution(12, 10, 1, 1):noBias())
      :add(nn.SpatialConvolution(12, 12, 3, 3, 1, 1, 1, 1, 4)), "two")
    :add(nn.SelectTable(1)):add(nn.GlobalAveragePooling()):add(nn.Linear(10, 4), "last")
end

describe("dn.mlg.convert", function()
  before_each(function() dn.manualSeed(2) end)

  it("replaces the layers of any tree, and keeps names, geometry, biases and mode", function()
    local model = tree():evaluate()
    local bias = model:get("first").bias:clone()
    local converted, counts = dn.mlg.convert(model, { plainBits = 8, rule = "published" })
    assert.equal(model, converted)
    assert.same({ generated = 2, quantized = 2, convolutions = 3 }, counts)
    local first = model:get("first")
    assert.equal("nn.MLGConvolution(3 -> 12, 3x3, 2,1, 1,0; 2 of 3 in, 6 of 12 out, 4-6-4 bits)", tostring(first))
    compare.identical(first.bias, bias, "bias")
    assert.is_false(first.train)
    local two = model:get("two")
    assert.equal("nn.MLGConvolution(12 -> 10, 1x1; 5 of 10 out, 4-4 bits) without bias", tostring(two:get(1)))
    assert.equal("nn.MLGConvolution(12 -> 12, 3x3, 1,1, 1,1, 4 groups; 8 bits)", tostring(two:get(2)))
    assert.equal("nn.MLGLinear(10 -> 4; 8 bits)", tostring(model:get("last")))
    assert.same({ 2, 4 }, model:forward(dn.randn(2, 3, 9, 8)):size())
  end)

  it("gives a quantised weight the one it had, rounded", function()
    local linear = nn.Linear(20, 10)
    local weight = linear.weight:clone()
    local new = dn.mlg.convert(linear, { plainBits = 8 })
    assert.equal("nn.MLGLinear", new.__typename)
    compare.near(new:generate().weight, weight, 2e-2, "weight")
    assert.equal(linear, (dn.mlg.convert(linear, { plainBits = 32 })))
    local double = dn.mlg.convert(nn.Linear(20, 10):double(), {})
    assert.equal("double", double.basis:dtype())
  end)

  it("keeps the names of a network, and its file's, in every memory mode", function()
    local config = { blocks = { 2, 2 }, growthRate = 8, inputChannels = 3, nClasses = 5 }
    for optMemory = 0, 5 do
      config.optMemory, config.mlg = optMemory, nil
      local ordinary = keysOf(dn.models.densenet(config):stateDict()):gsub("conv(%d?) ", "conv%1 ")
      config.mlg = {}
      local names, isSeen = {}, {}
      for name in keysOf(dn.models.densenet(config):stateDict()):gmatch "%S+" do isSeen[name] = true end
      for name in ordinary:gmatch "%S+" do
        names[#names + 1] = name
        assert.is_true(isSeen[name], name)
      end
      assert.is_true(#names > 20)
    end
  end)

  it("follows its rule: saving leaves a layer that would not get smaller", function()
    local function countOf(given)
      local _, counts = dn.mlg.convert(nn.SpatialConvolution(10, 10, 1, 1), given)
      return counts.generated
    end
    -- 8 kernels: 4·80 + 4·80 bits against 8·100 with 8 bits, 4·100 with 4.
    assert.equal(1, countOf { ratio = 0.8 })
    assert.equal(0, countOf { ratio = 0.8, plainBits = 4 })
    assert.equal(1, countOf { ratio = 0.8, plainBits = 4, rule = "published" })
    -- As many kernels as outputs: ordinary; the published program takes 9.
    assert.equal(0, countOf { baseOut = 10 })
    local published = dn.mlg.convert(nn.SpatialConvolution(10, 10, 1, 1), { baseOut = 25, rule = "published" })
    assert.equal(9, published.basis:size(1))
    assert.equal(0, countOf { baseIn = 0, ratio = 0, plainBits = 4 })
  end)

  it("refuses layers that it would break, by name", function()
    local model = tree()
    model:get("first").accGradParameters = function() end
    assert.error_matches(function() dn.mlg.convert(model) end,
      "first %(nn.SpatialConvolution%) has another accGradParameters than its class's")
    model = tree()
    model:freeze "^last"
    assert.error_matches(function() dn.mlg.convert(model) end, "last %(nn.Linear%) is frozen; convert first")
    local a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b:share(a, "weight", "gradWeight")
    model = nn.Sequential():add(a, "a"):add(b, "b")
    assert.error_matches(function() dn.mlg.convert(model) end, "a and b share their weight")
    assert.error_matches(function() dn.mlg.convert((dn.mlg.convert(nn.Linear(3, 3)))) end, "is an nn.MLGLinear already")
    assert.error_matches(function() dn.mlg.convert(3) end, "bad argument #1 to 'convert' .*a module expected, got 3")
  end)

  for _, wrong in ipairs {
    { { basisBits = 1 }, "basisBits must be 2 to 16, or 32, got 1" },
    { { plainBits = 20 }, "plainBits must be 2 to 16, or 32, got 20" },
    { { ratio = 1.5 }, "ratio must be a number from 0 to 1, got 1.5" },
    { { baseIn = -1 }, "baseIn must be an integer from 0 to 1000000, got -1" },
    { { baseOut = 4, ratio = 0.5 }, "baseOut 4 and ratio 0.5 say the same thing" },
    { { rule = "best" }, "rule must be saving or published, got best" },
    { { linear = 1 }, "linear must be true or false, got 1" },
    { { bits = 4 }, "there is no setting 'bits'; there are baseIn, baseOut" },
  } do
    it("refuses settings: " .. wrong[2], function()
      local pattern = wrong[2]:gsub("%p", "%%%0")
      assert.error_matches(function() dn.mlg.convert(nn.Linear(3, 3), wrong[1]) end, pattern)
      assert.error_matches(function() dn.models.densenet { depth = 10, mlg = wrong[1] } end, "mlg: " .. pattern)
    end)
  end
end)

describe("dn.mlg.penalty", function()
  it("is the sum over layers; its gradient is added times the weight; a frozen layer has none", function()
    dn.manualSeed(4)
    local a = nn.MLGConvolution(12, 16, 3, 3, 1, 1, 1, 1, 1, { baseIn = 2, baseOut = 5 })
    local b = nn.MLGLinear(12, 16, true, { baseOut = 5 })
    local network = nn.Sequential():add(a, "a"):add(b, "b")
    local each = dn.mlg.penalty(a, 0) + dn.mlg.penalty(b, 0)
    assert.equal(0, a.gradBasis:norm())
    assert.is_true(math.abs(dn.mlg.penalty(network, 1) - each) < 1e-5)
    local once = a.gradBasis:clone()
    dn.mlg.penalty(network, 0.5)
    compare.near(a.gradBasis, once * 1.5, 1e-6, "gradient")
    network:freeze "^a"
    assert.is_true(math.abs(dn.mlg.penalty(network, 1) - dn.mlg.penalty(b, 0)) < 1e-6)
    assert.equal(0, dn.mlg.penalty(nn.Linear(3, 3)))
    assert.equal(0, dn.mlg.penalty(nn.MLGLinear(3, 3, true, { basisBits = 4 })))
  end)
end)
