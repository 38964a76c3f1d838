--- Writes .t7 files that Torch7 reads: binary with longs of 8 bytes, or ASCII.

local argument = require "densenet.argument"
local core = require "densenet.core"
local mixedFile = require "densenet.io.mixed_file"
local newStorages = require "densenet.io.t7.storages"

local MOST_DEPTH = 1000 -- that the reader takes, too
local LONGEST_TEXT = (1 << 31) - 1
local PIECE = 1 << 10

local WORDS = { float = "Float", double = "Double", half = "Half", long = "Long", byte = "Byte" }

-- ---- Tokens ----

local Binary = {}
Binary.__index = Binary

function Binary:int(number) self.file:text(string.pack("<i4", number)) end

function Binary:longs(list) self.file:text(string.pack("<" .. ("i8"):rep(#list), table.unpack(list))) end

function Binary:double(number) self.file:text(string.pack("<d", number)) end

function Binary:characters(text) self.file:text(text) end

function Binary:vector(vector) self.file:tensor(vector) end

local Ascii = {}
Ascii.__index = Ascii

function Ascii:int(number) self.file:text(("%d\n"):format(number)) end

function Ascii:longs(list)
  if #list > 0 then self.file:text(table.concat(list, " ") .. "\n") end
end

function Ascii:double(number) self.file:text(core.format("%.17g\n", number)) end

function Ascii:characters(text)
  if text ~= "" then self.file:text(text .. "\n") end
end

local FORMATS = { float = "%.9g", half = "%.9g", double = "%.17g", long = "%d" }

function Ascii:vector(vector)
  local n, format = vector:nElement(), FORMATS[vector:dtype()]
  vector = vector:to("cpu")
  if not format then
    self.file:tensor(vector)
    self.file:text("\n")
    return
  end
  for first = 1, n, PIECE do
    local numbers = vector:narrow(1, first, math.min(PIECE, n - first + 1)):totable()
    for i, number in ipairs(numbers) do numbers[i] = core.format(format, number) end
    self.file:text(table.concat(numbers, " ") .. (first + #numbers > n and "\n" or " "))
  end
end

-- ---- Values ----

-- What a value is, unless the caller says otherwise: a kind, and what belongs to it.
local function describe(value)
  if core.is_tensor(value) then return "tensor", value end
  if type(value) ~= "table" then return type(value) end
  local class = rawget(value, "__class")
  if class == nil then return "table", value end
  if class == "torch.LongStorage" then return "sizes", value end
  return "object", value, class, rawget(value, "__version") or 1
end

local function keysOf(fields, isObject)
  local keys = {}
  for key in pairs(fields) do
    if not (isObject and (key == "__class" or key == "__version")) then keys[#keys + 1] = key end
  end
  table.sort(keys, function(a, b) -- numbers first; equal values give equal files
    if type(a) ~= type(b) then return type(a) < type(b) end
    if type(a) == "number" then return a < b end
    return core.before(tostring(a), tostring(b))
  end)
  return keys
end

local function inside(place, key)
  return ("%s[%s]"):format(place, type(key) == "string" and ("%q"):format(key) or tostring(key))
end

local function typeWord(tensor, place)
  local word = WORDS[tensor:dtype()]
  if not word then
    argument.raise("torch.save: %s is of %s, which .t7 files have not; save it as float", place, tensor:dtype())
  end
  if tensor:device() == "cpu" then return word end
  return word == "Float" and "Cuda" or "Cuda" .. word
end

local Writer = {}
Writer.__index = Writer

-- Notes all tensors, and refuses what cannot be written.
function Writer:collect(value, place, depth)
  local kind, what = self.describe(value, place)
  if depth > MOST_DEPTH then argument.raise("torch.save: tables are nested more than %d deep", MOST_DEPTH) end
  if kind == "tensor" or kind == "storage" then
    typeWord(what, place)
    self.storages:add(what)
  elseif kind == "table" or kind == "object" then
    if self.collected[value] then return end
    self.collected[value] = true
    for _, key in ipairs(keysOf(what, kind == "object")) do
      self:collect(key, "a key of " .. place, depth + 1)
      self:collect(what[key], inside(place, key), depth + 1)
    end
  elseif kind == "number" and math.type(value) == "integer" then
    if math.tointeger(value + 0.0) ~= value then
      argument.raise("torch.save: %s is %d, which a .t7 file cannot hold: its numbers are doubles", place, value)
    end
  elseif kind == "string" and #value > LONGEST_TEXT then
    argument.raise("torch.save: %s is a text of %d bytes; a .t7 file holds up to %d", place, #value, LONGEST_TEXT)
  elseif kind ~= "number" and kind ~= "string" and kind ~= "boolean" and kind ~= "sizes" and kind ~= "nil" then
    argument.raise("torch.save: %s is %s; tables, tensors, storages, objects, strings, numbers and booleans can be "
      .. "saved", place, argument.describe(value))
  end
end

-- Writes the number of a thing; true where its content has to follow.
function Writer:head(thing)
  local number = self.numbers[thing]
  if not number then
    self.nThings = self.nThings + 1
    self.numbers[thing] = self.nThings
    self.tokens:int(self.nThings)
    return true
  end
  self.tokens:int(number)
end

function Writer:text(text)
  self.tokens:int(#text)
  self.tokens:characters(text)
end

function Writer:class(name, version)
  self:text(("V %d"):format(version or 1))
  self:text(name)
end

local write = {}

write["nil"] = function(self) self.tokens:int(0) end

function write.number(self, _, number)
  self.tokens:int(1)
  self.tokens:double(number + 0.0)
end

function write.string(self, _, text)
  self.tokens:int(2)
  self:text(text)
end

function write.boolean(self, _, value)
  self.tokens:int(5)
  self.tokens:int(value and 1 or 0)
end

local function fields(self, what, isObject)
  local keys = keysOf(what, isObject)
  self.tokens:int(#keys)
  for _, key in ipairs(keys) do
    self:value(key)
    self:value(what[key])
  end
end

function write.table(self, value, what)
  self.tokens:int(3)
  if self:head(value) then fields(self, what) end
end

-- The fields are a table of their own, with its number.
function write.object(self, value, what, class, version)
  self.tokens:int(4)
  if not self:head(value) then return end
  self:class(class, version)
  self.tokens:int(3)
  self:head({})
  fields(self, what, true)
end

local function storage(self, thing, word, vector)
  self.tokens:int(4)
  if not self:head(thing) then return end
  self:class(("torch.%sStorage"):format(word))
  self.tokens:longs { vector and vector:nElement() or 0 }
  if vector then self.tokens:vector(vector) end
end

function write.tensor(self, value, tensor)
  local word = typeWord(tensor)
  self.tokens:int(4)
  if not self:head(value) then return end
  self:class(("torch.%sTensor"):format(word))
  local found, offset = self.storages:find(tensor)
  local sizes, strides = {}, {}
  for d = 1, found and tensor:dim() or 0 do sizes[d], strides[d] = tensor:size(d), tensor:stride(d) end
  if found and #sizes == 0 then sizes[1], strides[1] = 1, 1 end -- Torch7 has no tensors without a dimension
  self.tokens:int(#sizes)
  self.tokens:longs(sizes)
  self.tokens:longs(strides)
  self.tokens:longs { offset or 1 }
  if not found then return self.tokens:int(0) end
  storage(self, found, word, self.storages.vector(found))
end

-- A storage that tensors stand on is theirs; it is as long as what they and it reach.
function write.storage(self, _, vector)
  local found = self.storages:find(vector)
  storage(self, found or {}, typeWord(vector), found and self.storages.vector(found))
end

function write.sizes(self, value)
  self.tokens:int(4)
  if not self:head(value) then return end
  self:class "torch.LongStorage"
  self.tokens:longs { #value }
  self.tokens:longs(value)
end

function Writer:value(value)
  local kind, what, class, version = self.describe(value)
  write[kind](self, value, what or value, class, version)
end

--- Writes a file.
-- @param path the file
-- @param value any
-- @param options nil, or {ascii = true, describe = function(value, place) → kind ("table", "object", "tensor",
-- "storage", "sizes" or the Lua type), fields or tensor, class, version}
-- @return true; or nil, message, "io"
return function(path, value, options)
  options = options or {}
  local file = mixedFile()
  local writer = setmetatable({ file = file, storages = newStorages(), collected = {}, numbers = {}, nThings = 0,
    describe = options.describe or describe }, Writer)
  writer.tokens = setmetatable({ file = file }, options.ascii and Ascii or Binary)
  writer:collect(value, "the value", 1)
  writer.storages:close()
  writer:value(value)
  return file:write(path)
end
