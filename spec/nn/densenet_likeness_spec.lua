-- What a state is of, from its names and shapes.
local dn = require "densenet"
local likeness = require "densenet.models.densenet_likeness"

local function of(options)
  options.optMemory = options.optMemory or 0
  return likeness(dn.models.densenet(options):stateDict())
end

describe("likeness", function()
  it("knows published networks by name", function()
    assert.equal("bc-100-12 (3 input channels, 10 classes)",
      of { depth = 100, growthRate = 12, bottleneck = true, reduction = 0.5 })
    assert.equal("40-12 (1 input channel, 100 classes)",
      of { depth = 40, growthRate = 12, bottleneck = false, reduction = 1, initChannels = 16, inputChannels = 1,
        nClasses = 100 })
    assert.equal("densenet121 (3 input channels, 2 classes)",
      likeness(dn.models.preset("densenet121", { nClasses = 2 }):stateDict()))
  end)

  it("describes others by their growth rate and blocks", function()
    assert.equal("DenseNet-BC, growth rate 12, 3 blocks of 6 (3 input channels, 10 classes)",
      of { blocks = { 6, 6, 6 }, growthRate = 12, bottleneck = true, reduction = 0.5 })
    assert.equal("DenseNet, growth rate 2, blocks of 1, 3 (3 input channels, 1 class)",
      of { blocks = { 1, 3 }, growthRate = 2, bottleneck = false, nClasses = 1 })
    assert.equal("DenseNet-BC, growth rate 2, 1 block of 2 (3 input channels, 10 classes)",
      of { blocks = { 2 }, growthRate = 2, bottleneck = true })
    -- The preset's blocks and growth rate, but another compression.
    assert.equal("DenseNet, growth rate 12, 3 blocks of 12 (3 input channels, 10 classes)",
      of { depth = 40, growthRate = 12, bottleneck = false, reduction = 0.5 })
  end)

  it("is the same in every memory mode, with a prefix, old names, or no classifier", function()
    local state = dn.models.densenet { blocks = { 1, 2 }, growthRate = 2, bottleneck = true }:stateDict()
    local old = {}
    for name, tensor in pairs(state) do
      if not name:find("classifier") then
        old["module." .. name:gsub("(denselayer%d+%.%a+)([12])%.", "%1.%2.")] = tensor
      end
    end
    assert.equal("DenseNet-BC, growth rate 2, blocks of 1, 2 (3 input channels, 10 classes)", likeness(state))
    assert.equal("DenseNet-BC, growth rate 2, blocks of 1, 2 (3 input channels)", likeness(old))
  end)

  it("tells an optimizer's state, which has no running statistics", function()
    local model = dn.models.densenet { blocks = { 1, 2 }, growthRate = 2, bottleneck = true }
    assert.equal("an optimizer of DenseNet-BC, growth rate 2, blocks of 1, 2 (3 input channels, 10 classes)",
      likeness(model:gradDict()))
  end)

  it("knows nothing of others", function()
    local weight = dn.zeros(2, 2, 3, 3)
    for _, state in ipairs {
      {}, { [1] = weight, x = 3 }, { ["layer1.0.conv1.weight"] = weight },
      { ["features.conv0.weight"] = weight, ["denseblock2.denselayer1.conv1.weight"] = weight },
      { ["features.conv0.weight"] = weight, ["denseblock1.denselayer99999999999999999999.conv1.weight"] = weight },
      { ["features.conv0.weight"] = weight, ["denseblock1.denselayer1.conv1.weight"] = dn.zeros(2) },
    } do
      assert.is_nil(likeness(state))
    end
  end)
end)
