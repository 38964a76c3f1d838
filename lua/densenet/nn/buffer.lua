--- Tensors that stay from step to step.
-- A module writes its results into tensors it keeps in its fields; a buffer is created where the
-- field is empty or of another dtype or device, and is otherwise resized in place, which allocates
-- nothing while its storage has room. So only the first step allocates, and a smaller last batch
-- followed by a full one does not.
-- @module densenet.nn.buffer

local core = require "densenet.core"

local buffer = {}

-- Who is told of every buffer that is asked for: function(owner, field, tensor), or nil.
local observer

-- Tensors confined to a part of somebody's memory: tensor → elements of room.
local regions = setmetatable({}, { __mode = "k" })

--- Sets who is told of the buffers that are asked for, and returns who was before. For densenet.nn.plan.
function buffer.observe(watcher)
  local before = observer
  observer = watcher
  return before
end

--- Puts a tensor into owner[field] that is part of somebody's memory, all of it, as it stands. As a
-- buffer it may become smaller and grow again; where it would have to be larger, the field gets a
-- tensor of its own.
function buffer.confine(owner, field, tensor)
  regions[tensor] = tensor:nElement()
  owner[field] = tensor
end

local function countOf(...)
  local n, sizes = 1, type(...) == "table" and ... or { ... }
  for _, size in ipairs(sizes) do
    n = n * size
  end
  return n
end

-- The tensor of a field, resized; nil where the field needs another one.
local function resized(owner, field, device, dtype, ...)
  local kept = owner[field]
  if not (kept and kept:dtype() == dtype and kept:device() == device) then
    return nil
  end
  local room = regions[kept]
  if room and countOf(...) > room then
    return nil
  end
  return kept:resize(...)
end

--- The tensor in owner[field], with the given dtype, device and sizes; content undefined.
function buffer.get(owner, field, device, dtype, ...)
  local kept = resized(owner, field, device, dtype, ...)
  if not kept then
    kept = core.tensor_new(device, dtype, type(...) == "table" and ... or { ... })
    owner[field] = kept
  end
  if observer then
    observer(owner, field, kept)
  end
  return kept
end

--- The tensor in owner[field], of `like`'s dtype and device, with the given sizes.
function buffer.shaped(owner, field, like, ...)
  return buffer.get(owner, field, like:device(), like:dtype(), ...)
end

--- The dtype of the parameters, statistics and losses that go with activations of a dtype: "double"
-- beside "double", "float" beside all others.
function buffer.parameterType(dtype)
  return dtype == "double" and "double" or "float"
end

--- The tensor in owner[field], on the device of `like`, activations, with the given sizes and in the
-- dtype of the parameters that go with them.
function buffer.besides(owner, field, like, ...)
  return buffer.get(owner, field, like:device(), buffer.parameterType(like:dtype()), ...)
end

local IS_NARROW = { half = true, bfloat16 = true }

--- Is it a tensor of half or bfloat16?
function buffer.isNarrow(x)
  return core.is_tensor(x) and IS_NARROW[x:dtype()] or false
end

--- `x`, or where it is of 16 bits its copy in float in owner[field].
function buffer.widened(owner, field, x)
  if not buffer.isNarrow(x) then
    return x
  end
  local wide = buffer.besides(owner, field, x, x:size())
  core.copy(wide, x)
  return wide
end

--- `x`, or where `like` is of another dtype its copy in that one in owner[field].
function buffer.narrowed(owner, field, like, x)
  if x:dtype() == like:dtype() then
    return x
  end
  local narrow = buffer.shaped(owner, field, like, x:size())
  core.copy(narrow, x)
  return narrow
end

--- Have two tensors the same sizes?
function buffer.sameSize(a, b)
  if a:dim() ~= b:dim() then
    return false
  end
  for d = 1, a:dim() do
    if a:size(d) ~= b:size(d) then
      return false
    end
  end
  return true
end

--- The tensor in owner[field], of `like`'s dtype, device and sizes, row-major.
function buffer.like(owner, field, like)
  local kept = owner[field]
  if kept and kept:dtype() == like:dtype() and kept:device() == like:device()
    and buffer.sameSize(kept, like) and kept:isContiguous() then
    return kept
  end
  return buffer.shaped(owner, field, like, like:size())
end

--- `x` where it is row-major, else its copy in owner[field].
function buffer.contiguous(owner, field, x)
  if x:isContiguous() then
    return x
  end
  local copy = buffer.like(owner, field, x)
  core.copy(copy, x)
  return copy
end

--- `x` (N,C,H,W) where every H,W plane is contiguous, else its copy in owner[field]. Slices along N
-- and C pass as they are.
function buffer.planes(owner, field, x)
  if x:dim() == 4 and (x:stride(4) == 1 or x:size(4) == 1) and (x:stride(3) == x:size(4) or x:size(3) == 1) then
    return x
  end
  return buffer.contiguous(owner, field, x)
end

--- A text such as "64x3x32x32" of a tensor's sizes.
function buffer.sizeText(x)
  return x:dim() == 0 and "scalar" or table.concat(x:size(), "x")
end

--- Replaces every tensor reachable from a table (through tables, each once) by change(tensor). A
-- tensor found in two places is changed once, so what was shared stays shared.
-- @tparam table root
-- @tparam function change tensor → tensor
function buffer.replace(root, change)
  local changed, seen = {}, { [root] = true }
  local function visit(node)
    for key, value in pairs(node) do
      if core.is_tensor(value) then
        changed[value] = changed[value] or change(value)
        node[key] = changed[value]
      elseif type(value) == "table" and not seen[value] then
        seen[value] = true
        visit(value)
      end
    end
  end
  visit(root)
end

return buffer
