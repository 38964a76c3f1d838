--- Gives the batches of a data set, made by worker threads while the model computes.
--
--    local loader = Loader { set = set, batchSize = 64, nThreads = 2, seed = 1, shuffle = true,
--      transform = preprocess(set, "train") }
--    for n, sample in loader:run(epoch) do ... sample.input, sample.target, sample.size ... end
--    loader:close()
--
-- The order of an epoch is random.generator(seed, epoch)'s, and every image is augmented from a
-- stream of its own, so batches are the same, byte for byte, for any number of threads, and a run
-- that starts in the middle of an epoch gives exactly the batches that are left of it.
-- A batch is good until the next one is asked for: its tensors are then filled anew, so that nothing
-- is allocated in the long run. Whoever keeps one clones it.

local argument = require "densenet.argument"
local attempt = require "densenet.attempt"
local batchShare = require "densenet.nn.batch_share"
local core = require "densenet.core"
local failure = require "densenet.data.failure"
require "densenet.tensor"
local oneThread = require "densenet.one_thread"
local random = require "densenet.random"
local labelsOf = require "densenet.data.labels"
local transforms = require "densenet.data.transforms"
local worker = require "densenet.data.worker"

local Loader = {}
Loader.__index = Loader
Loader.__name = "densenet.data.Loader"

local WORKER = 'return require("densenet.data.worker")(...)'
local BAD_SHARE, LEAST_BAD = 100, 10 -- one image in a hundred may be bad, and ten of any set
local BATCHES_AHEAD = 2 -- for each thread: one being made, one waiting

local KNOWN = {
  set = true, batchSize = true, nThreads = true, seed = true, shuffle = true, transform = true,
  precision = true, prefetch = true, worker = true, pinFor = true, sampling = true, shard = true,
}

local function isCount(value, least)
  return math.type(value) == "integer" and value >= least
end

local function complaintAboutSet(set)
  if type(set) ~= "table" or not set.size then return "set must be a data set: a table with size()" end
  if not set.images then
    return not set.get and "the data set has neither images and labels nor get(i)" or nil
  end
  if set.images:dim() ~= 4 then
    return ("set.images must be N,C,H,W, not %s"):format(table.concat(set.images:size(), "x"))
  end
  local labels = set.labels
  if not labels or labels:dtype() ~= "long" or labels:dim() ~= 1 or labels:size(1) ~= set.images:size(1) then
    return ("set.labels must be a long vector with a label for each of the %d images"):format(set.images:size(1))
  end
end

-- What is wrong with the options, or nil.
local function complaintAbout(options)
  if type(options) ~= "table" then return ("a table of options expected, got %s"):format(argument.describe(options)) end
  for key in pairs(options) do
    if not KNOWN[key] then return ("knows no option %s"):format(tostring(key)) end
  end
  local aboutSet = complaintAboutSet(options.set)
  if aboutSet then return aboutSet end
  for name, least in pairs { batchSize = 1, nThreads = 0, prefetch = 1 } do
    local value = options[name]
    if (value ~= nil or name == "batchSize") and not isCount(value, least) then
      return core.format("%s must be a whole number from %d on, not %s", name, least, value)
    end
  end
  if options.seed ~= nil and math.type(options.seed) ~= "integer" then return "seed must be a whole number" end
  if options.shuffle ~= nil and type(options.shuffle) ~= "boolean" then return "shuffle must be true or false" end
  local precision = options.precision or "float"
  if precision ~= "float" and precision ~= "double" then
    return ("precision must be float or double, not %s"):format(tostring(precision))
  end
  if options.transform ~= nil and not argument.isCallable(options.transform) then
    return ("transform must be a transform or a function, got %s"):format(argument.describe(options.transform))
  end
  local sampling = options.sampling
  if sampling ~= nil and sampling ~= "shuffled" and sampling ~= "balanced" then
    return ("sampling must be shuffled or balanced, not %s"):format(tostring(sampling))
  end
  if sampling == "balanced" and not options.shuffle then return "balanced sampling shuffles: shuffle must be true" end
  if sampling == "balanced" and not labelsOf(options.set) then
    return "balanced sampling needs to know the labels beforehand, which this data set does not say"
  end
  if options.pinFor ~= nil and type(options.pinFor) ~= "string" then return "pinFor must be the name of a device" end
  local shard = options.shard
  if shard ~= nil and not (type(shard) == "table" and isCount(shard.size, 1) and isCount(shard.rank, 0)
    and shard.rank < shard.size) then
    return "shard must be a communicator (dist.open), or a table with rank, from 0, and size"
  end
  if (options.nThreads or 0) > 0 and not options.set.images and not (options.worker or options.set.worker) then
    return "threads cannot share a data set that has only get(i); say worker = {module =, argument =}"
      .. " so that each makes its own, or nThreads = 0"
  end
end

--- Makes a loader.
-- @function Loader
-- @param options
--   set        data set: size(), and images (N,C,H,W, best bytes) and labels (N long) or get(i) →
--              {input = tensor C,H,W, target = label}; with channels and readWith(i, read), as a FolderSet has
--              them, the usual chains for photographs are one call of C for each file
--   batchSize  images in a batch; the last one of an epoch has what is left
--   shard      a communicator (dist.open): this process gets its rank's share of every batch, in the order of ranks;
--              batchSize stays the whole batch's. A sample then has share (nn.batch_share), and size 0 where this rank
--              has no image: input and target then are of some images of the batch that do not count
--   nThreads   worker threads; 0, the default, makes each batch when it is asked for
--   seed       of the order and the augmentation; default 1
--   shuffle    true: another order every epoch; default: the set's order
--   sampling   "balanced": an epoch draws as many images as there are, each from a class that is as likely as any
--              other, so some come several times and others not; needs shuffle. Default "shuffled": each once
--   transform  a transform or any function(image, rng) of a float image; with threads it must be one
--              that can be described (densenet.data.transforms; FromModule for your own)
--   precision  "float" (default) or "double": of the batches, and of the images while transformed
--   prefetch   batches made ahead of the one in use, by threads; default 2 for each thread
--   pinFor     name of a device that the batches go to: their memory is then pinned, once their size
--              is known, so that it copies them on its own
--   worker     {module =, argument =}: for a set with only get(i) in threads, each of which uses
--              require(module)(argument); the set's own `worker` when left out
local function new(_, options)
  local complaint = complaintAbout(options)
  if complaint then error("Loader: " .. complaint, 2) end
  local self = setmetatable({
    set = options.set,
    batchSize = options.batchSize,
    nThreads = options.nThreads or 0,
    seed = options.seed or 1,
    shuffle = options.shuffle or false,
    dtype = options.precision or "float",
    sampling = options.sampling,
    transform = options.transform,
    worker = options.worker or options.set.worker,
    pinFor = options.pinFor,
    shard = options.shard and options.shard.size > 1 and options.shard or nil,
    shares = {}, -- by size of the whole batch
  }, Loader)
  self.prefetch = options.prefetch or BATCHES_AHEAD * self.nThreads
  self.spare = {} -- buffers {input, target} that nobody uses
  if self.nThreads > 0 and self.transform then
    local isDescribed, description = attempt.call(transforms.describe, self.transform)
    if not isDescribed then error("Loader: " .. description, 2) end
    self.description = description
  end
  return self
end

--- Batches in an epoch.
function Loader:size()
  return (self.set:size() + self.batchSize - 1) // self.batchSize
end

-- The images of each class that has any, a list of lists.
local function groupsOf(set)
  local byLabel, groups = {}, {}
  for i, label in ipairs(labelsOf(set):totable()) do
    local group = byLabel[label]
    if not group then
      group = {}
      byLabel[label], groups[#groups + 1] = group, group
    end
    group[#group + 1] = i
  end
  return groups
end

local function drawBalanced(self, epoch)
  self.groups = self.groups or groupsOf(self.set)
  local rng, list = random.generator(self.seed, epoch), {}
  for n = 1, self.set:size() do
    local group = self.groups[rng:integer(#self.groups)]
    list[n] = group[rng:integer(#group)]
  end
  return core.tensor_from("cpu", "long", list)
end

-- The image that comes n-th in an epoch, as a long vector.
local function orderOf(self, epoch)
  if self.sampling == "balanced" then
    self.order = drawBalanced(self, epoch)
    return self.order
  end
  if not self.shuffle and self.order then return self.order end
  local n = self.set:size()
  if self.shuffle then
    self.order = self.order or core.tensor_new("cpu", "long", { n })
    core.random_permutation(self.order, random.generator(self.seed, epoch):reserve(n))
  else
    local list = {}
    for i = 1, n do list[i] = i end
    self.order = core.tensor_from("cpu", "long", list)
  end
  return self.order
end

local function sourceOf(self)
  if self.set.images then return { images = self.set.images, labels = self.set.labels } end
  if self.nThreads == 0 then return { set = self.set } end
  return { module = self.worker.module, argument = self.worker.argument }
end

-- first, count: the images of batch n here; and the share of the whole batch that they are, where there is one.
local function shareOf(self, n)
  local first = (n - 1) * self.batchSize + 1
  local whole = math.min(self.batchSize, self.set:size() - first + 1)
  if not self.shard then return first, whole end
  local share = self.shares[whole]
  if not share then
    share = batchShare.of(whole, self.shard.rank, self.shard.size)
    self.shares[whole] = share
  end
  return first + share.first, share.rows, share
end

local function place(n, epoch, message)
  return ("batch %d of epoch %d: %s"):format(n, epoch, message)
end

-- The buffers of a batch, as its job gave them; what is bad is noted. Raises a failure for nil, message, code.
local function accepted(self, input, target, more)
  if input == nil then failure.raise(target, more) end
  for _, message in ipairs(more or {}) do
    if not self.bad[message] then
      self.bad[message] = true
      self.bad[#self.bad + 1] = message
    end
  end
  local allowed = math.max(LEAST_BAD, self.set:size() // BAD_SHARE)
  if #self.bad > allowed then
    failure.raise(("%d images cannot be read, more than the %d of %d that may be skipped; the last is %s"):format(
      #self.bad, allowed, self.set:size(), self.bad[#self.bad]), "format")
  end
  return { input, target }
end

-- Computing with a share begins when its sample is given.
local function sampleOf(self, n, buffers)
  local sample = { input = buffers[1], target = buffers[2], size = buffers[2]:size(1) }
  local _, _, share = shareOf(self, n)
  if share then sample.share, sample.size = share, share.size end
  if self.shard then batchShare.set(share) end
  return sample
end

-- take(n) → the buffers of batch n, made on the spot.
local function onTheSpot(self, epoch, order)
  self.job = self.job or worker { source = sourceOf(self), transform = self.transform, dtype = self.dtype }
  return function(n)
    local alone <close> = oneThread() -- luacheck: ignore 211
    local buffers = table.remove(self.spare) or {}
    local first, count = shareOf(self, n)
    local ok, input, target, more = pcall(self.job, order, first, count, self.seed, epoch, buffers[1], buffers[2])
    if not ok then error(place(n, epoch, input), 0) end
    return accepted(self, input, target, more)
  end
end

-- Buffers of batches that nobody waits for any more; their errors are nobody's either.
local function drain(self)
  while self.pool:pending() > 0 do
    local id, ok, input, target = self.pool:receive()
    if id == nil then error("a worker could not start: " .. input, 0) end
    if ok and input then table.insert(self.spare, { input, target }) end
  end
end

-- take(n) → the buffers of batch n, made by threads that are kept `prefetch` batches ahead.
local function byThreads(self, epoch, order, firstBatch)
  self.pool = self.pool or core.worker_pool(self.nThreads, WORKER, {
    source = sourceOf(self), transform = self.description, dtype = self.dtype,
  })
  local pool, ready = self.pool, {}
  local submitted, last = firstBatch - 1, self:size()

  local function submit()
    submitted = submitted + 1
    local buffers = table.remove(self.spare) or {}
    local first, count = shareOf(self, submitted)
    pool:submit(submitted, order, first, count, self.seed, epoch, buffers[1], buffers[2])
  end

  return function(n)
    while submitted < last and submitted < n + self.prefetch do submit() end
    while not ready[n] do
      local id, ok, input, target, more = pool:receive()
      if id == nil then
        self:close()
        error("a worker could not start: " .. input, 0)
      end
      if not ok then error(place(id, epoch, input), 0) end
      ready[id] = accepted(self, input, target, more)
    end
    local buffers = ready[n]
    ready[n] = nil
    return buffers
  end
end

-- Buffers of a batch for the next one: themselves, or as large in memory that pinFor has pinned.
local function reusable(self, buffers)
  if not self.pinFor then return buffers end
  for i, held in ipairs(buffers) do
    if not held:isPinned() then
      buffers[i] = core.tensor_new_pinned(self.pinFor, held:dtype(), held:size())
    end
  end
  return buffers
end

--- Iterates over the batches of an epoch: for n, sample in loader:run(epoch) do.
-- sample.input is N,C,h,w of the loader's precision (N,10,C,h,w after TenCrop), sample.target N
-- long, sample.size N. The loop may be left at any time. A loader makes one run at a time: a new one
-- ends the one before.
-- @param epoch a whole number from 0, default 1: names the order and the augmentation
-- @param firstBatch where to start, default 1
-- Raises what a data set or transform raised, at once, with the sample's number and the traceback; for an image that
-- cannot be read a failure (densenet.data.failure).
function Loader:run(epoch, firstBatch)
  epoch, firstBatch = epoch or 1, firstBatch or 1
  if math.type(epoch) ~= "integer" or epoch < 0 or epoch >= 1 << 31 then
    error(core.format("Loader: epoch must be a whole number from 0 on, not %s", epoch), 2)
  end
  if math.type(firstBatch) ~= "integer" or firstBatch < 1 then
    error(core.format("Loader: the first batch must be a whole number from 1 on, not %s", firstBatch), 2)
  end
  if self.closed then error("Loader: it is closed", 2) end
  -- Drained before the order is written anew: batches of a run that was left may still read it.
  if self.pool then drain(self) end
  self.current, self.bad = {}, {}
  local run, n = self.current, firstBatch - 1
  local order = orderOf(self, epoch)
  local take = (self.nThreads > 0 and byThreads or onTheSpot)(self, epoch, order, firstBatch)
  local last = self:size()
  local given -- buffers of the batch that the caller has
  return function()
    if self.current ~= run then error("Loader: this run was ended by a later one", 2) end
    if given then table.insert(self.spare, reusable(self, given)) end
    given = nil
    if n >= last then
      if self.shard then batchShare.set(nil) end
      return nil
    end
    n = n + 1
    given = take(n)
    return n, sampleOf(self, n, given)
  end
end

--- Messages about images that could not be read and that others stand for, in this run so far: each names its
-- file, once.
function Loader:badImages() return self.bad or {} end

--- Ends the threads, after the batches they are making, and drops the buffers. Once is enough; also
-- done by the garbage collector and at the end of a scope (local loader <close>).
function Loader:close()
  if self.pool then self.pool:close() end
  self.pool, self.job, self.order, self.spare, self.current, self.groups = nil, nil, nil, {}, nil, nil
  self.closed = true
end
Loader.__close = Loader.close

return setmetatable(Loader, { __call = new })
