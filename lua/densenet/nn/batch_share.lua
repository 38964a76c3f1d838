--- Which images of the mini-batch that is being computed this process has, where several processes share it
-- (densenet.dist). What depends on the whole batch asks here: dropout, whose masks are those of one process, and
-- norms that take the whole batch's statistics.
-- @module densenet.nn.batch_share

local argument = require "densenet.argument"

local batchShare = {}

local current

--- Says which images they are; nil: all of them.
-- @tparam ?table share first (of this process's, counted from 0), size (how many it has), whole (how many all have),
-- rows (in its tensors: size, but where that is 0 some images that do not count), sizes (of each process)
function batchShare.set(share) current = share end

--- The share that was set, or nil.
function batchShare.get() return current end

local ROWS_THAT_DO_NOT_COUNT = 2 -- a norm needs more than one value

--- The share of one of several processes: `first + floor(rank · whole / size)` up to the next process's.
-- @tparam integer whole images of the batch
-- @tparam integer rank from 0
-- @tparam integer size how many processes there are
-- @treturn table as `set` takes it
function batchShare.of(whole, rank, size)
  local sizes = {}
  for r = 0, size - 1 do sizes[r + 1] = (r + 1) * whole // size - r * whole // size end
  local own = sizes[rank + 1]
  local share = { first = rank * whole // size, size = own, whole = whole, rows = own, sizes = sizes }
  if own == 0 then
    share.rows = math.min(whole, ROWS_THAT_DO_NOT_COUNT)
    share.first = math.min(share.first, whole - share.rows)
  end
  return share
end

--- Are there images here that count? Where a process has none, it computes with some that do not.
function batchShare.isEmpty() return current ~= nil and current.size == 0 end

--- How many rows the whole batch would have, and which of them is the first here, of a tensor with rows of several
-- images or several rows an image.
-- @tparam integer count rows of this process's tensor, a multiple of its images
-- @treturn integer rows of the whole batch
-- @treturn integer those before the first one here
function batchShare.extent(count)
  if not current then return count, 0 end
  if count % current.rows ~= 0 then
    argument.raise("%d elements are no multiple of the %d images of this rank's share of the batch", count,
      current.rows)
  end
  local each = count // current.rows
  return current.whole * each, current.first * each
end

return batchShare
