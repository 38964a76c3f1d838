--- The methods of tensors, added to those of src/bind/bind_tensor.c.
--
-- Names and meanings are Torch7's. Methods that compute without returning a number or a new tensor
-- work in place and return the tensor itself, so calls chain: t:mul(2):add(1). The operators
-- + - * / // % ^ and unary - make a new tensor; `*` multiplies element by element, and mm is the matrix
-- product. Operands broadcast: dimensions are aligned at the last, and sizes of 1 repeat. Tensors of
-- one operation have the same type and device; numbers go with every type.
--
-- Methods of the C side: size stride dim nElement elementSize (in bytes) dtype device isContiguous
-- storageOffset isSameView isFreed; views narrow(d, first, length) select(d, i) view(...) transpose(a, b) t()
-- expand(...); resize(...) free() totable() item() at(i, j, ...) put(value, i, j, ...).
-- Sums and other reductions stand in tensor_reductions.lua, t[...] in tensor_indexing.lua, further functions
-- of elements in tensor_functions.lua, sort, gather and scatter in tensor_selections.lua, squeeze, unsqueeze
-- and reshape in tensor_shapes.lua.

local argument = require "densenet.argument"
local core = require "densenet.core"
local device = require "densenet.device"
local random = require "densenet.random"

local metatable = core.tensor_metatable
local methods = core.tensor_methods
local isTensor = core.is_tensor

-- Names of methods before Lua adds its own; kept with them, where this file finds it when it is loaded again.
local isOfC = metatable.isOfC
if not isOfC then
  isOfC = {}
  for name in pairs(methods) do isOfC[name] = true end
  metatable.isOfC = isOfC
end

metatable.__tostring = require "densenet.tensor_text"
require "densenet.tensor_reductions"
require "densenet.tensor_indexing"
require "densenet.tensor_functions"
require "densenet.tensor_selections"
require "densenet.tensor_shapes"

local function badArgument(position, name, reason)
  argument.raise("bad argument #%d to '%s' (%s)", position, name, reason)
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
  if not isDtype[dtype] then
    argument.refuse(1, "type", dtype, "float, double, half, bfloat16, long or byte")
  end
  return convert(self, dtype)
end

for name in pairs(isDtype) do
  methods[name] = function(self) return convert(self, name) end
end

--- As the type of another tensor.
function methods:typeAs(other) return convert(self, argument.tensor(1, "typeAs", other):dtype()) end

--- The tensor on a device, or as a type: itself when nothing changes. Raises where the device is
-- missing, and says why.
-- @param target a type's name, a device's name, or a device
function methods:to(target)
  if isDtype[target] then return convert(self, target) end
  if target == nil then argument.refuse(1, "to", target, "a type, a device or its name") end
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
  argument.tensor(1, "copy", source)
  if source:nElement() == self:nElement() then source = source:contiguous():view(self:size()) end
  core.copy(self, source)
  return self
end

--- Other sizes, those of `other`; content undefined.
function methods:resizeAs(other) return self:resize(argument.tensor(1, "resizeAs", other):size()) end

--- The same elements under the sizes of `other`.
function methods:viewAs(other) return self:view(argument.tensor(1, "viewAs", other):size()) end

--- Repeated, without a copy, to the sizes of `other`.
function methods:expandAs(other) return self:expand(argument.tensor(1, "expandAs", other):size()) end

-- ---- Arithmetic ----

--- Every element becomes `value`.
function methods:fill(value)
  core.fill(self, argument.number(1, "fill", value))
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
  -- towards minus infinity, and by zero it raises. Likewise sub, div, pow; csub, cmul, cdiv, cpow, cmin, cmax.
  -- @function methods:mul
  -- @param x number or tensor
  methods[name] = function(self, x)
    if isTensor(x) then
      local reason = mismatch(self, x)
      if reason then badArgument(1, name, reason) end
    elseif type(x) ~= "number" then
      argument.refuse(1, name, x, "a number or a tensor")
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
    argument.refuse(nGiven, "add", operand, nGiven == 2 and "a tensor" or "a number or a tensor")
  end
  if nGiven == 1 then return combine(self, self, operand, "add") end
  argument.number(1, "add", alpha)
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
  argument.number(1, "clamp", low, "low")
  argument.number(2, "clamp", high, "high")
  core.binary_scalar(self, self, low, "max")
  core.binary_scalar(self, self, high, "min")
  return self
end

-- A new tensor a kind b, where one of the two is a tensor.
local function operate(a, b, kind, sign)
  local other = a
  if isTensor(a) then other = b end
  if type(other) ~= "number" and not isTensor(other) then
    argument.raise("cannot use '%s' on a tensor and %s", sign, argument.describe(other))
  end
  if type(b) == "number" then return combine(newLike(a), a, b, kind) end
  if type(a) == "number" then a = newLike(b, {}):fill(a) end
  local reason = mismatch(a, b)
  local sizes = not reason and broadcastSizes(a, b)
  if not sizes then
    reason = reason or ("a tensor of size %s and one of size %s, which do not broadcast"):format(
      table.concat(a:size(), "x"), table.concat(b:size(), "x"))
    argument.raise("cannot use '%s' on %s", sign, reason)
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

local IS_WHOLE = { long = true, byte = true }

-- The quotient rounded towards minus infinity, in a new tensor.
local function floorDivide(a, b, sign)
  local quotient = operate(a, b, "div", sign)
  if not IS_WHOLE[quotient:dtype()] then core.unary(quotient, quotient, "floor") end
  return quotient
end

--- a // b: the quotient rounded towards minus infinity.
function metatable.__idiv(a, b) return floorDivide(a, b, "//") end

--- a % b: a - b * (a // b), of the sign of b, as Torch7's remainder.
function metatable.__mod(a, b)
  local result = floorDivide(a, b, "%")
  combine(result, result, b, "mul")
  if type(a) == "number" then a = newLike(b, {}):fill(a) end
  return combine(result, a, result, "sub")
end

function metatable.__unm(a)
  local result = newLike(a)
  core.unary(result, a, "neg")
  return result
end

for _, kind in ipairs { "eq", "ne", "lt", "le", "gt", "ge" } do
  --- t:lt(x): a new byte tensor, 1 where it holds and 0 elsewhere; x is a number, or a tensor that
  -- broadcasts with t. Likewise eq, ne, le, gt, ge.
  -- @function methods:lt
  -- @param x number or tensor
  methods[kind] = function(self, x)
    if type(x) == "number" then
      local result = newLike(self, nil, "byte")
      core.compare_scalar(result, self, x, kind)
      return result
    end
    if not isTensor(x) then argument.refuse(1, kind, x, "a number or a tensor") end
    local reason = mismatch(self, x)
    local sizes = broadcastSizes(self, x)
    if reason or not sizes then badArgument(1, kind, reason or "the sizes do not broadcast") end
    local result = newLike(self, sizes, "byte")
    core.compare(result, self, x, kind)
    return result
  end
end

-- ---- Matrix products ----

local function checkMatrix(m, position, name)
  if not isTensor(m) or m:dim() ~= 2 then argument.refuse(position, name, m, "a matrix") end
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
  local arguments, n = { ... }, select("#", ...)
  local a, b = arguments[n - 1], arguments[n]
  if n > 4 then argument.raise("addmm takes 2 to 4 arguments, got %d", n) end
  local alpha = n > 2 and argument.number(n - 2, "addmm", arguments[n - 2], "alpha") or 1
  local beta = n > 3 and argument.number(n - 3, "addmm", arguments[n - 3], "beta") or 1
  checkMatrix(a, math.max(n - 1, 1), "addmm")
  checkMatrix(b, n, "addmm")
  core.gemm(self, a, b, alpha, beta)
  return self
end

-- ---- Random numbers from the default generator ----

--- Numbers uniform in [low, high), by default [0, 1). Uses half as many positions as elements.
function methods:uniform(low, high)
  low = argument.number(1, "uniform", low == nil and 0 or low, "low")
  high = argument.number(2, "uniform", high == nil and 1 or high, "high")
  core.random_uniform(self, low, high, random.reserve((self:nElement() + 1) // 2))
  return self
end

--- Normal numbers, by default of mean 0 and deviation 1. Uses half as many positions as elements.
function methods:normal(mean, deviation)
  mean = argument.number(1, "normal", mean == nil and 0 or mean, "mean")
  deviation = argument.number(2, "normal", deviation == nil and 1 or deviation, "deviation")
  core.random_normal(self, mean, deviation, random.reserve((self:nElement() + 1) // 2))
  return self
end

-- As methods of C do, those of Lua refuse to be called on anything but a tensor: t.sum() for t:sum().
for name, method in pairs(methods) do
  if not isOfC[name] then
    methods[name] = function(self, ...)
      if not isTensor(self) then
        argument.raise("%s is called on %s; a tensor expected, as in t:%s(...)", name, argument.describe(self), name)
      end
      return method(self, ...)
    end
  end
end

return methods
