-- The device "plan": tensors without values, operations that check and compute nothing, and the
-- scratch that they would have taken; views at a place in a byte tensor; identities of storages.

local dn = require "densenet"
local core = require "densenet.core"
local operation = require "spec.support.operation"

local function plan(...) return core.tensor_new("plan", "float", { ... }) end

describe("the device plan", function()
  it("is there", function() assert.is_true(core.device_find("plan")) end)

  it("counts bytes and takes none", function()
    local on_cpu, before = core.memory("cpu").live, core.memory("plan")
    local t = plan(1 << 20, 1 << 20)
    local after = core.memory("plan")
    assert.are.equal(4 << 40, after.live - before.live)
    assert.are.equal(1, after.blocks - before.blocks)
    assert.is_true(core.memory("cpu").live - on_cpu < 1000)
    t:free()
    assert.are.equal(before.live, core.memory("plan").live)
  end)

  it("never counts more than a number holds", function()
    local most = core.tensor_new("plan", "byte", { math.maxinteger - 1000 - core.memory("plan").live })
    local ok, message = pcall(plan, 1000)
    assert.is_false(ok)
    assert.matches("out of memory on plan: 4000 bytes asked for", message)
    most:free()
    assert.is_true(core.memory("plan").live < 1 << 40)
  end)

  it("gives tensors a geometry", function()
    local t = plan(4, 6, 5, 5)
    assert.are.equal("plan", t:device())
    assert.are.same({ 4, 2, 5, 5 }, t:narrow(2, 3, 2):size())
    assert.are.same({ 150, 25, 5, 1 }, t:narrow(2, 3, 2):stride())
    assert.is_false(t:narrow(2, 3, 2):isContiguous())
    t:resize(2, 3)
    assert.are.equal(6, t:nElement())
    assert.are.equal("[float tensor of size 2x3]", tostring(t))
  end)

  it("has no values to read or write", function()
    local t, number = plan(2, 3), plan(1)
    for name, call in pairs {
      totable = function() return t:totable() end,
      item = function() return number:item() end,
      at = function() return t:at(1, 2) end,
      put = function() t:put(1, 1, 2) end,
      index = function() return number[1] end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok, name)
      assert.matches("the tensor is on 'plan', where tensors have no values", message)
    end
    assert.error_matches(function() core.tensor_from("plan", "float", { 1 }) end, "tensors on 'plan' have no values")
    assert.error_matches(function() core.copy(plan(3), dn.ones(3)) end, "y is on plan; expected cpu")
    assert.error_matches(function() core.copy(dn.ones(3), plan(3)) end, "y is on cpu; expected plan")
  end)

  it("checks every operation's arguments", function()
    assert.error_matches(function()
      core.conv2d_forward(plan(1, 4, 8, 8), plan(1, 3, 8, 8), plan(4, 2, 3, 3), nil, 1, 1, 1, 1, 1)
    end, "bad argument #3 to 'conv2d_forward'")
    assert.error_matches(function() core.binary(plan(3), plan(3), dn.ones(3), "add") end, "is on cpu; expected plan")
  end)
end)

describe("scratch planned", function()
  -- Layouts other than contiguous do not survive the way to another device, and need no other scratch.
  local function on_plan(call)
    local values, known = {}, {}
    for number = 1, call.n do
      local value = call.values[number]
      if core.is_tensor(value) then
        known[value] = known[value] or core.tensor_new("plan", value:dtype(), value:size())
        value = known[value]
      end
      values[number] = value
    end
    return values
  end

  local function scratch_taken(case, call)
    core.scratch_release()
    collectgarbage("stop")
    local before = core.memory("cpu").live
    operation.call(case, call)
    local taken = core.memory("cpu").live - before
    collectgarbage("restart")
    return taken
  end

  local by_op, order = {}, {}
  for _, case in ipairs(operation.families().cases) do
    if not by_op[case.op] then order[#order + 1] = case.op end
    by_op[case.op] = by_op[case.op] or {}
    table.insert(by_op[case.op], case)
  end
  local n_with_scratch = 0
  for _, op in ipairs(order) do
    it("is what is taken: " .. op, function()
      for _, case in ipairs(by_op[op]) do
        for _, dtype in ipairs(case.dtypes or { "float" }) do
          for threads = 1, 2 do
            core.threads(threads)
            local call = operation.build(case, { dtype = dtype })
            local values = on_plan(call)
            core.scratch_planned(true)
            core[op](table.unpack(values, 1, call.n))
            local planned, taken = core.scratch_planned(true), scratch_taken(case, call)
            assert.are.equal(taken, planned, ("%s (%s, %d threads)"):format(operation.title(case), dtype, threads))
            if taken > 0 then n_with_scratch = n_with_scratch + 1 end
          end
        end
      end
    end)
  end

  it("is twice as much in double", function()
    local function double(...) return core.tensor_new("plan", "double", { ... }) end
    local function single(...) return core.tensor_new("plan", "float", { ... }) end
    for _, call in ipairs {
      function(new)
        core.conv2d_forward(new(2, 64, 32, 32), new(2, 64, 32, 32), new(64, 64, 1, 1), nil, 1, 1, 0, 0, 1)
      end,
      function(new) core.gemm(new(64, 64), new(64, 512), new(512, 64), 1, 0) end,
    } do
      core.scratch_planned(true)
      call(single)
      local inSingle = core.scratch_planned(true)
      call(double)
      local ratio = core.scratch_planned(true) / inSingle
      assert.is_true(ratio > 1.6 and ratio < 2.4, ratio)
    end
  end)

  it("is nothing in double for reference loops", function()
    local function double(...) return core.tensor_new("plan", "double", { ... }) end
    core.testing.reference(true)
    core.scratch_planned(true)
    core.conv2d_forward(double(2, 4, 8, 8), double(2, 3, 8, 8), double(4, 3, 3, 3), nil, 1, 1, 1, 1, 1)
    core.conv2d_backward_data(double(2, 3, 8, 8), double(2, 4, 8, 8), double(4, 3, 3, 3), 1, 1, 1, 1, 1)
    core.conv2d_backward_weight(double(4, 3, 3, 3), double(4), double(2, 4, 8, 8), double(2, 3, 8, 8), 1, 1, 1, 1, 1, 1)
    core.norm_relu_conv_forward(double(2, 4, 8, 8), nil, double(2, 3, 8, 8), double(4, 3), double(4, 3, 3, 3))
    core.norm_relu_conv_backward(double(2, 3, 8, 8), double(2, 3), double(4, 3, 3, 3), double(2, 4, 8, 8), nil, nil,
      double(2, 3, 8, 8), double(4, 3), double(4, 3, 3, 3), true, 1)
    assert.are.equal(0, core.scratch_planned())
    core.testing.reference(false)
  end)

  it("was not always nothing", function() assert.is_true(n_with_scratch > 100) end)

  it("is nothing for reference loops", function()
    core.testing.reference(true)
    core.scratch_planned(true)
    core.conv2d_forward(plan(2, 4, 8, 8), plan(2, 3, 8, 8), plan(4, 3, 3, 3), nil, 1, 1, 1, 1, 1)
    core.norm_relu_conv_forward(plan(2, 4, 8, 8), nil, plan(2, 3, 8, 8), plan(4, 3), plan(4, 3, 3, 3))
    core.reduce(plan(1, 1), plan(3, 3), "sum", 0)
    assert.are.equal(0, core.scratch_planned())
  end)

  it("is the largest since the last reset", function()
    local function forward(n_channels)
      core.norm_relu_conv_forward(plan(2, 4, 8, 8), nil, plan(2, n_channels, 8, 8), plan(4, n_channels),
        plan(4, n_channels, 1, 1))
      return core.scratch_planned()
    end
    core.scratch_planned(true)
    local small = forward(3)
    local large = forward(30)
    assert.is_true(large > small and small > 0)
    assert.are.equal(large, forward(3))
    core.scratch_planned(true)
    assert.are.equal(small, forward(3))
  end)
end)

describe("storage_key", function()
  it("is shared by views and by nothing else", function()
    local a, b = dn.ones(2, 3), dn.ones(2, 3)
    assert.are.equal(core.storage_key(a), core.storage_key(a:narrow(2, 2, 1)))
    assert.are.equal(core.storage_key(a), core.storage_key(a:view(6)))
    assert.are_not.equal(core.storage_key(a), core.storage_key(b))
    local key = core.storage_key(a)
    a:resize(100)
    assert.are_not.equal(key, core.storage_key(a))
    assert.is_true(math.type(key) == "integer")
    b:free()
    assert.error_matches(function() core.storage_key(b) end, "freed")
  end)
end)

describe("tensor_at", function()
  local arena
  before_each(function()
    arena = core.tensor_new("cpu", "byte", { 1024 })
    core.fill(arena, 0)
  end)
  after_each(function() arena:free() end)

  it("views the arena's bytes", function()
    local t = core.tensor_at(arena, 128, "float", { 2, 3 })
    assert.are.same({ 2, 3 }, t:size())
    assert.are.equal("float", t:dtype())
    assert.is_true(t:isContiguous())
    assert.are.equal(33, t:storageOffset())
    assert.are.equal(core.storage_key(arena), core.storage_key(t))
    core.fill(t, 1)
    assert.are.same({ 0, 0, 128, 63 }, arena:narrow(1, 129, 4):totable())
    assert.are.equal(0, arena:at(128))
    assert.are.equal(0, arena:at(128 + 24 + 1))
    local n_allocated = core.memory("cpu").allocations
    core.tensor_at(arena, 0, "double", { 128 })
    assert.are.equal(n_allocated, core.memory("cpu").allocations)
  end)

  it("keeps the arena alive", function()
    local t = core.tensor_at(arena, 64, "double", { 3 })
    core.fill(t, 7)
    arena:free()
    assert.are.same({ 7, 7, 7 }, t:totable())
  end)

  it("begins where its tensor does", function()
    local t = core.tensor_at(arena:narrow(1, 65, 512), 64, "long", { 8 })
    assert.are.equal(17, t:storageOffset())
  end)

  it("may be empty, or a scalar, up to the end", function()
    assert.are.equal(0, core.tensor_at(arena, 1024, "float", { 0, 4 }):nElement())
    assert.are.equal(1, core.tensor_at(arena, 960, "float", {}):nElement())
    assert.are.equal(8, core.tensor_at(arena, 960, "double", { 8 }):nElement())
  end)

  it("works on plan", function()
    local t = core.tensor_at(core.tensor_new("plan", "byte", { 1024 }), 64, "float", { 2, 2 })
    assert.are.equal("plan", t:device())
  end)

  it("refuses other places", function()
    local function refused(pattern, ...)
      local ok, message = pcall(core.tensor_at, ...)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    refused("#2 .*32 bytes from byte 1000 on, in 1024", arena, 1000, "float", { 8 })
    refused("#2 .*byte 60 of the storage is not at a multiple of 64", arena, 60, "float", { 8 })
    refused("#2 .*byte 65 of the storage", arena:narrow(1, 2, 512), 64, "float", { 8 })
    refused("#2 .*from byte %-64", arena, -64, "float", { 8 })
    refused("#2 .*from byte 2048", arena, 2048, "float", { 0 })
    refused("#1 .*contiguous one of bytes", dn.ones(100), 0, "float", { 8 })
    refused("#1 .*contiguous one of bytes", arena:view(32, 32):t(), 0, "float", { 8 })
    refused("more bytes than a number can count", arena, 0, "double", { 1 << 61 })
    refused("#3 .*unknown type", arena, 0, "complex", { 1 })
    arena:free()
    refused("#1 .*freed", arena, 0, "float", { 1 })
    arena = core.tensor_new("cpu", "byte", { 1 })
  end)
end)

describe("tiles", function()
  it("are chosen by name", function()
    local names, current = core.testing.tiles()
    assert.are.equal(names[1], current)
    assert.are.equal("portable", names[#names])
    for _, name in ipairs(names) do
      assert.are.equal(name, select(2, core.testing.tiles(name)))
      assert.are.equal(name, select(2, core.testing.tiles()))
    end
    assert.error_matches(function() core.testing.tiles("mmx") end, "invalid option 'mmx'")
  end)
end)
