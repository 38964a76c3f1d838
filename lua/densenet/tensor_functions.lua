--- Functions of elements beside those of tensor.lua, in place as they are; and sums of products.

local argument = require "densenet.argument"
local core = require "densenet.core"

local methods = core.tensor_methods

for _, kind in ipairs { "ceil", "round", "tanh", "sigmoid", "log1p" } do
  --- t:round(): halves away from zero. t:log1p(): log(1 + t), exact for small t. In place; of float, double,
  -- half or bfloat16. Likewise ceil, tanh, sigmoid.
  -- @function methods:round
  methods[kind] = function(self)
    core.unary(self, self, kind)
    return self
  end
end

--- Every element x becomes 1 / x.
function methods:cinv()
  core.binary_scalar(self, self, -1, "pow")
  return self
end

--- Every element x becomes 1 / √x.
function methods:rsqrt()
  core.binary_scalar(self, self, -0.5, "pow")
  return self
end

-- In which dtype products are as exact as their factors are.
local PRODUCT_TYPE = { half = "float", bfloat16 = "float", byte = "long" }

--- The sum of the products of two tensors' elements, row by row: a number. As many elements, of one type.
function methods:dot(other)
  argument.tensor(1, "dot", other)
  if other:nElement() ~= self:nElement() or other:dtype() ~= self:dtype() then
    argument.raise("bad argument #1 to 'dot' (%d elements of %s expected, got %s)", self:nElement(), self:dtype(),
      argument.describe(other))
  end
  local wide = PRODUCT_TYPE[self:dtype()]
  local a, b = wide and self:type(wide) or self, wide and other:type(wide) or other
  local n = a:nElement()
  local product = core.tensor_new(a:device(), a:dtype(), { n })
  core.binary(product, a:contiguous():view(n), b:contiguous():view(n), "mul")
  return product:sum()
end

--- A new tensor whose element at position i along a dimension, by default the first, is the sum of t's up to
-- and with i. The sums of 16-bit numbers are made in float.
function methods:cumsum(dim)
  dim = argument.integer(1, "cumsum", dim == nil and 1 or dim, 1, "dimension")
  if dim > self:dim() then
    argument.raise("bad argument #1 to 'cumsum' (dimension %d of a %s)", dim, core.tensor_describe(self))
  end
  local isNarrow = self:dtype() == "half" or self:dtype() == "bfloat16"
  local sums = isNarrow and self:type("float") or self:clone()
  local before = sums:clone()
  -- After each pass an element holds the sum of the twice as many that end with it.
  local n, span = self:size(dim), 1
  while span < n do
    core.binary(sums:narrow(dim, span + 1, n - span), before:narrow(dim, span + 1, n - span),
      before:narrow(dim, 1, n - span), "add")
    core.copy(before, sums)
    span = 2 * span
  end
  return isNarrow and sums:type(self:dtype()) or sums
end

return methods
