-- Memory: sizes that cannot be, allocations that fail, and a collector that cannot see tensors.

local dn = require "densenet"
local core = require "densenet.core"
local temporary = require "spec.support.temporary"

local function live_bytes()
  collectgarbage()
  collectgarbage()
  return core.memory("cpu").live
end

-- What the calls below do: everything that allocates, each giving a value to compare.
local function makers()
  local a, b = dn.arange(1, 6):view(2, 3), dn.arange(1, 3)
  local long = a:long()
  return {
    zeros = function() return dn.zeros(2, 3) end,
    ones = function() return dn.ones { 2, 3, dtype = "half" } end,
    full = function() return dn.full(3, 2, 2) end,
    tensor = function() return dn.tensor { { 1, 2 }, { 3, 4 } } end,
    tensor_double = function() return dn.tensor({ { 1, 2 }, { 3, 4 } }, "double") end,
    tensor_byte = function() return dn.tensor({ 1, 2 }, "byte") end,
    arange = function() return dn.arange(1, 9) end,
    cat = function() return dn.cat({ a, a }, 2) end,
    clone = function() return a:clone() end,
    contiguous = function() return a:t():contiguous() end,
    double = function() return a:double() end,
    add = function() return a + b end,
    add_number = function() return a + 1 end,
    number_divided = function() return 1 / a end,
    negated = function() return -a end,
    compared = function() return a:lt(b) end,
    compared_number = function() return a:ge(2) end,
    sum = function() return a:sum(1) end,
    whole_sum = function() return dn.tensor(a:sum()) end,
    largest = function() return (a:max(2)) end,
    topk = function() return (a:topk(2)) end,
    index = function() return a:index { 2, 1 } end,
    mm = function() return a:mm(a:t()) end,
    integers = function() return long + long end,
    table_back = function() return dn.tensor(a:t():totable()) end,
    resize = function() return dn.empty(1):resize(50):zero() end,
  }
end

describe("a size", function()
  it("whose product overflows is refused before anything is allocated", function()
    local one = dn.ones(1)
    local n = core.memory("cpu").allocations
    for _, dtype in ipairs { "float", "byte" } do
      local ok, message = pcall(dn.zeros, 1 << 40, 1 << 40, dtype)
      assert.is_false(ok)
      assert.matches("1099511627776x1099511627776 of " .. dtype .. " has more bytes than a number can count", message)
    end
    assert.is_false(pcall(dn.zeros, 1 << 62, "double"))
    assert.is_false(pcall(one.expand, one, 1 << 40, 1 << 40))
    assert.equal(n, core.memory("cpu").allocations)
  end)

  it("too large for the machine is an error with the bytes asked for, and the program goes on", function()
    local ok, message = pcall(dn.zeros, 1 << 45)
    assert.is_false(ok)
    assert.matches("out of memory on cpu: 140737488355328 bytes asked for, %d+ in use, %d+ at the peak", message)
    assert.equal(3, dn.ones(3):sum())
  end)
end)

describe("an allocation that fails", function()
  it("once is made good by a collection, wherever it happens", function()
    for name, make in pairs(makers()) do
      local expected = make():totable()
      local n_before = core.memory("cpu").allocations
      make()
      local n = core.memory("cpu").allocations - n_before
      assert.is_true(n > 0, name)
      for nth = 1, n do
        core.testing.alloc_refuse(nth)
        assert.same(expected, make():totable(), name)
      end
      core.testing.alloc_refuse(0)
    end
  end)

  it("for good raises, with the figures, leaks nothing, and leaves everything usable", function()
    local calls = makers()
    for name, make in pairs(calls) do
      local expected = make():totable()
      core.scratch_release()
      local before = live_bytes()
      local n_failed, limit = 0, math.max(before, 1)
      local ok, result
      repeat
        core.memory_limit("cpu", limit)
        ok, result = pcall(make)
        core.memory_limit("cpu", 0)
        if not ok then
          n_failed = n_failed + 1
          local asked, in_use = result:match("out of memory on cpu: (%d+) bytes asked for, (%d+) in use")
          assert.is_truthy(asked, result)
          core.scratch_release()
          assert.equal(before, live_bytes(), name .. " leaked")
          limit = math.max(limit + 1, tonumber(asked) + tonumber(in_use)) -- room for this allocation, not for the next
        end
      until ok
      assert.same(expected, result:totable(), name)
      assert.is_true(n_failed > 0, name .. " never ran out of memory")
      assert.same(expected, make():totable(), name)
    end
  end)

  it("is retried when dropped tensors hold the memory", function()
    local before = live_bytes()
    collectgarbage("stop")
    for _ = 1, 10 do dn.empty(1000) end
    core.memory_limit("cpu", before + 3 * 4096)
    local ok, kept = pcall(dn.zeros, 2000)
    core.memory_limit("cpu", 0)
    collectgarbage("restart")
    assert.is_true(ok)
    assert.equal(2000, kept:nElement())
  end)
end)

describe("the collector", function()
  -- The peak above what was live, over 2,000 dropped tensors of 400 kB.
  local function peak_of_dropped(make)
    local before = live_bytes()
    core.memory_reset_peak("cpu")
    for _ = 1, 2000 do make() end
    return core.memory("cpu").peak - before
  end

  it("is told of every tensor, so dropped ones do not pile up", function()
    assert.is_true(peak_of_dropped(function() return dn.empty(100000) end) < 20e6)
    local t = dn.zeros(100000)
    assert.is_true(peak_of_dropped(function() return t + 1 end) < 20e6)
    assert.is_true(peak_of_dropped(function() return dn.empty(1):resize(100000) end) < 20e6)
  end)

  it("may be generational", function()
    collectgarbage("generational")
    local peak = peak_of_dropped(function() return dn.empty(100000) end)
    collectgarbage("incremental")
    assert.is_true(peak < 100e6, peak .. " bytes")
  end)

  it("stays stopped when it was stopped", function()
    collectgarbage()
    collectgarbage("stop")
    local before = core.memory("cpu").blocks
    for _ = 1, 20 do dn.empty(100000) end
    local more = core.memory("cpu").blocks - before
    assert.is_false(collectgarbage("isrunning"))
    collectgarbage("restart")
    assert.equal(40, more) -- a header and its data each
  end)

  it("may run finalizers that make tensors", function()
    local made = 0
    for _ = 1, 100 do
      setmetatable({}, { __gc = function() made = made + dn.ones(10):sum() end })
    end
    collectgarbage()
    assert.equal(1000, made)
  end)
end)

describe("memory figures", function()
  it("are exact", function()
    local before = core.memory("cpu")
    local t = dn.empty(1000)
    local after = dn.memory()
    assert.is_true(after.live - before.live >= 4000 and after.live - before.live < 4100)
    assert.equal(2, after.blocks - before.blocks)
    assert.equal(2, after.allocations - before.allocations)
    t:free()
    assert.equal(before.live, dn.memory("cpu").live)
    assert.equal(before.live, dn.memory(dn.device("cpu")).live)
    core.memory_reset_peak("cpu")
    assert.equal(before.live, dn.memory().peak)
  end)

  it("of a device that is not there are refused", function()
    assert.is_false(pcall(dn.memory, "tpu"))
    local found, message, code = dn.device("tpu")
    assert.is_nil(found)
    assert.matches("tpu", message)
    assert.equal("argument", code)
    assert.equal("cpu", tostring(dn.device("cpu")))
  end)

  it("are not changed by reading single elements or by operations into given outputs", function()
    local a, b = dn.ones(3, 4), dn.ones(3, 4)
    local n = core.memory("cpu").allocations
    local sum = 0
    for i = 1, 3 do sum = sum + a:at(i, 1) + a[i][1] end
    core.binary(a, a, b, "add")
    a:mul(2):add(1):add(0.5, b):put(1, 1, 1)
    assert.equal(6, sum)
    assert.equal(n, core.memory("cpu").allocations)
  end)
end)

describe("a block that holds a huge page", function()
  it("asks for it, and for no more than the block", function()
    if (os.getenv("DENSENET_BUILD") or "build") ~= "build" then return pending("a sanitizer's memory is another") end
    if not io.open("/sys/kernel/mm/transparent_hugepage/enabled") then return pending("no huge pages here") end
    -- Kilobytes of the mappings that madvise was called for: flag hg, as proc(5) says.
    assert.equal("0 2048 4096\n", temporary.output [[
      local function advised()
        local n, size = 0
        for line in io.lines("/proc/self/smaps") do
          size = tonumber(line:match("^Size:%s*(%d+) kB")) or size
          if line:find("^VmFlags:.* hg") then n = n + size end
        end
        return n
      end
      local small = dn.ones((1 << 19) - 16)
      io.write(advised(), " ")
      local one = dn.ones(3 << 18)
      io.write(advised(), " ")
      local two = dn.ones(1 << 19)
      print(advised())]])
  end)
end)
