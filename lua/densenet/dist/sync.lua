--- What keeps a network the same on all ranks: dist.attach gives one.
--
--    local sync = dist.attach(model, comm)
--    for n, batch in loader:run(epoch) do            -- loader with shard = comm
--      local output = model:forward(batch.input)
--      local loss = criterion:forward(output, batch.target)
--      model:zeroGradParameters()
--      model:backward(batch.input, criterion:backward(output, batch.target, comm:share(batch, criterion)))
--      sync:wait()
--      optimizer:step()
--    end
--    sync:averageStatistics()
--
-- Gradients are sums over the ranks: each rank's loss is of its share of the batch, and comm:share weighs it. They are
-- added up in buckets while the backward pass goes on. What no backward pass has reached adds what is in its gradient,
-- usually zeros; nobody waits for it. Of weights that are generated (densenet.mlg) their own gradients are added up,
-- and each rank makes the factors' of the sums.
-- @classmod densenet.dist.Sync

local argument = require "densenet.argument"
local batchShare = require "densenet.nn.batch_share"
local Buckets = require "densenet.dist.buckets"
local core = require "densenet.core"
local generatedWeight = require "densenet.nn.generated_weight"
local sortedNames = require "densenet.sorted_names"
local stateDict = require "densenet.nn.state_dict"
local syncNorm = require "densenet.nn.sync_norm"
local trained = require "densenet.nn.trained"

local Sync = {}
Sync.__index = Sync
Sync.__name = "densenet.dist.Sync"

-- ---- The start ----

-- A tensor's elements become rank 0's.
local function broadcast(comm, tensor)
  if tensor:isContiguous() then
    comm:broadcast(tensor)
  else
    local copy = tensor:clone()
    comm:broadcast(copy)
    core.copy(tensor, copy)
  end
end

-- A number that differs where names, sizes or types do.
local function fingerprint(state)
  local sum = 0
  for _, name in ipairs(sortedNames(state)) do
    local text = ("%s %s %s"):format(name, state[name]:dtype(), table.concat(state[name]:size(), "x"))
    for i = 1, #text do sum = (31 * sum + text:byte(i)) % 0x7fffffff end
  end
  return sum
end

local function checkAlike(comm, state, what)
  local own = fingerprint(state)
  local largest = comm:reduceIntegers({ own, -own }, "max")
  if largest[1] ~= -largest[2] then
    argument.raise("the ranks' %s have different names, types or sizes: every rank builds the same one", what)
  end
end

--- Makes tensors those of rank 0.
-- @param comm densenet.dist.Comm
-- @tparam table state tensors by name, as stateDict and optimizer:state give them, alike on all ranks
-- @tparam string what it is, for the refusal: "networks"
function Sync.broadcastState(comm, state, what)
  if comm.size == 1 then return end
  checkAlike(comm, state, what)
  for _, name in ipairs(sortedNames(state)) do
    local tensor = state[name]
    if tensor:device() == comm.device then
      broadcast(comm, tensor)
    else -- an optimizer counts its steps on the CPU
      local there = tensor:to(comm.device)
      broadcast(comm, there)
      core.copy(tensor, there)
    end
  end
end

local KNOWN = { bucketMB = true, syncBN = true }

local function check(model, comm, options)
  if type(model) ~= "table" or not model.getParameters then argument.refuse(1, "dist.attach", model, "a module") end
  if type(comm) ~= "table" or not comm.allReduceStart then argument.refuse(2, "dist.attach", comm, "a communicator") end
  if options ~= nil then argument.table(3, "dist.attach", options, "options") end
  for name in pairs(options or {}) do
    if not KNOWN[name] then
      argument.raise("dist.attach has no option '%s'%s", tostring(name), argument.nearest(tostring(name), KNOWN))
    end
  end
  options = options or {}
  local megabytes = argument.optional("number", 8, 3, "dist.attach", options.bucketMB, "bucketMB")
  if megabytes ~= megabytes or megabytes <= 0 then
    argument.refuse(3, "dist.attach", megabytes, "more than 0", "bucketMB")
  end
  if #trained.of(model) == 0 then argument.raise("dist.attach: the network trains no parameters") end
  if model._device ~= comm.device then
    argument.raise("dist.attach: the network is on %s, the communicator on %s", model._device, comm.device)
  end
  return megabytes, argument.optional("boolean", false, 3, "dist.attach", options.syncBN, "syncBN")
end

--- dist.attach(model, comm, options): makes a model's parameters and running statistics those of rank 0, and adds its
-- gradients up over the ranks from now on. Attach after `to`, `type`, `freeze` and `optim.LossScale`.
-- @param model any module, alike on all ranks
-- @param comm from dist.open
-- @tparam[opt] table options
--
--    bucketMB  8: gradients are added up in pieces of about this many MB (2^20 bytes)
--    syncBN    false; true: batch norms take the statistics of the whole batch, of all ranks
-- @return densenet.dist.Sync
function Sync.attach(model, comm, options)
  local megabytes, syncBN = check(model, comm, options)
  Sync.broadcastState(comm, model:stateDict(), "networks")
  generatedWeight.forget(model)
  local self = setmetatable({ model = model, comm = comm, syncBN = syncBN, seen = 0 }, Sync)
  syncNorm.attachAll(model, syncBN and comm or nil)
  if comm.size > 1 then self.buckets = Buckets.new(model, comm, math.floor(megabytes * 2 ^ 20)) end
  return self
end

-- ---- Steps ----

--- After the backward pass: the gradients become the sums over all ranks. Nothing while paused.
function Sync:wait()
  local share = batchShare.get()
  if self.isPaused then return end
  self.seen = self.seen + (share and share.size or 1)
  if not self.buckets then return end
  self.buckets:finish()
  for _, gradient in ipairs(generatedWeight.weightGradients(self.model)) do self.comm:allReduceStart(gradient) end
  self.comm:join()
end

--- From here on gradients stay this rank's own, pass after pass added to what is there, until `resume`.
function Sync:pause()
  self.isPaused = true
  if self.buckets then self.buckets.isPaused = true end
end

--- The next backward pass ends in a `wait` that adds up what all passes have left.
function Sync:resume()
  self.isPaused = false
  if self.buckets then self.buckets.isPaused = false end
end

-- ---- Running statistics ----

-- Those that differ between ranks: of norms that move them by their own images.
local function ownStatistics(self)
  local list = {}
  if self.syncBN then return list end
  for _, entry in ipairs(stateDict.entries(self.model)) do
    local norm = entry.owner
    local isFixed = norm.frozen and norm.frozenStatistics ~= "batch"
    if entry.isState and syncNorm.canJoin(norm) and not isFixed then list[#list + 1] = norm[entry.field] end
  end
  return list
end

--- Makes running statistics the means over all ranks, weighted by how many images each has seen since the last time:
-- before an evaluation, and before the model is saved. With syncBN they are the same already.
function Sync:averageStatistics()
  local comm = self.comm
  if comm.size == 1 then return end
  local list = ownStatistics(self)
  local total = comm:reduceIntegers({ self.seen })[1]
  local own = self.seen
  self.seen = 0
  if total == 0 then return end
  for _, tensor in ipairs(list) do
    core.binary_scalar(tensor, tensor, own / total, "mul")
    comm:allReduceStart(tensor)
  end
  comm:join()
end

--- Lets the model alone again: its gradients are this process's own, its norms take their own statistics.
function Sync:detach()
  if self.buckets then self.buckets:close() end
  self.buckets = nil
  syncNorm.attachAll(self.model, nil)
end

return Sync
