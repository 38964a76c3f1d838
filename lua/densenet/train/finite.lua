--- Are numbers finite? A network whose outputs or weights are not has diverged: it is not tested, not
-- the best, and not saved.
local core = require "densenet.core"

local finite = {}

--- Is a number neither infinite nor NaN?
function finite.number(x) return x - x == 0 end

--- Are all elements of a tensor of real numbers? The largest absolute value says so, and is itself of
-- the tensor's type, as a sum need not be.
function finite.tensor(x)
  local size = {}
  for d = 1, x:dim() do size[d] = 1 end
  local largest = core.tensor_new(x:device(), x:dtype(), size)
  core.reduce(largest, x, "norm", math.huge)
  return finite.number(largest:item())
end

local isReal = { float = true, double = true, half = true, bfloat16 = true }

--- The name, the first by its bytes, of a tensor with an element that is not finite; nil when there is none.
-- @param tensors table name → tensor
function finite.exception(tensors)
  local first
  for name, x in pairs(tensors) do
    if isReal[x:dtype()] and (not first or core.before(name, first)) and x:nElement() > 0 and not finite.tensor(x) then
      first = name
    end
  end
  return first
end

return finite
