--- Torch7's storages: the memory behind tensors, as a vector of its own.
--
-- torch.FloatStorage(3) and t:storage() are objects on a tensor of one dimension. torch.LongStorage{2, 3} is a
-- list of numbers, as t:size() and t:stride() return: it stands wherever sizes do. A storage does not grow under
-- the tensors on it: one that is resized past its end gets a storage of its own.

local argument = require "densenet.argument"
local core = require "densenet.core"
local types = require "densenet.torch7.types"

local storage = {}

-- ---- Lists of sizes ----

local Sizes = { __typename = "torch.LongStorage" }
Sizes.__index = Sizes

function Sizes:size() return #self end

function Sizes:totable() return table.move(self, 1, #self, 1, {}) end

function Sizes:fill(value)
  for i = 1, #self do self[i] = value end
  return self
end

function Sizes:resize(n)
  for i = #self + 1, n do self[i] = 0 end
  for i = #self, n + 1, -1 do self[i] = nil end
  return self
end

function Sizes:copy(other)
  if #other ~= #self then argument.refuse(1, "copy", other, ("a storage of %d numbers"):format(#self)) end
  for i = 1, #self do self[i] = other[i] end
  return self
end

function Sizes.__eq(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

function Sizes:__tostring() return (" %s\n[torch.LongStorage of size %d]"):format(table.concat(self, "\n "), #self) end

--- Makes a list of numbers a LongStorage.
function storage.sizes(list) return setmetatable(list, Sizes) end

--- Is it one?
function storage.isSizes(value) return getmetatable(value) == Sizes end

local function longStorage(first)
  if first == nil then return storage.sizes {} end
  if type(first) == "table" then return storage.sizes(table.move(first, 1, #first, 1, {})) end
  return storage.sizes({}):resize(argument.integer(1, "torch.LongStorage", first, 0, "size"))
end

-- ---- Storages of elements ----

local Storage = {}

local methods = {}

function methods:size() return rawget(self, "tensor"):nElement() end

function methods:totable() return rawget(self, "tensor"):totable() end

function methods:fill(value)
  rawget(self, "tensor"):fill(value)
  return self
end

function methods:copy(other)
  local source = storage.isStorage(other) and storage.tensorOf(other) or storage.isSizes(other)
    and core.tensor_from("cpu", "long", other) or argument.refuse(1, "copy", other, "a storage")
  rawget(self, "tensor"):copy(source)
  return self
end

function methods:resize(n)
  rawget(self, "tensor"):resize(n)
  return self
end

--- The bytes of a ByteStorage or CharStorage as a string.
function methods:string() return string.char(table.unpack(self:totable())) end

function Storage:__index(key)
  local tensor = rawget(self, "tensor")
  if key == "__typename" then return types.nameOf(tensor:dtype(), tensor:device(), "Storage") end
  if type(key) ~= "number" then return methods[key] end
  return tensor[key]
end

function Storage:__newindex(key, value) rawget(self, "tensor")[key] = value end

function Storage:__len() return self:size() end

function Storage.__eq(a, b)
  return storage.isStorage(a) and storage.isStorage(b)
    and core.storage_key(storage.tensorOf(a)) == core.storage_key(storage.tensorOf(b))
end

function Storage:__tostring() return ("[%s of size %d]"):format(self.__typename, self:size()) end

--- The storage whose elements are those of a vector.
function storage.of(vector) return setmetatable({ tensor = vector }, Storage) end

--- Is it a storage of elements?
function storage.isStorage(value) return getmetatable(value) == Storage end

--- The vector of its elements.
function storage.tensorOf(value) return rawget(value, "tensor") end

--- The constructor of a kind: of a size, or of a list of numbers.
-- @param word "Float"
function storage.constructor(word)
  if word == "Long" then return longStorage end
  local kind, name = types.kinds[word], ("torch.%sStorage"):format(word)
  return function(first)
    if type(first) == "table" then return storage.of(core.tensor_from(types.deviceOf(kind), kind.dtype, first)) end
    local n = argument.optional("integer", 0, 1, name, first, 0, "size")
    return storage.of(core.tensor_new(types.deviceOf(kind), kind.dtype, { n }))
  end
end

return storage
