-- What dropped tensors may hold while they wait for the collector, whichever way it works. Programs run in
-- processes of their own, because the collector's mode is the state's.

local tablex = require "pl.tablex"
local core = require "densenet.core"
local temporary = require "spec.support.temporary"

local MB = 1 << 20
local MAY_WAIT = 64 * MB

-- Peak and live bytes of a program, and whatever else it returns.
local function figures(program, mode)
  local output = temporary.output(([[
    %s
    local function run() %s end
    run()
    local memory = dn.memory()
    print(memory.peak, memory.live)
  ]]):format(mode, program), "OMP_NUM_THREADS=1")
  local peak, live = output:match "^(%d+)%s+(%d+)\n$"
  assert.message(output).is_truthy(peak)
  return tonumber(peak), tonumber(live)
end

local MODES = {
  incremental = 'collectgarbage "incremental"',
  generational = 'collectgarbage "generational"',
  ["incremental and lazy"] = 'collectgarbage("incremental", 1000, 100)',
  ["of large generations"] = 'collectgarbage("generational", 100, 1000)',
}

for name, mode in tablex.sort(MODES) do
  describe("a collector that is " .. name, function()
    it("frees the temporaries of an expression", function()
      local peak = figures([[
        local x = dn.ones(1 << 18) -- 1 MB
        for _ = 1, 400 do local y = (x * 2 + 1) / x - x:clone():mul(3) end]], mode)
      assert.is_true(peak <= 7 * MB + MAY_WAIT, peak)
    end)

    it("frees large ones too", function()
      local peak = figures([[for _ = 1, 60 do local y = dn.ones(1 << 23) + 1 end]], mode) -- 32 MB each
      assert.is_true(peak <= 2 * 32 * MB + MAY_WAIT + MB, peak)
    end)

    it("frees outputs that the next step replaces", function()
      local peak = figures([[
        local Scale, parent = dn.nn.class("Scale", dn.nn.Module)
        function Scale:__init() parent.__init(self) end
        function Scale:updateOutput(x) self.output = x * 2 return self.output end
        function Scale:updateGradInput(_, g) self.gradInput = g * 2 return self.gradInput end
        local net, x = dn.nn.Sequential():add(Scale()):add(Scale()), dn.ones(1 << 18)
        for _ = 1, 200 do net:forward(x) net:backward(x, x) end]], mode)
      assert.is_true(peak <= 8 * MB + MAY_WAIT, peak)
    end)

    it("lets half of what is in use wait where that is more", function()
      local peak, live = figures([[
        held = dn.ones(1 << 26) -- 256 MB
        local x = dn.ones(1 << 18)
        for _ = 1, 600 do local y = x + 1 end]], mode)
      assert.is_true(live >= 256 * MB and peak <= (1.5 * 256 + 6) * MB, peak)
    end)

    it("frees what resizing leaves behind", function()
      local peak = figures([[for i = 1, 400 do dn.empty(1):resize((1 << 18) + i) end]], mode)
      assert.is_true(peak <= 3 * MB + MAY_WAIT, peak)
    end)
  end)
end

describe("a collector that is stopped", function()
  it("stays stopped, and what is dropped waits", function()
    local peak = figures([[
      for _ = 1, 100 do dn.empty(1 << 18) end
      assert(not collectgarbage "isrunning")]], 'collectgarbage "stop"')
    assert.is_true(peak >= 100 * MB, peak)
  end)

  it("collects before memory would not suffice, and stays stopped", function()
    local peak = figures([[
      dn.memoryLimit(10 << 20)
      for _ = 1, 100 do dn.empty(1 << 18) end
      assert(not collectgarbage "isrunning")]], 'collectgarbage "stop"')
    assert.is_true(peak <= 10 * MB, peak)
  end)
end)

describe("tensors that take no memory", function()
  it("start no collection", function()
    local output = temporary.output [[
      local collected = 0
      local function watch() setmetatable({}, { __gc = function() collected = collected + 1 watch() end }) end
      collectgarbage "generational"
      watch()
      for _ = 1, 50 do core.tensor_new("plan", "float", { 1 << 28 }) end
      print(collected, dn.memory("plan").state, dn.memory().state)]]
    assert.equal("0\t0\t0\n", output)
  end)
end)

describe("tensors from another thread", function()
  it("count where they have come to", function()
    local peak = figures([[
      local pool <close> = core.worker_pool(1, "local core = require 'densenet.core' "
        .. "return function() return core.tensor_new('cpu', 'float', { 1 << 18 }) end", nil)
      for i = 1, 300 do pool:submit(i) assert(select(2, pool:receive())) end]], 'collectgarbage "generational"')
    assert.is_true(peak <= 3 * MB + 2 * MAY_WAIT, peak)
  end)
end)

describe("what a state has made", function()
  it("is counted until it is freed", function()
    local before = core.memory("cpu").state
    local t = core.tensor_new("cpu", "float", { 1000 })
    assert.equal(before + 4000, core.memory("cpu").state)
    local view = t:narrow(1, 1, 10)
    t:resize(2000) -- a storage of its own; the view keeps the one before
    assert.equal(before + 12000, core.memory("cpu").state)
    view:free()
    assert.equal(before + 8000, core.memory("cpu").state)
    t:free()
    assert.equal(before, core.memory("cpu").state)
  end)

  it("stays its own where it is sent, and another's is not counted", function()
    local output = temporary.output [[
      local pool = core.worker_pool(1, "local core = require 'densenet.core' "
        .. "return function(t) return core.tensor_new('cpu', 'byte', { 500 }), core.memory('cpu').state end", nil)
      local mine = dn.zeros(100)
      pool:submit(1, mine)
      local _, ok, theirs, held = pool:receive()
      print(ok, held, dn.memory().state)
      pool:close() -- with the state that made it
      print(theirs:nElement(), dn.memory().state)
      theirs:free()
      mine:free()
      print(dn.memory().state, dn.memory().live > 0)]]
    assert.equal("true\t500\t400\n500\t400\n0\ttrue\n", output)
  end)
end)

describe("a limit on memory", function()
  it("is told, kept, and taken back", function()
    local output = temporary.output [[
      print(dn.memoryLimit(), dn.memoryLimit(1 << 20), dn.memoryLimit(), dn.memory().limit)
      local held = dn.empty(1 << 17)
      local ok, message = pcall(dn.empty, 1 << 18)
      print(ok, (message:gsub("^.-: ", "", 1):gsub("%d+ in use, %d+ at the peak", "N in use, N at the peak")))
      print(dn.memoryLimit(0), pcall(dn.empty, 1 << 18))
      print(pcall(dn.memoryLimit, "1 MB"))
      print(pcall(dn.memoryLimit, -1))]]
    assert.matches("^0\t1048576\t1048576\t1048576\nfalse\tout of memory on cpu: 1048576 bytes asked for, N in use, " ..
      "N at the peak; the limit is 1048576\n0\ttrue\t", output)
    assert.matches("#1 to 'memoryLimit' %(bytes: an integer of 0 or more expected, got '1 MB'%)", output)
    assert.matches("expected, got %-1%)", output)
  end)
end)
