--- Tensors under other sizes: dimensions of size 1 taken out and put in, and elements in another order of
-- sizes. squeeze and unsqueeze are views of any tensor; reshape is a copy, as in Torch7.

local argument = require "densenet.argument"
local core = require "densenet.core"

local metatable, methods = core.tensor_metatable, core.tensor_methods

--- #t is t:size(): the list of its sizes.
function metatable.__len(t) return t:size() end

--- How many dimensions it has: dim by its other name.
function methods:nDimension() return self:dim() end

local function checkDimension(t, dim, name)
  dim = argument.integer(1, name, dim, 1, "dimension")
  if dim > t:dim() then
    argument.raise("bad argument #1 to '%s' (dimension %d of a %s)", name, dim, core.tensor_describe(t))
  end
  return dim
end

-- As in Torch7 a tensor of one element that has lost its last dimension is a number.
local function numberOrView(view, before) return before > 0 and view:dim() == 0 and view:item() or view end

--- A view without the dimensions of size 1, or without dimension `dim` where that has size 1; a number
-- where no dimension is left.
function methods:squeeze(dim)
  local view, before = self, self:dim()
  if dim ~= nil then
    dim = checkDimension(self, dim, "squeeze")
    return self:size(dim) == 1 and numberOrView(self:select(dim, 1), before) or self
  end
  for d = before, 1, -1 do
    if view:size(d) == 1 then view = view:select(d, 1) end
  end
  return numberOrView(view, before)
end

--- A view with a dimension of size 1 before dimension `dim`; 1 to t:dim() + 1.
function methods:unsqueeze(dim)
  dim = argument.integer(1, "unsqueeze", dim, 1, "dimension")
  if dim > self:dim() + 1 then
    argument.raise("bad argument #1 to 'unsqueeze' (dimension %d of a %s, which can have %d at most)", dim,
      core.tensor_describe(self), self:dim() + 1)
  end
  local sizes = self:size()
  table.insert(sizes, 1, 1)
  local view = self:expand(sizes)
  for d = 1, dim - 1 do view = view:transpose(d, d + 1) end
  return view
end

--- A copy of the elements, row by row, under other sizes, one by one or in a list; one of them may be -1,
-- which stands for whatever is left.
function methods:reshape(...)
  if select("#", ...) == 0 then argument.refuse(1, "reshape", nil, "sizes") end
  return self:clone():view(...)
end

return methods
