--- All parameters of a module tree in one vector, and all gradients in another.
-- A tensor that occurs twice (shared parameters) gets one place. What shares memory in another way
-- (a transposed or overlapping view of another parameter) would come apart, and is refused.
-- @module densenet.nn.parameter_vector

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"

-- Distinct tensors of a list, and for each tensor the one that stands for it.
local function distinct(tensors)
  local different, standsFor, byCount = {}, {}, {}
  for _, t in ipairs(tensors) do
    if not standsFor[t] then
      local n = t:nElement()
      byCount[n] = byCount[n] or {}
      for _, other in ipairs(byCount[n]) do
        if t:isSameView(other) then
          standsFor[t] = other
          break
        end
      end
      if not standsFor[t] then
        if not t:isContiguous() then
          argument.raise("getParameters: a parameter of size " .. buffer.sizeText(t) .. " is a view with gaps")
        end
        standsFor[t] = t
        table.insert(byCount[n], t)
        different[#different + 1] = t
      end
    end
  end
  return different, standsFor
end

-- One vector with the contents of all, and for each tensor its view of the vector.
local function join(tensors, device, dtype)
  local different, standsFor = distinct(tensors)
  local total = 0
  for _, t in ipairs(different) do
    total = total + t:nElement()
  end
  local vector, viewOf, first = core.tensor_new(device, dtype, { total }), {}, 1
  for _, t in ipairs(different) do
    local view = vector:narrow(1, first, t:nElement()):view(t:size())
    core.copy(view, t)
    viewOf[t] = view
    first = first + t:nElement()
  end
  for t, other in pairs(standsFor) do
    viewOf[t] = viewOf[other]
  end
  return vector, viewOf
end

--- Makes the module's parameters and gradients views of two vectors.
-- @param module any module
-- @treturn tensor parameters
-- @treturn tensor gradients
return function(module)
  local weights, gradients = module:parameters()
  local vector, weightView = join(weights or {}, module._device, module._type)
  local gradient, gradientView = join(gradients or {}, module._device, module._type)
  buffer.replace(module, function(held)
    return weightView[held] or gradientView[held] or held
  end)
  return vector, gradient
end
