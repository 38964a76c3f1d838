-- Batches on their way to a GPU: pinned by the loader, copied while the step before computes.

local core = require "densenet.core"
local dn = require "densenet"
local Feed = require "densenet.train.feed"
local Loader = require "densenet.data.loader"

local DEVICE = "cuda:0"
local N_IMAGES, BATCH_SIZE = 18, 4 -- the last batch has 2

local function loader_of(threads, pin_for)
  local pixels, labels = {}, {}
  for i = 1, N_IMAGES do pixels[i], labels[i] = { { { i, i / 3 }, { -i, 0 } } }, i end
  local set = { images = dn.tensor(pixels), labels = dn.tensor(labels, "long"), size = function() return N_IMAGES end }
  return Loader { set = set, batchSize = BATCH_SIZE, nThreads = threads, pinFor = pin_for }
end

local function batches(feed, device)
  local list = {}
  for n, batch in feed:run(1) do
    assert.equal(device, batch.input:device())
    assert.equal(device, batch.target:device())
    list[n] = { batch.input:to("cpu"):totable(), batch.target:to("cpu"):totable(), batch.size }
  end
  return list
end

describe("batches for a GPU", function()
  for _, threads in ipairs { 0, 2 } do
    for _, dtype in ipairs { "float", "half" } do
      it(("are those of the CPU, with %d threads, in %s"):format(threads, dtype), function()
        local plain <close> = loader_of(threads)
        local pinned <close> = loader_of(threads, DEVICE)
        local right = batches(Feed.new(plain, "cpu", dtype), "cpu")
        local feed = Feed.new(pinned, DEVICE, dtype)
        for _ = 1, 3 do assert.same(right, batches(feed, DEVICE)) end
      end)
    end
  end

  it("come from pinned memory after the first, and take no memory anew", function()
    local loader <close> = loader_of(0, DEVICE)
    local feed = Feed.new(loader, DEVICE, "float")
    batches(feed, DEVICE)
    local n_pinned = 0
    for _, sample in loader:run(2) do n_pinned = n_pinned + (sample.input:isPinned() and 1 or 0) end
    assert.equal(5, n_pinned)
    local before, n = core.memory(DEVICE).allocations, 0
    for _ in feed:run(3) do n = n + 1 end
    assert.equal(5, n)
    assert.equal(before, core.memory(DEVICE).allocations)
  end)
end)
