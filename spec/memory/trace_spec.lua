-- A plan sees what modules do, however they are written: what they call is theirs to choose. And
-- planning leaves nothing behind, wherever it happens and however it ends.

local core = require "densenet.core"
local dn = require "densenet"
local buffer = require "densenet.nn.buffer"
local trace = require "densenet.nn.plan.trace"
local nn = dn.nn

-- y = x² / 2 and dx = dy * x, with x kept in a buffer of the module's own, by different words.
local words = {
  ["core's fields"] = {
    copy = function(...) core.copy(...) end, square = function(y, x) core.binary(y, x, x, "mul") end,
    halve = function(y) core.binary_scalar(y, y, 0.5, "mul") end,
    mul = function(y, a, b) core.binary(y, a, b, "mul") end,
  },
}

do
  local copy, binary, scalar = core.copy, core.binary, core.binary_scalar
  words["functions kept in locals"] = {
    copy = copy, square = function(y, x) binary(y, x, x, "mul") end,
    halve = function(y) scalar(y, y, 0.5, "mul") end, mul = function(y, a, b) binary(y, a, b, "mul") end,
  }
  local one = dn.ones(1)
  local copyMethod, cmul, mul = one.copy, one.cmul, one.mul
  words["methods kept in locals"] = {
    copy = copyMethod, square = function(y, x) cmul(copyMethod(y, x), x) end,
    halve = function(y) mul(y, 0.5) end, mul = function(y, a, b) cmul(copyMethod(y, a), b) end,
  }
  local times = core.tensor_metatable.__mul
  words.operators = {
    copy = function(y, x) copyMethod(y, x * 1) end, square = function(y, x) copyMethod(y, times(x, x)) end,
    halve = function(y) copyMethod(y, y / 2) end, mul = function(y, a, b) copyMethod(y, a * b) end,
  }
end

-- The buffers of such a module, kept by different means.
local new = core.tensor_new
local stores = {
  ["buffer.like"] = function(module, field, x) return buffer.like(module.scratch, field, x) end,
  ["tensor_new kept in a local"] = function(module, field, x)
    local kept = module.scratch[field]
    if not (kept and kept:device() == x:device() and kept:nElement() == x:nElement()) then
      kept = new(x:device() == "cpu" and "cpu" or x:device(), x:dtype(), x:size())
      module.scratch[field] = kept
    end
    return kept
  end,
  ["tensor_new on the CPU"] = function(module, field, x)
    local kept = module.scratch[field]
    if not kept or kept:nElement() ~= x:nElement() then
      kept = new("cpu", x:dtype(), x:size())
      module.scratch[field] = kept
    end
    return kept
  end,
}

local function moduleOf(how, store)
  local Half = nn.class("Half", nn.Module)
  function Half:updateOutput(x)
    how.copy(store(self, "kept", x), x)
    local y = store(self, "output", x)
    how.square(y, x)
    how.halve(y)
    self.output = y
    return y
  end
  function Half:updateGradInput(x, dy)
    local dx = store(self, "gradInput", x)
    how.mul(dx, dy, self.scratch.kept)
    self.gradInput = dx
    return dx
  end
  return Half
end

local function network(class, mode)
  dn.manualSeed(3)
  local net = nn.Sequential()
  for _ = 1, 4 do net:add(nn.Linear(16, 16)):add(class()) end
  net.config = { optMemory = mode }
  return net
end

-- Output, gradients of the input and of parameters over two steps, as tables.
local function results(net)
  dn.manualSeed(4)
  local list = {}
  for _ = 1, 2 do
    local x, dy = dn.randn(8, 16), dn.randn(8, 16)
    net:zeroGradParameters()
    list[#list + 1] = net:forward(x):totable()
    list[#list + 1] = net:backward(x, dy):totable()
    for _, gradient in ipairs((select(2, net:parameters()))) do list[#list + 1] = gradient:totable() end
  end
  return list
end

local function rowNames(plan)
  local names = {}
  for _, row in ipairs(plan.rows) do names[row.name] = row end
  return names
end

local function sorted(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

describe("a module of one's own", function()
  for _, word in ipairs(sorted(words)) do
    for _, means in ipairs(sorted(stores)) do
      it(("has the same gradients in every mode, and its buffers in the plan: %s, %s"):format(word, means), function()
        local class = moduleOf(words[word], stores[means])
        local right = results(network(class, 0))
        for mode = 0, 5 do
          local net = network(class, mode)
          assert.same(right, results(net), "mode " .. mode)
          assert.is_nil(net.planFailure)
          local rows = rowNames(net:plan { 8, 16 })
          for i = 1, 7, 2 do assert.equal(8 * 16 * 4, rows[i .. ".kept"].bytes) end
        end
      end)
    end
  end

  it("is seen to use its buffers when it does", function()
    local kept = moduleOf(words["functions kept in locals"], stores["buffer.like"])
    local record = trace.record(network(kept, 1), { 8, 16 }, "float")
    for _, row in ipairs(record.rows) do
      local life = row.lives.training
      if row.field == "kept" then
        assert.is_true(life.first <= record.forwardEnd and life.last > record.forwardEnd, row.name)
      elseif row.field == "gradInput" then
        assert.is_true(life.first > record.forwardEnd, row.name)
      end
    end
  end)

  it("may have one tensor in two fields, which then live together", function()
    local Aliasing = nn.class("Aliasing", nn.Module)
    function Aliasing:updateOutput(x)
      local one = buffer.get(self.scratch, "one", x:device(), "float", x:size())
      core.copy(one, x)
      self.scratch.other = one
      self.output = buffer.get(self.scratch, "other", x:device(), "float", x:size())
      return self.output
    end
    function Aliasing:updateGradInput(_, dy)
      self.gradInput = dy
      core.binary(dy, dy, self.scratch.one, "mul")
      return dy
    end
    local lives = {}
    for _, row in ipairs(trace.record(nn.Sequential():add(Aliasing()), { 2, 3 }, "float").rows) do
      lives[row.field] = row.lives.training
    end
    assert.same({ first = 1, last = 6 }, lives.one) -- asked for, copied to, other, mul, gradInput, output
    assert.same({ first = 2, last = 6 }, lives.other)
  end)

  it("may free tensors and make others while it is traced", function()
    -- Each new storage is likely to stand where the last one stood.
    local Busy = nn.class("Busy", nn.Module)
    function Busy:updateOutput(x)
      for i = 1, 20 do
        local other = new("cpu", "float", { 10 * i })
        core.fill(other, 1)
        other:free()
      end
      self.output = buffer.like(self.scratch, "busyOutput", x)
      core.copy(self.output, x)
      for _ = 1, 20 do
        self.scratch.changing = nil
        buffer.get(self.scratch, "changing", x:device(), "float", 10):free()
      end
      return self.output
    end
    function Busy:updateGradInput(_, dy)
      for _ = 1, 20 do
        local other = new("cpu", "float", { 10 })
        core.fill(other, 1)
        other:free()
      end
      self.gradInput = dy
      return dy
    end
    local record = trace.record(nn.Sequential():add(Busy()), { 2, 3 }, "float")
    local rows = {}
    for _, row in ipairs(record.rows) do rows[row.field] = row.lives.training end
    assert.equal(21, rows.busyOutput.first) -- after twenty fills
    assert.equal(23, rows.changing.first)
    assert.equal(42, rows.changing.last) -- and none of the tensors made later is taken for it
  end)

  it("may use tensors of values that it makes itself", function()
    local Listed = nn.class("Listed", nn.Module)
    function Listed:updateOutput(x)
      self.output = buffer.like(self.scratch, "listed", x)
      core.copy(self.output, x:index(2, { 3, 2, 1 }) * dn.tensor { 1, 2, 3 })
      return self.output
    end
    function Listed:updateGradInput(_, dy)
      self.gradInput = (dy * dn.tensor { 1, 2, 3 }):index(2, { 3, 2, 1 })
      return self.gradInput
    end
    local function run(mode)
      local net = nn.Sequential():add(Listed())
      net.config = { optMemory = mode }
      local x = dn.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
      local output, gradInput = net:forward(x):totable(), net:backward(x, x):totable()
      assert.is_nil(net.planFailure)
      return { output, gradInput }
    end
    local right = { { { 3, 4, 3 }, { 6, 10, 12 } }, { { 9, 4, 1 }, { 18, 10, 4 } } }
    for mode = 0, 5 do assert.same(right, run(mode)) end
  end)
end)

describe("planning", function()
  local function assertNothingLeft()
    assert.is_nil(buffer.observe(nil))
    assert.equal("cpu", core.tensor_new("cpu", "float", { 1 }):device())
    assert.is_true(collectgarbage("isrunning"))
  end

  it("within a step that is planned changes neither plan", function()
    local inner = network(moduleOf(words["core's fields"], stores["buffer.like"]), 1)
    local alone = inner:plan { 8, 16 }
    local within = {}
    local Planner, parent = nn.class("Planner", nn.Module)
    function Planner:__init(plans)
      parent.__init(self)
      self.plans = plans
    end
    local function use(self, x)
      if self.plans then
        within[#within + 1] = inner:plan { 8, 16 }
        assert.equal(x:device(), new("cpu", "float", { 1 }):device())
      end
    end
    function Planner:updateOutput(x)
      local y = buffer.like(self.scratch, "planned", x)
      core.copy(y, x)
      use(self, x)
      core.fill(y, 1)
      self.output = y
      return y
    end
    function Planner:updateGradInput(x, dy)
      use(self, x)
      self.gradInput = buffer.like(self.scratch, "gradPlanned", dy)
      core.copy(self.gradInput, dy)
      return self.gradInput
    end
    local function planOf(plans)
      return nn.Sequential():add(Planner(plans)):add(Planner(plans)):plan({ 8, 16 }, { optMemory = 1 })
    end
    local plain, nested = planOf(false), planOf(true)
    assertNothingLeft()
    assert.equal(8, #within) -- two modules, forward and backward, in training and in evaluation
    for _, plan in ipairs(within) do
      assert.equal(alone.totalBytes, plan.totalBytes)
      assert.equal(alone.arenaBytes, plan.arenaBytes)
      assert.same(sorted(rowNames(alone)), sorted(rowNames(plan)))
    end
    assert.equal(plain.totalBytes, nested.totalBytes)
    assert.equal(plain.arenaBytes, nested.arenaBytes)
    assert.same(sorted(rowNames(plain)), sorted(rowNames(nested)))
  end)

  it("leaves nothing behind when a module raises, in forward or in backward", function()
    for _, method in ipairs { "updateOutput", "updateGradInput" } do
      local Failing = nn.class("Failing", nn.Module)
      function Failing:updateOutput(x)
        self.output = buffer.like(self.scratch, "failed", x)
        core.fill(self.output, 0)
        return self.output
      end
      function Failing:updateGradInput(_, dy)
        self.gradInput = dy
        return dy
      end
      Failing[method] = function() error { why = "on purpose" } end
      local inner = nn.Sequential():add(Failing())
      -- Within another plan, too.
      local Outer = nn.class("Outer", nn.Module)
      function Outer:updateOutput(x)
        self.done = pcall(inner.plan, inner, { 2, 3 })
        self.output = new("cpu", "float", x:size())
        assert.equal(x:device(), self.output:device())
        return self.output
      end
      function Outer:updateGradInput(_, dy)
        self.gradInput = dy
        return dy
      end
      assert.is_false(pcall(inner.plan, inner, { 2, 3 }))
      assertNothingLeft()
      assert.is_true(nn.Sequential():add(Outer()):plan({ 2, 3 }).totalBytes > 0)
      assertNothingLeft()
    end
  end)

  it("leaves nothing behind in a coroutine that is closed before it ends", function()
    local Yielding = nn.class("Yielding", nn.Module)
    function Yielding:updateOutput(x)
      self.output = x
      coroutine.yield()
      return x
    end
    local thread = coroutine.create(function() nn.Sequential():add(Yielding()):plan { 2, 3 } end)
    assert.is_true(coroutine.resume(thread))
    assert.equal("suspended", coroutine.status(thread))
    assert.is_true(coroutine.close(thread))
    assertNothingLeft()
  end)

  it("of results in tables takes all of them to the end", function()
    local Pair = nn.class("Pair", nn.Module)
    function Pair:updateOutput(x)
      local a, b = buffer.like(self.scratch, "a", x), buffer.like(self.scratch, "b", x)
      core.copy(a, x)
      core.copy(b, x)
      self.output = { a, { b } }
      return self.output
    end
    function Pair:updateGradInput(_, dy)
      self.gradInput = buffer.like(self.scratch, "gradPair", dy[1])
      core.binary(self.gradInput, dy[1], dy[2][1], "add")
      return self.gradInput
    end
    local record = trace.record(nn.Sequential():add(Pair()), { 2, 3 }, "float")
    local lasts = {}
    for _, row in ipairs(record.rows) do lasts[row.field] = row.lives.training.last end
    assert.equal(lasts.a, lasts.b)
    assert.equal(lasts.gradPair + 1, lasts.a)
  end)
end)
