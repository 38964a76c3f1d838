-- ONNX files: those of torch.onnx (spec/golden/make_onnx.py), and our own, read back and, where a Python with
-- onnxruntime is there, run by it.
local dn = require "densenet"
local protobuf = require "densenet.io.protobuf"
local sameTensors = require "spec.support.same_tensors"
local temporary = require "spec.support.temporary"

local GOLDEN = "spec/golden/onnx/"
local PYTHON = os.getenv "DENSENET_PYTHON" or "python3"
local nn, onnx = dn.nn, dn.io.onnx

-- Running statistics and shifts as training leaves them.
local function trained(model)
  for name, tensor in pairs(model:stateDict()) do
    if name:find "running_var" then tensor:uniform(0.5, 1.5)
    elseif name:find "running_mean" or name:find "bias" then tensor:uniform(-0.3, 0.3) end
  end
  return model:evaluate()
end

local NETWORKS = {
  { "bottlenecks, plain modules", { depth = 16, growthRate = 4, optMemory = 0, dropRate = 0.1, nClasses = 7 } },
  { "bottlenecks, fused", { depth = 16, growthRate = 4, optMemory = 4, nClasses = 7 } },
  { "no bottlenecks, plain modules", { depth = 13, growthRate = 4, bottleneck = false, reduction = 1, optMemory = 2 } },
  { "no bottlenecks, fused", { depth = 13, growthRate = 4, bottleneck = false, reduction = 0.7, optMemory = 5 } },
  { "imagenet stem", { blocks = { 2, 1, 2 }, growthRate = 8, stem = "imagenet", nClasses = 11, optMemory = 3 }, 32 },
  { "one channel", { depth = 10, growthRate = 4, inputChannels = 1 } },
  { "double", { depth = 10, growthRate = 4, precision = "double" } },
  { "residual", { family = "preresnet", depth = 8 } },
  { "residual with bottlenecks", { family = "preresnet", depth = 11, bottleneck = true } },
}

-- All modules that have a form, in one network for images 3,15,17.
local function everyModule()
  return nn.Sequential()
    :add(nn.SpatialZeroPadding(1, 2, 1, 0)):add(nn.SpatialConvolution(3, 8, 3, 3, 1, 1, 1, 1), "conv")
    :add(nn.LeakyReLU(0.1)):add(nn.SpatialMaxPooling(3, 3, 2, 2):ceil())
    :add(nn.ConcatTable():add(nn.SpatialConvolution(8, 8, 3, 3, 1, 1, 1, 1, 2)):add(nn.Identity()))
    :add(nn.CAddTable()):add(nn.ELU(0.7)):add(nn.SpatialAveragePooling(3, 3, 1, 1, 1, 1))
    :add(nn.SpatialAveragePooling(3, 3, 1, 1, 1, 1):setCountExcludePad()):add(nn.SpatialDropout(0.3))
    :add(nn.SpatialUpSamplingNearest(2)):add(nn.PReLU(8)):add(nn.CMul(8, 1, 1)):add(nn.Mul()):add(nn.MulConstant(0.7))
    :add(nn.SpatialFullConvolution(8, 6, 3, 3, 2, 2, 1, 1, 1, 1)):add(nn.SpatialBatchNormalization(6, 1e-3, 0.1, false))
    :add(nn.Narrow(2, 2, 4)):add(nn.Padding(1, -1, 3, 0.5)):add(nn.Padding(2, 2))
    :add(nn.ConcatTable():add(nn.Select(2, -1)):add(nn.Sequential():add(nn.SplitTable(1, 3)):add(nn.SelectTable(2))))
    :add(nn.CAddTable()):add(nn.Reshape(1, 32, 40)):add(nn.ConcatTable():add(nn.Identity()):add(nn.Identity())
      :add(nn.Identity()):add(nn.Identity())):add(nn.JoinTable(2)):add(nn.Tanh())
    :add(nn.ConcatTable():add(nn.Sigmoid()):add(nn.Identity()))
    :add(nn.ParallelTable():add(nn.PReLU()):add(nn.Copy("float", "float"))):add(nn.FlattenTable())
    :add(nn.CMulTable()):add(nn.ConcatTable():add(nn.Identity()):add(nn.ReLU())):add(nn.SelectTable(-2))
    :add(nn.ConcatTable():add(nn.Identity()):add(nn.Contiguous())):add(nn.JoinTable(1, 3))
    :add(nn.Concat(2):add(nn.SpatialAdaptiveAveragePooling(2, 2)):add(nn.SpatialAdaptiveMaxPooling(2, 2)))
    :add(nn.View(-1):setNumInputDims(3)):add(nn.Linear(64, 10)):add(nn.BatchNormalization(10)):add(nn.ReLU(true))
    :add(nn.Dropout(0.5)):add(nn.Reshape(2, 5)):add(nn.View(-1, 10)):add(nn.Linear(10, 4, false)):add(nn.LogSoftMax())
end

describe("an ONNX file", function()
  local directory, path
  before_each(function()
    directory = temporary.directory()
    path = directory .. "/model.onnx"
    dn.manualSeed(7)
  end)
  after_each(function() temporary.remove(directory) end)

  for _, name in ipairs { "by_hand", "torch_ts_opset13", "torch_ts_opset17", "torch_ts_opset17_folded",
    "torch_dynamo" } do
    it("of torch.onnx is loaded: " .. name, function()
      local expected = assert(dn.safetensors.load(GOLDEN .. "tiny.safetensors"))
      local model = assert(dn.models.load(GOLDEN .. name .. ".onnx"))
      assert.is_true((model:forward(expected.input) - expected.logits):abs():max() < 1e-5)
      if name:find "folded" or name:find "dynamo" then
        assert.is_truthy(model.notes[1]:find("5 batch norms that were folded", 1, true))
      else
        for key, tensor in pairs(model:stateDict()) do
          assert.is_nil(sameTensors(expected["state/" .. key], tensor), key)
        end
      end
    end)
  end

  for _, network in ipairs(NETWORKS) do
    it("gives back the network that was written: " .. network[1], function()
      local model, size = trained(dn.models.fromConfig(network[2])), network[3] or 16
      model.classes = {}
      for i = 1, model.config.nClasses do model.classes[i] = ("class %d"):format(i) end
      local inputSize = { model.config.inputChannels, size, size }
      assert(model:saveOnnx(path, { inputSize = inputSize }))
      local again = assert(dn.models.load(path))
      assert.same(model.classes, again.classes)
      assert.same({}, again.notes)
      local x = dn.randn(2, table.unpack(inputSize)):float()
      local y = model:forward(x:type(model:type())):float()
      assert.is_true((again:forward(x) - y):abs():max() <= 1e-5 * y:clone():abs():max())
      local file = assert(onnx.load(path))
      assert.equal("densenet", file.producer)
      assert.equal(13, file.opset)
      assert.same({ "input" }, file.inputs)
      assert.same({ "logits" }, file.outputs)
      local state, count = model:stateDict(), 0
      for name in pairs(state) do
        assert.is_truthy(file.initializers[name], name)
        count = count + 1
      end
      for name in pairs(file.initializers) do assert.is_truthy(state[name], name) end
      assert.equal(model.config.family, dn.json.decode(file.metadata.network).family)
    end)
  end

  it("normalises images and gives probabilities where it is asked to", function()
    local model = trained(dn.models.densenet { depth = 10, growthRate = 4 })
    model.recipe = { mean = { 10, 20, 30 }, std = { 4, 5, 6 }, range = 255, channels = 3 }
    assert(model:saveOnnx(path, { inputSize = { 3, 8, 8 }, normalize = true, softmax = true, batch = 2 }))
    local file = assert(onnx.load(path))
    assert.equal("Sub", file.nodes[1].op)
    assert.equal("Div", file.nodes[2].op)
    assert.same({ { { { 10 } }, { { 20 } }, { { 30 } } } }, file.initializers[file.nodes[1].inputs[2]]:totable())
    assert.same({ "probabilities" }, file.outputs)
    local again = assert(dn.models.load(path))
    assert.same({ "a softmax (Softmax 'softmax') at its end is left out: the network gives scores",
      "its graph normalises images, which its recipe does here" }, again.notes)
    assert.same({ 10, 20, 30 }, again.recipe.mean)
    model.recipe = nil
    assert(model:saveOnnx(path, { inputSize = { 3, 8, 8 }, normalize = { mean = { 1, 2, 3 }, std = { 1, 1, 1 } } }))
    assert.is_truthy(assert(dn.models.load(path)).notes[1]:find("no recipe says with what", 1, true))
  end)

  it("has one tensor where modules share it", function()
    local linear = nn.Linear(4, 4)
    local model = nn.Sequential():add(linear, "first"):add(linear:clone("weight", "bias"), "first again")
    assert(model:saveOnnx(path, { inputSize = { 4 } }))
    local again = nn.Sequential():add(linear, "one"):add(nn.Sequential():add(linear, "one"))
    assert(again:saveOnnx(path, { inputSize = { 4 } }))
    local file = assert(onnx.load(path))
    assert.same({ "one", "1.one" }, { file.nodes[1].name, file.nodes[2].name })
  end)

  it("runs in onnxruntime as here, from 1 image to 3", function()
    if not os.execute(PYTHON .. " -c 'import onnx, onnxruntime, safetensors' >/dev/null 2>&1") then
      return pending("no Python with onnx, onnxruntime and safetensors (DENSENET_PYTHON names one)")
    end
    local function run(name, model, inputSize)
      local x = dn.randn(3, table.unpack(inputSize)):float()
      assert(model:saveOnnx(path, { inputSize = inputSize }))
      local y = model:forward(x:type(model:type())):float()
      assert(dn.safetensors.save(directory .. "/tensors", { input = x, logits = y }))
      local tolerance = 1e-5 * y:clone():abs():max()
      local pipe = io.popen(("%s spec/golden/check_onnx.py %s %s/tensors %.9g 2>&1"):format(PYTHON, path, directory,
        tolerance))
      local output = pipe:read "a"
      assert.message(name .. ": " .. output).is_truthy(pipe:close())
    end
    for _, network in ipairs(NETWORKS) do
      local model, size = trained(dn.models.fromConfig(network[2])), network[3] or 16
      run(network[1], model, { model.config.inputChannels, size, size })
    end
    run("every module", trained(everyModule()), { 3, 15, 17 })
  end)

  it("has a node for each module", function()
    assert(trained(everyModule()):saveOnnx(path, { inputSize = { 3, 15, 17 } }))
    local file, ops = assert(onnx.load(path)), {}
    for i, node in ipairs(file.nodes) do ops[i] = node.op end
    assert.equal("Pad Conv LeakyRelu MaxPool Conv Add Elu AveragePool AveragePool Mul Resize PRelu Mul Mul Mul "
      .. "ConvTranspose BatchNormalization Slice Pad Pad"
      .. (" Gather"):rep(8) .. " Add Reshape Concat Tanh Sigmoid PRelu Mul Relu Concat AveragePool MaxPool Concat "
      .. "Reshape Gemm BatchNormalization Relu Reshape Reshape Gemm LogSoftmax", table.concat(ops, " "))
    assert.same({ "log_probabilities" }, file.outputs)
    assert.equal("conv", file.nodes[2].name)
    assert.same({ 3, 3 }, file.nodes[2].attributes.kernel_shape)
    assert.equal(2, file.nodes[5].attributes.group)
  end)

  it("is refused for modules that have no form there, by class and place", function()
    local function refuses(part, module, inputSize)
      local isDone, message = pcall(module.saveOnnx, module, path, { inputSize = inputSize or { 3, 8, 8 } })
      assert.is_false(isDone)
      assert.is_truthy(message:find(part, 1, true), message)
    end
    local Own = nn.class("Own", nn.Module)
    function Own.updateOutput(_, x) return x end
    refuses("Own 'body.strange' has no ONNX form",
      nn.Sequential():add(nn.Sequential():add(Own(), "strange"), "body"))
    local relu = nn.ReLU()
    function relu.updateOutput(_, x) return x end
    refuses("nn.ReLU '0' has no ONNX form: its updateOutput is its own", nn.Sequential():add(relu))
    refuses("nn.Parallel '0' has no ONNX form", nn.Sequential():add(nn.Parallel(2, 2)))
    refuses("puts its padding between elements", nn.Sequential():add(nn.Padding(2, 2, nil, 0, 2)))
    refuses("nn.SpatialConvolution '0' takes 4 channels, and gets Nx3x8x8",
      nn.Sequential():add(nn.SpatialConvolution(4, 4, 1, 1)))
    refuses("has no one form for any number of images", nn.Sequential():add(nn.View(7)))
    refuses("ONNX has windows of one size only", nn.Sequential():add(nn.SpatialAdaptiveMaxPooling(3, 3)))
    refuses("hang over the edge, which ONNX averages in another way",
      nn.Sequential():add(nn.SpatialAveragePooling(3, 3, 3, 3):ceil()))
    refuses("the network gives a table", nn.ConcatTable():add(nn.Identity()):add(nn.Identity()))
    refuses("gets a table of 2 outputs, where one is expected",
      nn.Sequential():add(nn.ConcatTable():add(nn.Identity()):add(nn.Identity())):add(nn.Tanh()))
    refuses("works along the batch", nn.Sequential():add(nn.Narrow(1, 1, 1)))
  end)

  it("is written for options that make sense, and says which do not", function()
    local model = dn.models.densenet { depth = 10, growthRate = 4 }
    local function refuses(part, options)
      local isDone, message = pcall(model.saveOnnx, model, path, options)
      assert.is_false(isDone)
      assert.is_truthy(message:find(part, 1, true), message)
    end
    refuses("inputSize: {channels, height, width} expected, which the network does not say", nil)
    refuses("there is no softMax; did you mean 'softmax'?", { softMax = true })
    refuses("softmax: true or false expected, got 1", { softmax = 1 })
    refuses("batch: a name for any number of images, or", { batch = 0 })
    refuses("inputSize[2]: an integer of 1 or more expected, got 0", { inputSize = { 3, 0, 8 } })
    refuses("normalize: a table with mean and std of 3 numbers expected", { inputSize = { 3, 8, 8 }, normalize = true })
    refuses("takes 3 channels, and gets Nx1x8x8", { inputSize = { 1, 8, 8 } })
    local saved, message, code = model:saveOnnx("no/such/directory/x.onnx", { inputSize = { 3, 8, 8 } })
    assert.is_nil(saved)
    assert.equal("io", code)
    assert.is_truthy(message:find("no/such/directory", 1, true))
  end)

  -- A model whose graph is made of these fields.
  local function model(...)
    local nodes = table.concat { ... }
    local function value(name) return protobuf.bytes(1, name) end
    local graph = nodes .. protobuf.bytes(11, value "x") .. protobuf.bytes(12, value "y")
    return temporary.write(path, protobuf.integer(1, 7) .. protobuf.bytes(7, graph)
      .. protobuf.bytes(8, protobuf.integer(2, 13)))
  end
  local function node(op, inputs, output)
    local text = {}
    for i, input in ipairs(inputs) do text[i] = protobuf.bytes(1, input) end
    return protobuf.bytes(1, table.concat(text) .. protobuf.bytes(2, output) .. protobuf.bytes(4, op))
  end
  local function tensor(name, sizes, fields)
    local text = {}
    for i, size in ipairs(sizes) do text[i] = protobuf.integer(1, size) end
    return protobuf.bytes(5, table.concat(text) .. protobuf.bytes(8, name) .. fields)
  end

  it("of something else than a DenseNet is refused in a sentence", function()
    local function refuses(part, ...)
      local loaded, message, code = dn.models.load(model(...))
      assert.is_nil(loaded)
      assert.equal("format", code)
      assert.is_truthy(message:find(path .. ": ", 1, true), message)
      assert.is_truthy(message:find(part, 1, true), message)
    end
    refuses("it is no DenseNet: LSTM 'y' is no layer of a DenseNet", node("LSTM", { "x" }, "y"))
    refuses("there is no classifier: it ends with a ReLU (Relu 'y')", node("Relu", { "x" }, "y"))
    refuses("its input 'z' is made by no node before it", node("Relu", { "z" }, "y"))
    refuses("one output expected, which a node makes", node("Relu", { "x" }, "z"))
    refuses("its input 2 should be a tensor of 4 dimensions of the file", node("Conv", { "x", "w" }, "y"))
    refuses('tensor "w" of size 1000000000000x1000000 has 4 bytes', tensor("w", { 10 ^ 12 | 0, 10 ^ 6 | 0 },
      protobuf.integer(2, 1) .. protobuf.bytes(9, "abcd")))
    refuses('tensor "w" has a size of', tensor("w", { 1 << 62, 1 << 62 }, protobuf.integer(2, 1)))
    refuses("elements of ONNX's type 8, which are not read", tensor("w", { 1 }, protobuf.integer(2, 8)))
    refuses("stands in a file that is not beside the model", tensor("w", { 1 }, protobuf.integer(2, 1)
      .. protobuf.integer(14, 1)
      .. protobuf.bytes(13, protobuf.bytes(1, "location") .. protobuf.bytes(2, "../../secret"))))
    refuses("it is no DenseNet", "")
    local contents = { ["<html><body>"] = "expected a model file", ["\8\7\x3a\xff\xff\xff\xff\x0f"] = "a field of" }
    for content, part in pairs(contents) do
      local loaded, message = dn.models.load(temporary.write(path:gsub("%.onnx$", ".bin"), content))
      assert.is_nil(loaded)
      assert.is_truthy(message:find(part, 1, true), message)
    end
  end)

  it("has tensors in a file beside it, where torch.onnx puts large ones", function()
    temporary.write(directory .. "/model.onnx.data", "\0\0\0\0" .. string.pack("<ff", 1.5, 2.5))
    local function entry(key, value) return protobuf.bytes(13, protobuf.bytes(1, key) .. protobuf.bytes(2, value)) end
    local file = assert(onnx.load(model(tensor("w", { 2 }, protobuf.integer(2, 1) .. protobuf.integer(14, 1)
      .. entry("location", "model.onnx.data") .. entry("offset", "4") .. entry("length", "8")))))
    assert.same({ 1.5, 2.5 }, file.initializers.w:totable())
    local _, message = onnx.load(model(tensor("w", { 3 }, protobuf.integer(2, 1) .. protobuf.integer(14, 1)
      .. entry("location", "model.onnx.data") .. entry("offset", "4"))))
    assert.is_truthy(message:find("12 bytes expected at byte 4, and the file has 12", 1, true), message)
  end)
end)
