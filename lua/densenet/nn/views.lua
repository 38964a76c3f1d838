--- Which tensors of a list share memory, and how.
--
-- A tensor is the same parameter as another where it has the same elements: the very tensor, a view of
-- it (:view, :t), or a part of it (:narrow, :select). Tensors that overlap in another way cannot stand
-- for each other.
-- @module densenet.nn.views

local argument = require "densenet.argument"
local core = require "densenet.core"

local views = {}

-- Where a tensor's elements lie: first and last in the storage, dims of more than one element with the
-- widest stride first. A dense tensor has every element from first to last once.
local function extentOf(tensor)
  local first, dims = tensor:storageOffset() - 1, {}
  local last = first
  for d = 1, tensor:dim() do
    local size, stride = tensor:size(d), tensor:stride(d)
    last = last + (size - 1) * stride
    if size > 1 then
      dims[#dims + 1] = { d = d, size = size, stride = stride }
    end
  end
  table.sort(dims, function(a, b)
    return a.stride > b.stride or (a.stride == b.stride and a.d < b.d)
  end)
  local dense = 1
  for i = #dims, 1, -1 do
    dense = dense == dims[i].stride and dense * dims[i].size or 0
  end
  return { storage = core.storage_key(tensor), first = first, last = last, dims = dims,
    isDense = dense == last - first + 1 }
end

-- Calls visit(position in the storage) for each element.
local function eachElement(extent, visit)
  local function along(i, position)
    local dim = extent.dims[i]
    if not dim then
      return visit(position)
    end
    for n = 0, dim.size - 1 do
      along(i + 1, position + n * dim.stride)
    end
  end
  along(1, extent.first)
end

-- "apart", "same" (the same elements), "within" (b is a part of a), or "overlap".
local function relationOf(a, b)
  if a.storage ~= b.storage or a.last < b.first or b.last < a.first then
    return "apart"
  elseif a.isDense and b.first >= a.first and b.last <= a.last then
    return b.isDense and b.first == a.first and b.last == a.last and "same" or "within"
  end
  local has, nCommon, nElements = {}, 0, 0
  eachElement(a, function(position) has[position] = true end)
  eachElement(b, function(position)
    nCommon, nElements = nCommon + (has[position] and 1 or 0), nElements + 1
  end)
  return nCommon == 0 and "apart" or nCommon == nElements and "within" or "overlap"
end

--- Groups tensors that share their elements.
-- @tparam table items each with a `tensor`
-- @tparam function refuse called with two items that overlap in part; raises
-- @treturn table list of groups in the order of their first item: { leader=, others= list }; the elements of
-- the others are elements of the leader, which is contiguous where one of those with all elements is
function views.groups(items, refuse)
  local order = {}
  for i, item in ipairs(items) do
    local tensor = item.tensor
    order[i] = { item = item, i = i, extent = extentOf(tensor), isEmpty = tensor:nElement() == 0,
      isContiguous = tensor:isContiguous() }
  end
  table.sort(order, function(a, b)
    local x, y = a.extent, b.extent
    if x.storage ~= y.storage then return x.storage < y.storage end
    if x.first ~= y.first then return x.first < y.first end
    if x.last ~= y.last then return x.last > y.last end
    if a.isContiguous ~= b.isContiguous then return a.isContiguous end
    return a.i < b.i
  end)
  local groups, near = {}, {} -- near: those that may reach the next item
  for _, one in ipairs(order) do
    local reaching, leader = {}, nil
    for _, group in ipairs(near) do
      local extent = group.extent
      if extent.storage == one.extent.storage and extent.last >= one.extent.first then
        reaching[#reaching + 1] = group
        local relation = one.isEmpty and "apart" or relationOf(extent, one.extent)
        if relation == "overlap" or (relation ~= "apart" and leader) then
          refuse(group.leader, one.item)
        elseif relation ~= "apart" then
          leader = group
        end
      end
    end
    if leader then
      leader.others[#leader.others + 1] = one.item
      leader.i = math.min(leader.i, one.i)
    else
      local group = { leader = one.item, others = {}, extent = one.extent, i = one.i }
      groups[#groups + 1] = group
      if not one.isEmpty then
        reaching[#reaching + 1] = group
      end
    end
    near = reaching
  end
  table.sort(groups, function(a, b) return a.i < b.i end)
  return groups
end

--- Do two pairs of tensors match: is element i of b1 in a1 what element i of b2 is in a2?
function views.correspond(a1, b1, a2, b2)
  if core.storage_key(a2) ~= core.storage_key(b2)
    or b1:storageOffset() - a1:storageOffset() ~= b2:storageOffset() - a2:storageOffset() then
    return false
  end
  for _, pair in ipairs { { a1, a2 }, { b1, b2 } } do
    local one, other = pair[1], pair[2]
    if one:dim() ~= other:dim() then
      return false
    end
    for d = 1, one:dim() do
      if one:size(d) ~= other:size(d) or (one:size(d) > 1 and one:stride(d) ~= other:stride(d)) then
        return false
      end
    end
  end
  return true
end

--- Can `views.moved` make a view like this tensor?
function views.isDense(tensor)
  return extentOf(tensor).isDense
end

--- A view of other memory with a tensor's sizes and strides.
-- @tparam tensor tensor dense
-- @tparam tensor leader dense, with all of its elements
-- @tparam tensor flat a vector that stands for the leader's elements, in the order of its memory
function views.moved(tensor, leader, flat)
  local extent = extentOf(tensor)
  local start, n, dims = extent.first - extentOf(leader).first, tensor:nElement(), extent.dims
  local sizes, at = {}, {} -- of the dims in the order of their strides, then those of size 1
  for i, dim in ipairs(dims) do
    sizes[i], at[i] = dim.size, dim.d
  end
  for d = 1, tensor:dim() do
    if tensor:size(d) == 1 then
      sizes[#sizes + 1], at[#at + 1] = 1, d
    end
  end
  local part = flat:narrow(1, start + 1, n)
  if #sizes == 0 then
    return part:view(tensor:size())
  end
  local view = part:view(sizes)
  for d = 1, #at do -- bring dimension d to its place
    while at[d] ~= d do
      local other = at[d]
      view = view:transpose(d, other)
      at[d], at[other] = at[other], at[d]
    end
  end
  return view
end

--- What becomes of tensors that share memory when each tensor is changed to one of the same sizes.
-- @tparam table items list of { name=, tensor= }
-- @tparam function change tensor → tensor, itself where nothing changes
-- @treturn table tensor → its successor, for those that share memory: one for all
-- @raise by name, where views overlap with gaps or in part and would come apart
function views.together(items, change)
  local function refuse(a, b)
    argument.raise("%s and %s share their memory in a way that they would lose: views with gaps, or in part", a.name,
      b.name)
  end
  local moved = {}
  for _, group in ipairs(views.groups(items, refuse)) do
    local leader = group.leader
    if #group.others > 0 then
      local new, flat = change(leader.tensor), nil
      moved[leader.tensor] = new
      for _, other in ipairs(group.others) do
        if new == leader.tensor then
          moved[other.tensor] = other.tensor
        elseif other.tensor:isSameView(leader.tensor) then
          moved[other.tensor] = new
        elseif not (views.isDense(leader.tensor) and views.isDense(other.tensor)) then
          refuse(leader, other)
        else
          flat = flat or new:contiguous():view(new:nElement())
          moved[other.tensor] = views.moved(other.tensor, leader.tensor, flat)
        end
      end
    end
  end
  return moved
end

return views
