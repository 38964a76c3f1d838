--- Batch norms that normalise with the statistics of the whole mini-batch, where several processes share it
-- (-syncBN, dist.attach { syncBN = true }).
--
-- Forward: each process takes mean and variance of its own images, all of them are gathered, and everybody joins them
-- in the order of ranks, so all have the same bits. Backward: the two sums of a norm (dbeta and dgamma) are added up
-- before they make the terms that a gradient still lacks; the gradients of weight and bias keep the sums of this
-- process's images, because they are added up with all other gradients. Source: Chan, Golub & LeVeque 1983, for
-- joining variances.
-- @module densenet.nn.sync_norm

local argument = require "densenet.argument"
local batchShare = require "densenet.nn.batch_share"
local buffer = require "densenet.nn.buffer"
local core = require "densenet.core"

local syncNorm = {}

local comms = setmetatable({}, { __mode = "k" }) -- norm → communicator; copies of a norm are not in it

--- From now on a norm takes the statistics of all ranks; nil: its own again.
-- @param norm nn.SpatialBatchNormalization
-- @tparam ?table comm densenet.dist.Comm
function syncNorm.attach(norm, comm) comms[norm] = comm and comm.size > 1 and comm or nil end

--- Is a module a norm that can?
function syncNorm.canJoin(module) return module.normTable ~= nil and module.running_mean ~= nil end

--- `attach` for every norm in a model.
-- @param model any module
-- @tparam ?table comm as for attach
function syncNorm.attachAll(model, comm)
  model:apply(function(module)
    if syncNorm.canJoin(module) then syncNorm.attach(module, comm) end
  end)
end

--- Does a norm take the statistics of all ranks, as things stand?
function syncNorm.isOn(norm) return comms[norm] ~= nil and norm:usesBatch() end

local function isPlanning(tensor) return tensor:device():find("^plan") ~= nil end

local function shareOf()
  return batchShare.get() or argument.raise("a norm over all ranks has to know the ranks' shares of "
    .. "the batch: batches of a "
    .. "loader with shard = comm say it, or comm:enter(batch)")
end

-- The part of the batch that each rank has, R,1.
local function weightsFor(comm, owner, like)
  local weights = buffer.shaped(owner, "syncWeights", like, comm.size, 1)
  if isPlanning(like) then
    core.fill(weights, 0)
    return weights
  end
  local share = shareOf()
  local kept = share.weights -- on the device, once for all norms
  if not kept or kept:dtype() ~= like:dtype() or kept:device() ~= like:device() then
    local list = {}
    for r, size in ipairs(share.sizes) do list[r] = { size / share.whole } end
    share.weights = core.tensor_from("cpu", like:dtype(), list):to(like:device())
  end
  core.copy(weights, share.weights)
  return weights
end

-- Everybody's stats, R,2,C.
local function gather(comm, owner, stats)
  local nChannels = stats:size(2)
  local own = buffer.shaped(owner, "syncOwn", stats, 2, nChannels)
  local all = buffer.shaped(owner, "syncAll", stats, comm.size, 2, nChannels)
  core.copy(own, stats)
  if isPlanning(stats) then
    core.fill(all, 0)
  else
    comm:allGather(own, all)
  end
  return all
end

--- Makes the statistics of this process's images those of the whole batch.
-- @param norm whose processes they are; where it takes its own statistics, nothing is done
-- @tparam table owner of buffers
-- @tparam tensor stats 2,C [in and out] mean and biased variance
function syncNorm.join(norm, owner, stats)
  if not syncNorm.isOn(norm) then return end
  local comm = comms[norm]
  local all, weights = gather(comm, owner, stats), weightsFor(comm, owner, stats)
  local means, variances = all:select(2, 1), all:select(2, 2)
  local work = buffer.shaped(owner, "syncWork", stats, comm.size, stats:size(2))
  local mean = stats:narrow(1, 1, 1)
  core.binary(work, means, weights, "mul")
  core.reduce(mean, work, "sum", 0)
  core.binary(work, means, mean, "sub")
  core.binary(work, work, work, "mul")
  core.binary(work, work, variances, "add")
  core.binary(work, work, weights, "mul")
  core.reduce(stats:narrow(1, 2, 1), work, "sum", 0)
end

--- Values of a channel in the whole batch.
-- @param norm
-- @tparam integer nValues of this process's images
-- @treturn integer
function syncNorm.count(norm, nValues)
  if not syncNorm.isOn(norm) then return nValues end
  local share = batchShare.get()
  return share and nValues // share.rows * share.whole or nValues
end

--- The weight of this batch in a norm's running statistics: none, where its images do not count.
function syncNorm.momentum(norm)
  return batchShare.isEmpty() and not comms[norm] and 0 or norm.momentum
end

--- Adds up a norm's sums over all ranks, in place; one that takes its own statistics keeps its own sums.
-- @param norm
-- @tparam tensor sums 2,C
-- @treturn boolean do they make terms of the gradient here? Images that do not count are in no statistics
function syncNorm.addUp(norm, sums)
  if not syncNorm.isOn(norm) or isPlanning(sums) then return true end
  comms[norm]:allReduce(sums)
  return not batchShare.isEmpty()
end

return syncNorm
