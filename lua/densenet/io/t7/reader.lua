--- Values of a .t7 file: Torch7's nine types of objects, each written once and referred to by its number afterwards.
--
--    0 nil   1 number   2 string   3 table   4 object of a class   5 boolean   6, 7, 8 function
--
-- Functions are bytecode, which is passed over and never loaded. What tables, objects and storages become is the
-- caller's choice (`make`). Fields that the caller does not want are read through without keeping anything: their
-- storages' elements are passed over, and read after all where a tensor that is wanted stands on one.
-- Source: torch7's File.lua, from its documentation and files.

local core = require "densenet.core"
local stridedView = require "densenet.io.strided_view"
local tokens = require "densenet.io.t7.tokens"

local MOST_DEPTH = 1000
local PENDING = {} -- stands for a tensor or a storage while it is read
local PASSED = {} -- stands for a tensor that nobody wants

local Reader = {}
Reader.__index = Reader

local read = {}

local function string(self)
  local n = self.tokens:int()
  self.source:expect(n, 1, "a string")
  return self.tokens:characters(n)
end

read[0] = function() return nil end

-- Lua of today tells 3 from 3.0, and names of files made with it show; Torch7's numbers do not.
read[1] = function(self)
  local number = self.tokens:double()
  if number == 0 and 1 / number < 0 then return number end
  return math.tointeger(number) or number
end

read[2] = string

read[5] = function(self)
  local value = self.tokens:int()
  if value ~= 0 and value ~= 1 then self.source:refuse("a boolean that is %d at byte %d", value, self.source.at) end
  return value == 1
end

-- The value of a number that has occurred before; else nil and the number.
local function known(self)
  local number = self.tokens:int()
  local value = self.seen[number]
  if value == PENDING then self.source:refuse("object %d is a part of itself", number) end
  if self.passedOver[number] and not self.isPassing then
    if self.passedOver[number] == true then self.source:refuse("object %d was passed over, and is wanted", number) end
    value = self:fetch(number)
  end
  return value, number
end

local function readTable(self, into)
  local n = self.tokens:int()
  if n < 0 then self.source:refuse("a table of %d entries at byte %d", n, self.source.at) end
  for _ = 1, n do
    local key = self:value()
    if key == nil or key ~= key then self.source:refuse("a table's key that is none before byte %d", self.source.at) end
    local wasPassing = self.isPassing
    self.isPassing = wasPassing or self.without[key] ~= nil
    local value = self:value()
    if not self.isPassing then rawset(into, key, value) end
    self.isPassing = wasPassing
  end
  return into
end

read[3] = function(self)
  local value, number = known(self)
  if value ~= nil then return value end
  value = {}
  self:note(number, value)
  return readTable(self, value)
end

-- The upvalues, too, may be referred to from elsewhere.
local function readFunction(self, number)
  local placeholder = self.make.placeholder()
  if number then self:note(number, placeholder) end
  string(self)
  self:value()
  return placeholder
end

read[6] = function(self) return readFunction(self) end

read[7] = function(self)
  local value, number = known(self)
  if value ~= nil then return value end
  return readFunction(self, number)
end

read[8] = read[7]

-- ---- Objects of classes ----

-- Stands for a storage whose elements were passed over.
local function passStorage(self, number, word, name)
  local n = self.tokens:long()
  local at = self.source.at
  self.tokens:skipVector(word, n)
  self.passedOver[number] = { at = at, word = word, name = name, n = n }
  self.seen[number] = {}
  return self.seen[number]
end

local function readStorage(self, number, word, name)
  local n = self.tokens:long()
  local vector = self.tokens:vector(word, n)
  local value = self.make.storage(vector, name)
  self.vectorOf[value] = vector
  self.seen[number] = value
  return value
end

-- A storage that was passed over, after all.
function Reader:fetch(number)
  local passed, source = self.passedOver[number], self.source
  local at = source.at
  source.at = passed.at
  local vector = self.tokens:vector(passed.word, passed.n)
  source.at = at
  local value = self.make.storage(vector, passed.name)
  self.vectorOf[value], self.seen[number], self.passedOver[number] = vector, value, nil
  return value
end

local function longs(self, n)
  local list = {}
  for i = 1, n do list[i] = self.tokens:long() end
  return list
end

local function readTensor(self, word)
  local source = self.source
  local nDim = self.tokens:int()
  if nDim < 0 or nDim > source:left() // 4 then source:refuse("a tensor of %d dimensions", nDim) end
  local sizes, strides = longs(self, nDim), longs(self, nDim)
  local first = self.tokens:long()
  if first < 1 or nDim == 0 and first > source.size then
    source:refuse("a tensor whose first element is number %d of its storage", first)
  end
  local storage = self:value()
  if self.isPassing then return PASSED end
  local vector = storage ~= nil and self.vectorOf[storage]
  if storage ~= nil and not vector then source:refuse("a tensor whose storage is none, before byte %d", source.at) end
  local dtype = tokens.kinds[word].dtype or "long"
  if nDim == 0 then return core.tensor_new("cpu", dtype, { 0 }) end
  if not vector then vector = core.tensor_new("cpu", dtype, { 0 }) end
  if vector:dtype() ~= dtype then source:refuse("a tensor of %s on a storage of %s", dtype, vector:dtype()) end
  return stridedView(source, vector, first, sizes, strides)
end

-- Torch7's word for an element type from a class of CUDA, whose storages are read alike: "Cuda" is "Float".
local function elementWord(name)
  local bare = name:match("^Cuda(.*)$")
  if bare == "" then return "Float" end
  return tokens.kinds[bare or name] and (bare or name)
end

-- Objects of all other classes are a table of their fields.
local function readFields(self, number, class, version)
  local object = self.make.object(self.source, class, version)
  self:note(number, object)
  local payload = self:value()
  if type(payload) == "table" then
    for key, value in pairs(payload) do rawset(object, key, value) end
  else
    rawset(object, "__value", payload)
  end
  return self.make.finish(object, class, version)
end

read[4] = function(self)
  local value, number = known(self)
  if value ~= nil then return value end
  local class, version = string(self), 0
  if class:find("^V %d+$") then
    version = tonumber(class:sub(3))
    class = string(self)
  end
  local name, what = class:match("^torch%.(%w-)(Tensor)$")
  if not name then name, what = class:match("^torch%.(%w-)(Storage)$") end
  local element = name and elementWord(name)
  if not element then return readFields(self, number, class, version) end
  self.seen[number] = PENDING
  if what == "Storage" then
    return (self.isPassing and passStorage or readStorage)(self, number, element, name)
  end
  value = readTensor(self, element)
  if value ~= PASSED then value = self.make.tensor(value, name) end
  self:note(number, value)
  return value
end

--- Notes what a number stands for.
function Reader:note(number, value)
  self.seen[number] = value
  if self.isPassing then self.passedOver[number] = true end
end

--- The next value.
function Reader:value()
  local at = self.source.at
  local code = self.tokens:int()
  local readOne = read[code]
  if not readOne then self.source:refuse("unknown type code %d at byte %d", code, at) end
  self.depth = self.depth + 1
  if self.depth > MOST_DEPTH then self.source:refuse("values are nested more than %d deep", MOST_DEPTH) end
  local value = readOne(self)
  self.depth = self.depth - 1
  return value
end

--- A reader of a source.
-- @param source densenet.io.byte_source's
-- @param form {ascii =, longSize =}
-- @param make functions: storage(vector, word), tensor(tensor, word), object(source, class, version), which the fields
-- are put into, finish(object, class, version) → what it becomes, placeholder() for a function
-- @param without set of fields that are not wanted, or nil
return function(source, form, make, without)
  return setmetatable({ source = source, tokens = tokens.of(source, form), make = make, seen = {}, vectorOf = {},
    depth = 0, without = without or {}, passedOver = {}, isPassing = false }, Reader)
end
