--- Parts of tensors by square brackets, as in Torch7, and by lists of positions.
--
--     t[i]                 t:select(1, i); the number where t is a vector; nil right behind the last position,
--                          where ipairs(t) stops
--     t[{i, {j, k}, {}}]   a view: one entry a dimension, the first dimensions first. A number selects (the
--                          dimension disappears), {j, k} narrows to positions j to k, {j} to j alone, and
--                          {} leaves the dimension whole, as those do that the list does not reach. The
--                          number itself where every dimension is selected.
--     t[mask]              a new vector of the elements where a byte tensor of t's size is 1
--
-- Positions count from 1, negative ones from the end (-1 is the last). Each of them can be assigned to: a
-- number fills, a tensor is copied (into the masked elements in their order). What is none of these, or
-- outside the tensor, raises.

local argument = require "densenet.argument"
local core = require "densenet.core"

local metatable, methods = core.tensor_metatable, core.tensor_methods
local isTensor = core.is_tensor

-- ---- Lists: one entry a dimension ----

local function position(t, dim, given)
  local size = t:size(dim)
  local i = type(given) == "number" and math.tointeger(given)
  if i and i < 0 then i = size + 1 + i end
  if not i or i < 1 or i > size then
    argument.raise("position %s of a dimension of %d; 1 to %d expected", argument.describe(given), size, size)
  end
  return i
end

-- The view that one entry makes along a dimension, and the dimension that comes next.
local function take(t, dim, entry, key)
  if type(entry) == "number" then return t:select(dim, position(t, dim, entry)), dim end
  if type(entry) ~= "table" or #entry > 2 then
    argument.raise("entry %d of an index list is %s; a position, {first, last}, {position} or {} expected", key,
      type(entry) == "table" and ("a list of %d"):format(#entry) or argument.describe(entry))
  end
  if #entry == 0 then return t, dim + 1 end
  local first = position(t, dim, entry[1])
  local last = entry[2] and position(t, dim, entry[2]) or first
  if last < first then argument.raise("positions %d to %d; a first and a last one expected", first, last) end
  return t:narrow(dim, first, last - first + 1), dim + 1
end

-- The view of t that a list describes: a scalar where every dimension is selected.
local function part(t, list)
  local view, dim, nDim = t, 1, t:dim()
  for key in pairs(list) do
    if math.type(key) ~= "integer" or key < 1 or key > nDim then
      argument.raise("key %s of an index list; one entry for each of %d dimensions expected", tostring(key), nDim)
    end
  end
  for key = 1, #list do view, dim = take(view, dim, list[key], key) end
  return view
end

-- ---- Masks ----

local function sizeText(t) return table.concat(t:size(), "x") end

-- The mask's bytes, as C reads them.
local function bytesOf(t, mask)
  if mask:dtype() ~= "byte" or sizeText(mask) ~= sizeText(t) then
    argument.raise("a %s as index of a %s; a byte tensor of the same size, as t:lt(x) gives, expected",
      core.tensor_describe(mask), core.tensor_describe(t))
  end
  return mask:to("cpu"):contiguous()
end

local function flat(t) return t:contiguous():view(t:nElement()) end

--- The elements where a byte tensor of the same size is 1, in row-major order: a new vector.
function methods:maskedSelect(mask)
  argument.tensor(1, "maskedSelect", mask, "mask")
  local positions = core.mask_index(bytesOf(self, mask), "selected"):to(self:device())
  local result = core.tensor_new(self:device(), self:dtype(), { positions:nElement() })
  core.index_select(result, flat(self), positions)
  return result
end

-- Every element comes from t itself or, where the mask is 1, from the vector `values` behind it.
local function assignMasked(t, mask, values, kind)
  local index = core.mask_index(bytesOf(t, mask), kind):to(t:device())
  local n = t:nElement()
  local both = core.tensor_new(t:device(), t:dtype(), { n + values:nElement() })
  core.copy(both:narrow(1, 1, n), flat(t))
  core.copy(both:narrow(1, n + 1, values:nElement()), flat(values))
  local result = core.tensor_new(t:device(), t:dtype(), { n })
  core.index_select(result, both, index)
  core.copy(t, result:view(t:size()))
  return t
end

--- Every element where a byte tensor of the same size is 1 becomes a number.
function methods:maskedFill(mask, value)
  argument.tensor(1, "maskedFill", mask, "mask")
  argument.number(2, "maskedFill", value, "value")
  local values = core.tensor_new(self:device(), self:dtype(), { 1 })
  core.fill(values, value)
  return assignMasked(self, mask, values, "filled")
end

--- The elements where a byte tensor of the same size is 1 become those of `source`, one after the other;
-- it has as many.
function methods:maskedCopy(mask, source)
  argument.tensor(1, "maskedCopy", mask, "mask")
  argument.tensor(2, "maskedCopy", source, "source")
  local n = bytesOf(self, mask):sum()
  if source:nElement() ~= n then
    argument.raise("%d elements for the %d that the mask selects", source:nElement(), n)
  end
  if n == 0 then return self end
  return assignMasked(self, mask, source, "copied")
end

-- ---- Brackets ----

--- Called by C for every key that is neither an integer nor a method's name.
function metatable.index_other(t, key)
  if isTensor(key) then return t:maskedSelect(key) end
  if type(key) == "table" then
    local view = part(t, key)
    return view:dim() == 0 and t:dim() > 0 and view:item() or view
  elseif type(key) == "string" then
    argument.raise("a tensor has no method '%s'%s", key, argument.nearest(key, methods))
  end
  argument.raise("%s as index of a tensor; a position, a list of them or a byte tensor expected",
    argument.describe(key))
end

function metatable.__newindex(t, key, value)
  if not isTensor(value) and type(value) ~= "number" then
    argument.raise("a number or a tensor to assign expected, got %s", argument.describe(value))
  end
  if isTensor(key) then
    if isTensor(value) then t:maskedCopy(key, value) else t:maskedFill(key, value) end
    return
  end
  local place
  if type(key) == "table" then
    place = part(t, key)
  elseif type(key) == "number" and t:dim() > 0 then
    place = t:select(1, position(t, 1, key))
  elseif type(key) == "string" then
    argument.raise("a tensor has no field '%s' to set", key)
  else
    argument.raise("%s as index of a %s; a position, a list of them or a byte tensor expected",
      argument.describe(key), core.tensor_describe(t))
  end
  if isTensor(value) then place:copy(value) else place:fill(value) end
end

--- t:index(rows) or t:index(dim, rows): a new tensor of the chosen positions along a dimension, by
-- default the first, in the order given.
-- @param dim from 1; may be left out
-- @param rows long vector or list of positions from 1
function methods:index(dim, rows)
  if rows == nil then
    dim, rows = 1, dim
  end
  dim = argument.integer(1, "index", dim, 1, "dimension")
  if type(rows) == "table" then rows = core.tensor_from(self:device(), "long", rows) end
  if not isTensor(rows) then argument.refuse(2, "index", rows, "a long vector or a list of positions") end
  local source = dim == 1 and self or self:transpose(1, dim)
  local sizes = source:size()
  sizes[1] = rows:nElement()
  local result = core.tensor_new(self:device(), self:dtype(), sizes)
  core.index_select(result, source, rows)
  return dim == 1 and result or result:transpose(1, dim)
end

return methods
