--- The methods of tensors that make one number, or one a row, of many: sums, extremes, selections.
--
-- Over everything the result is a Lua number that has never been an element: an integer for long and
-- byte, summed in 64 bits (modulo 2^64), and for all others a number computed in double. So a count of
-- ones in a byte tensor does not end at 255, nor the norm of halves at 65,504. Along a dimension the
-- result is a tensor that has size 1 there, of the same type; sums of byte are long.

local argument = require "densenet.argument"
local core = require "densenet.core"

local methods = core.tensor_methods

local IS_WHOLE = { long = true, byte = true }

-- A new tensor on t's device, content undefined.
local function newBeside(t, sizes, dtype) return core.tensor_new(t:device(), dtype or t:dtype(), sizes) end

-- The sizes of t with 1 in dimension `dim`, or everywhere.
local function reducedSizes(t, dim, position, name)
  local sizes = t:size()
  if dim == nil then
    for d = 1, #sizes do sizes[d] = 1 end
    return sizes
  end
  dim = argument.integer(position, name, dim, 1, "dimension")
  if not sizes[dim] then
    argument.raise("bad argument #%d to '%s' (dimension %d of a %s)", position, name, dim, core.tensor_describe(t))
  end
  sizes[dim] = 1
  return sizes
end

-- Over everything, in `dtype`: a number.
local function whole(t, kind, parameter, dtype)
  local result = newBeside(t, reducedSizes(t), dtype)
  core.reduce(result, t, kind, parameter)
  local number = result:item()
  result:free()
  return number
end

local function along(t, kind, parameter, dim, dtype, position, name)
  local result = newBeside(t, reducedSizes(t, dim, position, name), dtype)
  core.reduce(result, t, kind, parameter)
  return result
end

-- Sums are long for whole numbers, and over everything double for all others.
local function wideType(t) return IS_WHOLE[t:dtype()] and "long" or "double" end

--- Sum of all elements, a number; or along a dimension, which keeps size 1.
function methods:sum(dim)
  if dim == nil then return whole(self, "sum", 0, wideType(self)) end
  return along(self, "sum", 0, dim, self:dtype() == "byte" and "long" or nil, 1, "sum")
end

--- Mean, likewise; along a dimension of float, double, half or bfloat16.
function methods:mean(dim)
  if dim == nil then return whole(self, "mean", 0, "double") end
  return along(self, "mean", 0, dim, nil, 1, "mean")
end

--- Variance, unbiased: divided by the count less one. Likewise.
function methods:var(dim)
  if dim == nil then return whole(self, "var", 1, "double") end
  return along(self, "var", 1, dim, nil, 1, "var")
end

--- Standard deviation: the root of var.
function methods:std(dim)
  if dim == nil then return math.sqrt(whole(self, "var", 1, "double")) end
  return along(self, "var", 1, dim, nil, 1, "std"):sqrt()
end

--- t:norm([p [, dim]]): the p-norm, by default p = 2. Likewise.
function methods:norm(p, dim)
  p = argument.number(1, "norm", p == nil and 2 or p, "p")
  if dim == nil then return whole(self, "norm", p, "double") end
  return along(self, "norm", p, dim, nil, 2, "norm")
end

-- Best element along dim and where it stands.
local function argReduce(t, dim, largest, name)
  local sizes = reducedSizes(t, dim, 1, name)
  local values, indices = newBeside(t, sizes), newBeside(t, sizes, "long")
  core.arg_reduce(values, indices, t, dim, largest)
  return values, indices
end

--- The largest element, a number; or along a dimension, which keeps size 1: values and positions
-- (long, from 1; the first of equals). NaN counts as largest.
function methods:max(dim)
  if dim ~= nil then return argReduce(self, dim, true, "max") end
  return whole(self, "max", 0)
end

--- The smallest element, likewise; NaN counts as smallest.
function methods:min(dim)
  if dim ~= nil then return argReduce(self, dim, false, "min") end
  return whole(self, "min", 0)
end

--- Where the largest element along a dimension stands: long, from 1, size 1 in that dimension.
function methods:argmax(dim)
  if dim == nil then argument.refuse(1, "argmax", dim, "a dimension") end
  local _, indices = argReduce(self, dim, true, "argmax")
  return indices
end

--- The k largest elements along the last dimension, the largest first, and their positions.
-- @param k 1 to the size of the last dimension
-- @param largest false for the k smallest, the smallest first
-- @return values, indices (long, from 1)
function methods:topk(k, largest)
  local sizes = self:size()
  if #sizes == 0 then argument.raise("topk of a scalar; at least one dimension expected") end
  sizes[#sizes] = argument.integer(1, "topk", k, 1, "k")
  local values, indices = newBeside(self, sizes), newBeside(self, sizes, "long")
  core.topk(values, indices, self, largest ~= false)
  return values, indices
end

return methods
