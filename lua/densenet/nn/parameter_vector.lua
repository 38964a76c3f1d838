--- All trained parameters of a module tree in one vector, and all gradients in another.
-- Parameters that share memory (nn.trained) get one place and share it there.
-- @module densenet.nn.parameter_vector

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local trained = require "densenet.nn.trained"
local views = require "densenet.nn.views"

local function checkDense(name, tensor)
  if not views.isDense(tensor) then
    argument.raise("getParameters: %s, of size %s, is a view with gaps", name, buffer.sizeText(tensor))
  end
end

-- One vector with the contents of all parameters' tensors in a field, and for each tensor its view there.
local function join(parameters, field, device, dtype)
  local total = 0
  for _, parameter in ipairs(parameters) do
    total = total + parameter[field]:nElement()
  end
  local vector, viewOf, first = core.tensor_new(device, dtype, { total }), {}, 1
  for _, parameter in ipairs(parameters) do
    local leader = parameter[field]
    local flat = vector:narrow(1, first, leader:nElement())
    viewOf[leader] = views.moved(leader, leader, flat)
    core.copy(viewOf[leader], leader)
    for _, other in ipairs(parameter.others) do
      viewOf[other[field]] = viewOf[other[field]] or views.moved(other[field], leader, flat)
    end
    first = first + leader:nElement()
  end
  return vector, viewOf
end

--- Makes the module's trained parameters and their gradients views of two vectors.
-- @param module any module
-- @treturn tensor parameters
-- @treturn tensor gradients
-- @raise by name, where one has no gradient or is a view with gaps, or as nn.trained
return function(module)
  local parameters = trained.of(module)
  for _, parameter in ipairs(parameters) do
    trained.gradient(parameter)
    for _, one in ipairs { parameter, table.unpack(parameter.others) } do
      checkDense(one.name, one.tensor)
      checkDense("the gradient of " .. one.name, one.gradient)
    end
  end
  local vector, weightView = join(parameters, "tensor", module._device, module._type)
  local gradient, gradientView = join(parameters, "gradient", module._device, module._type)
  buffer.replace(module, function(held)
    return weightView[held] or gradientView[held] or held
  end)
  return vector, gradient
end
