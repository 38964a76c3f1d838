-- Worker threads: what crosses to them, how their errors arrive, how they end, and that nothing is
-- left behind, whatever goes wrong.

local core = require "densenet.core"
require "densenet.tensor"

local ECHO = "return function(...) return ... end"

-- A pool that is closed when the test's function is left.
local function with_pool(n, source, argument, use)
  local pool <close> = core.worker_pool(n, source, argument)
  use(pool)
end

local function fails(pattern, ...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  assert.matches(pattern, message)
end

describe("core.worker_pool", function()
  it("carries every kind of value there and back", function()
    with_pool(1, ECHO, nil, function(pool)
      local tree = {
        1, 2.5, -0.0, "three", true, false, [10] = "ten", [2.5] = "x", [true] = 1,
        name = { "a\0b", "", { {} } }, smallest = math.mininteger, huge = math.huge,
      }
      pool:submit(7, nil, true, false, math.maxinteger, 1e-300, "text\0", tree, nil)
      local got = table.pack(pool:receive())
      assert.equal(10, got.n)
      assert.same({ 7, true, nil, true, false, math.maxinteger, 1e-300, "text\0", tree, nil, n = 10 }, got)
      assert.equal("integer", math.type(got[6]))
      assert.equal("float", math.type(got[9][3]))
      pool:submit(8)
      assert.same({ 8, true, n = 2 }, table.pack(pool:receive()))
    end)
  end)

  it("carries NaN", function()
    with_pool(1, "return function(x) return x ~= x, x end", nil, function(pool)
      pool:submit(1, 0 / 0)
      local _, _, is_nan, nan = pool:receive()
      assert.is_true(is_nan)
      assert.is_true(nan ~= nan)
    end)
  end)

  it("shares tensors with both sides, views included", function()
    local source = [[
      local core, big = require "densenet.core", ...
      return function(t) core.fill(t, 5); core.fill(big.inner[1], 6); return t:select(1, 2), t end]]
    local shared = core.tensor_from("cpu", "float", { 0, 0 })
    with_pool(1, source, { inner = { shared } }, function(pool)
      local t = core.tensor_from("cpu", "byte", { { 1, 2 }, { 3, 4 }, { 5, 6 } })
      pool:submit(1, t:narrow(1, 2, 2))
      local _, ok, row, view = pool:receive()
      assert.is_true(ok, row)
      assert.same({ { 1, 2 }, { 5, 5 }, { 5, 5 } }, t:totable())
      assert.same({ 6, 6 }, shared:totable())
      assert.same({ 5, 5 }, row:totable())
      core.fill(t, 9)
      assert.same({ { 9, 9 }, { 9, 9 } }, view:totable())
    end)
  end)

  it("keeps a tensor alive that the sender has dropped", function()
    with_pool(1, "local t = ...; return function() return t:totable() end",
      core.tensor_from("cpu", "long", { 4, 5 }), function(pool)
        collectgarbage()
        pool:submit(1)
        assert.same({ 4, 5 }, (select(3, pool:receive())))
      end)
  end)

  it("refuses what cannot cross and says where it is", function()
    with_pool(1, ECHO, nil, function(pool)
      local circle, deep = { a = { {} } }, {}
      circle.a[1].b = circle.a
      for _ = 1, 100 do deep = { deep } end
      local freed = core.tensor_from("cpu", "float", { 1 })
      freed:free()
      fails("argument 2: a function cannot cross", pool.submit, pool, 1, 0, print)
      fails("argument 1%.f%[3%]: a function cannot cross", pool.submit, pool, 1, { f = { 1, 2, print } })
      fails("argument 1%[boolean%]: a thread cannot cross", pool.submit, pool, 1, { [true] = coroutine.create(print) })
      fails("argument 1: a userdata cannot cross", pool.submit, pool, 1, io.stdout)
      fails("argument 1%.a%[1%]%.b: the table contains itself", pool.submit, pool, 1, circle)
      fails("nested too deeply", pool.submit, pool, 1, deep)
      fails("argument 1%.m: a table with a metatable", pool.submit, pool, 1, { m = setmetatable({}, {}) })
      fails("argument 1%[table%]: a table as a key", pool.submit, pool, 1, { [{}] = 1 })
      fails("argument 1%.t: the tensor has been freed", pool.submit, pool, 1, { t = freed })
      fails("argument: a function cannot cross", core.worker_pool, 1, ECHO, print)
      fails("#2 to '%?' %(integer expected, got string%)", pool.submit, pool, "id")
      assert.equal(0, pool:pending())
    end)
  end)

  it("reports a result that cannot cross as the job's error", function()
    with_pool(1, "return function(x) return 1, {x = x and print or nil} end", nil, function(pool)
      pool:submit(1, true)
      local id, ok, message = pool:receive()
      assert.same({ 1, false }, { id, ok })
      assert.matches("result 2%.x: a function cannot cross", message)
      pool:submit(2, false)
      assert.same({ 2, true, 1, {} }, { pool:receive() })
    end)
  end)

  it("gives an error with the job's traceback, and the thread goes on", function()
    local source = [[
      local function deeper(x) error(x) end
      return function(x) if x then deeper(x) end return "fine" end]]
    with_pool(1, source, nil, function(pool)
      pool:submit(11, "broken")
      pool:submit(12, { 1 })
      pool:submit(13)
      local id, ok, message = pool:receive()
      assert.same({ 11, false }, { id, ok })
      assert.matches("worker:1: broken\nstack traceback:.*'?deeper'?.*worker:2", message)
      id, ok, message = pool:receive()
      assert.same({ 12, false }, { id, ok })
      assert.matches("^table: .*stack traceback", message)
      assert.same({ 13, true, "fine" }, { pool:receive() })
    end)
  end)

  it("gives an error that has a traceback as it is", function()
    with_pool(1, [[return function() error("one\nstack traceback:\n\there", 0) end]], nil, function(pool)
      pool:submit(1)
      assert.equal("one\nstack traceback:\n\there", (select(3, pool:receive())))
    end)
  end)

  it("delivers an error of the setup at the next receive", function()
    for source, pattern in pairs {
      ["error('no such data')"] = "worker:1: no such data\nstack traceback",
      ["syntax error here"] = "worker:1: syntax error near",
      ["return 3"] = "must return the function that does a job, got number",
      ["require('a.module.that.is.not.there')"] = "module 'a.module.that.is.not.there' not found",
      ["\27Lua"] = "attempt to load a binary chunk",
    } do
      with_pool(2, source, nil, function(pool)
        pool:submit(1)
        for _ = 1, 2 do
          local id, ok, message = pool:receive()
          assert.is_nil(id)
          assert.is_false(ok)
          assert.matches(pattern, message)
        end
        fails("every worker failed in its setup", pool.receive, pool)
      end)
    end
  end)

  it("waits for a reply as long as it is told to", function()
    with_pool(1, "return function(x) while x:at(1) == 0 do end return 'done' end", nil, function(pool)
      fails("no job is pending", pool.receive, pool)
      local gate = core.tensor_from("cpu", "byte", { 0 })
      pool:submit(1, gate)
      local start = core.clock()
      assert.same({ nil, "timeout", n = 2 }, table.pack(pool:receive(0.05)))
      assert.is_true(core.clock() - start >= 0.05)
      assert.equal(1, pool:pending())
      gate:put(1, 1)
      assert.same({ 1, true, "done" }, { pool:receive(60) })
      assert.equal(0, pool:pending())
      fails("cannot be negative", pool.receive, pool, -1)
    end)
  end)

  it("uses one compute thread a worker, the libraries and the caller's paths", function()
    with_pool(1, [[
      local core = require "densenet.core"
      return function() return core.threads(), package.path, package.cpath, type(io), _VERSION end]], nil,
      function(pool)
        pool:submit(1)
        assert.same({ 1, true, 1, package.path, package.cpath, "table", _VERSION }, { pool:receive() })
      end)
  end)

  it("does a thousand small jobs over four threads, each once", function()
    with_pool(4, [[
      local core = require "densenet.core"
      return function(i, t)
        if i % 100 == 0 then error("hundred") end
        core.binary_scalar(t, t, i, "add")
        return i, { double = 2 * i }, t
      end]], nil, function(pool)
      local done = {}
      local function receive()
        local id, ok, i, tree, t = pool:receive()
        assert.is_nil(done[id])
        done[id] = true
        if id % 100 == 0 then
          assert.is_false(ok)
          assert.matches("hundred", i)
        else
          assert.same({ id, 2 * id, id + 1 }, { i, tree.double, t:item() })
        end
      end
      for i = 1, 1000 do
        local t = core.tensor_from("cpu", "long", { 1 })
        pool:submit(i, i, t)
        if i > 20 then receive() end
      end
      while pool:pending() > 0 do receive() end
      assert.equal(1000, #done)
    end)
  end)

  it("closes with jobs waiting, running and finished, twice, and by the collector", function()
    for _ = 1, 5 do
      local pool = core.worker_pool(3, "return function(t) for _ = 1, 1e4 do end return t, {t} end")
      for i = 1, 50 do pool:submit(i, core.tensor_new("cpu", "byte", { 1000 })) end
      pool:receive()
      pool:close()
      pool:close()
      assert.equal("worker_pool (closed)", tostring(pool))
      assert.equal(0, pool:pending())
      fails("the pool is closed", pool.submit, pool, 1)
      fails("the pool is closed", pool.receive, pool)
    end
    local dropped = setmetatable({ core.worker_pool(2, ECHO) }, { __mode = "v" })
    dropped[1]:submit(1, core.tensor_new("cpu", "byte", { 1000 }))
    collectgarbage()
    collectgarbage()
    assert.is_nil(dropped[1])
  end)

  it("allocates nothing in the long run", function()
    with_pool(1, ECHO, nil, function(pool)
      local t = core.tensor_new("cpu", "byte", { 10 })
      local before
      for i = 1, 20 do
        pool:submit(i, t, { "x", i })
        pool:receive()
        if i == 3 then before = core.memory("cpu").allocations end
      end
      assert.equal(before, core.memory("cpu").allocations)
    end)
  end)

  it("leaves nothing live after any of this", function()
    collectgarbage()
    collectgarbage()
    local before = core.memory("cpu").blocks
    local pool = core.worker_pool(2, "local held = {...}; return function(...) held[#held + 1] = {...}; return ... end",
      { core.tensor_new("cpu", "byte", { 10 }) })
    for i = 1, 10 do pool:submit(i, core.tensor_new("cpu", "byte", { 100 }), ("x"):rep(1000)) end
    pool:receive()
    pool:close()
    collectgarbage()
    collectgarbage()
    assert.equal(before, core.memory("cpu").blocks)
  end)

  it("refuses impossible numbers of threads and sources that are none", function()
    fails("#1.*1 to 256", core.worker_pool, 0, ECHO)
    fails("#1.*1 to 256", core.worker_pool, 1000, ECHO)
    fails("#2.*string expected", core.worker_pool, 1, print)
  end)
end)

describe("core.worker_pool without memory", function()
  -- Each allocation in turn is refused once: the binding collects and tries again, so all goes well.
  it("survives the refusal of any one allocation", function()
    for nth = 1, 30 do
      core.testing.alloc_refuse(nth)
      with_pool(1, ECHO, { 1, { 2 } }, function(pool)
        local t = core.tensor_new("cpu", "byte", { 3 })
        pool:submit(1, t, ("long"):rep(1000), { t, t, t, t, t })
        local id, ok, back = pool:receive()
        assert.equal(1, id)
        assert.is_true(ok, back)
        assert.equal("userdata", type(back))
      end)
      core.testing.alloc_refuse(0)
    end
  end)

  it("raises at the sender while there is no room, and works again when there is", function()
    with_pool(1, ECHO, nil, function(pool)
      core.memory_limit("cpu", 1)
      fails("out of memory", pool.submit, pool, 1, "text")
      fails("out of memory", core.worker_pool, 2, ECHO, {})
      core.memory_limit("cpu", 0)
      pool:submit(2, "text")
      assert.same({ 2, true, "text" }, { pool:receive() })
    end)
  end)

  it("tells a worker's lack of memory as the job's error", function()
    local source = [[
      local core = require "densenet.core"
      return function()
        core.memory_limit("cpu", 1)
        return ("x"):rep(100000)
      end]]
    with_pool(1, source, nil, function(pool)
      pool:submit(1)
      local id, ok, message = pool:receive()
      core.memory_limit("cpu", 0)
      assert.same({ 1, false }, { id, ok })
      assert.matches("out of memory", message)
    end)
  end)
end)

describe("a process with worker threads", function()
  local temporary = require "spec.support.temporary"

  -- Standard error and exit of a Lua program.
  local function run(program)
    local directory = temporary.directory()
    local path = temporary.write(directory .. "/program.lua", program)
    local command = ("LUA_PATH='%s' LUA_CPATH='%s' %s %s 2>%s/err >%s/out"):format(
      package.path, package.cpath, temporary.interpreter(), path, directory, directory)
    local _, kind, code = os.execute(command)
    local out, err = temporary.read(directory .. "/out"), temporary.read(directory .. "/err")
    temporary.remove(directory)
    return out, err, kind, code
  end

  it("ends with the script although nobody closed the pool", function()
    local out, err, kind, code = run [[
      local core = require "densenet.core"
      pool = core.worker_pool(3, "return function(t) return t end")
      for i = 1, 20 do pool:submit(i, core.tensor_new("cpu", "byte", { 10 })) end
      pool:receive()
      print("end")]]
    assert.same({ "end\n", "", "exit", 0 }, { out, err, kind, code })
  end)

  it("gets its signals in the main thread, while workers compute", function()
    local out, err, kind, code = run [[
      local core = require "densenet.core"
      core.interrupt_install()
      local pool = core.worker_pool(4, "return function() local n = 0 for i = 1, 3e6 do n = n + i end end")
      for i = 1, 8 do pool:submit(i) end
      local pid = io.open("/proc/self/stat"):read("n")
      os.execute(("(sleep 0.1; kill -INT %d) &"):format(pid)) -- os.execute itself ignores it
      local start = core.clock()
      while core.interrupted() == 0 and core.clock() - start < 10 do end
      while pool:pending() > 0 do assert(select(2, pool:receive())) end
      print(core.interrupted())]]
    assert.same({ "1\t2\n", "", "exit", 0 }, { out, err, kind, code })
  end)
end)
