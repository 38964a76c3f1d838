--- A loader's batches where the network computes: on its device, images in the dtype of its activations.
--
-- On a GPU a batch is copied while the step before it computes. So there are two sets of buffers there,
-- and the loader is always one batch ahead: when a batch is asked for, its copy has been under way since
-- the last time, and the next one is fetched from the loader and its copy started. Copies run on their
-- own from memory that the device has pinned, which the loader's buffers are once it knows their sizes.
-- On the CPU batches pass through as they are, or are rounded to 16 bits.
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"

local coreMemory = setmetatable({ isPinned = function(x) return x:isPinned() end }, { __index = core })

local Feed = {}
Feed.__index = Feed

--- @param loader size(), and run(epoch, first) over n, sample; a sample has input, target, size, and share where ranks
-- share batches
-- @param device a device's name, as tensors have it
-- @param dtype of the network's activations
-- @param memory (optional) what copies on the side: copy_async(y, x), copy_join(device), copy_wait(device)
-- as core has them, and isPinned(x); core's when left out, and then only where device is not "cpu"
function Feed.new(loader, device, dtype, memory)
  return setmetatable({
    loader = loader, device = device, dtype = dtype, memory = memory or coreMemory,
    isAhead = memory ~= nil or device ~= "cpu",
    sets = { {}, {} }, -- of a batch's buffers
  }, Feed)
end

--- Batches in an epoch.
function Feed:size() return self.loader:size() end

-- Images in the network's dtype.
local function converted(self, set, input)
  if input:dtype() == self.dtype then return input end
  local result = buffer.get(set, "converted", self.device, self.dtype, input:size())
  core.copy(result, input)
  return result
end

local function inPlace(self, epoch, first)
  local nextSample = self.loader:run(epoch, first)
  return function()
    local n, sample = nextSample()
    if not n then return nil end
    return n, { input = converted(self, self.sets[1], sample.input), target = sample.target, size = sample.size,
      share = sample.share }
  end
end

-- Starts the copy of a host tensor into set[field].
local function upload(self, set, field, x)
  local copy = buffer.get(set, field, self.device, x:dtype(), x:size())
  if self.memory.isPinned(x) then
    self.memory.copy_async(copy, x)
  else
    core.copy(copy, x)
  end
  return copy
end

local function ahead(self, epoch, first)
  local nextSample = self.loader:run(epoch, first)
  local coming -- { n, set, sample }, its copy under way
  local turn = 1

  -- The loader fills a batch's memory anew when the next one is asked for, so its copy is over then.
  local function fetch()
    self.memory.copy_wait(self.device)
    local n, sample = nextSample()
    if not n then return nil end
    local set = self.sets[turn]
    turn = 3 - turn
    return { n = n, set = set, size = sample.size, share = sample.share,
      input = upload(self, set, "input", sample.input), target = upload(self, set, "target", sample.target) }
  end

  coming = fetch()
  return function()
    local batch = coming
    if not batch then return nil end
    self.memory.copy_join(self.device)
    coming = fetch()
    return batch.n, { input = converted(self, batch.set, batch.input), target = batch.target, size = batch.size,
      share = batch.share }
  end
end

--- Iterates over an epoch's batches as the loader does: for n, sample in feed:run(epoch, first) do. A
-- sample is good until the next one is asked for.
function Feed:run(epoch, first)
  return (self.isAhead and ahead or inPlace)(self, epoch, first)
end

return Feed
