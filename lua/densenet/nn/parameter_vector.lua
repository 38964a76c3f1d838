--- All trained parameters of a module tree in one vector, and all gradients in another, without room between them: what
-- getParameters of Torch promises (nn.flat_parameters has the vectors that a network uses itself). Parameters that
-- share memory (nn.trained) get one place and share it there.
-- @module densenet.nn.parameter_vector

local buffer = require "densenet.nn.buffer"
local flat = require "densenet.nn.flat_parameters"
local trained = require "densenet.nn.trained"

--- Makes the module's trained parameters and their gradients views of two vectors.
-- @param module any module
-- @treturn tensor parameters
-- @treturn tensor gradients
-- @raise by name, where one has no gradient or is a view with gaps, or as nn.trained
return function(module)
  local parameters = trained.of(module)
  flat.checkDense("getParameters", parameters)
  local vector, weightView = flat.join(parameters, "tensor", module._device, module._type, 1)
  local gradient, gradientView = flat.join(parameters, "gradient", module._device, module._type, 1)
  buffer.replace(module, function(held)
    return weightView[held] or gradientView[held] or held
  end)
  return vector, gradient
end
