--- Gradients made shorter where together they are longer than a limit.
-- @module densenet.optim.clipGradNorm

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local generatedWeight = require "densenet.nn.generated_weight"
local trained = require "densenet.nn.trained"

-- Gradients of what is trained; one that is shared between modules counts once.
local function gradientsOf(module)
  local list = {}
  for _, parameter in ipairs(trained.of(module)) do
    local gradient = trained.gradient(parameter)
    if gradient:nElement() > 0 then
      list[#list + 1] = gradient
    end
  end
  return list
end

-- The root of the sum of all squares, in double.
local function normOf(module, gradients)
  local norms = buffer.get(module.scratch, "gradientNorms", gradients[1]:device(), "double", #gradients)
  for i, gradient in ipairs(gradients) do
    local ones = {}
    for d = 1, gradient:dim() do ones[d] = 1 end
    core.reduce(norms:narrow(1, i, 1):view(ones), gradient, "norm", 2)
  end
  return norms:norm()
end

--- Multiplies all gradients of a module by maxNorm/norm where their norm, that of one vector of them all, is
-- above maxNorm. Where it is not finite they stay as they are, and the step is better skipped.
-- @param module
-- @tparam number maxNorm above 0
-- @treturn number the norm before, computed in double
-- @treturn ?string why nothing was clipped, where the norm is not finite
return function(module, maxNorm)
  if type(module) ~= "table" or not module.parameters or not module.scratch then
    argument.refuse(1, "clipGradNorm", module, "a module")
  end
  argument.number(2, "clipGradNorm", maxNorm, "maxNorm")
  if maxNorm ~= maxNorm or maxNorm <= 0 then
    argument.refuse(2, "clipGradNorm", maxNorm, "a number above 0", "maxNorm")
  end
  generatedWeight.pullDue(module)
  local gradients = gradientsOf(module)
  if #gradients == 0 then return 0.0 end
  local norm = normOf(module, gradients)
  if norm - norm ~= 0 then
    return norm, ("the norm of the gradients is %s; nothing was clipped"):format(norm == norm and "infinite"
      or "not a number")
  end
  if norm > maxNorm then
    for _, gradient in ipairs(gradients) do core.binary_scalar(gradient, gradient, maxNorm / norm, "mul") end
  end
  return norm
end
