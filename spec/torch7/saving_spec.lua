-- torch.save and torch.load of densenet.torch7.

local script = require "spec.support.torch7_script"
local temporary = require "spec.support.temporary"

describe("torch7: torch.save and torch.load", function()
  it("give back tables, tensors, storages, numbers and texts, each thing once", function()
    script.passes [[
      local shared = { 1, 2 }
      local t = torch.FloatTensor { { 1, 2 }, { 3, 4 } }
      local value = {
        epoch = 3, rate = 1, isBest = true, text = "a \"b\"\n\0", raw = "\xff\xfe", [2.5] = "x", [true] = false,
        inf = math.huge, minus = -math.huge, whole = 2.0, big = 1 << 60,
        t = t, again = t, turned = t:t(), bytes = torch.ByteTensor { 1, 255 }, empty = torch.LongTensor(),
        list = shared, same = shared, onGpu = torch.CudaTensor { 6 },
        sizes = t:size(), store = torch.IntStorage { 4, 5 },
      }
      value.itself = value
      torch.save("value.t7", value)
      local loaded = torch.load("value.t7")
      for _, name in ipairs { "epoch", "rate", "isBest", "text", "raw", "inf", "minus", "whole", "big" } do
        same(value[name], loaded[name])
      end
      same("x", loaded[2.5])
      same(false, loaded[true])
      same({ { 1, 2 }, { 3, 4 } }, loaded.t)
      same({ { 1, 3 }, { 2, 4 } }, loaded.turned)
      same({ 1, 255 }, loaded.bytes)
      same("torch.ByteTensor", loaded.bytes:type())
      same({ 6 }, loaded.onGpu)
      same(value.onGpu:type(), loaded.onGpu:type())
      same(0, loaded.empty:nElement())
      assert(rawequal(loaded.t, loaded.again) and rawequal(loaded.list, loaded.same))
      assert(rawequal(loaded.itself, loaded))
      same({ 4, 5 }, loaded.store:totable())
      assert(loaded.sizes == t:size())
      same("integer", math.type(loaded.whole)) -- names of files are made of such numbers
      loaded.t:fill(7) -- memory that was shared is shared
      same({ { 7, 7 }, { 7, 7 } }, loaded.turned)
      torch.save("text.t7", value, "ascii")
      local text = torch.load("text.t7", "ascii")
      same({ { 1, 2 }, { 3, 4 } }, text.t)
      same("\xff\xfe", text.raw)
      assert(rawequal(text.itself, text) and text.sizes == t:size())
      torch.save("nan.t7", 0 / 0)
      local nan = torch.load("nan.t7")
      assert(nan ~= nan)
    ]]
  end)

  it("give back networks, whose classes have to be there", function()
    local directory = temporary.directory()
    local network = [[
      local Half = torch.class("nn.Half", "nn.Module")
      function Half:updateOutput(x)
        self.output = x / 2
        return self.output
      end
    ]]
    script.passes(network .. [[
      torch.setdefaulttensortype("torch.FloatTensor")
      torch.manualSeed(1)
      local net = nn.Sequential():add(cudnn.SpatialConvolution(2, 3, 3, 3)):add(cudnn.SpatialBatchNormalization(3))
        :add(cudnn.ReLU(true)):add(nn.View(-1):setNumInputDims(3)):add(nn.Linear(12, 2)):add(nn.Half())
      local x = torch.rand(4, 2, 4, 4)
      net:forward(x)
      torch.save("net.t7", { net = net, x = x, y = net:evaluate():forward(x) })
    ]], { directory = directory })
    script.passes(network .. [[
      local saved = torch.load("net.t7")
      same(saved.y, saved.net:forward(saved.x):totable())
      same("cudnn.SpatialConvolution", torch.type(saved.net:get(1)))
      same(false, saved.net.train)
    ]], { directory = directory })
    script.passes([[ refuses("it holds a nn.Half, and there is no such class", torch.load, "net.t7") ]],
      { directory = directory })
    temporary.remove(directory)
  end)

  it("refuse what cannot be saved, and say where it stands", function()
    script.passes [[
      refuses('the value["opt"]["log"] is a function', torch.save, "no.t7", { opt = { log = print } })
      refuses("of class local.Thing", function()
        local class = require "densenet.nn.class"
        local Thing = class("local.Thing")
        torch.save("no.t7", { setmetatable({}, Thing) })
      end)
      refuses("no/such/place", torch.save, "no/such/place", 1)
    ]]
  end)

  it("read what Torch7 saved, and go on with it", function()
    local directory = temporary.directory()
    local golden = temporary.absolute "spec/golden/t7"
    script.passes(([[
      torch.setdefaulttensortype("torch.FloatTensor")
      local expected = require("densenet.io.safetensors").load("%s/expected.safetensors")
      for _, name in ipairs { "model_cifar_concat_float_nn", "model_cifar_bn1_running_std", "model_imagenet_long4" } do
        local model = torch.load("%s/" .. name .. ".t7"):evaluate()
        local net = name:match("imagenet") or "cifar"
        local input, logits = expected["input/" .. net], expected["logits/" .. net]
        assert((model:forward(input) - logits):abs():max() < 1e-5)
        torch.save("again.t7", model)
        assert((torch.load("again.t7"):forward(input) - logits):abs():max() < 1e-5)
        model:training()
        model:zeroGradParameters()
        model:backward(input, model:forward(input))
        assert(select(2, model:getParameters()):norm() > 0)
      end
    ]]):format(golden, golden), { directory = directory })
    temporary.remove(directory)
  end)

  it("write what another reader of Torch7's files finds as Torch7 has it", function()
    script.passes [[
      local t7 = require "densenet.io.t7"
      local net = nn.Sequential():add(nn.SpatialConvolution(2, 3, 3, 3)):add(nn.SpatialBatchNormalization(3))
        :add(nn.ReLU(true)):add(nn.SpatialMaxPooling(2, 2, 2, 2):ceil()):add(nn.Dropout(0.25)):add(nn.Reshape(12))
        :add(nn.View(-1, 12)):add(nn.Linear(12, 2)):float()
      torch.save("net.t7", net)
      local tree = t7.load("net.t7")
      same("nn.Sequential", tree.__class)
      same("torch.FloatTensor", tree._type)
      local conv, norm, relu, pool, drop, reshape, view = table.unpack(tree.modules)
      same(3, conv.kW)
      same({ 3, 2, 3, 3 }, conv.weight:size())
      same(2, norm.__version)
      same(4, norm.nDim)
      same(0, relu.threshold)
      same(true, pool.ceil_mode)
      same(true, drop.v2)
      same({ 12 }, reshape.size)
      same(12, reshape.nelement)
      same(-12, view.numElements)
      same(nil, conv.scratch)
    ]]
  end)

  it("refuse other files and damaged ones, and run nothing", function()
    local directory = temporary.directory()
    temporary.write(directory .. "/page.t7", "<!DOCTYPE html><html></html>")
    temporary.write(directory .. "/short.t7", "\3\0\0\0\1\0\0\0\9\0\0\0")
    temporary.write(directory .. "/code.t7", "\11\0\0\0\1\0\0\0")
    temporary.write(directory .. "/nil.t7", "\0\0\0\0")
    temporary.write(directory .. "/function.t7", "\6\0\0\0\4\0\0\0\27Lua\0\0\0\0")
    script.passes([[
      refuses("expected a Torch7 file (.t7), got an HTML page", torch.load, "page.t7")
      refuses("short.t7: it is cut short or damaged: 4 bytes expected at byte 12", torch.load, "short.t7")
      refuses("code.t7: unknown type code 11", torch.load, "code.t7")
      refuses("nil.t7: it holds nil", torch.load, "nil.t7")
      refuses("bytecode, and not loaded", torch.load("function.t7"))
      refuses("none.t7", torch.load, "none.t7")
      refuses("'binary' or 'ascii' expected, got 'b64'", torch.load, "page.t7", "b64")
      refuses("is 9007199254740993, which a .t7 file cannot hold", torch.save, "no.t7", { 2 ^ 53 // 1 | 1 })
      refuses("of bfloat16, which .t7 files have not", torch.save, "no.t7", { torch.BFloat16Tensor { 1 } })
    ]], { directory = directory })
    temporary.remove(directory)
  end)
end)
