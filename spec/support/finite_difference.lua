--- Numerical gradients: what a backward operation has to agree with.

local finite_difference = {}

local STEP = 1e-4

--- The gradient of f, a function without arguments that reads `tensor`, by central differences.
-- `tensor` is contiguous and double; it is the same afterwards. Writes into `gradient`, which has
-- its shape.
function finite_difference.gradient(f, tensor, gradient)
  local n = tensor:nElement()
  local x, dx = tensor:view(n), gradient:view(n)
  for i = 1, n do
    local value = x:at(i)
    x:put(value + STEP, i)
    local above = f()
    x:put(value - STEP, i)
    local below = f()
    x:put(value, i)
    dx:put((above - below) / (2 * STEP), i)
  end
end

return finite_difference
