--- Making tensors: dn.zeros{2, 3}, dn.tensor{{1, 2}, {3, 4}}, dn.randn(2, 3, "double") and the rest.
--
-- Sizes are given as a table or one by one. The type is the last argument, a word, or the field
-- `dtype` of the table; the device is the field `device`, a name or what dn.device returned. Types:
-- "float" (what is meant when none is given, until setDefaultType), "double", "half", "bfloat16",
-- "long", "byte". Wrong sizes, unknown types and devices raise; so does a tensor for which there is
-- no memory, and the error says how many bytes that would take.

local argument = require "densenet.argument"
local core = require "densenet.core"
local device = require "densenet.device"
local random = require "densenet.random"

local constructors = {}

local defaultType = "float"

--- The type of tensors made without saying which; "float" at first.
function constructors.getDefaultType() return defaultType end

--- From now on tensors made without saying which type are of this one.
function constructors.setDefaultType(dtype)
  core.tensor_new("cpu", dtype, {}):free() -- raises for a word that is no type
  defaultType = dtype
end

--- A tensor whose elements are not set yet.
function constructors.empty(...)
  local sizes, dtype = ...
  if type(sizes) ~= "table" then
    sizes = { ... }
    for i = 1, select("#", ...) do
      if sizes[i] == nil then argument.raise("size %d is nil, an integer expected", i) end
    end
    dtype = type(sizes[#sizes]) == "string" and table.remove(sizes) or nil
  end
  return core.tensor_new(device.nameOf(sizes.device), dtype or sizes.dtype or defaultType, sizes)
end

local empty = constructors.empty

--- A tensor of zeros.
function constructors.zeros(...)
  local tensor = empty(...)
  core.fill(tensor, 0)
  return tensor
end

--- A tensor of ones.
function constructors.ones(...)
  local tensor = empty(...)
  core.fill(tensor, 1)
  return tensor
end

--- A tensor filled with one number: dn.full(0.5, {2, 3}), or dn.full({2, 3}, 0.5), told by the types. The
-- sizes are a table, or behind the number come one by one.
function constructors.full(value, ...)
  local tensor
  if type(value) == "table" then
    local sizes, dtype = value, select(2, ...)
    value = argument.number(2, "full", (...), "value")
    tensor = core.tensor_new(device.nameOf(sizes.device), dtype or sizes.dtype or defaultType, sizes)
  else
    argument.number(1, "full", value, "value")
    tensor = empty(...)
  end
  core.fill(tensor, value)
  return tensor
end

--- The tensor with the elements of a rectangular nested table, or of a list; a number gives a
-- scalar (no dimensions). Numbers become long or byte by truncation, as t:long() does.
-- @param values nested table of numbers, at most 8 deep
-- @param dtype of the result, by default the default type
-- @param on a device or its name, by default the CPU
function constructors.tensor(values, dtype, on)
  if type(values) ~= "table" and type(values) ~= "number" then
    argument.refuse(1, "tensor", values, "a nested table of numbers or a number")
  end
  return core.tensor_from(device.nameOf(on), dtype or defaultType, values)
end

--- Numbers uniform in [0, 1), from the default generator; float, double, half or bfloat16.
function constructors.rand(...) return empty(...):uniform(0, 1) end

--- Normal numbers of mean 0 and deviation 1, from the default generator.
function constructors.randn(...) return empty(...):normal(0, 1) end

--- 1..n shuffled by the default generator: a long vector.
function constructors.randperm(n)
  n = argument.integer(1, "randperm", n, 0, "n")
  local tensor = core.tensor_new("cpu", "long", { n })
  core.random_permutation(tensor, random.reserve(n))
  return tensor
end

--- The vector first, first + step, ... up to and including `last`, as Torch's range. A last element
-- that is missed by rounding alone is there.
-- @param first number
-- @param last number, not passed
-- @param step not 0; by default 1
-- @param dtype by default the default type; may stand in place of step
function constructors.arange(first, last, step, dtype)
  if type(step) == "string" then
    step, dtype = nil, step
  end
  step = step or 1
  for i = 1, 3 do argument.number(i, "arange", (select(i, first, last, step))) end
  local nSteps = (last - first) / step * (1 + 1e-12)
  if nSteps ~= nSteps or nSteps < 0 or nSteps >= 2 ^ 53 then
    argument.raise("no range from %s to %s in steps of %s", first, last, step)
  end
  local values = {}
  for i = 0, math.floor(nSteps) do values[i + 1] = first + i * step end
  return constructors.tensor(values, dtype)
end

--- Torch7's name of arange.
constructors.range = constructors.arange

--- The tensors of a list one after the other along a dimension; elsewhere they have equal sizes.
-- @param list of tensors of one type and device
-- @param dim from 1; by default 1
function constructors.cat(list, dim)
  dim = dim or 1
  local first = type(list) == "table" and list[1]
  if not core.is_tensor(first) then argument.refuse(1, "cat", list, "a list of tensors") end
  local sizes = first:size()
  dim = argument.integer(2, "cat", dim, 1, "dimension")
  if not sizes[dim] then
    argument.raise("bad argument #2 to 'cat' (dimension %d of a %s)", dim, core.tensor_describe(first))
  end
  sizes[dim] = 0
  for i, tensor in ipairs(list) do
    local fits = core.is_tensor(tensor) and tensor:dtype() == first:dtype() and tensor:dim() == first:dim()
    for d = 1, fits and #sizes or 0 do fits = fits and (d == dim or tensor:size(d) == sizes[d]) end
    if not fits then
      argument.raise("bad argument #1 to 'cat' (entry %d, %s, does not continue the first, a %s, along dimension %d)",
        i, argument.describe(tensor), core.tensor_describe(first), dim)
    end
    sizes[dim] = sizes[dim] + tensor:size(dim)
  end
  local result = core.tensor_new(first:device(), first:dtype(), sizes)
  local start = 1
  for _, tensor in ipairs(list) do
    local length = tensor:size(dim)
    core.copy(result:narrow(dim, start, length), tensor)
    start = start + length
  end
  return result
end

return constructors
