--- What nn.Dropout and nn.SpatialDropout draw: each element goes with probability p, told by the generator's
-- position alone.
-- @module densenet.nn.dropout_mask

local argument = require "densenet.argument"
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

--- Takes from the default generator what a mask needs.
-- @tparam integer nElements elements of the mask
-- @return seed, stream, position, as core.dropout_forward takes them
function dropoutMask.reserve(nElements)
  return random.reserve((nElements + ELEMENTS_PER_POSITION - 1) // ELEMENTS_PER_POSITION)
end

return dropoutMask
