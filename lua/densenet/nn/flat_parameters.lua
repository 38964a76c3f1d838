--- A network's trained parameters side by side in one vector, and their gradients in another, so that what is done to
-- all of them is done at once: a step of an optimizer, a fill with zeros, a sum over ranks.
--
-- Networks of models.* are built so, and every conversion (type, to) and copy (clone) of them keeps it; another module
-- becomes so when it is converted. Each parameter begins at a multiple of 64 numbers: kernels and cuDNN read weights by
-- vectors of 16 bytes, and a parameter of an odd size would move all behind it. The room between is 0 and stays 0.
--
-- Nobody sees the room: stateDict and parameters() give the parameters themselves, and getParameters moves them into
-- vectors without any, as Torch has them. Where a tensor lies is remembered for the tensor (`placeOf`); one that was
-- put into a field later has no place, and is handled by itself.
-- @module densenet.nn.flat_parameters

local argument = require "densenet.argument"
local attempt = require "densenet.attempt"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local trained = require "densenet.nn.trained"
local views = require "densenet.nn.views"

local flat = {}

local STEP = 64 -- numbers: 128 bytes of a vector in 16 bits

-- tensor → { record=, index= from 1, first=, count= }; a record, of a vector, is { n= tensors, count= elements, step=,
-- narrow= the dtype of the weights beside it }. None holds a tensor, or the collector would find their memory a cycle
-- later.
local placeOf = setmetatable({}, { __mode = "k" })

-- ---- Making the vectors ----

-- The first element of each tensor of a field, and the length of all.
local function firstElements(parameters, field, step)
  local firsts, n = {}, 0
  for i, parameter in ipairs(parameters) do
    local count = parameter[field]:nElement()
    if count > 0 then n = (n + step - 1) // step * step end
    firsts[i], n = n + 1, n + count
  end
  return firsts, n
end

--- One vector with the contents of all parameters' tensors of a field.
-- @tparam table parameters of nn.trained; tensors are dense
-- @tparam string field "tensor" or "gradient"
-- @param device of the vector
-- @param dtype of the vector
-- @tparam[opt=64] integer step each begins at a multiple of so many elements
-- @treturn tensor the vector
-- @treturn table tensor → its view there
function flat.join(parameters, field, device, dtype, step)
  step = step or STEP
  local firsts, total = firstElements(parameters, field, step)
  local vector = core.tensor_new(device, dtype, { total })
  local record = { n = #parameters, count = total, step = step }
  local viewOf = {}
  if step > 1 then core.fill(vector, 0) end
  for i, parameter in ipairs(parameters) do
    local leader = parameter[field]
    local count = leader:nElement()
    local part = vector:narrow(1, firsts[i], count)
    local view = views.moved(leader, leader, part)
    core.copy(view, leader)
    viewOf[leader] = view
    if view:isContiguous() then
      placeOf[view] = { record = record, index = i, first = firsts[i], count = count }
    end
    for _, other in ipairs(parameter.others) do
      viewOf[other[field]] = viewOf[other[field]] or views.moved(other[field], leader, part)
    end
  end
  return vector, viewOf
end

-- What is trained; nil where that cannot become vectors. Whoever needs it says why.
local function joinable(module)
  local isFine, parameters = attempt.call(trained.of, module)
  if not isFine or #parameters == 0 then return nil end
  for _, parameter in ipairs(parameters) do
    for _, one in ipairs { parameter, table.unpack(parameter.others) } do
      if not core.is_tensor(one.gradient) or not views.isDense(one.tensor) or not views.isDense(one.gradient) then
        return nil
      end
    end
  end
  return parameters
end

-- The name and the tensor of the first view with gaps; nil where there is none.
local function gappyOf(parameters)
  for _, parameter in ipairs(parameters) do
    trained.gradient(parameter)
    for _, one in ipairs { parameter, table.unpack(parameter.others) } do
      if not views.isDense(one.tensor) then return one.name, one.tensor end
      if not views.isDense(one.gradient) then return "the gradient of " .. one.name, one.gradient end
    end
  end
end

--- @tparam string name of the method that needs dense tensors
-- @tparam table parameters of nn.trained
-- @raise by name, where one has no gradient or is a view with gaps
function flat.checkDense(name, parameters)
  local what, tensor = gappyOf(parameters)
  if what then argument.raise("%s: %s, of size %s, is a view with gaps", name, what, buffer.sizeText(tensor)) end
end

-- ---- Where a tensor lies ----

-- Its place, unless the tensor has been resized since.
local function placeNow(tensor)
  local place = placeOf[tensor]
  if place and tensor:storageOffset() == place.first and tensor:nElement() == place.count then return place end
end

local function isNext(place, before)
  return place and before and place.record == before.record and place.index == before.index + 1 or false
end

--- Does a tensor lie right behind another one, with no other parameter's place between them?
-- @tparam tensor tensor
-- @tparam tensor before
-- @treturn boolean false also where one of them has no place
function flat.follows(tensor, before)
  return isNext(placeNow(tensor), placeNow(before))
end

--- Two tensors and all between them, as a vector.
-- @tparam tensor first that has a place; alone, `last` being the same, any
-- @tparam tensor last of the same vector
-- @treturn tensor
function flat.span(first, last)
  if first == last then return first end
  local from, to = placeOf[first], placeOf[last]
  return core.storage_view(first, from.first, { to.first + to.count - from.first }, { 1 })
end

--- Is a tensor still where it was put? In-place changes of its size move it.
function flat.isPlaced(tensor) return placeNow(tensor) ~= nil end

--- Calls visit(span, first, last) for the tensors of a list that follow each other, and for each of the others.
-- @tparam table tensors list
-- @tparam function visit
function flat.eachSpan(tensors, visit)
  local first, before = 1, nil
  for i, tensor in ipairs(tensors) do
    local place = placeNow(tensor)
    if i > 1 and not isNext(place, before) then
      visit(flat.span(tensors[first], tensors[i - 1]), first, i - 1)
      first = i
    end
    before = place
  end
  if #tensors > 0 then visit(flat.span(tensors[first], tensors[#tensors]), first, #tensors) end
end

--- Fills tensors with zeros, those that follow each other at once.
-- @tparam table tensors list
function flat.zero(tensors)
  flat.eachSpan(tensors, function(span) core.fill(span, 0) end)
end

-- The vector that holds all tensors of a field and nothing else, or nil.
local function wholeOf(parameters, field)
  local first = parameters[1] and placeNow(parameters[1][field])
  if not first or first.record.n ~= #parameters then return nil end
  for i, parameter in ipairs(parameters) do
    local place = placeNow(parameter[field])
    if not place or place.record ~= first.record or place.index ~= i then return nil end
  end
  return core.storage_view(parameters[1][field], 1, { first.record.count }, { 1 }), first.record
end

--- How many elements of vectors lie between the tensors of a list, and behind those that are gone.
-- @tparam table tensors list; of those that share memory one
-- @treturn integer
function flat.room(tensors)
  local records, n = {}, 0
  for _, tensor in ipairs(tensors) do
    local place = placeNow(tensor)
    if place and not records[place.record] then
      records[place.record], n = true, n + place.record.count
    end
    n = place and n - place.count or n
  end
  return n
end

-- ---- Networks ----

--- What would make a module's parameters one vector on a device: for conversions, which replace all tensors anyway.
-- @param module any
-- @tparam table held of stateDict.held
-- @param device to go to
-- @param dtype of the parameters there
-- @treturn table tensor → its view in one of the vectors; empty where they cannot be vectors: for views with gaps, and
-- where a parameter shares its memory with what is no parameter
function flat.moved(module, held, device, dtype)
  local parameters, isFine, moves = joinable(module), true, {}
  if not parameters then return {} end
  for _, parameter in ipairs(parameters) do
    for _, one in ipairs { parameter, table.unpack(parameter.others) } do
      moves[one.tensor], moves[one.gradient] = true, true
    end
  end
  for _, group in ipairs(views.groups(held, function() isFine = false end)) do
    for _, other in ipairs(group.others) do
      if moves[other.tensor] ~= moves[group.leader.tensor] then isFine = false end
    end
  end
  if not isFine then return {} end
  local _, moved = flat.join(parameters, "tensor", device, dtype)
  local _, gradients = flat.join(parameters, "gradient", device, dtype)
  for tensor, view in pairs(gradients) do moved[tensor] = view end
  return moved
end

-- Puts what trained.of lists into vectors, by the fields given.
local function arrange(module, parameters, fields)
  local moved = {}
  for _, field in ipairs(fields) do
    local _, viewOf = flat.join(parameters, field, module._device, module._type)
    for tensor, view in pairs(viewOf) do moved[tensor] = view end
  end
  buffer.replace(module, function(tensor) return moved[tensor] or tensor end)
  flat.accompany(module)
end

--- Makes the trained parameters of a module one vector, and their gradients another one, where they are not yet.
-- @param module any
-- @tparam string name of what needs them, for the error
-- @treturn tensor parameters, room included
-- @treturn tensor gradients, likewise
-- @raise by name, where one has no gradient or is a view with gaps; where one stands in no field; as nn.trained
function flat.vectors(module, name)
  local parameters = trained.of(module)
  for try = 1, 2 do
    local vector, gradients = wholeOf(parameters, "tensor"), wholeOf(parameters, "gradient")
    if vector and gradients then return vector, gradients end
    if try == 1 and #parameters > 0 then
      flat.checkDense(name, parameters)
      arrange(module, parameters, { "tensor", "gradient" })
      parameters = trained.of(module)
    end
  end
  argument.raise("%s: the parameters cannot become one vector: a parameter that `parameters` lists stands in no field "
    .. "of a module", name)
end

--- Are a module's parameters one vector, with room, and its gradients another one?
function flat.isFlat(module)
  local parameters = trained.of(module)
  return wholeOf(parameters, "tensor") ~= nil and wholeOf(parameters, "gradient") ~= nil
    and placeOf[parameters[1].tensor].record.step == STEP
end

local IS_NARROW = { half = true, bfloat16 = true }

--- Keeps weights in 16 bits beside the vector of a network that computes in 16 bits on a GPU, where they are rounded
-- once a step then and not at each use (cuda_narrow.h); gives them up in one that does not.
function flat.accompany(module)
  local vector, record = wholeOf(joinable(module) or {}, "tensor")
  if not vector or record.step ~= STEP then return end -- the others' places are no multiples of 16 bytes
  local dtype = module._activations
  local isWanted = IS_NARROW[dtype] and vector:dtype() == "float" and vector:device():find "cuda" ~= nil
  local wanted = isWanted and dtype or nil
  if record.narrow ~= wanted then
    core.weights_narrow(vector, wanted and core.tensor_new(vector:device(), wanted, { record.count }))
    record.narrow = wanted
  end
end

--- The weights in 16 bits that `accompany` keeps.
-- @treturn ?string their dtype; nil where there are none
-- @treturn integer how many
function flat.narrowOf(module)
  local vector, record = wholeOf(joinable(module) or {}, "tensor")
  if vector then return record.narrow, record.count end
end

--- After a change of what is trained: gives up the room of gradients that are gone, in a network whose gradients
-- were one vector with room.
function flat.regather(module)
  local parameters = joinable(module)
  local first = parameters and placeNow(parameters[1].tensor)
  if not first or first.record.step ~= STEP or wholeOf(parameters, "gradient") then return end
  arrange(module, parameters, { "gradient" })
end

return flat
