--- The methods of tensors, added to those of src/bind/bind_tensor.c.
--
-- Names and meanings are Torch7's. Methods that compute without returning a number or a new tensor
-- work in place and return the tensor itself, so calls chain: t:mul(2):add(1). The operators
-- + - * / ^ and unary - make a new tensor; `*` multiplies element by element, and mm is the matrix
-- product. Operands broadcast: dimensions are aligned at the last, and sizes of 1 repeat. Tensors of
-- one operation have the same type and device; numbers go with every type.
--
-- Methods of the C side: size stride dim nElement dtype device isContiguous storageOffset
-- isSameView isFreed; views narrow(d, first, length) select(d, i) view(...) transpose(a, b) t()
-- expand(...); resize(...) free() totable() item() at(i, j, ...) put(value, i, j, ...).
-- t[i] is t:select(1, i), or the number where t is a vector; t[i] = x writes a number or a tensor
-- there.

local core = require "densenet.core"
local device = require "densenet.device"
local random = require "densenet.random"

local metatable = core.tensor_metatable
local methods = core.tensor_methods
local isTensor = core.is_tensor

metatable.__tostring = require "densenet.tensor_text"

-- Raised where the caller of the method stands.
local function badArgument(argument, name, reason)
  error(("bad argument #%d to '%s' (%s)"):format(argument, name, reason), 3)
end

-- A new tensor like t, content undefined, of other sizes or another type when given.
local function newLike(t, sizes, dtype)
  return core.tensor_new(t:device(), dtype or t:dtype(), sizes or t:size())
end

-- The sizes to which two tensors broadcast, or nil.
local function broadcastSizes(a, b)
  local sizesA, sizesB = a:size(), b:size()
  local nDim = math.max(#sizesA, #sizesB)
  local sizes = {}
  for back = 0, nDim - 1 do
    local ofA, ofB = sizesA[#sizesA - back] or 1, sizesB[#sizesB - back] or 1
    if ofA ~= ofB and ofA ~= 1 and ofB ~= 1 then return nil end
    sizes[nDim - back] = ofA == 1 and ofB or ofA
  end
  return sizes
end

-- Why two tensors cannot be operands of one operation; nil when they can.
local function mismatch(a, b)
  if a:dtype() ~= b:dtype() then
    return ("a %s tensor and a %s tensor; convert one with :type(name)"):format(a:dtype(), b:dtype())
  elseif a:device() ~= b:device() then
    return ("a tensor on %s and one on %s; move one with :to(device)"):format(a:device(), b:device())
  end
end

-- ---- Types, devices, copies ----

local isDtype = { float = true, double = true, half = true, bfloat16 = true, long = true, byte = true }

local function convert(t, dtype)
  if t:dtype() == dtype then return t end
  local converted = newLike(t, nil, dtype)
  core.copy(converted, t)
  return converted
end

--- The type's name; with a name, the tensor as that type: itself when it is of that type already,
-- else a new one. To long and byte numbers are truncated and saturate, and NaN becomes 0; to half
-- and bfloat16 they are rounded to the nearest, ties to even.
function methods:type(dtype)
  if dtype == nil then return self:dtype() end
  return convert(self, dtype)
end

for name in pairs(isDtype) do
  methods[name] = function(self) return convert(self, name) end
end

--- As the type of another tensor.
function methods:typeAs(other) return convert(self, other:dtype()) end

--- The tensor on a device, or as a type: itself when nothing changes. Raises where the device is
-- missing, and says why.
-- @param target a type's name, a device's name, or a device
function methods:to(target)
  if isDtype[target] then return convert(self, target) end
  local name = device.nameOf(target)
  if name == "cuda" then name = "cuda:0" end
  if name == self:device() then return self end
  local moved = core.tensor_new(name, self:dtype(), self:size())
  core.copy(moved, self)
  return moved
end

--- A contiguous copy on the CPU, in memory from which a GPU copies while the program goes on
-- (core.copy_async); itself when it is that already.
-- @param on the GPU, its name or itself; by default "cuda:0"
function methods:pin(on)
  if self:isPinned() and self:isContiguous() then return self end
  local pinned = core.tensor_new_pinned(on and device.nameOf(on) or "cuda:0", self:dtype(), self:size())
  core.copy(pinned, self)
  return pinned
end

--- A contiguous copy with a storage of its own.
function methods:clone()
  local copy = newLike(self)
  core.copy(copy, self)
  return copy
end

--- The tensor itself when it is contiguous, else a contiguous copy.
function methods:contiguous() return self:isContiguous() and self or self:clone() end

--- Takes over the elements of `source`, of any type: of the same sizes, or, row by row, of as many
-- elements.
function methods:copy(source)
  if not isTensor(source) then badArgument(1, "copy", "a tensor expected, got " .. type(source)) end
  if source:nElement() == self:nElement() then source = source:contiguous():view(self:size()) end
  core.copy(self, source)
  return self
end

--- Other sizes, those of `other`; content undefined.
function methods:resizeAs(other) return self:resize(other:size()) end

--- The same elements under the sizes of `other`.
function methods:viewAs(other) return self:view(other:size()) end

--- Repeated, without a copy, to the sizes of `other`.
function methods:expandAs(other) return self:expand(other:size()) end

function metatable.__newindex(self, index, value)
  if math.type(index) ~= "integer" then
    error(("a tensor has no field '%s' to set"):format(tostring(index)), 2)
  end
  local element = self:narrow(1, index, 1):select(1, 1)
  if isTensor(value) then
    element:copy(value)
  else
    element:fill(value)
  end
end

-- ---- Arithmetic ----

--- Every element becomes `value`.
function methods:fill(value)
  core.fill(self, value)
  return self
end

function methods:zero() return self:fill(0) end

-- target = a kind b, in the method or operator `name`; a is a tensor, b a tensor or a number.
local function combine(target, a, b, kind)
  if isTensor(b) then
    core.binary(target, a, b, kind)
  else
    core.binary_scalar(target, a, b, kind)
  end
  return target
end

local inPlace = {
  sub = "sub", csub = "sub", mul = "mul", cmul = "mul", div = "div", cdiv = "div",
  pow = "pow", cpow = "pow", cmin = "min", cmax = "max",
}
for name, kind in pairs(inPlace) do
  --- t:mul(x): x is a number, or a tensor that broadcasts to t. Division of long and byte rounds
  -- towards minus infinity, and by zero it raises.
  methods[name] = function(self, x)
    if isTensor(x) then
      local reason = mismatch(self, x)
      if reason then badArgument(1, name, reason) end
    elseif type(x) ~= "number" then
      badArgument(1, name, "a number or a tensor expected, got " .. type(x))
    end
    return combine(self, self, x, kind)
  end
end

--- t:add(number), t:add(x), t:add(alpha, x): t + alpha x; x is a tensor that broadcasts to t.
function methods:add(alpha, x)
  local nGiven = x == nil and 1 or 2
  local operand = x
  if nGiven == 1 then operand = alpha end
  if isTensor(operand) then
    local reason = mismatch(self, operand)
    if reason then badArgument(nGiven, "add", reason) end
  elseif nGiven == 2 or type(operand) ~= "number" then
    badArgument(nGiven, "add", (nGiven == 2 and "a tensor" or "a number or a tensor") ..
      " expected, got " .. type(operand))
  end
  if nGiven == 1 then return combine(self, self, operand, "add") end
  if type(alpha) ~= "number" then badArgument(1, "add", "a number expected, got " .. type(alpha)) end
  core.add_scaled(self, self, x, alpha)
  return self
end

for _, kind in ipairs { "neg", "abs", "sign", "square", "sqrt", "exp", "log", "floor" } do
  methods[kind] = function(self)
    core.unary(self, self, kind)
    return self
  end
end

--- Every element below `low` becomes `low`, every one above `high` becomes `high`; NaN stays.
function methods:clamp(low, high)
  core.binary_scalar(self, self, low, "max")
  core.binary_scalar(self, self, high, "min")
  return self
end

-- A new tensor a kind b, where one of the two is a tensor.
local function operate(a, b, kind, sign)
  local other = a
  if isTensor(a) then other = b end
  if type(other) ~= "number" and not isTensor(other) then
    error(("cannot use '%s' on a tensor and a %s"):format(sign, type(other)), 3)
  end
  if type(b) == "number" then return combine(newLike(a), a, b, kind) end
  if type(a) == "number" then a = newLike(b, {}):fill(a) end
  local reason = mismatch(a, b)
  local sizes = not reason and broadcastSizes(a, b)
  if not sizes then
    reason = reason or ("a tensor of size %s and one of size %s, which do not broadcast"):format(
      table.concat(a:size(), "x"), table.concat(b:size(), "x"))
    error(("cannot use '%s' on %s"):format(sign, reason), 3)
  end
  return combine(newLike(a, sizes), a, b, kind)
end

local operators = {
  __add = { "add", "+" }, __sub = { "sub", "-" }, __mul = { "mul", "*" },
  __div = { "div", "/" }, __pow = { "pow", "^" },
}
for event, operator in pairs(operators) do
  local kind, sign = operator[1], operator[2]
  metatable[event] = function(a, b) return operate(a, b, kind, sign) end
end

function metatable.__unm(a)
  local result = newLike(a)
  core.unary(result, a, "neg")
  return result
end

for _, kind in ipairs { "eq", "ne", "lt", "le", "gt", "ge" } do
  --- t:lt(x): a new byte tensor, 1 where it holds and 0 elsewhere; x is a number, or a tensor that
  -- broadcasts with t.
  methods[kind] = function(self, x)
    if type(x) == "number" then
      local result = newLike(self, nil, "byte")
      core.compare_scalar(result, self, x, kind)
      return result
    end
    if not isTensor(x) then badArgument(1, kind, "a number or a tensor expected, got " .. type(x)) end
    local reason = mismatch(self, x)
    local sizes = broadcastSizes(self, x)
    if reason or not sizes then badArgument(1, kind, reason or "the sizes do not broadcast") end
    local result = newLike(self, sizes, "byte")
    core.compare(result, self, x, kind)
    return result
  end
end

-- ---- Reductions ----

-- The sizes of t with 1 in dimension `dim`, or everywhere.
local function reducedSizes(t, dim, name)
  local sizes = t:size()
  if dim == nil then
    for d = 1, #sizes do sizes[d] = 1 end
  elseif sizes[dim] then
    sizes[dim] = 1
  else
    error(("bad argument #1 to '%s' (dimension %s of a %s)"):format(name, dim, core.tensor_describe(t)), 4)
  end
  return sizes
end

-- Along `dim` a tensor that has size 1 there; over everything a number.
local function reduce(t, kind, parameter, dim, name)
  local result = newLike(t, reducedSizes(t, dim, name))
  core.reduce(result, t, kind, parameter)
  if dim then return result end
  local number = result:item()
  result:free()
  return number
end

--- Sum of all elements, a number; or along a dimension, which keeps size 1. Sums of float are kept
-- in double.
function methods:sum(dim) return reduce(self, "sum", 0, dim, "sum") end

--- Mean, likewise; of float, double, half or bfloat16.
function methods:mean(dim) return reduce(self, "mean", 0, dim, "mean") end

--- Variance, unbiased: divided by the count less one. Likewise.
function methods:var(dim) return reduce(self, "var", 1, dim, "var") end

--- Standard deviation: the root of var.
function methods:std(dim)
  local variance = reduce(self, "var", 1, dim, "std")
  return dim and variance:sqrt() or math.sqrt(variance)
end

--- t:norm([p [, dim]]): the p-norm, by default p = 2.
function methods:norm(p, dim) return reduce(self, "norm", p or 2, dim, "norm") end

-- Best element along dim and where it stands.
local function argReduce(t, dim, largest, name)
  local sizes = reducedSizes(t, dim, name)
  local values, indices = newLike(t, sizes), newLike(t, sizes, "long")
  core.arg_reduce(values, indices, t, dim, largest)
  return values, indices
end

--- The largest element, a number; or along a dimension, which keeps size 1: values and positions
-- (long, from 1; the first of equals). NaN counts as largest.
function methods:max(dim)
  if dim then return argReduce(self, dim, true, "max") end
  return reduce(self, "max", 0)
end

--- The smallest element, likewise; NaN counts as smallest.
function methods:min(dim)
  if dim then return argReduce(self, dim, false, "min") end
  return reduce(self, "min", 0)
end

--- Where the largest element along a dimension stands: long, from 1, size 1 in that dimension.
function methods:argmax(dim)
  if dim == nil then badArgument(1, "argmax", "a dimension expected") end
  local _, indices = argReduce(self, dim, true, "argmax")
  return indices
end

--- The k largest elements along the last dimension, the largest first, and their positions.
-- @param k 1 to the size of the last dimension
-- @param largest false for the k smallest, the smallest first
-- @return values, indices (long, from 1)
function methods:topk(k, largest)
  local sizes = self:size()
  if #sizes == 0 then error("topk of a scalar; at least one dimension expected", 2) end
  sizes[#sizes] = k
  local values, indices = newLike(self, sizes), newLike(self, sizes, "long")
  core.topk(values, indices, self, largest ~= false)
  return values, indices
end

--- t:index(rows) or t:index(dim, rows): a new tensor of the chosen positions along a dimension, by
-- default the first, in the order given.
-- @param rows long vector or list of positions from 1
function methods:index(dim, rows)
  if rows == nil then
    dim, rows = 1, dim
  end
  if type(rows) == "table" then rows = core.tensor_from(self:device(), "long", rows) end
  if not isTensor(rows) then badArgument(2, "index", "a long vector or a list expected") end
  local source = dim == 1 and self or self:transpose(1, dim)
  local sizes = source:size()
  sizes[1] = rows:nElement()
  local result = newLike(self, sizes)
  core.index_select(result, source, rows)
  return dim == 1 and result or result:transpose(1, dim)
end

-- ---- Matrix products ----

local function checkMatrix(m, argument, name)
  if isTensor(m) and m:dim() == 2 then return end
  local got = isTensor(m) and core.tensor_describe(m) or type(m)
  error(("bad argument #%d to '%s' (a matrix expected, got %s)"):format(argument, name, got), 3)
end

--- a:mm(b): a new matrix, a times b. c:mm(a, b): the same into c. float and double; a transposed
-- view is read as it stands.
function methods:mm(a, b)
  local into = self
  if b == nil then
    checkMatrix(self, 0, "mm")
    checkMatrix(a, 1, "mm")
    a, b = self, a
    into = newLike(a, { a:size(1), b:size(2) })
  else
    checkMatrix(a, 1, "mm")
    checkMatrix(b, 2, "mm")
  end
  core.gemm(into, a, b, 1, 0)
  return into
end

--- c:addmm(a, b), c:addmm(alpha, a, b), c:addmm(beta, alpha, a, b): c = beta c + alpha a b.
function methods:addmm(...)
  local arguments = { ... }
  local n = #arguments
  local a, b = arguments[n - 1], arguments[n]
  local alpha = n > 2 and arguments[n - 2] or 1
  local beta = n > 3 and arguments[n - 3] or 1
  checkMatrix(a, math.max(n - 1, 1), "addmm")
  checkMatrix(b, n, "addmm")
  core.gemm(self, a, b, alpha, beta)
  return self
end

-- ---- Random numbers from the default generator ----

--- Numbers uniform in [low, high), by default [0, 1). Uses half as many positions as elements.
function methods:uniform(low, high)
  core.random_uniform(self, low or 0, high or 1, random.reserve((self:nElement() + 1) // 2))
  return self
end

--- Normal numbers, by default of mean 0 and deviation 1. Uses half as many positions as elements.
function methods:normal(mean, deviation)
  core.random_normal(self, mean or 0, deviation or 1, random.reserve((self:nElement() + 1) // 2))
  return self
end

return methods
