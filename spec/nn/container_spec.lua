-- Containers: children and their names, texts, errors that say where, Lua values that are no strings.

local dn = require "densenet"
local compare = require "spec.support.compare"

local nn = dn.nn

local function messageOf(f, ...)
  local ok, failure = pcall(f, ...)
  assert(not ok, "an error was expected")
  return failure
end

describe("reset", function()
  it("draws the parameters of every module anew", function()
    local net = nn.Sequential():add(nn.Linear(3, 2)):add(nn.ReLU()):add(nn.Sequential():add(nn.Linear(2, 2)))
    local before = {}
    for i, weight in ipairs(net:parameters()) do before[i] = weight:clone() end
    assert.equal(net, net:reset(0.1))
    for i, weight in ipairs(net:parameters()) do assert.is_true((weight - before[i]):norm() > 0) end
  end)
end)

describe("a container", function()
  it("gives its children by position, from the end, and by name", function()
    local a, b, c = nn.Identity(), nn.ReLU(), nn.Flatten()
    local model = nn.Sequential():add(a, "a"):add(c, "c"):insert(b, 2, "b")
    assert.are.equal(3, model:size())
    assert.is_true(model:get(2) == b and model:get(-1) == c and model:get("a") == a)
    assert.is_nil(model:get(4))
    assert.is_nil(model:get("d"))
    assert.is_true(model:remove("b") == b and model:remove() == c)
    assert.are.equal("a", model:childName(1))
    model:replace("a", b)
    assert.is_true(model:get("a") == b)
    assert.error_matches(function() model:remove(7) end, "nn.Sequential has no child 7")
    assert.error_matches(function() model:replace("z", b) end, "nn.Sequential has no child z")
  end)

  it("refuses what is no module, and a name twice", function()
    assert.error_matches(function() nn.Sequential():add(3) end,
      "bad argument #1 to 'add' %(a module expected, got 3%)")
    assert.error_matches(function() nn.Sequential():add(nn.Linear) :add(dn.zeros(1)) end,
      "bad argument #1 to 'add'")
    assert.error_matches(function() nn.Sequential():add(nn.ReLU(), "x"):add(nn.ReLU(), "x") end,
      "nn.Sequential has a child called 'x' already")
  end)

  it("prints itself with sizes, nested", function()
    local model = nn.Sequential()
      :add(nn.SpatialConvolution(3, 16, 3, 3, 1, 1, 1, 1), "conv0")
      :add(nn.Concat(2):add(nn.Identity()):add(nn.Sequential():add(nn.SpatialConvolution(16, 4, 1, 1):noBias())))
      :add(nn.SpatialMaxPooling(3, 3, 2, 2, 1, 1))
      :add(nn.Linear(20, 10))
    assert.are.equal([[
nn.Sequential {
  [input -> (1) -> (2) -> (3) -> (4) -> output]
  (conv0): nn.SpatialConvolution(3 -> 16, 3x3, 1,1, 1,1)
  (2): nn.Concat(2) {
    input
      |`-> (1): nn.Identity
      |`-> (2): nn.Sequential {
             [input -> (1) -> output]
             (1): nn.SpatialConvolution(16 -> 4, 1x1) without bias
           }
       ... -> output
  }
  (3): nn.SpatialMaxPooling(3x3, 2,2, 1,1)
  (4): nn.Linear(20 -> 10)
}]], tostring(model))
  end)

  it("says where an error happened, each container adding its place", function()
    local model = nn.Sequential()
      :add(nn.Identity())
      :add(nn.Sequential():add(nn.SpatialConvolution(3, 16, 3, 3), "conv0"), "features")
    local message = messageOf(model.forward, model, dn.randn(1, 4, 8, 8))
    local first = message:match("^[^\n]*")
    assert.matches("^spec/nn/container_spec.lua:%d+: in module 2", first)
    assert.are.equal("in module 2 'features' of nn.Sequential (nn.Sequential): "
      .. "in module 1 'conv0' of nn.Sequential (nn.SpatialConvolution(3 -> 16, 3x3)): "
      .. "bad argument #3 to 'conv2d_forward' ", first:match("^[^:]+:%d+: (.-)%(weight"))
    assert.is_truthy(message:find("stack traceback:", 1, true))
    assert.is_truthy(message:find("spatial_convolution.lua", 1, true))
    local _, nTracebacks = message:gsub("stack traceback:", "")
    assert.are.equal(1, nTracebacks)
  end)

  it("says in which line of whose module, and in which of the program's that called it", function()
    local Own, parent = nn.class("Own", nn.Module)
    function Own:__init() parent.__init(self) end
    function Own.updateOutput(_, input)
      input:add(dn.ones(7))
      return input
    end
    local ownLine = debug.getinfo(Own.updateOutput, "S").linedefined + 1
    local model = nn.Sequential():add(nn.Sequential():add(Own()))
    local line = debug.getinfo(1, "l").currentline + 1
    local _, message = pcall(function() model:forward(dn.ones(3)) end)
    assert.equal(("%s:%d: in module 1 of nn.Sequential (nn.Sequential): in module 1 of nn.Sequential (Own): %s:%d: bad")
      :format("spec/nn/container_spec.lua", line, "spec/nn/container_spec.lua", ownLine),
      message:match "^(.- bad) argument")
  end)

  it("says where for errors in backward and in every kind of container", function()
    local x = dn.randn(2, 3)
    local wrong = dn.randn(2, 9)
    local model = nn.Sequential():add(nn.Linear(3, 4))
    model:forward(x)
    for _, method in ipairs { "backward", "updateGradInput", "accGradParameters" } do
      local message = messageOf(model[method], model, x, wrong)
      assert.is_truthy(message:find("in module 1 of nn.Sequential (nn.Linear(3 -> 4))", 1, true))
    end
    for _, container in ipairs { nn.Concat(2), nn.ConcatTable() } do
      container:add(nn.Identity()):add(nn.Linear(5, 4))
      local message = messageOf(container.forward, container, x)
      assert.is_truthy(message:find("in module 2 of " .. container.__typename, 1, true))
    end
  end)

  it("passes error values that are no strings unchanged", function()
    local Broken = nn.class("Broken", nn.Module)
    local value = { "interrupt" }
    function Broken.updateOutput() error(value) end
    local model = nn.Sequential():add(Broken())
    assert.are.equal(value, messageOf(model.forward, model, 1))
  end)

  it("refuses parts that cannot be joined", function()
    local joined = nn.Concat(2):add(nn.Identity()):add(nn.Linear(3, 4))
    assert.are.same({ 2, 7 }, joined:forward(dn.randn(2, 3)):size())
    local table = nn.JoinTable(2)
    assert.are.same({ { 1, 2, 5 }, { 3, 4, 6 } },
      table:forward { dn.tensor { { 1, 2 }, { 3, 4 } }, dn.tensor { { 5 }, { 6 } } }:totable())
    assert.are.same({ { 1 }, { 2 } }, table:forward { dn.zeros(2, 0), dn.tensor { { 1 }, { 2 } } }:totable())
    for _, wrong in ipairs {
      { dn.zeros(3, 1), "expected a float tensor of size 2x2 except there, got a float tensor of size 3x1" },
      { dn.zeros(2), "got a float tensor of size 2" },
      { dn.zeros(2, 1, "double"), "got a double tensor of size 2x1" },
    } do
      local message = messageOf(table.forward, table, { dn.zeros(2, 2), wrong[1] })
      assert.is_truthy(message:find("nn.JoinTable: part 2 does not continue the first along dimension 2", 1, true))
      assert.is_truthy(message:find(wrong[2], 1, true), message)
    end
  end)

  it("of nothing is the identity", function()
    local x = dn.randn(2, 2)
    local model = nn.Sequential()
    assert.are.equal(x, model:forward(x))
    assert.are.equal(x, model:backward(x, x))
  end)
end)

describe("nn.ConcatTable", function()
  it("adds gradients of tables of tables", function()
    local x = { dn.ones(2), { dn.ones(3) } }
    local model = nn.ConcatTable():add(nn.Identity()):add(nn.Identity()):add(nn.Identity())
    assert.are.equal(3, #model:forward(x))
    local gradInput = model:backward(x, { x, x, x })
    compare.values(gradInput[1], { 3, 3 }, 0, "first")
    compare.values(gradInput[2][1], { 3, 3, 3 }, 0, "nested")
    local y = dn.ones(2)
    model:forward(y)
    compare.values(model:backward(y, { y, y, y }), { 3, 3 }, 0, "a tensor after a table")
    model:remove()
    assert.are.equal(2, #model:forward(y))
  end)
end)
