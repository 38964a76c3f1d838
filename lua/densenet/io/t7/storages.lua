--- What of tensors' memory goes into a .t7 file: each element once, and no more than the tensors reach.
--
-- Tensors whose elements overlap stand on one storage there, so that they share it again after loading. Memory between
-- and around tensors, of which a plan's arena has much, is left out.

local core = require "densenet.core"

local Storages = {}
Storages.__index = Storages

--- The first and the last element that a tensor reaches in its storage, from 1.
local function reach(tensor)
  local first = tensor:storageOffset()
  local last = first
  for d = 1, tensor:dim() do last = last + (tensor:size(d) - 1) * tensor:stride(d) end
  return first, last
end

--- Notes a tensor.
function Storages:add(tensor)
  if self.of[tensor] or tensor:nElement() == 0 then return end
  self.of[tensor] = true
  local key = ("%d %s"):format(core.storage_key(tensor), tensor:dtype())
  local first, last = reach(tensor)
  local list = self.byKey[key] or {}
  self.byKey[key] = list
  list[#list + 1] = { first = first, last = last, tensor = tensor }
end

--- After the last tensor: makes the storages.
function Storages:close()
  for _, list in pairs(self.byKey) do
    table.sort(list, function(a, b) return a.first < b.first end)
    local storage
    for _, each in ipairs(list) do
      if not storage or each.first > storage.last then
        storage = { first = each.first, last = each.last, tensor = each.tensor }
      end
      storage.last = math.max(storage.last, each.last)
      self.of[each.tensor] = { storage = storage, offset = each.first - storage.first + 1 }
    end
  end
end

--- Where a tensor stands: its storage {first =, last =, tensor =}, and its offset in it, from 1; nil for an empty one.
function Storages:find(tensor)
  local place = self.of[tensor]
  if place then return place.storage, place.offset end
end

--- The elements of a storage, as a vector.
function Storages.vector(storage)
  return core.storage_view(storage.tensor, storage.first, { storage.last - storage.first + 1 }, { 1 })
end

return function() return setmetatable({ of = {}, byKey = {} }, Storages) end
