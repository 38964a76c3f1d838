--- Tensors joined along a dimension, for modules whose output is made of their children's.
-- @module densenet.nn.join

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"

local join = {}

-- Where a part's sizes or dtype do not continue the first one's.
local function checkPart(self, parts, i, dimension)
  local first, part = parts[1], parts[i]
  local fits = part:dtype() == first:dtype() and part:dim() == first:dim() and part:dim() >= dimension
  for d = 1, fits and first:dim() or 0 do
    fits = fits and (d == dimension or part:size(d) == first:size(d))
  end
  if not fits then
    error(("%s: part %d does not continue the first along dimension %d: expected a %s except there, got a %s")
      :format(self.__typename, i, dimension, core.tensor_describe(first), core.tensor_describe(part)), 0)
  end
end

--- Copies each part into its slice of the module's output.
-- @param self the module; its buffer `output` is resized
-- @tparam table parts tensors of one dtype, and of one shape except along `dimension`
-- @tparam integer dimension counted from 1, the batch included
-- @return the output
function join.output(self, parts, dimension)
  local total = 0
  for i, part in ipairs(parts) do
    checkPart(self, parts, i, dimension)
    total = total + part:size(dimension)
  end
  local sizes = parts[1]:size()
  sizes[dimension] = total
  local output, first = buffer.shaped(self, "output", parts[1], sizes), 1
  for _, part in ipairs(parts) do
    local length = part:size(dimension)
    core.copy(output:narrow(dimension, first, length), part)
    first = first + length
  end
  return output
end

return join
