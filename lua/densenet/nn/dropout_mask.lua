--- What nn.Dropout and nn.SpatialDropout draw: each element goes with probability p, told by the generator's
-- position alone.
-- @module densenet.nn.dropout_mask

local argument = require "densenet.argument"
local batchShare = require "densenet.nn.batch_share"
local buffer = require "densenet.nn.buffer"
local core = require "densenet.core"
local random = require "densenet.random"

local dropoutMask = {}

local ELEMENTS_PER_POSITION = 4

--- The share of zeros that a constructor was given, 0.5 where it was given none.
-- @param name the class's, for the refusal
-- @param p what was given
-- @treturn number 0 <= p < 1
function dropoutMask.share(name, p)
  p = p == nil and 0.5 or p
  if type(p) ~= "number" or not (p >= 0 and p < 1) then
    argument.refuse(1, name, p, "0 <= p < 1")
  end
  return p
end

--- Takes from the default generator what a mask needs: where processes share a mini-batch (nn.batch_share) that of the
-- whole batch, of which this process's images have their part. So masks are those of one process.
-- @tparam integer nElements elements of the mask here
-- @treturn table seed, stream, position and base, as core.dropout_forward takes them, and `lead`, how many of the first
-- position's elements belong to images before this process's: 0 to 3
function dropoutMask.reserve(nElements)
  local whole, before = batchShare.extent(nElements)
  local seed, stream, position, base = random.reserveMask((whole + ELEMENTS_PER_POSITION - 1)
    // ELEMENTS_PER_POSITION)
  return { seed = seed, stream = stream, position = position + before // ELEMENTS_PER_POSITION, base = base,
    lead = before % ELEMENTS_PER_POSITION }
end

-- A mask that begins within a position: on a vector that has the elements before it as well.
local function withLead(pass, scratch, y, x, p, mask)
  local n = x:nElement()
  local whole = buffer.shaped(scratch, "withLead", x, mask.lead + n)
  core.fill(whole, 0)
  local part = whole:narrow(1, mask.lead + 1, n):view(x:size())
  core.copy(part, x)
  pass(whole, whole, p, mask.seed, mask.stream, mask.position, mask.base)
  core.copy(y, part)
end

--- Drops from x, or from a gradient: y = x · mask / (1 − p).
-- @tparam table scratch for a buffer
-- @tparam tensor y [out] may be x
-- @tparam tensor x
-- @tparam number p share of zeros
-- @tparam table mask from `reserve`
-- @tparam ?boolean isBackward x is a gradient
function dropoutMask.apply(scratch, y, x, p, mask, isBackward)
  local pass = isBackward and core.dropout_backward or core.dropout_forward
  if mask.lead > 0 then
    withLead(pass, scratch, y, x, p, mask)
  else
    pass(y, x, p, mask.seed, mask.stream, mask.position, mask.base)
  end
end

return dropoutMask
