-- The accounting: the paper's Table 2 to its four digits, and figures of DenseNet-BC worked out by hand.

local dn = require "densenet"
local shadow = require "densenet.nn.plan.shadow"
local nn = dn.nn

-- ResNet-18 for 32x32 images; only its layers, in any order, are counted.
local function resnet18(nClasses)
  local net = nn.Sequential()
  local function conv(nIn, nOut, kernel)
    net:add(nn.SpatialConvolution(nIn, nOut, kernel, kernel):noBias()):add(nn.SpatialBatchNormalization(nOut))
  end
  conv(3, 64, 3)
  local nIn = 64
  for stage, nOut in ipairs { 64, 128, 256, 512 } do
    for block = 1, 2 do
      conv(nIn, nOut, 3)
      conv(nOut, nOut, 3)
      if block == 1 and stage > 1 then conv(nIn, nOut, 1) end
      nIn = nOut
    end
  end
  return net:add(nn.Linear(512, nClasses, false))
end

-- As efficient_densenet_pytorch has it with small_inputs.
local function densenet121(nClasses)
  return dn.models.densenet { blocks = { 6, 12, 24, 16 }, growthRate = 32, stem = "cifar", initChannels = 64,
    nClasses = nClasses }
end

local function sizeOf(build, nClasses, baseIn, baseOut, bits)
  return dn.mlg.size((shadow.build(function()
    return (dn.mlg.convert(build(nClasses), { baseIn = baseIn, baseOut = baseOut, basisBits = bits[1],
      coeffInBits = bits[2], coeffOutBits = bits[3], plainBits = bits[1] == 32 and 32 or 8, rule = "published" }))
  end)))
end

describe("the paper's Table 2", function()
  for _, row in ipairs {
    { "ResNet-18", resnet18, 10, 2, 44, { 32, 32, 32 }, 11173952, 555520, "0.0497", "0.0497" },
    { "ResNet-18", resnet18, 10, 2, 44, { 8, 8, 8 }, nil, nil, "0.0497", "0.0131" },
    { "ResNet-18", resnet18, 10, 2, 44, { 3, 6, 3 }, nil, nil, "0.0497", "0.0080" },
    { "ResNet-18", resnet18, 100, 2, 44, { 32, 32, 32 }, nil, nil, "0.0536", "0.0536" },
    { "ResNet-18", resnet18, 100, 2, 44, { 8, 8, 8 }, nil, nil, "0.0536", "0.0140" },
    { "ResNet-18", resnet18, 100, 2, 44, { 3, 6, 3 }, nil, nil, "0.0536", "0.0090" },
    { "DenseNet-121", densenet121, 10, 1, 25, { 32, 32, 32 }, 6956298, 1381520, "0.1986", "0.1986" },
    { "DenseNet-121", densenet121, 10, 1, 25, { 8, 8, 8 }, 6956298, 1381520, "0.1986", "0.0587" },
    { "DenseNet-121", densenet121, 10, 1, 25, { 4, 6, 6 }, 6956298, 1381520, "0.1986", "0.0395" },
    { "DenseNet-121", densenet121, 100, 1, 25, { 32, 32, 32 }, 7048548, 1473770, "0.2091", "0.2091" },
    { "DenseNet-121", densenet121, 100, 1, 25, { 8, 8, 8 }, 7048548, 1473770, "0.2091", "0.0612" },
    { "DenseNet-121", densenet121, 100, 1, 25, { 4, 6, 6 }, 7048548, 1473770, "0.2091", "0.0422" },
  } do
    local name, build, nClasses, baseIn, baseOut, bits, reference, parameters = table.unpack(row)
    it(("%s, %d classes, %d-%d-%s"):format(name, nClasses, baseIn, baseOut, table.concat(bits, "-")), function()
      local size = sizeOf(build, nClasses, baseIn, baseOut, bits)
      if reference then assert.equal(reference, size.referenceParameters) end
      if parameters then assert.equal(parameters, size.parameters) end
      assert.equal(row[9], ("%.4f"):format(size.parameterRatio))
      assert.equal(row[10], ("%.4f"):format(size.bitRatio))
    end)
  end
end)

describe("DenseNet-BC, growth rate 12", function()
  for _, case in ipairs {
    { 40, {}, "59.8", "0.087", 39 }, { 100, {}, "276.5", "0.092", 99 }, { 22, {}, "22.4", "0.081", 21 },
    { 22, { baseIn = 0, ratio = 0, plainBits = 4 }, "41.6", "0.150", 0 },
    { 22, { baseOut = 44, basisBits = 3, coeffOutBits = 3 }, "35.0", "0.126", 13 },
    { 22, { baseIn = 4 }, "26.7", "0.096", 21 },
    { 22, { baseIn = 1, baseOut = 25, coeffOutBits = 6 }, "28.0", "0.101", 19 },
    { 22, { ratio = 0.25 }, "15.4", "0.055", 21 },
    { 22, { basisBits = 32, coeffInBits = 32, coeffOutBits = 32, rule = "published" }, nil, "0.394", 21 },
    { 22, { basisBits = 8, coeffInBits = 8, coeffOutBits = 8, rule = "published" }, nil, "0.121", 21 },
  } do
    it(("depth %d, %s"):format(case[1], dn.mlg.settings.text(assert(dn.mlg.settings.complete(case[2])))), function()
      local size = dn.mlg.size(dn.models.withoutMemory { depth = case[1], inputChannels = 1, mlg = case[2] })
      if case[3] then assert.equal(case[3], ("%.1f"):format(size.bits / 8192)) end
      assert.equal(case[4], ("%.3f"):format(size.bitRatio))
      assert.equal(case[5], size.generated)
    end)
  end
end)

it("an ordinary network is its own reference", function()
  local size = dn.mlg.size(nn.Linear(3, 2))
  assert.equal(8, size.parameters)
  assert.equal(256, size.bits)
  assert.equal(1, size.bitRatio)
end)
