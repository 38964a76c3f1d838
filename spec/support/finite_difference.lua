--- Numerical gradients: what a backward operation has to agree with.

local finite_difference = {}

local STEP = 1e-4

--- The gradient of f, a function without arguments that reads `tensor`, by central differences.
-- `tensor` is contiguous and double; it is the same afterwards. Writes into `gradient`, which has
-- its shape. A smaller step than 1e-4 gets past kinks and steep curves, at more rounding.
function finite_difference.gradient(f, tensor, gradient, step)
  step = step or STEP
  local n = tensor:nElement()
  local x, dx = tensor:view(n), gradient:view(n)
  for i = 1, n do
    local value = x:at(i)
    x:put(value + step, i)
    local above = f()
    x:put(value - step, i)
    local below = f()
    x:put(value, i)
    dx:put((above - below) / (2 * step), i)
  end
end

return finite_difference
