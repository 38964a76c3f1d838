--- Which dimension of a tensor, and which position along it, a module means.
-- @module densenet.nn.dimension

local argument = require "densenet.argument"
local buffer = require "densenet.nn.buffer"

local dimension = {}

--- A dimension given as an integer but 0, negative ones from the last.
function dimension.check(position, name, value, label)
  local dim = argument.integer(position, name, value, nil, label or "dimension")
  if dim == 0 then argument.refuse(position, name, value, "an integer but 0", label or "dimension") end
  return dim
end

--- The dimension of x, from 1. Where the module has nInputDims and x has one dimension more, x is a batch and
-- `dim` counts within a sample.
function dimension.of(module, x, dim)
  local nDim = x:dim()
  local isBatch = module.nInputDims and nDim == module.nInputDims + 1
  local found = dim < 0 and nDim + 1 + dim or dim + (isBatch and 1 or 0)
  if found < 1 or found > nDim then
    argument.raise("%s along dimension %d of an input of %s", module.__typename, dim, buffer.sizeText(x))
  end
  return found
end

--- A position along a dimension of x, from 1; negative ones count from the last.
function dimension.place(module, x, dim, index)
  local size = x:size(dim)
  local place = index < 0 and size + 1 + index or index
  if place < 1 or place > size then
    argument.raise("%s of position %d of an input of %s, which has %d along dimension %d", module.__typename, index,
      buffer.sizeText(x), size, dim)
  end
  return place
end

return dimension
