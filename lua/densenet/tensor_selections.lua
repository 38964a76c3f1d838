--- Elements in another order, and elements by their positions along a dimension.

local argument = require "densenet.argument"
local core = require "densenet.core"

local methods = core.tensor_methods

local function newBeside(t, sizes, dtype) return core.tensor_new(t:device(), dtype or t:dtype(), sizes) end

local function checkDimension(t, dim, name)
  dim = argument.integer(1, name, dim, 1, "dimension")
  if dim > t:dim() then
    argument.raise("bad argument #1 to '%s' (dimension %d of a %s)", name, dim, core.tensor_describe(t))
  end
  return dim
end

--- t:sort([dim][, descending]): the elements along a dimension, by default the last, in ascending order (in
-- descending order where `descending` is true), and the positions where they stood: long, from 1. Equal ones
-- stay in their order; NaN comes first.
-- @return values, indices: new tensors of t's size
function methods:sort(dim, descending)
  if self:dim() == 0 then argument.raise("sort of a scalar; at least one dimension expected") end
  if type(dim) == "boolean" and descending == nil then dim, descending = nil, dim end
  if dim == nil then dim = self:dim() end
  dim = checkDimension(self, dim, "sort")
  descending = argument.optional("boolean", false, 2, "sort", descending, "descending")
  local values, indices = newBeside(self, self:size()), newBeside(self, self:size(), "long")
  local last = self:dim()
  local function lined(t) return dim == last and t or t:transpose(dim, last) end
  if self:nElement() > 0 then core.topk(lined(values), lined(indices), lined(self), descending) end
  return values, indices
end

local function checkPositions(t, dim, index, name)
  argument.tensor(2, name, index, "index")
  local fits = index:dtype() == "long" and index:device() == t:device() and index:dim() == t:dim()
  for d = 1, fits and t:dim() or 0 do fits = fits and (d == dim or index:size(d) <= t:size(d)) end
  if not fits then
    argument.raise("bad argument #2 to '%s' (positions in a %s along dimension %d expected: long, there, and of its "
      .. "size but for that dimension; got %s)", name, core.tensor_describe(t), dim, argument.describe(index))
  end
  if index:nElement() == 0 then return end
  local least, most = index:min(), index:max()
  if least < 1 or most > t:size(dim) then
    argument.raise("bad argument #2 to '%s' (positions from 1 to %d expected, got %d)", name, t:size(dim),
      least < 1 and least or most)
  end
end

-- Where in a contiguous t each element of `index` points, row by row, from 1: a long vector.
local function placesOf(t, dim, index)
  local places = newBeside(index, index:size())
  local stride = 1
  core.fill(places, 1)
  for d = t:dim(), 1, -1 do
    if d == dim then
      core.add_scaled(places, places, index, stride)
      core.binary_scalar(places, places, -stride, "add")
    else
      local n = index:size(d)
      local numbers, sizes = {}, {}
      for i = 1, n do numbers[i] = (i - 1) * stride end
      for each = 1, t:dim() do sizes[each] = each == d and n or 1 end
      core.binary(places, places, core.tensor_from(t:device(), "long", numbers):view(sizes), "add")
    end
    stride = stride * t:size(d)
  end
  return places:view(index:nElement())
end

--- t:gather(dim, index): a new tensor of index's size; for dim 1 of a matrix its element i,j is
-- t[index[i][j]][j].
-- @param dim dimension, from 1
-- @param index long positions from 1 along dim; of t's size but for that dimension, or smaller
function methods:gather(dim, index)
  dim = checkDimension(self, dim, "gather")
  checkPositions(self, dim, index, "gather")
  local result = newBeside(self, index:size())
  if index:nElement() > 0 then
    core.index_select(result:view(index:nElement()), self:contiguous():view(self:nElement()),
      placesOf(self, dim, index))
  end
  return result
end

--- t:scatter(dim, index, source): writes into t; for dim 1 of a matrix t[index[i][j]][j] = source[i][j], the
-- last of several that go to one place. The positions pass through the CPU.
-- @param dim dimension, from 1
-- @param index long positions as gather has them
-- @param source a number, or a tensor of t's type and at least index's size
-- @return t itself
function methods:scatter(dim, index, source)
  dim = checkDimension(self, dim, "scatter")
  checkPositions(self, dim, index, "scatter")
  if index:nElement() == 0 then return self end
  local n, count = self:nElement(), index:nElement()
  local both = newBeside(self, { n + count })
  core.copy(both:narrow(1, 1, n), self:contiguous():view(n))
  local written = both:narrow(1, n + 1, count)
  if type(source) == "number" then
    core.fill(written, source)
  else
    argument.tensor(3, "scatter", source, "source")
    local part = source
    for d = 1, self:dim() do
      if source:dtype() ~= self:dtype() or source:dim() ~= index:dim() or source:size(d) < index:size(d) then
        argument.raise("bad argument #3 to 'scatter' (a %s tensor of size %s or larger expected, got %s)",
          self:dtype(), table.concat(index:size(), "x"), argument.describe(source))
      end
      part = part:narrow(d, 1, index:size(d))
    end
    core.copy(written, part:contiguous():view(count))
  end
  local places = core.scatter_index(placesOf(self, dim, index):to("cpu"), n):to(self:device())
  local result = newBeside(self, { n })
  core.index_select(result, both, places)
  core.copy(self, result:view(self:size()))
  return self
end

return methods
