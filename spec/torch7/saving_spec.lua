-- torch.save and torch.load of densenet.torch7.

local safetensors = require "densenet.io.safetensors"
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
        same(math.type(value[name]), math.type(loaded[name]))
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

  it("refuse other files and damaged ones, and run nothing", function()
    local directory = temporary.directory()
    temporary.write(directory .. "/old.t7", "\4\0\0\0\1\0\0\0\3\0\0\0V 1")
    local function damaged(name, text) -- a file with the skeleton `text`
      assert(safetensors.save(directory .. "/" .. name, {}, { torch7 = text }))
    end
    assert(safetensors.save(directory .. "/plain.t7", {}))
    damaged("text.t7", "not JSON")
    damaged("version.t7", '{"version":2,"root":1,"objects":[]}')
    damaged("object.t7", '{"version":1,"root":["object",2],"objects":[{"keys":[],"values":[]}]}')
    damaged("tensor.t7", '{"version":1,"root":["tensor","1"],"objects":[]}')
    damaged("kind.t7", '{"version":1,"root":["function","os.exit(0)"],"objects":[]}')
    damaged("null.t7", '{"version":1,"root":["object",1],"objects":[{"keys":[null],"values":[1]}]}')
    damaged("uneven.t7", '{"version":1,"root":1,"objects":[{"keys":[1],"values":[]}]}')
    damaged("gpu.t7", '{"version":1,"root":1,"objects":[],"onGpu":["9"]}')
    damaged("bytes.t7", '{"version":1,"root":["bytes","0g"],"objects":[]}')
    script.passes([[
      refuses("Torch7's own .t7 is not read", torch.load, "old.t7")
      refuses("it has tensors and no value of torch.save", torch.load, "plain.t7")
      refuses("text.t7", torch.load, "text.t7")
      refuses("not of version 1", torch.load, "version.t7")
      refuses("there is no object 2", torch.load, "object.t7")
      refuses("there is no tensor 1", torch.load, "tensor.t7")
      refuses("a value of no known kind", torch.load, "kind.t7")
      refuses("a value of no known kind", torch.load, "null.t7")
      refuses("object 1 is not as torch.save writes one", torch.load, "uneven.t7")
      refuses("there is no tensor 9", torch.load, "gpu.t7")
      refuses("hexadecimal digits", torch.load, "bytes.t7")
      refuses("none.t7", torch.load, "none.t7")
    ]], { directory = directory })
    temporary.remove(directory)
  end)
end)
