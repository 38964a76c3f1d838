--- Tensors as Torch7 makes them, torch.FloatTensor(2, 3), and the methods of Torch7 that densenet's tensors have
-- under other names, with other defaults, or not at all.

local argument = require "densenet.argument"
local core = require "densenet.core"
local constructors = require "densenet.constructors"
local rowMajor = require "densenet.row_major"
local storage = require "densenet.torch7.storage"
local types = require "densenet.torch7.types"
require "densenet.tensor"

local tensor = {}

local metatable, methods = core.tensor_metatable, core.tensor_methods
local isTensor = core.is_tensor

-- ---- Making tensors ----

local function wholeNumbers(name, ...)
  local numbers = table.pack(...)
  for i = 1, numbers.n do numbers[i] = argument.integer(i, name, numbers[i], 0, "size") end
  return numbers
end

-- A view of a tensor's storage: (offset), (offset, sizes [, strides]) or (offset, size, stride, size, stride, ...).
local function viewOfStorage(name, vector, offset, sizes, ...)
  offset = argument.optional("integer", 1, 2, name, offset, 1, "offset")
  local strides
  if sizes == nil then
    sizes = { vector:nElement() - offset + 1 }
  elseif type(sizes) == "table" then
    strides = ...
  else
    local given = wholeNumbers(name, sizes, ...)
    sizes, strides = {}, {}
    for i = 1, given.n, 2 do
      sizes[#sizes + 1] = given[i]
      strides[#sizes] = given[i + 1] or -1
    end
    if strides[#sizes] == -1 then strides[#sizes] = 1 end -- the last one may be left out
  end
  return core.storage_view(vector, offset, sizes, strides or rowMajor(sizes))
end

--- A tensor of an element type on a device: empty; of sizes, one by one or in a LongStorage; of a nested table of
-- numbers; on a storage, or on another tensor's.
function tensor.make(name, dtype, device, first, ...)
  if first == nil then return core.tensor_new(device, dtype, { 0 }) end
  if isTensor(first) then return first:view(first:size()) end
  if storage.isStorage(first) then
    local vector = storage.tensorOf(first)
    if vector:dtype() ~= dtype or vector:device() ~= device then
      argument.refuse(1, name, first, ("a storage of %s"):format(dtype))
    end
    return viewOfStorage(name, vector, ...)
  end
  if storage.isSizes(first) then return core.tensor_new(device, dtype, first) end
  if type(first) == "table" then
    if next(first) == nil then return core.tensor_new(device, dtype, { 0 }) end
    return core.tensor_from(device, dtype, first)
  end
  return core.tensor_new(device, dtype, wholeNumbers(name, first, ...))
end

--- torch.FloatTensor and the like: called, it makes a tensor; its fields are the methods.
function tensor.class(word)
  local kind, name = types.kinds[word], ("torch.%sTensor"):format(word)
  local function new(...) return tensor.make(name, kind.dtype, types.deviceOf(kind), ...) end
  return setmetatable({ new = new }, { __index = methods, __call = function(_, ...) return new(...) end })
end

--- torch.Tensor: the same in the default type.
function tensor.ofDefaultType(...) return tensor.make("torch.Tensor", constructors.getDefaultType(), "cpu", ...) end

-- t.new(...) is a function, not a method: its tensors are of t's type. A field that a tensor has not is nil, as
-- scripts ask with it whether they were given a tensor or a table.
local indexOther = metatable.index_other
function metatable.index_other(t, key)
  if key == "new" then
    return function(...) return tensor.make("new", t:dtype(), t:device(), ...) end
  end
  if type(key) == "string" then return nil end
  return indexOther(t, key)
end

-- ---- Types ----

--- Torch7's name of its type; with one, or with an element type's, the tensor as that.
function methods:type(name)
  if name == nil then return types.nameOf(self:dtype(), self:device(), "Tensor") end
  local kind = types.find(1, "type", name)
  local converted = self
  if kind.isCuda ~= nil then converted = self:to(types.deviceOf(kind)) end
  return converted:to(kind.dtype)
end

-- t:float() brings a tensor to the CPU as Torch7's does; t:cuda() makes it float.
for word in pairs(types.kinds) do
  local name = word == "Cuda" and "cuda" or word:sub(1, 1):lower() .. word:sub(2)
  methods[name] = function(self) return self:type("torch." .. word .. "Tensor") end
end

function methods:typeAs(other) return self:type(argument.tensor(1, "typeAs", other):type()) end

-- ---- Sizes and storages ----

local sizeOf, strideOf = methods.size, methods.stride

function methods:size(dim)
  if dim ~= nil then return sizeOf(self, dim) end
  return storage.sizes(sizeOf(self))
end

function methods:stride(dim)
  if dim ~= nil then return strideOf(self, dim) end
  return storage.sizes(strideOf(self))
end

function metatable.__len(t) return t:size() end

--- All of the memory that the tensor is a view of.
function methods:storage()
  return storage.of(core.storage_view(self, 1, { core.storage_count(self) }, { 1 }))
end

--- The tensor becomes a view of another one's elements, or of a storage; empty without an argument.
function methods:set(source, ...)
  if source == nil then return core.tensor_set(self, core.tensor_new(self:device(), self:dtype(), { 0 })) end
  local view = source
  if storage.isStorage(source) then
    view = viewOfStorage("set", storage.tensorOf(source), ...)
  elseif not isTensor(source) then
    argument.refuse(1, "set", source, "a tensor or a storage")
  end
  if view:dtype() ~= self:dtype() or view:device() ~= self:device() then
    argument.refuse(1, "set", view, "one of " .. self:type())
  end
  return core.tensor_set(self, view)
end

function methods:isSetTo(other) return self:isSameView(argument.tensor(1, "isSetTo", other)) end

function methods:isSameSizeAs(other) return self:size() == argument.tensor(1, "isSameSizeAs", other):size() end

function methods:isSize(sizes) return self:size() == storage.sizes { table.unpack(sizes) } end

-- ---- Arithmetic: t:add(a, b) writes into t what a:add(b) would be ----

-- An operand that t's new content would overwrite is read from a copy.
local function apart(t, operand)
  return isTensor(operand) and core.storage_key(operand) == core.storage_key(t) and operand:clone() or operand
end

local function takeOver(t, source)
  if rawequal(t, source) then return t end
  source = apart(t, source)
  return t:resizeAs(source):copy(source)
end

for _, name in ipairs { "add", "sub", "csub", "mul", "cmul", "div", "cdiv", "pow", "cpow", "cmin", "cmax", "clamp" } do
  local method = methods[name]
  methods[name] = function(self, first, second, third)
    if not isTensor(first) or second == nil then return method(self, first, second) end
    second, third = apart(self, second), apart(self, third)
    return method(takeOver(self, first), second, third)
  end
end

for _, name in ipairs { "neg", "abs", "sign", "square", "sqrt", "exp", "log", "floor", "ceil", "round", "tanh",
  "sigmoid", "log1p", "cinv", "rsqrt" } do
  local method = methods[name]
  methods[name] = function(self, source)
    return method(source == nil and self or takeOver(self, argument.tensor(1, name, source)))
  end
end

-- t + factor * combine(a, b), of (a, b) or (factor, a, b).
local function addCombined(t, method, name, ...)
  local factor, a, b = ...
  if b == nil then factor, a, b = 1, factor, a end
  argument.number(1, name, factor, "factor")
  return t:add(factor, argument.tensor(2, name, a):clone()[method](a:clone(), argument.tensor(3, name, b)))
end

--- t + factor * a * b, element by element; the factor may be left out.
function methods:addcmul(...) return addCombined(self, "cmul", "addcmul", ...) end

--- t + factor * a / b.
function methods:addcdiv(...) return addCombined(self, "cdiv", "addcdiv", ...) end

--- Every element becomes what the function returns for it; nil leaves it.
function methods:apply(change)
  argument.callable(1, "apply", change)
  local values = self:contiguous():view(self:nElement()):totable()
  for i, value in ipairs(values) do
    local changed = change(value)
    if changed ~= nil then values[i] = changed end
  end
  if #values > 0 then self:copy(core.tensor_from("cpu", self:dtype(), values):view(self:size())) end
  return self
end

--- Whole numbers from `low` to `high`, each as likely; from 1 when one number is given.
function methods:random(low, high)
  if high == nil then low, high = 1, low end
  low = argument.integer(1, "random", low, nil, "low")
  high = argument.integer(2, "random", high, low, "high")
  local numbers = core.tensor_new(self:device(), "double", self:size()):uniform(low, high + 1)
  return self:copy(numbers:floor())
end

--- 1 with probability p (0.5), else 0.
function methods:bernoulli(p)
  p = argument.optional("number", 0.5, 1, "bernoulli", p, "p")
  return self:copy(core.tensor_new(self:device(), "double", self:size()):uniform():lt(p))
end

-- ---- Selections and parts ----

local topk = methods.topk

--- t:topk(k [, dim [, largest [, isSorted]]]): the k smallest, or the k largest where `largest` is true; in order
-- always. dim is the last dimension by default.
function methods:topk(k, dim, largest)
  if type(dim) == "boolean" then dim, largest = nil, dim end
  local last = self:dim()
  dim = argument.optional("integer", last, 2, "topk", dim, 1, "dimension")
  if dim > last then argument.refuse(2, "topk", dim, ("a dimension of %d"):format(last)) end
  if dim == last then return topk(self, k, largest == true) end
  local values, indices = topk(self:transpose(dim, last):contiguous(), k, largest == true)
  return values:transpose(dim, last), indices:transpose(dim, last)
end

--- Copies side by side, as many in each dimension as told.
function methods:repeatTensor(...)
  local times = type(...) == "table" and ... or { ... }
  local result = self
  while result:dim() < #times do result = result:unsqueeze(1) end
  for d, n in ipairs(times) do
    local parts = {}
    for i = 1, n do parts[i] = result end
    result = constructors.cat(parts, d)
  end
  return result
end

--- A list of views of `size` positions each along a dimension, the last of what is left.
function methods:split(size, dim)
  size = argument.integer(1, "split", size, 1, "size")
  dim = argument.optional("integer", 1, 2, "split", dim, 1, "dimension")
  local parts = {}
  for first = 1, self:size(dim), size do
    parts[#parts + 1] = self:narrow(dim, first, math.min(size, self:size(dim) - first + 1))
  end
  return parts
end

--- A list of n views of the same size along a dimension, the last perhaps smaller.
function methods:chunk(n, dim)
  n = argument.integer(1, "chunk", n, 1, "n")
  dim = argument.optional("integer", 1, 2, "chunk", dim, 1, "dimension")
  return self:split(math.max(1, (self:size(dim) + n - 1) // n), dim)
end

--- Is every element of a byte tensor other than 0?
function methods:all() return self:eq(0):sum() == 0 end

--- Is any?
function methods:any() return self:ne(0):sum() > 0 end

-- ---- torch.cat ----

local function joinInto(result, list, dim)
  for i, part in ipairs(list) do list[i] = apart(result, part) end
  local sizes = list[1]:size()
  if sizes[dim] == nil then argument.refuse(3, "cat", dim, ("a dimension of %d"):format(#sizes)) end
  sizes[dim] = 0
  for _, part in ipairs(list) do sizes[dim] = sizes[dim] + part:size(dim) end
  result:resize(sizes)
  local first = 1
  for _, part in ipairs(list) do
    core.copy(result:narrow(dim, first, part:size(dim)), part)
    first = first + part:size(dim)
  end
  return result
end

-- An empty vector stands for nothing.
local function withoutEmpty(list)
  local parts = {}
  for i, part in ipairs(list) do
    argument.tensor(1, "cat", part, ("tensor %d"):format(i))
    if part:dim() > 1 or part:nElement() > 0 then parts[#parts + 1] = part end
  end
  return parts
end

--- cat(a, b [, dim]), cat({a, b, ...} [, dim]), and cat(result, ...) of either. dim is the last one by default.
function tensor.cat(first, second, third, fourth)
  local result, list, dim
  if not isTensor(first) then
    list, dim = argument.table(1, "cat", first, "a list of tensors"), second
  elseif type(second) == "table" then
    result, list, dim = first, second, third
  elseif isTensor(third) then
    result, list, dim = first, { second, third }, fourth
  else
    list, dim = { first, argument.tensor(2, "cat", second) }, third
  end
  list = withoutEmpty(list)
  if #list == 0 then return result and result:resize(0) or tensor.ofDefaultType() end
  dim = argument.optional("integer", list[1]:dim(), 3, "cat", dim, 1, "dimension")
  return result and joinInto(result, list, dim) or constructors.cat(list, dim)
end

methods.cat = tensor.cat -- a function among the methods: input.cat(list, dim)

return tensor
