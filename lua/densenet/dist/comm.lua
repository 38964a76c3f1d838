--- A communicator: what joins the ranks of a run, processes that train together. dist.open gives one.
--
-- All ranks make the same calls in the same order, with tensors of the same sizes and types. Every call comes
-- behind what was called on the tensors' device before. With one rank all of them work, and do nothing.
-- A rank that ends or hangs is an error of every other: `rank 1 of 4: rank 3 has ended`, after at most `timeout`
-- seconds.
-- @classmod densenet.dist.Comm

local argument = require "densenet.argument"
local batchShare = require "densenet.nn.batch_share"
local core = require "densenet.core"
require "densenet.tensor"

local Comm = {}
Comm.__index = Comm
Comm.__name = "densenet.dist.Comm"

--- Fields: rank (from 0), size, localRank (among the ranks of this machine, where that is known), device (the name of
-- the one that its tensors are on), engine ("mpi", "nccl", or nil for one rank).
-- @param handle what core.comm_open gave
-- @param place its rank, size, localRank, device, engine
-- @return communicator
function Comm.new(handle, place)
  return setmetatable({ handle = handle, rank = place.rank, size = place.size, localRank = place.localRank,
    device = place.device, engine = place.engine, isOpen = true }, Comm)
end

local function handleOf(self)
  if not self.isOpen then argument.raise("the communicator has been closed") end
  return self.handle
end

local KINDS = { sum = "sum", mean = "sum", max = "max" }

local function kindOf(name, kind)
  kind = kind == nil and "sum" or kind
  if not KINDS[kind] then argument.refuse(2, name, kind, "'sum', 'mean' or 'max'") end
  return kind
end

local function checkReduced(name, tensor, kind)
  argument.tensor(1, name, tensor)
  if kind == "mean" and tensor:dtype() == "long" then argument.refuse(1, name, tensor, "real numbers for a mean") end
end

local function divide(self, tensor)
  if self.size > 1 then core.binary_scalar(tensor, tensor, 1 / self.size, "mul") end
end

--- Makes a tensor, in place, the sum of what all ranks have in it, element by element; the same bits everywhere.
-- @param tensor float, double, half, bfloat16 or long, contiguous, on the communicator's device
-- @tparam[opt="sum"] string kind "sum", "mean" or "max"
-- @return the tensor
function Comm:allReduce(tensor, kind)
  kind = kindOf("allReduce", kind)
  checkReduced("allReduce", tensor, kind)
  handleOf(self):allReduce(tensor, KINDS[kind])
  if kind == "mean" then divide(self, tensor) end
  return tensor
end

--- Begins an allReduce that goes on beside what is computed from here on. Neither read nor write the tensor before
-- `join`.
-- @param tensor as for allReduce
-- @tparam[opt="sum"] string kind "sum" or "max"
function Comm:allReduceStart(tensor, kind)
  kind = kindOf("allReduceStart", kind)
  checkReduced("allReduceStart", tensor, kind)
  if kind == "mean" then argument.refuse(2, "allReduceStart", kind, "'sum' or 'max'") end
  handleOf(self):allReduceStart(tensor, kind)
end

--- Ends all that allReduceStart began: their tensors hold the results for whatever is called now.
function Comm:join() handleOf(self):allReduceJoin() end

--- A tensor of every rank.
-- @param tensor any type, contiguous, of the same sizes on all ranks
-- @tparam[opt] tensor all where they go, size × the tensor's sizes; a new one when left out
-- @return all, rank 0's first
function Comm:allGather(tensor, all)
  argument.tensor(1, "allGather", tensor)
  if all ~= nil then argument.tensor(2, "allGather", all) end
  all = all or core.tensor_new(tensor:device(), tensor:dtype(), { self.size, table.unpack(tensor:size()) })
  handleOf(self):allGather(all, tensor)
  return all
end

--- Makes a tensor, in place, that of one rank.
-- @param tensor any type, contiguous
-- @tparam[opt=0] integer root the rank
-- @return the tensor
function Comm:broadcast(tensor, root)
  argument.tensor(1, "broadcast", tensor)
  handleOf(self):broadcast(tensor, argument.optional("integer", 0, 2, "broadcast", root, 0, "root"))
  return tensor
end

-- A vector on the communicator's device, for numbers that ranks tell each other.
local function vector(self, dtype, numbers)
  return core.tensor_from("cpu", dtype, numbers):to(self.device)
end

--- Numbers of all ranks, added up (in double) or the largest of them.
-- @tparam table numbers a list
-- @tparam[opt="sum"] string kind "sum", "mean" or "max"
-- @treturn table the list of results
function Comm:reduceNumbers(numbers, kind)
  argument.table(1, "reduceNumbers", numbers)
  if self.size == 1 or #numbers == 0 then return numbers end
  return self:allReduce(vector(self, "double", numbers), kind):totable()
end

--- The same for whole numbers, exactly.
-- @tparam table numbers a list of integers
-- @tparam[opt="sum"] string kind "sum" or "max"
-- @treturn table the list of results
function Comm:reduceIntegers(numbers, kind)
  argument.table(1, "reduceIntegers", numbers)
  if self.size == 1 or #numbers == 0 then return numbers end
  return self:allReduce(vector(self, "long", numbers), kind):totable()
end

--- A string of one rank, on all of them.
-- @tparam ?string text read on that rank
-- @tparam[opt=0] integer root the rank
-- @treturn string
function Comm:broadcastText(text, root)
  root = root or 0
  if self.rank == root then argument.string(1, "broadcastText", text) end
  if self.size == 1 then return text end
  local length = vector(self, "long", { self.rank == root and #text or 0 })
  local n = self:broadcast(length, root):item()
  if n == 0 then return "" end
  local bytes = core.tensor_new("cpu", "byte", { n })
  for i = 1, self.rank == root and n or 0 do bytes:put(text:byte(i), i) end
  local list = self:broadcast(bytes:to(self.device), root):totable()
  for i, code in ipairs(list) do list[i] = string.char(code) end
  return table.concat(list)
end

--- Waits until every rank has come here.
function Comm:barrier()
  if self.size > 1 then self:reduceIntegers { 0 } else handleOf(self) end
end

--- Raises where another rank is known to have ended; waits for nothing.
function Comm:check() handleOf(self):check() end

--- print, on rank 0 only.
function Comm:print(...) -- luacheck: no self
  if self.rank == 0 then print(...) end
end

-- ---- Shares of a mini-batch ----

--- Says which images of a mini-batch this rank computes next: dropout and norms over all ranks ask for it. A loader
-- with `shard` says it by itself; call this for batches of another origin. All ranks call it together.
-- @tparam ?table batch `size` (this rank's images), and `share`, where a loader has made it; nil: from here on the
-- ranks share no batch
function Comm:enter(batch)
  if batch == nil then return batchShare.set(nil) end
  if type(batch) ~= "table" or not batch.size then argument.refuse(1, "enter", batch, "a batch, with size") end
  if batch.share or self.size == 1 then return batchShare.set(batch.share) end
  local own = vector(self, "long", { batch.size })
  local sizes, whole, first = self:allGather(own):view(self.size):totable(), 0, 0
  for r, size in ipairs(sizes) do
    if r <= self.rank then first = first + size end
    whole = whole + size
  end
  batchShare.set { first = first, size = batch.size, whole = whole, rows = math.max(batch.size, 1), sizes = sizes }
end

-- The sum of the class weights of labels.
local function weightOf(weights, target)
  local list, sum = weights:totable(), 0
  for _, label in ipairs(type(target) == "number" and { target } or core.is_tensor(target) and target:totable()
    or target) do
    sum = sum + list[label]
  end
  return sum
end

local function checkInner(criterion)
  for _, inner in ipairs(criterion.criterions or { criterion.crossEntropy }) do
    if inner.weights then
      argument.raise("class weights of a criterion inside %s are not shared between ranks: weigh its parts by hand",
        criterion.__typename)
    end
  end
end

--- What a loss of means over this rank's images is multiplied with, so that the ranks' losses and gradients add up to
-- those of the whole batch's mean: this rank's part of the images, or of their class weights, which the ranks then add
-- up (all call it together). For a criterion of sums (sizeAverage = false) 1; 0 where this rank has no image.
-- @param batch a loader's sample: size and share; or size, after `enter`
-- @tparam[opt] densenet.nn.Criterion criterion whose loss it is; without one, means over images
-- @treturn number
function Comm:share(batch, criterion)
  if type(batch) ~= "table" or not batch.size then argument.refuse(1, "share", batch, "a loader's batch") end
  local share = batch.share or batchShare.get()
  local isEmpty = batch.size == 0
  if criterion then checkInner(criterion) end
  if criterion and criterion.sizeAverage == false then return isEmpty and 0 or 1 end
  if criterion and criterion.weights and self.size > 1 then
    local own = isEmpty and 0 or weightOf(criterion.weights, batch.target)
    return own / self:reduceNumbers({ own })[1]
  end
  return batch.size / (share and share.whole or batch.size)
end

--- What has been spent: calls, bytes of their tensors, and seconds in them.
-- @treturn table { calls=, bytes=, seconds= }
function Comm:statistics()
  local calls, bytes, seconds = handleOf(self):statistics()
  return { calls = calls, bytes = bytes, seconds = seconds }
end

--- This rank leaves. Others that still wait for it hear that it has ended. Once is enough; also done by the garbage
-- collector and at the end of a scope (`local comm <close> = ...`).
function Comm:close()
  if not self.isOpen then return end
  self.isOpen = false
  self.handle:close()
end

--- This rank has failed: the others hear why, and what is under way is dropped.
-- @tparam[opt] string why a sentence
function Comm:abort(why)
  if not self.isOpen then return end
  self.isOpen = false
  self.handle:abort(why)
end

Comm.__close = function(self, failure)
  if failure ~= nil then self:abort(tostring(failure)) else self:close() end
end

function Comm:__tostring()
  return ("rank %d of %d on %s%s"):format(self.rank, self.size, self.device,
    self.engine and " by " .. self.engine or "")
end

return Comm
