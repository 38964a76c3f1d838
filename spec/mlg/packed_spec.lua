-- Packed and dense files: the trained weights bit for bit for every number of bits, sizes as they are counted, and
-- damaged files refused.

local dn = require "densenet"
local core = require "densenet.core"
local compare = require "spec.support.compare"
local json = require "densenet.io.json"
local temporary = require "spec.support.temporary"
local bits = require "densenet.mlg.bits"

local CONFIG = { blocks = { 2, 2 }, growthRate = 8, inputChannels = 3, nClasses = 5, optMemory = 4 }

local function network(settings, optMemory)
  local config = { mlg = settings }
  for name, value in pairs(CONFIG) do config[name] = value end
  config.optMemory = optMemory or 4
  return dn.models.densenet(config)
end

-- One that a step has moved, its norms' statistics included.
local function trained(settings)
  dn.manualSeed(9)
  local model, x = network(settings), dn.randn(4, 3, 8, 8)
  local criterion, target = dn.nn.CrossEntropyCriterion(), dn.tensor({ 1, 2, 3, 4 }, "long")
  local optimizer = dn.optim.RAdam(model, { learningRate = 0.05 })
  for _ = 1, 2 do
    model:zeroGradParameters()
    criterion:forward(model:forward(x), target)
    model:backward(x, criterion:backward(model.output, target))
    optimizer:step()
  end
  return model:evaluate(), x
end

local function weightsOf(model)
  model:evaluate():forward(dn.zeros(1, 3, 8, 8))
  local weights = {}
  require("densenet.mlg.tree").walk(model, function(module, path)
    if module.factorBits then weights[path .. "weight"] = module.weight end
  end)
  return weights
end

describe("codes as bytes", function()
  for width = 2, 16 do
    it(("of %d bits come back"):format(width), function()
      for _, n in ipairs { 1, 7, 8, 41 } do
        local codes, bytes = {}, { 77 }
        for i = 1, n do codes[i] = (i * 40503 + i * i) & ((1 << width) - 1) end
        bits.pack(bytes, codes, width)
        assert.equal(1 + bits.size(n, width), #bytes)
        assert.equal((n * width + 7) // 8, bits.size(n, width))
        assert.same(codes, bits.unpack(bytes, 2, n, width))
      end
    end)
  end

  it("refuse bits behind the last one", function()
    assert.is_nil(bits.unpack({ 255 }, 1, 1, 4))
    assert.same({ 15 }, bits.unpack({ 15 }, 1, 1, 4))
  end)
end)

describe("a packed network", function()
  for _, q in ipairs { 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16 } do
    it(("of %d bits has the trained weights, bit for bit"):format(q), function()
      local model = trained { basisBits = q, coeffInBits = q, coeffOutBits = q, plainBits = q, rule = "published" }
      local weights, nWeights = weightsOf(model), 0
      local state = assert(dn.mlg.unpack(dn.mlg.pack(model)))
      for name, weight in pairs(weights) do
        compare.identical(state[name], weight, name)
        nWeights = nWeights + 1
      end
      assert.equal(11, nWeights)
    end)
  end

  it("is an ordinary network with the same outputs, from its file and from the dense one", function()
    local directory = temporary.directory()
    local path = directory .. "/a"
    local model, x = trained { basisBits = 32, coeffInBits = 5 }
    local folded = model:forward(x):clone()
    model.keepsOutputs = true -- nothing is folded: the same products
    local output = model:forward(x):clone()
    compare.near(output, folded, 1e-5, "folded")
    assert(dn.mlg.save(path, model, { format = "pt" }))
    local tensors, metadata = assert(dn.safetensors.load(path))
    assert.equal("pt", metadata.format)
    local state = assert(dn.mlg.unpack(tensors, metadata))
    for _, each in ipairs { state, dn.mlg.dense(model) } do
      for optMemory = 0, 5 do
        local ordinary = network(nil, optMemory)
        ordinary:loadStateDict(each)
        ordinary:evaluate().keepsOutputs = true
        if optMemory == 4 then
          compare.identical(ordinary:evaluate():forward(x), output, "outputs")
        else
          compare.near(ordinary:evaluate():forward(x), output, 1e-5, "outputs")
        end
      end
    end
    temporary.remove(directory)
  end)

  it("is loaded as an ordinary network by models.load", function()
    local directory = temporary.directory()
    local path = directory .. "/a"
    local model, x = trained {}
    assert(dn.mlg.save(path, model))
    local loaded = assert(dn.models.load(path))
    assert.is_nil(loaded.config.mlg)
    compare.near(loaded:forward(x), model:forward(x), 1e-5, "outputs")
    loaded.keepsOutputs, model.keepsOutputs = true, true -- nothing is folded: the same products
    compare.identical(loaded:forward(x), model:forward(x), "outputs")
    local tensors, metadata = assert(dn.safetensors.load(path))
    tensors["mlg.scale"] = dn.tensor { 1 }
    assert(dn.safetensors.save(path, tensors, metadata))
    local made, message, code = dn.models.load(path)
    assert.is_nil(made)
    assert.equal("format", code)
    assert.matches(path .. ": mlg.packed of U8 and mlg.scale of F32 with ", message, 1, true)
    temporary.remove(directory)
  end)

  it("with its trained factors, not packed, is loaded as it is", function()
    local directory = temporary.directory()
    local path = directory .. "/a"
    local model, x = trained {}
    local output = model:forward(x):clone()
    assert(dn.safetensors.save(path, model:stateDict(), { network = json.encode(model.config) }))
    local loaded = assert(dn.models.load(path))
    assert.equal(0.5, loaded.config.mlg.ratio)
    compare.identical(loaded:forward(x), output, "outputs")
    temporary.remove(directory)
  end)

  it("has the gradients of images of its dense export, where nothing is quantised", function()
    dn.manualSeed(10)
    local config = { basisBits = 32, coeffInBits = 32, coeffOutBits = 32, plainBits = 32, rule = "published" }
    local model, x, dy = network(config):double(), dn.randn(3, 3, 8, 8, "double"), dn.randn(3, 5, "double")
    local ordinary = network():double()
    ordinary:loadStateDict(dn.mlg.dense(model))
    compare.near(model:forward(x), ordinary:forward(x), 1e-13, "outputs")
    compare.near(model:backward(x, dy), ordinary:backward(x, dy), 1e-12, "gradInput")
  end)

  it("is as large as is counted, but for its names", function()
    local directory = temporary.directory()
    local path = directory .. "/a"
    local model = trained {}
    assert(dn.mlg.save(path, model))
    local size, file = dn.mlg.size(model), core.file_read(path)
    local header = ("<i8"):unpack(file)
    assert.equal(size.contentBytes, #file - 8 - header)
    local nScales, nStatistics = size.generated * 3 + size.quantized, 0
    for name, tensor in pairs(model:stateDict()) do
      if name:find "running_" then nStatistics = nStatistics + tensor:nElement() end
    end
    -- The paper's number, scales, statistics, and less than a byte a factor.
    local content = size.bits / 8 + 4 * nStatistics
    assert.is_true(size.contentBytes >= content and size.contentBytes <= content + 5 * nScales)
    temporary.remove(directory)
  end)

  it("is refused where there is nothing to pack", function()
    assert.error_matches(function() dn.mlg.save("x", network()) end, "no generated or quantised weight")
  end)

  describe("that is damaged", function()
    -- What unpack says of a file that `change` has changed: the list of factors, bytes and scales.
    local function complaint(change)
      local tensors, metadata = dn.mlg.pack(trained {})
      local file = { list = json.decode(metadata.mlg), bytes = tensors["mlg.packed"]:totable(),
        scales = tensors["mlg.scale"]:totable(), tensors = tensors }
      change(file)
      tensors["mlg.packed"] = file.packed or dn.tensor(file.bytes, "byte")
      tensors["mlg.scale"] = dn.tensor(file.scales)
      return select(2, dn.mlg.unpack(tensors, { mlg = file.text or json.encode(file.list) }))
    end

    for _, case in ipairs {
      { "bytes too few", function(f) f.bytes[#f.bytes] = nil end, "bytes expected, %d+ are left" },
      { "bytes too many", function(f) f.bytes[#f.bytes + 1] = 0 end, "1 bytes behind the last factor" },
      { "a number of bits", function(f) f.list[1][2] = 17 end, "bits: expected 2 to 16, got 17" },
      { "no list", function(f) f.text = "3" end, "metadata mlg: a list expected" },
      { "no JSON", function(f) f.text = "[" end, "metadata mlg: " },
      { "a scale that is NaN", function(f) f.scales[2] = 0 / 0 end, "its scale is %-?nan; expected a finite number" },
      { "a scale below 0", function(f) f.scales[1] = -1 end, "its scale is %-1.0; expected a finite number" },
      { "scales too few", function(f) f.scales[#f.scales] = nil end, "mlg.scale of F32 with %d+ elements expected" },
      { "a shape", function(f) f.list[1][3] = { 2, -3 } end, "its shape is none" },
      { "a huge shape", function(f) f.list[1][3] = { 1 << 30, 1 << 30 } end, "its shape is none" },
      { "a weight that is larger than the file says", function(f)
        f.list = { { "a.basis", 2, { 1, 1 << 14 } }, { "a.coeffOut", 2, { 1 << 15, 1 } } }
        f.bytes, f.scales = {}, { 1, 1 }
        for i = 1, (1 << 12) + (1 << 13) do f.bytes[i] = 0 end
      end, "a.weight is too large" },
      { "a name", function(f) f.list[1][1] = "a.bias" end, "entry 1 names no factor" },
      { "a name twice", function(f) f.list[2] = f.list[1] end, "is there twice" },
      { "an entry", function(f) f.list[1] = 3 end, "entry 1 names no factor" },
      { "factors that do not fit", function(f)
        for _, entry in ipairs(f.list) do
          if entry[1]:find "conv0.coeffOut$" then entry[3] = { entry[3][2], entry[3][1] } end
        end
      end, "features.conv0.coeffOut does not fit features.conv0.basis" },
      { "a basis missing", function(f)
        for _, entry in ipairs(f.list) do entry[1] = entry[1]:gsub("conv0%.basis", "other.basis") end
      end, "basis is missing, or of no shape" },
      { "the packed tensor's dtype", function(f) f.packed = dn.zeros(5) end, "mlg.packed of U8" },
    } do
      it("is refused: " .. case[1], function() assert.matches(case[3], complaint(case[2])) end)
    end

    it("is refused: bits behind the last code", function()
      local tensors, metadata = dn.mlg.pack(dn.nn.MLGLinear(3, 1, false, { basisBits = 3 }))
      assert.equal(2, tensors["mlg.packed"]:nElement()) -- 9 bits
      assert(dn.mlg.unpack(tensors, metadata))
      tensors["mlg.packed"][2] = tensors["mlg.packed"]:at(2) + 2
      local _, wrong = dn.mlg.unpack(tensors, metadata)
      assert.matches("weight: bits behind its last code are not 0", wrong, 1, true)
    end)
  end)
end)
