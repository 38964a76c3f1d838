-- What a thread does on plan devices is recorded, by whatever way it gets there; and tensors can be
-- made to be plan tensors wherever a program asks for them.

local core = require "densenet.core"
local dn = require "densenet"
local operation = require "spec.support.operation"
local recorded = require "spec.support.recorded"

local function plan(...) return core.tensor_new("plan", "float", { ... }) end

local key = core.storage_key

describe("a recorder", function()
  local by_op, order = {}, {}
  for _, case in ipairs(operation.families().cases) do
    if not by_op[case.op] then order[#order + 1] = case.op end
    by_op[case.op] = by_op[case.op] or {}
    table.insert(by_op[case.op], case)
  end
  for _, op in ipairs(order) do
    it("is told what is written and what is read by " .. op, function()
      local n = 0
      for _, case in ipairs(by_op[op]) do n = n + recorded.check(case, "plan") end
      assert.is_true(n > 0)
    end)
  end

  it("hears of views, of nothing left out, and of nothing on the CPU", function()
    local x, y, w = plan(4, 6), plan(4, 2), plan(2, 6)
    local recorder <close> = core.plan_record()
    core.linear_forward(y:narrow(1, 2, 3), x:narrow(1, 2, 3), w, nil)
    core.fill(dn.ones(3), 1)
    core.fill(x:t(), 1)
    assert.same({
      { 1, key(y), "written", "linear_forward" }, { 1, key(x), "read", "linear_forward" },
      { 1, key(w), "read", "linear_forward" }, { 2, key(x), "written", "fill" },
    }, recorded.events(recorder))
  end)

  it("tells what is added to from what is overwritten", function()
    local dw, dy, x = plan(2, 6), plan(4, 2), plan(4, 6)
    local recorder <close> = core.plan_record()
    core.linear_backward_weight(dw, nil, dy, x, 1)
    assert.same({
      { 1, key(dw), "added", "linear_backward_weight" }, { 1, key(dy), "read", "linear_backward_weight" },
      { 1, key(x), "read", "linear_backward_weight" },
    }, recorded.events(recorder))
  end)

  it("hears of operators, methods and functions kept in locals", function()
    local mul, cmul, times = core.binary, dn.ones(1).cmul, core.tensor_metatable.__mul
    local x, y = plan(3), plan(3)
    local recorder <close> = core.plan_record()
    mul(x, y, y, "mul")
    cmul(x, y)
    local a, b = times(x, y), x * y
    assert.same({
      { 1, key(x), "written", "binary" }, { 1, key(y), "read", "binary" }, { 1, key(y), "read", "binary" },
      { 2, key(x), "written", "binary" }, { 2, key(x), "read", "binary" }, { 2, key(y), "read", "binary" },
      { 3, key(a), "written", "binary" }, { 3, key(x), "read", "binary" }, { 3, key(y), "read", "binary" },
      { 4, key(b), "written", "binary" }, { 4, key(x), "read", "binary" }, { 4, key(y), "read", "binary" },
    }, recorded.events(recorder))
  end)

  it("hears of copies on the side, which move nothing", function()
    local pinned, y = core.tensor_new_pinned("plan", "float", { 1 << 16 }), plan(1 << 16)
    local recorder <close> = core.plan_record()
    core.copy_async(y, pinned)
    core.copy_join("plan")
    core.copy_wait("plan")
    assert.same({ { 1, key(y), "written", "copy" } }, recorded.events(recorder))
  end)

  it("hears of no call that is refused", function()
    local recorder <close> = core.plan_record()
    assert.is_false(pcall(core.copy, plan(3), plan(4)))
    assert.is_false(pcall(core.copy, plan(3), dn.ones(3)))
    assert.same({}, recorded.events(recorder))
    assert.equal(0, recorder:time())
  end)

  it("has a clock that ticks for others too, until it is stopped", function()
    local x = plan(2)
    local recorder <close> = core.plan_record()
    assert.equal(0, recorder:time())
    assert.equal(1, recorder:tick())
    core.fill(x, 1)
    assert.equal(2, recorder:time())
    assert.equal(3, recorder:tick())
    core.fill(x, 1)
    recorder:stop()
    core.fill(x, 1)
    recorder:stop()
    assert.same({ { 2, key(x), "written", "fill" }, { 4, key(x), "written", "fill" } }, recorded.events(recorder))
    assert.equal(4, recorder:time())
  end)

  it("keeps more events than it had room for", function()
    local x, y = plan(2), plan(2)
    local recorder <close> = core.plan_record()
    for _ = 1, 3000 do core.copy(y, x) end
    local events = recorded.events(recorder)
    assert.equal(6000, #events)
    for i, event in ipairs(events) do
      local is_write = i % 2 == 1
      assert.same({ (i + 1) // 2, is_write and key(y) or key(x), is_write and "written" or "read", "copy" }, event)
    end
  end)

  it("raises where its memory lacks, and goes on when there is some", function()
    local x = plan(2)
    local recorder <close> = core.plan_record()
    collectgarbage()
    collectgarbage() -- or what is freed on the second try would be enough
    core.memory_limit("cpu", core.memory("cpu").live)
    local done, message = pcall(core.fill, x, 1)
    core.memory_limit("cpu", 0)
    assert.is_false(done)
    assert.matches("out of memory on cpu: %d+ bytes", message)
    core.fill(x, 1)
    local events = recorded.events(recorder)
    assert.same({ recorder:time(), key(x), "written", "fill" }, events[#events])
  end)

  it("stands beside others, that begin and end in any order", function()
    local x = plan(2)
    local outer = core.plan_record()
    core.fill(x, 1)
    local inner = core.plan_record()
    core.copy(x, x)
    outer:stop()
    core.fill(x, 2)
    inner:stop()
    core.fill(x, 3)
    assert.same({ { 1, key(x), "written", "fill" }, { 2, key(x), "written", "copy" }, { 2, key(x), "read", "copy" } },
      recorded.events(outer))
    assert.same({ { 1, key(x), "written", "copy" }, { 1, key(x), "read", "copy" }, { 2, key(x), "written", "fill" } },
      recorded.events(inner))
  end)

  it("ends with its block, however that is left, and with its last reference", function()
    collectgarbage()
    collectgarbage() -- what other tests left
    local x, left = plan(2), nil
    local before = core.memory("cpu").blocks
    assert.is_false(pcall(function()
      local recorder <close> = core.plan_record()
      left = recorder
      core.fill(x, 1)
      assert.equal(before + 1, core.memory("cpu").blocks)
      error("left")
    end))
    assert.equal(before, core.memory("cpu").blocks)
    core.fill(x, 1)
    assert.same({}, recorded.events(left))
    core.plan_record()
    core.fill(x, 1)
    collectgarbage()
    core.fill(x, 1)
    assert.equal(before, core.memory("cpu").blocks)
  end)

  it("hears nothing of other threads, whose tensors are their own affair too", function()
    local x = plan(2)
    local recorder <close> = core.plan_record()
    local override <close> = core.device_override("plan")
    local pool <close> = core.worker_pool(1, [[
      local core = require "densenet.core"
      return function(x)
        core.fill(x, 1)
        return core.tensor_new("cpu", "float", { 2 }):device()
      end]])
    pool:submit(1, x)
    assert.same({ 1, true, "cpu" }, { pool:receive() })
    assert.equal("plan", core.tensor_new("cpu", "float", { 2 }):device())
    assert.same({}, recorded.events(recorder))
    assert.is_not_nil(override)
  end)

  it("never takes a new storage for one that is gone", function()
    local keys, seen = {}, {}
    local recorder <close> = core.plan_record()
    for i = 1, 200 do
      local x = plan(2)
      keys[i] = key(x)
      assert.is_nil(seen[keys[i]])
      seen[keys[i]] = true
      core.fill(x, 1)
      x:free()
    end
    for i, event in ipairs(recorded.events(recorder)) do assert.same({ i, keys[i], "written", "fill" }, event) end
  end)

  it("refuses to be anything else", function()
    local recorder = core.plan_record()
    assert.error_matches(function() recorder.time(3) end, "densenet.recorder expected, got number")
    recorder:stop()
  end)
end)

describe("a device's override", function()
  it("makes tensors on the plan device, wherever they are asked for", function()
    local new = core.tensor_new
    do
      local override <close> = core.device_override("plan")
      assert.is_not_nil(override)
      local sizes, values = { 2, 3 }, { { 1, 2, 3 }, { 4, 5, 6 } }
      for what, made in pairs {
        new = new("cpu", "float", sizes), zeros = dn.zeros(2, 3), clone = new("cpu", "float", sizes):clone(),
        pinned = core.tensor_new_pinned("cpu", "float", sizes), listed = dn.tensor(values),
        from = core.tensor_from("cpu", "float", values), there = core.tensor_from("plan", "float", values),
      } do
        assert.equal("plan", made:device(), what)
        assert.same({ 2, 3 }, made:size(), what)
        assert.equal("float", made:dtype(), what)
      end
      assert.error_matches(function() core.tensor_from("cpu", "float", { 1, "x" }) end, "a number expected")
      assert.error_matches(function() new("tpu", "float", { 1 }) end, "unknown device 'tpu'")
    end
    assert.equal("cpu", new("cpu", "float", { 2 }):device())
    assert.same({ 1, 2 }, dn.tensor({ 1, 2 }):totable())
    assert.error_matches(function() core.tensor_from("plan", "float", { 1 }) end, "have no values")
  end)

  it("leaves tensors that are there as they are, and takes no memory", function()
    local x = dn.tensor { 1, 2, 3 }
    local override <close> = core.device_override("plan")
    assert.is_not_nil(override)
    local live = core.memory("cpu").live
    local y = dn.zeros(1 << 30, 1 << 10)
    assert.equal("plan", y:device())
    assert.is_true(core.memory("cpu").live - live < 1000)
    assert.same({ 1, 2, 3 }, x:totable())
    assert.equal(3, x:at(3))
    x:resize(1000)
    assert.equal("cpu", x:device())
  end)

  it("ends with its block, however that is left; the one before it holds again", function()
    local function place() return core.tensor_new("cpu", "byte", { 1 }):device() end
    local outer = core.device_override("plan")
    assert.is_false(pcall(function()
      local inner <close> = core.device_override("plan")
      assert.is_not_nil(inner)
      error("left")
    end))
    assert.equal("plan", place())
    local inner = core.device_override("plan")
    outer = outer and nil
    collectgarbage() -- ends the outer one first
    assert.equal("plan", place())
    inner = inner and nil
    collectgarbage()
    assert.equal("cpu", place())
    assert.is_nil(outer or inner)
  end)

  it("is to a plan device", function()
    assert.error_matches(function() core.device_override("cpu") end,
      "bad argument #1 to 'device_override' %(a plan device expected, got 'cpu'%)")
    assert.error_matches(function() core.device_override("tpu") end, "unknown device 'tpu'")
    assert.equal("cpu", dn.ones(1):device())
  end)
end)

describe("elementSize", function()
  it("is the bytes of an element", function()
    for dtype, n_bytes in pairs { float = 4, double = 8, half = 2, bfloat16 = 2, long = 8, byte = 1 } do
      local before = core.memory("plan").live
      local t = core.tensor_new("plan", dtype, { 100 })
      assert.equal(n_bytes, t:elementSize())
      assert.equal(100 * n_bytes, core.memory("plan").live - before)
      t:free()
    end
  end)
end)
