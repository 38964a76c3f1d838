--- torch.save and torch.load: any value made of tables, tensors, storages, objects of classes, strings, numbers
-- and booleans, in a safetensors file. What occurs twice is stored once and is one thing again after loading.
--
-- The tensors have numbers for names. The rest is a JSON text under "torch7" of the file's metadata:
--
--     {"version": 1, "root": value, "onGpu": [names of tensors],
--       "objects": [{"class": "nn.Linear", "keys": [values], "values": [values]}]}
--
-- A value is a number, a boolean, a text, or a list: ["object", i], ["tensor", name], ["storage", name],
-- ["sizes", n, ...], ["bytes", hexadecimal digits], ["number", "inf" | "-inf" | "nan"]. Loading builds tables and
-- never runs anything; an object's class has to be there before (torch.class). Tensors are stored one by one, each
-- as large as it is: views of one storage are apart after loading. Those that were on a GPU come back to
-- the first one, where there is one.

local argument = require "densenet.argument"
local core = require "densenet.core"
local json = require "densenet.io.json"
local safetensors = require "densenet.io.safetensors"
local class = require "densenet.torch7.class"
local storage = require "densenet.torch7.storage"
local types = require "densenet.torch7.types"

local serialize = {}

local KEY, VERSION = "torch7", 1

-- ---- Saving ----

local Writer = {}
Writer.__index = Writer

function Writer:tensor(t)
  local name = self.names[t]
  if not name then
    self.nTensors = self.nTensors + 1
    name = tostring(self.nTensors)
    self.names[t], self.tensors[name] = name, t
    if t:device() ~= "cpu" then self.onGpu[#self.onGpu + 1] = name end
  end
  return name
end

local function numberOf(x)
  if x ~= x then return { "number", "nan" } end
  if x == math.huge or x == -math.huge then return { "number", x > 0 and "inf" or "-inf" } end
  return x
end

local function textOf(text)
  if core.utf8.len(text) then return text end
  return { "bytes", (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) }
end

local function classOf(object, place)
  local metatable = getmetatable(object)
  local name = type(metatable) == "table" and rawget(metatable, "__typename") or nil
  if name and class.find(name) ~= metatable then
    argument.raise("torch.save: %s is of class %s, which neither nn nor torch.class has made", place, name)
  end
  return name
end

function Writer:object(object, place)
  local number = self.numbers[object]
  if number then return { "object", number } end
  number = #self.objects + 1
  local entry = { keys = json.array {}, values = json.array {}, class = classOf(object, place) }
  self.objects[number], self.numbers[object] = entry, number
  local keys = {}
  for key in pairs(object) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) -- numbers first; equal values give equal files
    if type(a) ~= type(b) then return type(a) < type(b) end
    if type(a) == "number" then return a < b end
    return core.before(tostring(a), tostring(b))
  end)
  for i, key in ipairs(keys) do
    local inside = ("%s[%s]"):format(place, type(key) == "string" and ("%q"):format(key) or tostring(key))
    entry.keys[i], entry.values[i] = self:value(key, "a key of " .. place), self:value(object[key], inside)
  end
  return { "object", number }
end

function Writer:value(value, place)
  local kind = type(value)
  if kind == "number" then return numberOf(value) end
  if kind == "string" then return textOf(value) end
  if kind == "boolean" then return value end
  if core.is_tensor(value) then return { "tensor", self:tensor(value) } end
  if storage.isStorage(value) then return { "storage", self:tensor(storage.tensorOf(value)) } end
  if storage.isSizes(value) then return { "sizes", table.unpack(value) } end
  if kind == "table" then return self:object(value, place) end
  argument.raise("torch.save: %s is %s; tables, tensors, storages, objects, strings, numbers and booleans can be saved",
    place, argument.describe(value))
end

--- Saves a value. Raises for what cannot be saved, and where it stands; and where the file cannot be written.
-- @param path the file
-- @param value any
function serialize.save(path, value)
  argument.string(1, "torch.save", path, "path")
  local writer = setmetatable({ objects = {}, numbers = {}, tensors = {}, names = {}, nTensors = 0,
    onGpu = json.array {} }, Writer)
  local root = writer:value(value, "the value")
  local text = json.encode { version = VERSION, root = root, objects = json.array(writer.objects),
    onGpu = writer.onGpu }
  local saved, message = safetensors.save(path, writer.tensors, { [KEY] = text })
  if not saved then argument.raise("torch.save: %s", message) end
end

-- ---- Loading ----

local SPECIAL = { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge }

local readers = {}

local Reader = {}
Reader.__index = Reader

function Reader:refuse(reason, ...) argument.raise("torch.load: %s: " .. reason, self.path, ...) end

function readers.object(reader, entry)
  return reader.made[entry[2]] or reader:refuse("there is no object %s", tostring(entry[2]))
end

function readers.tensor(reader, entry)
  return type(entry[2]) == "string" and reader.tensors[entry[2]]
    or reader:refuse("there is no tensor %s", tostring(entry[2]))
end

function readers.storage(reader, entry) return storage.of(readers.tensor(reader, entry)) end

function readers.sizes(_, entry) return storage.sizes(table.move(entry, 2, #entry, 1, {})) end

function readers.bytes(reader, entry)
  local digits = entry[2]
  if type(digits) ~= "string" or #digits % 2 == 1 or digits:find("[^0-9a-f]") then
    reader:refuse("hexadecimal digits expected")
  end
  return (digits:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

function readers.number(reader, entry)
  return SPECIAL[entry[2]] or reader:refuse("a number that is none: %s", tostring(entry[2]))
end

function Reader:value(value)
  if type(value) ~= "table" then return value end
  local read = json.isArray(value) and type(value[1]) == "string" and readers[value[1]]
  if not read then self:refuse("a value of no known kind") end
  return read(self, value)
end

-- Brings the tensors of these names to the GPU.
function Reader:move(names)
  if names == nil then return end
  if not json.isArray(names) then self:refuse("onGpu is no list") end
  for _, name in ipairs(names) do
    local tensor = readers.tensor(self, { "tensor", name })
    self.tensors[name] = tensor:to(types.gpu())
  end
end

local function isEntry(entry)
  return type(entry) == "table" and type(entry.keys) == "table" and type(entry.values) == "table"
    and #entry.keys == #entry.values and (entry.class == nil or type(entry.class) == "string")
end

-- All objects first, since each may hold any other.
function Reader:objects(entries)
  for i, entry in ipairs(entries) do
    if not isEntry(entry) then self:refuse("object %d is not as torch.save writes one", i) end
    self.made[i] = {}
  end
  for i, entry in ipairs(entries) do
    local object = self.made[i]
    for k, key in ipairs(entry.keys) do
      key = self:value(key)
      if key == nil or key ~= key or key == json.null then self:refuse("object %d has a key that is none", i) end
      rawset(object, key, self:value(entry.values[k]))
    end
    if entry.class then
      local found = class.find(entry.class)
      if not found then
        self:refuse("it holds a %s, and there is no such class; require the file that defines it before", entry.class)
      end
      setmetatable(object, found)
    end
  end
end

--- The value that torch.save has saved. Raises for anything else, and says what is wrong.
-- @param path the file
-- @param mode what Torch7 has there ("ascii", "binary", "b64"); the format here is one
function serialize.load(path, mode)
  argument.string(1, "torch.load", path, "path")
  if mode ~= nil then argument.string(2, "torch.load", mode, "mode") end
  local tensors, metadata = safetensors.load(path)
  if not tensors then
    argument.raise("torch.load: %s (expected: a file of torch.save from densenet.torch7; Torch7's own .t7 is not read)",
      metadata)
  end
  local reader = setmetatable({ path = path, tensors = tensors, made = {} }, Reader)
  local skeleton, message = nil, "it has tensors and no value of torch.save"
  if metadata[KEY] then skeleton, message = json.decode(metadata[KEY]) end
  if type(skeleton) ~= "table" or skeleton.version ~= VERSION or type(skeleton.objects) ~= "table" then
    reader:refuse("%s", message or "its text under torch7 is not of version 1")
  end
  reader:move(skeleton.onGpu)
  reader:objects(skeleton.objects)
  return reader:value(skeleton.root)
end

return serialize
