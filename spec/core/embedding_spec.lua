-- Hosts that open only some of Lua's libraries: what the library does and says is the same.

local temporary = require "spec.support.temporary"

local WITHOUT = [[for _, name in ipairs { "debug", "os", "io", "utf8" } do
    _G[name], package.loaded[name] = nil, nil
  end
]]

-- What a program prints in a state with all of Lua's libraries, or without some of them.
local function output(program, prelude)
  local path = temporary.write(os.tmpname(), ([[
    package.path, package.cpath = %q, %q
    %s local dn = require "densenet"
    %s
  ]]):format(package.path, package.cpath, prelude or "", program))
  local pipe = assert(io.popen(("OMP_NUM_THREADS=1 %s %s 2>&1"):format(temporary.interpreter(), path)))
  local text = pipe:read("a")
  pipe:close()
  os.remove(path)
  return (text:gsub(path:gsub("%p", "%%%0"), "program"))
end

describe("a host without debug, os, io and utf8", function()
  it("trains", function()
    local program = [[
      local nn = dn.nn
      local model = dn.models.densenet { blocks = { 1, 1 }, growthRate = 4, nClasses = 3 }
      local criterion = nn.CrossEntropyCriterion()
      local optimizer = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9 })
      for step = 1, 3 do
        local x, target = dn.randn(4, 3, 8, 8), { 1, 2, 3, 1 }
        model:zeroGradParameters()
        local loss = criterion:forward(model:forward(x), target)
        model:backward(x, criterion:backward(model.output, target))
        optimizer:step()
        print(("%.6f"):format(loss))
      end]]
    local text = output(program, WITHOUT)
    assert.matches("^%d%.%d+\n%d%.%d+\n%d%.%d+\n$", text)
    assert.equal(output(program), text)
  end)

  it("writes and reads files", function()
    local path = os.tmpname()
    local program = ([[
      local path = %q
      assert(dn.safetensors.save(path, { ["größe"] = dn.ones(2) }))
      print(dn.safetensors.load(path)["größe"]:sum())
      print(dn.json.encode { text = "ü\n" }, dn.json.decode '"\\u00fc"')
      print(pcall(dn.json.decode, '"\xff"'))
      print(dn.data.open("mnist", { directory = "/nonesuch" }))]]):format(path)
    local text = output(program, WITHOUT)
    os.remove(path)
    assert.matches("^2.0\n", text)
    assert.equal(output(program), text)
    os.remove(path)
  end)

  it("has loaders", function()
    local program = [[
      local images = dn.arange(0, 8 * 3 * 4 * 4 - 1):view(8, 3, 4, 4):byte()
      local set = { images = images, labels = dn.ones(8, "long"), size = function() return 8 end }
      local loader = dn.data.Loader { set = set, batchSize = 4, nThreads = 1, seed = 1 }
      for n, batch in loader:run(1) do print(n, batch.input:sum(), batch.target:sum()) end
      loader:close()]]
    assert.matches("^1\t", output(program))
    assert.equal(output(program), output(program, WITHOUT))
  end)

  it("reads the same errors", function()
    local program = [[
      local own, parent = dn.nn.class("Own", dn.nn.Module)
      function own:__init() parent.__init(self) end
      function own:updateOutput(x) return x.nonesuch.y end
      local model = dn.nn.Sequential():add(dn.nn.Linear(3, 2)):add(own())
      for _, call in ipairs {
        function() dn.ones(3):add(dn.ones(4)) end,
        function() model:forward(dn.ones(4)) end,
        function() model:forward(dn.ones(3)) end,
        function() return dn.nn.Dropuot end,
        function() dn.nn.Linear("3", 2) end,
      } do
        local _, message = pcall(call)
        print((message:match "^[^\n]*"))
      end]]
    local text = output(program, WITHOUT)
    assert.matches("program:%d+: bad argument", text)
    assert.matches("did you mean 'Dropout'", text)
    local full = output(program)
    local _, nLines = text:gsub("\n", "\n")
    assert.equal(5, nLines)
    assert.equal(full:gsub("program:%d+", "program"), text:gsub("program:%d+", "program"))
  end)
end)
