-- Torch7's files: golden ones, made from the format's description (spec/golden/make_t7.py), and our own.
local dn = require "densenet"
local core = require "densenet.core"
local sameTensors = require "spec.support.same_tensors"
local sorted = require "spec.support.sorted"
local temporary = require "spec.support.temporary"

local GOLDEN = "spec/golden/t7/"
local t7 = dn.io.t7

local function expectedFile() return assert(dn.safetensors.load(GOLDEN .. "expected.safetensors")) end

local facts = assert(dn.json.decode(temporary.read(GOLDEN .. "expected.json")))

describe("dn.io.t7.load", function()
  for name, longSize in sorted { tensors = 8, tensors_long4 = 4, tensors_noversion = 8, tensors_ascii = 8 } do
    it("reads tensors of every type and view: " .. name, function()
      local value, form = assert(t7.load(GOLDEN .. name .. ".t7"))
      assert.equal(longSize, form.longSize)
      assert.equal(name == "tensors_ascii", form.ascii)
      local count = 0
      for key, expected in pairs(expectedFile()) do
        local field = key:match("^tensors%.t7/(.*)")
        -- The file in ASCII was made with halves cut to whole numbers.
        if field and not (form.ascii and field:find "Half") then
          assert.is_nil(sameTensors(expected, value[field]), field)
          count = count + 1
        end
      end
      assert.equal(form.ascii and 18 or 20, count)
      assert.same({ 0 }, value.empty_no_storage:size())
      assert.same({ 0 }, value.empty_with_storage:size())
      assert.equal(core.storage_key(value.transposed), core.storage_key(value.same_storage))
    end)
  end

  it("reads tables with cycles, functions and unknown classes, and runs nothing", function()
    local value = assert(t7.load(GOLDEN .. "tables.t7"))
    assert.equal(value.a, value.b)
    assert.equal(1.5, value.a.x)
    assert.equal("text \0 with a zero byte", value.a.s)
    assert.same({ 1, 2, 3, true, false, "six" }, value.list)
    assert.equal(value.cycle, value.cycle.me)
    assert.equal("number key", value[7])
    assert.equal("fraction key", value[2.5])
    assert.equal("boolean key", value[true])
    assert.is_true(t7.isFunction(value.f) and t7.isFunction(value.f7) and value.f == value.f_again)
    assert.equal("a function, not loaded", tostring(value.f))
    assert.equal("my.SpecialLayer", value.unknown.__class)
    assert.equal(3, value.unknown.__version)
    assert.same({ 0, 1, 2, 3 }, value.unknown.weight:totable())
    assert.equal("still readable", value.after)
    assert.equal("deep", value.nested[1][1][1])
    local list = assert(t7.load(GOLDEN .. "function_type6.t7"))
    assert.is_true(t7.isFunction(list[1]))
    assert.equal("still readable", list[2])
  end)

  it("reads what training scripts of Torch7 leave: data sets, and states of optimizers", function()
    local directory = temporary.directory()
    local path = directory .. "/cifar10.t7"
    local images = core.tensor_new("cpu", "byte", { 2, 3, 32, 32 })
    core.fill(images, 7)
    assert(t7.save(path, { train = { data = images, labels = core.tensor_from("cpu", "byte", { 1, 10 }) } }))
    local set = assert(t7.load(path))
    assert.same({ 2, 3, 32, 32 }, set.train.data:size())
    assert.same({ 1, 10 }, set.train.labels:totable())
    assert(t7.save(path, { learningRate = 0.1, dfdx = core.tensor_from("cpu", "float", { 1, 2 }), evalCounter = 9 }))
    assert.equal(9, assert(t7.load(path)).evalCounter)
    temporary.remove(directory)
  end)

  it("leaves out fields that are not wanted, and takes no memory for them", function()
    local path = os.tmpname()
    local large = core.tensor_new("cpu", "float", { 100000 })
    core.fill(large, 1)
    local shared = core.tensor_from("cpu", "float", { 1, 2, 3, 4 })
    local list = { 1 }
    assert(t7.save(path, { a = { gradWeight = large, weight = shared:narrow(1, 2, 2), b = { gradWeight = { large } } },
      Z = { gradWeight = shared, kept = "x" }, z = list }))
    collectgarbage()
    core.memory_limit("cpu", core.memory("cpu").live + 1000)
    local value = assert(t7.load(path, { without = { gradWeight = true } }))
    assert.same({ 2, 3 }, value.a.weight:totable())
    assert.is_nil(value.a.gradWeight or value.a.b.gradWeight or value.Z.gradWeight)
    assert.equal("x", value.Z.kept)
    core.memory_limit("cpu", 0)
    -- What is left out cannot be wanted elsewhere, unless it is memory.
    assert(t7.save(path, { a = { gradWeight = list }, b = list }))
    local _, message, code = t7.load(path, { without = { gradWeight = true } })
    assert.equal("format", code)
    assert.is_truthy(message:find("was passed over, and is wanted", 1, true), message)
    os.remove(path)
  end)

  local wrong = {
    truncated_half = "where 152 bytes are left: cut short or damaged",
    truncated_int = "4 bytes expected at byte 0, 2 are left", empty = "got an empty file",
    text = "expected a Torch7 file (.t7), got an HTML page", bad_type = "unknown type code 9 at byte 0",
    huge_string = "a string of 2147483647 bytes at byte 8, where 3 bytes are left",
    negative_string = "a string of -5 bytes", huge_table = "a table's key that is none",
    deep = "values are nested more than 1000 deep",
    tensor_beyond_storage = "a tensor of size 2x3, strides 3,1 and offset 1 is not inside its storage of 4 elements",
    tensor_negative_stride = "a tensor of size 2 and stride -1", tensor_offset0 = "first element is number 0",
    tensor_overflow = "a tensor of size 4611686018427387904x4 is larger than the file",
    storage_huge = "a vector of 1099511627776 elements", storage_is_tensor = "object 1 is a part of itself",
  }
  for name, part in sorted(wrong) do
    it("refuses in a sentence: " .. name, function()
      assert.is_truthy(facts[name .. ".t7"].error)
      local value, message, code = t7.load(GOLDEN .. name .. ".t7")
      assert.is_nil(value)
      assert.equal("format", code)
      assert.is_truthy(message:find(GOLDEN .. name .. ".t7: ", 1, true), message)
      assert.is_truthy(message:find(part, 1, true), message)
    end)
  end

  it("says what of the file system or the caller is wrong", function()
    local value, _, code = t7.load "spec/golden/t7/none.t7"
    assert.is_nil(value)
    assert.equal("io", code)
    assert.error_matches(function() t7.load(3) end, "a string expected, got 3")
    assert.error_matches(function() t7.load("x", { longSize = 5 }) end, "longSize: 8 or 4 expected, got 5")
  end)
end)

describe("dn.io.t7.save", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  for _, ascii in ipairs { false, true } do
    it("writes what load gives back, with shared memory once: " .. (ascii and "ASCII" or "binary"), function()
      local path = directory .. "/value.t7"
      local whole = core.tensor_from("cpu", "float", { { 1, 2, 3 }, { 4, 5, 0.1 } })
      local list = { 1, "two", false, [2.5] = 0.125, inf = math.huge, nan = 0 / 0 }
      local value = { list = list, again = list, whole = whole, turned = whole:t(), row = whole:select(1, 2),
        other = core.tensor_from("cpu", "double", { 1 / 3 }), long = core.tensor_from("cpu", "long", { -1, 1 << 62 }),
        byte = core.tensor_from("cpu", "byte", { 0, 10, 255 }), half = core.tensor_from("cpu", "half", { 0.5 }),
        empty = core.tensor_new("cpu", "float", { 0 }), scalar = core.tensor_from("cpu", "float", 7),
        object = { __class = "my.Class", __version = 2, field = "x" } }
      value.me = value
      assert(t7.save(path, value, { ascii = ascii }))
      local loaded, form = assert(t7.load(path))
      assert.equal(ascii, form.ascii)
      assert.equal(loaded, loaded.me)
      assert.equal(loaded.list, loaded.again)
      assert.equal("two", loaded.list[2])
      assert.equal(0.125, loaded.list[2.5])
      assert.equal(math.huge, loaded.list.inf)
      assert.is_true(loaded.list.nan ~= loaded.list.nan)
      for _, name in ipairs { "whole", "turned", "row", "other", "long", "byte", "half", "empty" } do
        assert.is_nil(sameTensors(value[name], loaded[name]), name)
      end
      assert.same({ 7 }, loaded.scalar:totable())
      assert.equal(core.storage_key(loaded.whole), core.storage_key(loaded.turned))
      assert.equal(core.storage_key(loaded.whole), core.storage_key(loaded.row))
      assert.same({ __class = "my.Class", __version = 2, field = "x" }, loaded.object)
    end)
  end

  it("writes of a large storage only what tensors reach", function()
    local path = directory .. "/part.t7"
    local arena = core.tensor_new("cpu", "float", { 100000 })
    core.fill(arena, 1)
    assert(t7.save(path, { arena:narrow(1, 1, 3), arena:narrow(1, 99990, 4) }))
    assert.is_true(core.file_size(path) < 600)
    assert.same({ 1, 1, 1, 1 }, assert(t7.load(path))[2]:totable())
  end)

  it("writes the bytes of the format's description", function()
    local path = directory .. "/bytes.t7"
    assert(t7.save(path, { core.tensor_from("cpu", "float", { 1, 2 }) }))
    local function counted(text) return string.pack("<s4", text) end
    assert.equal(string.pack("<i4i4i4", 3, 1, 1) .. string.pack("<i4d", 1, 1.0) -- a table of one entry, its key
      .. string.pack("<i4i4", 4, 2) .. counted "V 1" .. counted "torch.FloatTensor"
      .. string.pack("<i4i8i8i8", 1, 2, 1, 1) -- dimensions, size, stride, offset
      .. string.pack("<i4i4", 4, 3) .. counted "V 1" .. counted "torch.FloatStorage" .. string.pack("<i8ff", 2, 1, 2),
      temporary.read(path))
    assert(t7.save(path, { "ab", true }, { ascii = true }))
    assert.equal("3\n1\n2\n1\n1\n2\n2\nab\n1\n2\n5\n1\n", temporary.read(path))
  end)

  it("refuses what the format cannot hold, and says where it stands", function()
    local path = directory .. "/no.t7"
    local function refuses(part, value)
      local isDone, message = pcall(t7.save, path, value)
      assert.is_false(isDone)
      assert.is_truthy(message:find(part, 1, true), message)
    end
    refuses('the value["a"]["f"] is a function', { a = { f = print } })
    refuses("is 9007199254740993, which a .t7 file cannot hold", { (1 << 53) + 1 })
    refuses('the value["t"] is of bfloat16', { t = core.tensor_new("cpu", "bfloat16", { 1 }) })
    local deep = {}
    for _ = 1, 1001 do deep = { deep } end
    refuses("nested more than 1000 deep", deep)
    local saved, _, code = t7.save("no/such/directory/x.t7", 1)
    assert.is_nil(saved)
    assert.equal("io", code)
  end)
end)

describe("a network of Torch7", function()
  for name, fact in sorted(facts) do
    if fact.logits then
      it("computes what it computed there: " .. name, function()
        local expected = expectedFile()
        local net = fact.logits:match "/(.*)"
        local input = expected[net == "imagenet" and "input/imagenet" or "input/cifar"]
        local model = assert(dn.models.load(GOLDEN .. name))
        assert.is_true((model:forward(input) - expected[fact.logits]):abs():max() < fact.tolerance)
        if not name:find "running_std" then -- those are computed, not read
          for key, tensor in pairs(model:stateDict()) do
            assert.is_nil(sameTensors(expected["weights/" .. net .. "/" .. key], tensor), key)
          end
        end
        local same = assert(dn.models.fromTorch7((assert(t7.load(GOLDEN .. name)))))
        assert.is_false(same.train)
        assert.equal(0, (same:forward(input) - model:forward(input)):abs():max())
      end)
    end
  end

  it("says what is no DenseNet, and where", function()
    for name, part in pairs { model_conv_bias = "has biases that are not 0",
      model_unknown_layer = "my.Squeeze at modules[2] is no layer of a DenseNet",
      model_no_classifier = "there is no classifier: it ends with a reshape (modules[13])",
      tables = "expected a network of Torch7" } do
      local model, message, code = dn.models.load(GOLDEN .. name .. ".t7")
      assert.is_nil(model)
      assert.equal("format", code)
      assert.is_truthy(message:find(part, 1, true), message)
    end
    local function refuses(part, value)
      local model, message, code = dn.models.fromTorch7(value)
      assert.is_nil(model)
      assert.equal("format", code)
      assert.is_truthy(message:find(part, 1, true), message)
    end
    local circle = { __class = "nn.Sequential" }
    circle.modules = { circle }
    refuses("nested more than 100 deep", circle)
    refuses("it has no list of modules", { __class = "nn.Sequential" })
    refuses("dropout of Torch7's first kind",
      { __class = "nn.Sequential", modules = { { __class = "nn.Dropout", p = 0.5 } } })
    refuses("its kH should be a number, got nil",
      { __class = "nn.Sequential", modules = { { __class = "nn.SpatialConvolution" } } })
    local wide = { __class = "nn.Sequential", modules = {} } -- 2^20 modules by way of 20
    for _ = 1, 20 do wide = { __class = "nn.Sequential", modules = { wide, wide } } end
    refuses("it has more than 10000 modules", wide)
  end)

  it("takes no memory for gradients beside it, and is read where something refers to what they are", function()
    local path = os.tmpname()
    local model = dn.models.densenet { depth = 22, growthRate = 12 }
    local count = 0
    local function addGradients(module)
      if module.weight then
        module.gradWeight, count = module.weight:clone(), count + module.weight:nElement()
      end
      for _, child in ipairs(module.modules or {}) do addGradients(child) end
      return module
    end
    assert(t7.save(path, addGradients(dn.models.toTorch7(model))))
    collectgarbage()
    local formats = require "densenet.models.formats"
    core.memory_limit("cpu", core.memory("cpu").live + 4 * model:parameterCount() + 2 * count)
    assert.is_truthy(assert(formats.read(path)).tensors["classifier.weight"])
    core.memory_limit("cpu", 0)
    local tree = dn.models.toTorch7(model)
    tree.output, tree.modules[1].modules[1].bias = { tree.modules[1].modules[1] }, nil -- a module seen there first
    tree.again = tree.output[1]
    assert(t7.save(path, tree))
    assert.is_truthy(assert(formats.read(path)).tensors["classifier.weight"])
    os.remove(path)
  end)

  it("is the one that a checkpoint names", function()
    local directory = temporary.directory()
    temporary.write(directory .. "/model_3.t7", temporary.read(GOLDEN .. "model_plain.t7"))
    assert(t7.save(directory .. "/latest.t7", { epoch = 3, modelFile = "checkpoints/model_3.t7",
      optimFile = "checkpoints/optimState_3.t7" }))
    local model = assert(dn.models.load(directory .. "/latest.t7"))
    assert.equal(directory .. "/model_3.t7", model.file)
    temporary.remove(directory)
  end)

  for mode = 0, 5 do
    it(("goes there and back with the same numbers (optMemory %d)"):format(mode), function()
      local path = os.tmpname()
      local model = dn.models.densenet { depth = 10, growthRate = 4, dropRate = 0.1, stem = "cifar", optMemory = mode,
        bottleneck = mode ~= 2 }
      for name, tensor in pairs(model:stateDict()) do
        if name:find "running" then tensor:uniform(0.5, 1.5) end
      end
      assert(t7.save(path, dn.models.toTorch7(model)))
      local again = assert(dn.models.load(path, { optMemory = mode }))
      local x = dn.randn(2, 3, 8, 8):float()
      assert.equal(0, (again:forward(x) - model:evaluate():forward(x)):abs():max())
      os.remove(path)
    end)
  end

  it("is written for other families too, of known modules", function()
    local tree = dn.models.toTorch7(dn.models.preresnet { depth = 8 })
    assert.equal("nn.Sequential", tree.__class)
    assert.equal("nn.View", tree.modules[#tree.modules - 1].__class)
    local model = dn.models.densenet { depth = 10, growthRate = 4 }
    model:add(dn.nn.Tanh(), "odd")
    assert.error_matches(function() dn.models.toTorch7(model) end, "nn.Tanh 'odd' has no form in Torch7's files")
    assert.error_matches(function() dn.models.toTorch7(dn.nn.Linear(1, 1)) end, "a network of dn.models expected")
  end)
end)
