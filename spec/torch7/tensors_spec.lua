-- Tensors and storages of densenet.torch7, and the functions of torch.

local script = require "spec.support.torch7_script"

describe("torch7: tensors", function()
  it("are made of sizes, tables, LongStorages, tensors and storages", function()
    script.passes [[
      same({ 2, 3 }, torch.FloatTensor(2, 3):size():totable())
      same({ 2, 3 }, torch.IntTensor(torch.LongStorage { 2, 3 }):size():totable())
      same({ { 1, 2 }, { 3, 4 } }, torch.FloatTensor { { 1, 2 }, { 3, 4 } })
      same(0, torch.ByteTensor():nElement())
      same({ 4 }, torch.LongTensor(4.0):size():totable())
      local x = torch.FloatTensor { 1, 2, 3, 4, 5, 6 }
      local y = torch.FloatTensor(x)
      y[1] = 9
      same(9, x[1])
      local s = x:storage()
      same({ 2, 3 }, torch.FloatTensor(s, 2, 2))
      same({ { 9, 3 }, { 3, 5 } }, torch.FloatTensor(s, 1, torch.LongStorage { 2, 2 }, torch.LongStorage { 2, 2 }))
      same({ { 2, 3, 4 }, { 3, 4, 5 } }, torch.FloatTensor(s, 2, 2, 1, 3, 1))
      same({ 5, 6 }, torch.FloatTensor(s, 5))
      refuses("does not lie in a storage of 6", torch.FloatTensor, s, 4, 4)
      refuses("a storage of double", torch.DoubleTensor, s, 1, 1)
      refuses("size", torch.FloatTensor, 2.5)
    ]]
  end)

  it("have Torch7's names of types, and double by default", function()
    script.passes [[
      same("torch.DoubleTensor", torch.Tensor(2):type())
      same("torch.DoubleTensor", torch.getdefaulttensortype())
      torch.setdefaulttensortype("torch.FloatTensor")
      same("torch.FloatTensor", torch.Tensor(2):type())
      same("torch.FloatTensor", torch.zeros(2):type())
      same("torch.LongTensor", torch.Tensor { 1.5 }:int():type())
      same("torch.ByteTensor", torch.type(torch.Tensor { 1.5 }:type("torch.ByteTensor")))
      same("torch.FloatTensor", torch.typename(torch.ByteTensor { 1 }:typeAs(torch.Tensor())))
      same({ 1 }, torch.Tensor { 1.5 }:long())
      local onGpu = torch.CudaTensor(2)
      same(onGpu:type(), torch.Tensor(2):cuda():type())
      same("torch.FloatTensor", onGpu:float():type())
      same("torch.DoubleTensor", onGpu:double():type())
      assert(torch.isTensor(onGpu) and not torch.isTensor(nil) and not torch.isTensor({}))
      same("table", torch.type({}))
      same("torch.LongStorage", torch.typename(onGpu:size()))
      refuses("the name of a type", torch.Tensor(1).type, torch.Tensor(1), "torch.QuickTensor")
      refuses("torch.FloatTensor or torch.DoubleTensor", torch.setdefaulttensortype, "torch.ByteTensor")
    ]]
  end)

  it("give new ones of their type by new, and nil for fields they have not", function()
    script.passes [[
      local x = torch.ByteTensor { 1, 2 }
      same("torch.ByteTensor", x.new(3, 2):type())
      same({ 3, 2 }, x.new(3, 2):size():totable())
      same({ 7 }, x.new { 7 })
      local view = x:new()
      view[1] = 5
      same(5, x[1])
      same(nil, x.img)
    ]]
  end)

  it("share storages that can be compared, read and set", function()
    script.passes [[
      local x, other = torch.FloatTensor { 1, 2, 3, 4 }, torch.FloatTensor(4)
      local part = x:narrow(1, 2, 2)
      assert(x:storage() == part:storage())
      assert(x:storage() ~= other:storage())
      local s = part:storage()
      same(4, #s)
      same({ 1, 2, 3, 4 }, s:totable())
      s[1] = 8
      same(8, x[1])
      same("torch.FloatStorage", torch.typename(s))
      other:set(s, 3, torch.LongStorage { 2 })
      same({ 3, 4 }, other)
      other:fill(0)
      same({ 8, 2, 0, 0 }, x)
      assert(other:set(x):isSetTo(x))
      same(0, other:set():nElement())
      refuses("torch.FloatTensor", other.set, other, torch.DoubleTensor(2))
      local bytes = torch.ByteStorage { 104, 105 }
      same("hi", bytes:string())
      same({ 5, 5 }, torch.IntStorage(2):fill(5):totable())
      local sizes = torch.LongStorage { 2, 3 }
      assert(sizes == torch.FloatTensor(2, 3):size() and sizes ~= torch.LongStorage { 2 })
      assert(torch.FloatTensor(2, 3):isSize(sizes) and torch.isStorage(sizes) and torch.isStorage(bytes))
      same({ 2, 3 }, #torch.FloatTensor(2, 3))
    ]]
  end)

  it("are joined by the three forms of cat, and by the method", function()
    script.passes [[
      local a, b = torch.FloatTensor { { 1, 2 } }, torch.FloatTensor { { 3, 4 } }
      same({ { 1, 2 }, { 3, 4 } }, torch.cat(a, b, 1))
      same({ { 1, 2, 3, 4 } }, torch.cat(a, b))
      same({ { 1, 2 }, { 3, 4 }, { 1, 2 } }, torch.cat({ a, b, a }, 1))
      local r = torch.FloatTensor()
      assert(rawequal(r, torch.cat(r, { a, b }, 1)))
      same({ { 1, 2 }, { 3, 4 } }, r)
      torch.cat(r, b, a, 2)
      same({ { 3, 4, 1, 2 } }, r)
      torch.cat(r, { r, r }, 1)
      same({ { 3, 4, 1, 2 }, { 3, 4, 1, 2 } }, r)
      same({ { 1, 2 }, { 3, 4 } }, a.cat({ a, b }, 1))
      same({ 1 }, torch.cat(torch.FloatTensor(), torch.FloatTensor { 1 }))
      refuses("a dimension of 2", torch.cat, r, { a, b }, 3)
      refuses("a tensor", torch.cat, a, 3)
    ]]
  end)

  it("compute in place of two operands, and by functions of torch", function()
    script.passes [[
      local a, b = torch.FloatTensor { 1, 2 }, torch.FloatTensor { 3, 5 }
      local r = torch.FloatTensor()
      same({ 4, 7 }, r:add(a, b))
      same({ 7, 12 }, r:add(a, 2, b))
      same({ 3, 10 }, r:cmul(a, b))
      same({ 2, 4 }, r:mul(a, 2))
      same({ 4, 7 }, b:clone():add(a, b))
      local c = b:clone()
      same({ 4, 7 }, c:add(a, c))
      same({ 1, 2 }, a)
      same({ 4, 7 }, torch.add(a, b))
      same({ 11, 12 }, torch.add(a, 10))
      same({ 4, 7 }, torch.add(r, a, b))
      same({ 4, 7 }, r)
      same({ 1, 4 }, torch.pow(a, 2))
      same({ 1, 2 }, torch.sqrt(torch.pow(a, 2)))
      same({ -1, -2 }, r:neg(a))
      local square = torch.FloatTensor { { 1, 2 }, { 3, 4 } }
      same({ { 2, 6 }, { 4, 8 } }, square:mul(square:t(), 2))
      same({ 7, 22 }, a:clone():addcmul(2, a, b))
      same({ 4, 12 }, a:clone():addcmul(a, b))
      same({ 2, 4 }, a:clone():addcdiv(1, a, torch.FloatTensor { 1, 1 }))
      same({ 2, 3 }, a:clone():apply(function(x) return x + 1 end))
      near(1, torch.cos(0))
      same(3, torch.round(2.5))
      same(-3, torch.round(-2.5))
      near(0.5, torch.sigmoid(0))
      refuses("there is none for tensors", torch.cos, a)
    ]]
  end)

  it("are selected from as Torch7 selects", function()
    script.passes [[
      local x = torch.FloatTensor { { 4, 1, 3 }, { 0, 9, 5 } }
      local values, indices = x:topk(2, 2, true, true)
      same({ { 4, 3 }, { 9, 5 } }, values)
      same({ { 1, 3 }, { 2, 3 } }, indices)
      same({ { 1, 3 }, { 0, 5 } }, (x:topk(2)))
      same({ { 4, 9, 5 } }, (x:topk(1, 1, true)))
      same({ 9, 5 }, (x[2]:topk(2, true, true)))
      refuses("a dimension of 2", x.topk, x, 1, 3)
      same({ 4, 1, 3 }, x:narrow(1, 1, 1):squeeze())
      x[{ 1, {} }] = torch.FloatTensor { 7, 7, 7 }
      x[{ 2, { 2, 3 } }] = 0
      same({ { 7, 7, 7 }, { 0, 0, 0 } }, x)
      same({ 7, 0 }, x[{ {}, 2 }])
      same({ { 7 }, { 0 } }, x[{ { 1, 2 }, { 3 } }])
      same({ { 7, 7, 7, 7, 7, 7 } }, torch.repeatTensor(x[1], 1, 2))
      same({ 2, 1 }, { x:split(2, 2)[1]:size(2), x:chunk(2, 2)[2]:size(2) })
      same({ 6, 1 }, torch.reshape(x, 6, 1):size():totable())
      assert(x:eq(x):all() and not x:ne(x):any())
    ]]
  end)

  it("have random numbers from one generator, which a seed starts again", function()
    script.passes [[
      torch.manualSeed(3)
      local first = { torch.uniform(), torch.random(5), torch.normal(), torch.random(2, 3), torch.rand(2)[1] }
      torch.manualSeed(3)
      same(first, { torch.uniform(), torch.random(5), torch.normal(), torch.random(2, 3), torch.rand(2)[1] })
      local state = torch.getRNGState()
      local next = torch.uniform(-1, 1)
      torch.setRNGState(state)
      same(next, torch.uniform(-1, 1))
      assert(next >= -1 and next < 1)
      for i = 1, 50 do
        local n = torch.random(0, 3)
        assert(n >= 0 and n <= 3 and math.type(n) == "integer")
      end
      local x = torch.FloatTensor(500):random(1, 6)
      same({ 1, 6 }, { x:min() // 1 | 0, x:max() // 1 | 0 })
      local ones = torch.FloatTensor(500):bernoulli(0.25):sum()
      assert(ones > 60 and ones < 190, ones)
      local order = torch.randperm(20):totable()
      table.sort(order)
      same(torch.range(1, 20):long(), torch.LongTensor(order))
      same({ 0, 0.5, 1 }, torch.linspace(0, 1, 3):totable())
      same({ { 1, 0 }, { 0, 1 } }, torch.eye(2):long():totable())
      refuses("low", torch.random, "a", 2)
    ]]
  end)

  it("have functions that are not there refused by name", function()
    script.passes [[
      refuses("torch.svd is not there", torch.svd, torch.rand(2, 2))
      refuses("there is no torch.nonsense", function() return torch.nonsense end)
      assert(torch.CudaLongTensor and torch.HalfTensor and torch.CharTensor and torch.ShortTensor)
    ]]
  end)
end)
