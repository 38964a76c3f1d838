-- torch.class, Timer, CmdLine, DiskFile of densenet.torch7.

local script = require "spec.support.torch7_script"

describe("torch7: torch.class", function()
  it("makes classes in a table, in a global table, and from parents by name", function()
    script.passes [[
      local holder = {}
      local Animal = torch.class("zoo.Animal", holder)
      function Animal:__init(name) self.name = name end
      function Animal:speak() return self.name .. " speaks" end
      assert(holder.Animal == Animal)
      local Dog, parent = torch.class("zoo.Dog", "zoo.Animal", holder)
      assert(parent == Animal)
      function Dog:__init(name) parent.__init(self, name .. "!") end
      local dog = holder.Dog("rex")
      same("rex! speaks", dog:speak())
      same("zoo.Dog", torch.typename(dog))
      same("zoo.Dog", torch.type(dog))
      assert(torch.isTypeOf(dog, "zoo.Animal") and torch.isTypeOf(dog, Animal) and not torch.isTypeOf(dog, "nn.Linear"))
      local plain = torch.setmetatable({ name = "bare" }, "zoo.Dog")
      same("bare speaks", plain:speak())
      local Twice = torch.class("nn.Twice", "nn.Module")
      function Twice:updateOutput(input)
        self.output = input * 2
        return self.output
      end
      assert(nn.Twice == Twice)
      same({ 2 }, nn.Sequential():add(nn.Twice()):forward(torch.Tensor { 1 }):long())
      refuses("the name of a class", torch.class, "zoo.Cat", "zoo.Missing", holder)
      refuses("the name of a class", torch.setmetatable, {}, "zoo.Missing")
    ]]
  end)
end)

describe("torch7: torch.Timer", function()
  it("tells seconds, and stops, goes on and starts again", function()
    script.passes [[
      local timer = torch.Timer()
      local start = os.clock()
      while os.clock() - start < 0.02 do end
      local time = timer:time()
      assert(time.real >= 0.01 and time.user >= 0.01 and time.sys == 0, time.real)
      timer:stop()
      local stopped = timer:time().real
      same(stopped, timer:time().real)
      timer:resume()
      assert(timer:time().real >= stopped)
      assert(timer:reset():time().real < stopped)
      assert(torch.toc(torch.tic()) >= 0 and sys.toc() >= 0)
    ]]
  end)
end)

describe("torch7: torch.CmdLine", function()
  local options = [[
    local cmd = torch.CmdLine()
    cmd:text("A script")
    cmd:argument("model", "its file")
    cmd:option("-depth", 20, "of the network")
    cmd:option("-rate", 0.1, "of learning", "number")
    cmd:option("-name", "none", "of the run")
    cmd:option("-quick", false, "no test")
    local opt = cmd:parse(arg)
  ]]

  it("reads numbers, texts and switches, and keeps defaults", function()
    script.passes(options .. [[
      same({ "m.t7", 40, 1e-3, "none", true }, { opt.model, opt.depth, opt.rate, opt.name, opt.quick })
      same("integer", math.type(opt.depth))
      same("runs,depth=40,quick=true,rate=0.001", cmd:string("runs", opt))
      same("runs,depth=40,quick=true", cmd:string("runs", opt, { rate = true }))
    ]], { arguments = "m.t7 -depth 40 -rate 1e-3 -quick" })
  end)

  it("ends the program for what it does not know, and for -help", function()
    local function run(arguments) return script.run(options .. "print 'went on'", { arguments = arguments }) end
    local output, status = run "m.t7 -dept 3"
    assert.are.equal(1, status)
    assert.matches("unknown option %-dept; did you mean '%-depth'%?", output)
    output, status = run "m.t7 -depth deep"
    assert.are.equal(1, status)
    assert.matches("option %-depth: a number expected, got 'deep'", output)
    output, status = run ""
    assert.are.equal(1, status)
    assert.matches("argument <model> is missing", output)
    output, status = run "-help"
    assert.are.equal(0, status)
    assert.matches("%-depth +of the network %[20%]", output)
    assert.is_nil(output:find "went on")
  end)
end)

describe("torch7: torch.DiskFile", function()
  it("reads bytes and numbers, one or many", function()
    script.passes [[
      local file = assert(io.open("data.bin", "wb"))
      file:write(string.pack("=BBBi4d", 7, 250, 255, -5, 0.5))
      file:close()
      local data = torch.DiskFile("data.bin", "r"):binary()
      data:seekEnd()
      same(16, data:position())
      data:seek(1)
      same(7, data:readByte())
      local rest = data:readByte(2)
      same({ 250, 255 }, torch.ByteTensor(rest))
      same(-5, data:readInt())
      same({ 0.5 }, data:readDouble(1):totable())
      refuses("ends inside", data.readByte, data)
      data:close()
      local text = torch.DiskFile("data.bin", "r")
      same(7, text:readByte())
      refuses("data.bin is open as text, whose numbers are not read; call binary()", text.readInt, text)
      refuses("data.none", torch.DiskFile, "data.none")
      refuses("'r'", torch.DiskFile, "data.bin", "w")
    ]]
  end)
end)
