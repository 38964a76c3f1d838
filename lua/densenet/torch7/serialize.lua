--- torch.save and torch.load: Torch7's own .t7 files, of any value made of tables, tensors, storages, objects of
-- classes, strings, numbers and booleans. What occurs twice is stored once and is one thing again after loading, memory
-- that tensors share included.
--
-- Objects are saved as the class and the fields that Torch7 knows them by (densenet.torch7.exchange); to load one, its
-- class has to be there before (torch.class). Functions are refused in saving; in loading they become something that
-- raises when it is called. Tensors that were on a GPU come back to the first one, where there is one.

local argument = require "densenet.argument"
local core = require "densenet.core"
local t7 = require "densenet.io.t7"
local class = require "densenet.torch7.class"
local exchange = require "densenet.torch7.exchange"
local storage = require "densenet.torch7.storage"
local types = require "densenet.torch7.types"

local serialize = {}

local MODES = { binary = false, ascii = true }

local function isAscii(position, name, mode)
  if mode == nil then return nil end
  argument.string(position, name, mode, "mode")
  if MODES[mode] == nil then argument.refuse(position, name, mode, "'binary' or 'ascii'", "mode") end
  return MODES[mode]
end

-- ---- Saving ----

local function classOf(object, place)
  local metatable = getmetatable(object)
  local name = type(metatable) == "table" and rawget(metatable, "__typename") or nil
  if name and class.find(name) ~= metatable then
    argument.raise("torch.save: %s is of class %s, which neither nn nor torch.class has made", place or "it", name)
  end
  return name
end

-- The fields of each object as Torch7 has them, made once.
local function describer()
  local fieldsOf = {}
  return function(value, place)
    if core.is_tensor(value) then return "tensor", value end
    if type(value) ~= "table" then return type(value) end
    if storage.isStorage(value) then return "storage", storage.tensorOf(value) end
    if storage.isSizes(value) then return "sizes", value end
    local name = classOf(value, place)
    if not name then return "table", value end
    local known = fieldsOf[value]
    if not known then
      known = { exchange.toTorch7(value) }
      fieldsOf[value] = known
    end
    return "object", known[1], name, known[2]
  end
end

--- Saves a value. Raises for what cannot be saved, and where it stands; and where the file cannot be written.
-- @param path the file
-- @param value any
-- @param mode "binary", as Torch7 writes by default, or "ascii"
function serialize.save(path, value, mode)
  argument.string(1, "torch.save", path, "path")
  local options = { ascii = isAscii(3, "torch.save", mode), describe = describer() }
  local saved, message = t7.save(path, value, options)
  if not saved then argument.raise("torch.save: %s", message) end
end

-- ---- Loading ----

local make = {}

function make.storage(vector, word)
  if word == "Long" then return storage.sizes(vector:totable()) end
  return storage.of(vector:to(types.deviceOf(types.kinds[word])))
end

function make.tensor(tensor, word) return tensor:to(types.deviceOf(types.kinds[word])) end

function make.object(source, name)
  if not class.find(name) then
    source:refuse("it holds a %s, and there is no such class; require the file that defines it before", name)
  end
  return {}
end

function make.finish(object, name, version)
  setmetatable(object, class.find(name))
  exchange.fromTorch7(object, version)
  return object
end

local Function = {}

function Function.__call() argument.raise("a function that a .t7 file holds is bytecode, and not loaded") end

function make.placeholder() return setmetatable({}, Function) end

--- The value that torch.save has saved, here or in Torch7. Raises for anything else, and says what is wrong.
-- @param path the file
-- @param mode "binary" or "ascii"; found out when left out
function serialize.load(path, mode)
  argument.string(1, "torch.load", path, "path")
  local value, message = t7.read(path, { ascii = isAscii(2, "torch.load", mode) }, make)
  if value == nil then argument.raise("torch.load: %s", message) end
  return value
end

return serialize
