--- Tensors that notice who writes beside them.
-- A guarded tensor is a view in the middle of a larger storage filled with one number. Whatever
-- its layout leaves out (margins at both ends, other channels, the end of each row) has to hold
-- that number still after an operation.

local core = require "densenet.core"
local compare = require "spec.support.compare"

local SENTINEL = 171 -- exact in every dtype, and no result of ours
local MARGIN = 37    -- elements before and behind; odd, so that a view is not aligned by luck

local guarded = {}
guarded.__index = guarded

local function copy_of(list) return table.move(list, 1, #list, 1, {}) end

local function slice(dim, n_before, n_behind)
  return function(sizes)
    local parent = copy_of(sizes)
    local along = dim > 0 and dim or #sizes + 1 + dim
    parent[along] = sizes[along] + n_before + n_behind
    return parent, function(whole) return whole:narrow(along, n_before + 1, sizes[along]) end
  end
end

-- How a tensor lies in its parent: sizes -> the parent's sizes, and the view of the parent.
local layouts = {
  contiguous = function(sizes)
    return sizes, function(whole) return whole end
  end,
  channels = slice(2, 3, 2),
  images = slice(1, 1, 1),
  gaps = slice(-1, 1, 2),
  transposed = function(sizes)
    local n, parent = #sizes, copy_of(sizes)
    parent[n - 1], parent[n] = sizes[n], sizes[n - 1]
    return parent, function(whole) return whole:transpose(n - 1, n) end
  end,
}

--- A tensor of `sizes` on a device ("cpu" by default), content undefined, laid out as the word says:
-- "contiguous" (default), "channels" or "images" (a slice along dimension 2 or 1), "gaps" (rows with unused ends),
-- "transposed" (last two dimensions). Its guard is the second result.
-- @param margin elements of the storage before the view, 37 by default
function guarded.new(dtype, sizes, layout, device, margin)
  margin = margin or MARGIN
  local parent_sizes, view_of = layouts[layout or "contiguous"](sizes)
  local n = 1
  for _, size in ipairs(parent_sizes) do n = n * size end
  local storage = core.tensor_new(device or "cpu", dtype, { n + 2 * margin })
  core.fill(storage, SENTINEL)
  local view = view_of(storage:narrow(1, margin + 1, n):view(parent_sizes))
  return view, setmetatable({ storage = storage, view = view }, guarded)
end

--- Raises when anything outside the view has been written.
function guarded:check(what)
  local content = compare.clone(self.view)
  core.fill(self.view, SENTINEL)
  local is_changed = core.tensor_new("cpu", "byte", self.storage:size())
  core.compare_scalar(is_changed, compare.on_cpu(self.storage), SENTINEL, "ne")
  core.copy(self.view, content)
  local most = core.tensor_new("cpu", "byte", { 1 })
  core.reduce(most, is_changed, "max")
  if most:item() == 0 then return end
  local first = 1
  while is_changed:at(first) == 0 do first = first + 1 end
  error(("%s: wrote outside of its tensor, at element %d of a storage whose view starts at %d"):format(
    what, first, self.view:storageOffset()), 0)
end

return guarded
