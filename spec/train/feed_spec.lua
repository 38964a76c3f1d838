-- Batches on the way to the network: as they are, rounded, or copied ahead of the step that needs them.
local core = require "densenet.core"
local dn = require "densenet"
local Feed = require "densenet.train.feed"
local Loader = require "densenet.data.loader"

local function set_of(n)
  local pixels, labels = {}, {}
  for i = 1, n do pixels[i], labels[i] = { { { i, i / 3 } } }, i end
  return { images = dn.tensor(pixels), labels = dn.tensor(labels, "long"), size = function() return n end }
end

local function loader_of(n, threads, more)
  local options = { set = set_of(n), batchSize = 4, nThreads = threads or 0 }
  for name, value in pairs(more or {}) do options[name] = value end
  return Loader(options)
end

-- Everything that a feed gives, as tables.
local function batches(feed, first, each)
  local list = {}
  for n, batch in feed:run(1, first) do
    if each then each(n, batch) end
    list[#list + 1] = { n = n, input = batch.input:totable(), target = batch.target:totable(), size = batch.size,
      dtype = batch.input:dtype() }
  end
  return list
end

-- Copies that are made as late as they may be: when they are waited for.
local function late_memory()
  local memory, started = { log = {} }, {}
  function memory.copy_async(y, x)
    memory.log[#memory.log + 1] = "start"
    started[#started + 1] = { y, x }
  end
  local function finish()
    for _, copy in ipairs(started) do core.copy(copy[1], copy[2]) end
    started = {}
  end
  function memory.copy_join()
    memory.log[#memory.log + 1] = "join"
    finish()
  end
  function memory.copy_wait()
    memory.log[#memory.log + 1] = "wait"
    finish()
  end
  function memory.isPinned() return true end
  return memory
end

describe("a feed", function()
  it("passes batches through on the CPU", function()
    local feed = Feed.new(loader_of(10), "cpu", "float")
    assert.equal(3, feed:size())
    local sample
    for _, each in loader_of(10):run(1) do
      sample = sample or each.input:clone()
    end
    local list = batches(feed)
    assert.equal(3, #list)
    assert.same(sample:totable(), list[1].input)
    assert.same({ 9, 10 }, list[3].target)
    assert.equal(2, list[3].size)
  end)

  it("starts in the middle", function() assert.equal(2, batches(Feed.new(loader_of(10), "cpu", "float"), 2)[1].n) end)

  it("rounds images, not labels, and allocates once", function()
    for _, memory in ipairs { false, late_memory() } do
      local feed = Feed.new(loader_of(12), "cpu", "half", memory or nil)
      local exact, list = batches(Feed.new(loader_of(12), "cpu", "float")), batches(feed)
      for i, batch in ipairs(list) do
        assert.equal("half", batch.dtype)
        assert.same(dn.tensor(exact[i].input):half():totable(), batch.input)
        assert.same(exact[i].target, batch.target)
      end
      local before = core.memory("cpu").allocations
      local n = 0
      for _ in feed:run(2) do n = n + 1 end
      assert.equal(3, n)
      assert.is_true(core.memory("cpu").allocations - before <= 4) -- the loader's order, and labels
    end
  end)

  for _, threads in ipairs { 0, 2 } do
    it(("copies a batch ahead of its step, with %d threads"):format(threads), function()
      local memory = late_memory()
      local loader <close> = loader_of(18, threads)
      local exact = batches(Feed.new(loader, "cpu", "float"))
      local feed = Feed.new(loader, "cpu", "float", memory)
      local started = {}
      local list = batches(feed, 1, function(n)
        local count = 0
        for _, word in ipairs(memory.log) do count = count + (word == "start" and 1 or 0) end
        started[n] = count / 2
      end)
      assert.same(exact, list)
      assert.same({ 2, 3, 4, 5, 5 }, started) -- when a batch is given, the next one is under way
      assert.equal("wait", memory.log[1])
    end)
  end

  it("leaves an epoch at any time, and starts another", function()
    local feed = Feed.new(loader_of(18), "cpu", "float", late_memory())
    for n in feed:run(1) do
      if n == 2 then break end
    end
    assert.same(batches(Feed.new(loader_of(18), "cpu", "float"), 3), batches(feed, 3))
  end)

  it("gives nothing behind the end", function()
    assert.same({}, batches(Feed.new(loader_of(4), "cpu", "float", late_memory()), 2))
  end)
end)

describe("a loader for a device", function()
  it("refuses what is no name", function()
    assert.error_matches(function() loader_of(4, 0, { pinFor = 3 }) end, "pinFor must be the name of a device")
  end)

  it("hands its workers pinned memory once it knows the sizes", function()
    local made, new_pinned = 0, core.tensor_new_pinned
    finally(function() core.tensor_new_pinned = new_pinned end)
    local pinned = setmetatable({}, { __mode = "k" })
    core.tensor_new_pinned = function(device, dtype, sizes)
      assert.equal("cpu", device)
      made = made + 1
      local tensor = core.tensor_new("cpu", dtype, sizes)
      pinned[tensor] = true
      return tensor
    end
    local methods, isPinned = core.tensor_methods, core.tensor_methods.isPinned
    finally(function() core.tensor_new_pinned, methods.isPinned = new_pinned, isPinned end)
    methods.isPinned = function(tensor) return pinned[tensor] or false end
    local exact = batches(Feed.new(loader_of(18), "cpu", "float"))
    local loader = loader_of(18, 0, { pinFor = "cpu" })
    assert.same(exact, batches(Feed.new(loader, "cpu", "float")))
    assert.equal(2, made)
  end)
end)
