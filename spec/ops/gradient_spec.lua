-- Every backward operation in double against central differences of its forward operation: the
-- gradient of a random projection of the output, for every input and parameter.

local core = require "densenet.core"
local compare = require "spec.support.compare"
local finite_difference = require "spec.support.finite_difference"
local operation = require "spec.support.operation"

local function new(sizes) return core.tensor_new("cpu", "double", sizes) end

local function sorted_names(list)
  local names = {}
  for name in pairs(list) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function check(gradient)
  local t, d, seed = {}, {}, 100
  for _, group in ipairs { gradient.inputs, gradient.constants or {} } do
    for _, name in ipairs(sorted_names(group)) do
      seed = seed + 1
      local dtype = group[name].dtype or "double"
      t[name] = operation.values(group[name], dtype, dtype, seed)
    end
  end
  for name in pairs(gradient.inputs) do
    d[name] = new(t[name]:size())
    core.fill(d[name], 0) -- gradients of parameters accumulate
  end
  local y, dy = new(gradient.output), new(gradient.output)
  if gradient.projection then
    core.copy(dy, core.tensor_from("cpu", "double", gradient.projection))
  else
    core.random_uniform(dy, -1, 1, 99, 0, 0)
  end
  local ones = {}
  for i = 1, #gradient.output do ones[i] = 1 end
  local product, total = new(gradient.output), new(ones)
  local function loss()
    gradient.forward(y, t)
    core.binary(product, y, dy, "mul")
    core.reduce(total, product, "sum", 0)
    return total:item()
  end
  loss()
  gradient.backward(d, dy, t)
  for _, name in ipairs(sorted_names(gradient.inputs)) do
    local numerical = new(t[name]:size())
    finite_difference.gradient(loss, t[name], numerical)
    compare.near(d[name], numerical, compare.finite_difference, "gradient of " .. name)
  end
end

describe("finite differences:", function()
  for _, gradient in ipairs(operation.families().gradients) do
    it(gradient.name, function() check(gradient) end)
    it(gradient.name .. ", reference loops", function()
      core.testing.reference(true)
      check(gradient)
    end)
  end
end)
