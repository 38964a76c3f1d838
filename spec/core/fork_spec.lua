-- A child forked from a process that has the library loaded, has computed, and has threads at work: it goes on
-- by itself, and nothing in it waits for a thread that has stayed with the parent.

local temporary = require "spec.support.temporary"

-- What the parent's threads hold is lost to the child, and no leak.
local WITHOUT_LEAKS = "ASAN_OPTIONS=detect_leaks=0:intercept_tls_get_addr=0"

-- What parent and child print; a child or parent that hangs is stopped.
local function output(before, inChild, afterwards)
  return temporary.output(([[
    %s
    io.stdout:setvbuf "no"
    local child = core.testing.fork()
    if child == 0 then
      %s
      os.exit(0, true) -- closing the state
    end
    print("child", core.testing.fork_wait(child))
    %s
  ]]):format(before, inChild, afterwards or ""), WITHOUT_LEAKS .. " timeout -s KILL 60")
end

local TRAIN = [[
  local function train()
    dn.manualSeed(3)
    local nn = dn.nn
    local model = dn.models.densenet { blocks = { 1, 1 }, growthRate = 4, nClasses = 3 }
    local criterion, optimizer = nn.CrossEntropyCriterion(), dn.optim.SGD(model, { learningRate = 0.1 })
    local loss
    for _ = 1, 2 do
      local x, target = dn.randn(16, 3, 32, 32), dn.ones(16, "long")
      model:zeroGradParameters()
      loss = criterion:forward(model:forward(x), target)
      model:backward(x, criterion:backward(model.output, target))
      optimizer:step()
    end
    return ("%.4f"):format(loss)
  end
]]

describe("a forked child", function()
  it("trains and closes after no more than require", function()
    assert.matches("^%d%.%d+\nchild\t0\n$", output(TRAIN, "print(train())"))
  end)

  it("trains and closes after operations on several threads", function()
    local wide = "print((dn.ones(1 << 21) * 2):sum())" -- large enough for two threads to share
    local text = output(TRAIN .. "dn.threads(2) print(train())" .. wide, "print(train())" .. wide)
    local parent, child = text:match "^(%S+)\n4194304.0\n(%S+)\n4194304.0\nchild\t0\n$"
    assert.message(text).is_truthy(parent)
    assert.equal(parent, child)
  end)

  it("keeps tensors of before, and the parent its own", function()
    local text = output("local t = dn.ones(3)", "print((t * 2):sum()) t:zero() print(t:sum())", "print(t:sum())")
    assert.equal("6.0\n0.0\nchild\t0\n3.0\n", text)
  end)

  it("has no worker threads, and says so", function()
    local text = output([[
      local pool = core.worker_pool(2, "return function(n) local s = 0 for i = 1, n do s = s + i end return s end", nil)
      pool:submit(1, 10)
      print(pool:receive())
      for i = 1, 20 do pool:submit(i, 1000000) end]], [[
      print(pcall(pool.receive, pool))
      print(pcall(pool.submit, pool, 1, 2))
      pool:close()
      local mine = core.worker_pool(1, "return function(n) return 2 * n end", nil)
      mine:submit(1, 21)
      print(mine:receive())]])
    assert.matches("^1\ttrue\t55\nfalse\t[^\n]*threads are in the process that made it[^\n]*\nfalse\t[^\n]*\n"
      .. "1\ttrue\t42\nchild\t0\n$", text)
  end)

  it("of a process whose threads allocate all the time never waits for their locks", function()
    if (os.getenv("DENSENET_BUILD") or "build") ~= "build" then
      return pending("the sanitizer's own allocator does not let go of its locks in a child")
    end
    local text = output([[
      local pool = core.worker_pool(2, "local core = require 'densenet.core' return function() "
        .. "for i = 1, 20000 do core.tensor_new('cpu', 'byte', { 8 }):free() end end", nil)
      for i = 1, 300 do pool:submit(i) end
      for _ = 1, 100 do
        local child = core.testing.fork()
        if child == 0 then
          dn.ones(3):sum()
          os.exit(0, true)
        end
        assert(core.testing.fork_wait(child) == 0)
      end]], [[print(pcall(pool.receive, pool))]])
    assert.matches("^false\t[^\n]*\nchild\t0\n$", text)
  end)

  it("is refused a loader of its parent's", function()
    local text = output([[
      local images, labels = dn.zeros(64, 3, 8, 8, "byte"), dn.ones(64, "long")
      local set = { images = images, labels = labels, size = function() return 64 end }
      local loader = dn.data.Loader { set = set, batchSize = 4, nThreads = 2 }
      local run = loader:run(1)
      print((run()))]], "print(pcall(run)) loader:close()")
    assert.matches("^1\nfalse\t[^\n]*threads are in the process that made it[^\n]*\nchild\t0\n$", text)
  end)
end)
