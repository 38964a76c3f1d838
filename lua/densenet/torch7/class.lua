--- torch.class, and the names of classes: what torch.save writes and torch.load finds again.

local argument = require "densenet.argument"
local core = require "densenet.core"
local nn = require "densenet.nn"
local storage = require "densenet.torch7.storage"

local class = {}

local registry = {} -- name → class, of torch.class

--- The class of a name: one that torch.class has made, or one of nn; nil where there is none.
function class.find(name)
  if registry[name] then return registry[name] end
  local short = type(name) == "string" and name:match("^nn%.([^.]+)$")
  local found = short and rawget(nn, short)
  return type(found) == "table" and found.__typename == name and found or nil
end

--- Notes a class under its name.
function class.register(name, made)
  registry[name] = made
  return made
end

local function noConstructor() end

--- torch.class(name [, parent] [, holder]): a class, `parent` being a class's name.
-- It becomes a field of `holder`, or of the global table before the name's last point ("nn.Twice" of nn).
-- @return the class, and its parent
function class.make(name, parent, holder)
  argument.string(1, "torch.class", name, "name")
  if type(parent) == "table" and not rawget(parent, "__typename") then parent, holder = nil, parent end
  if type(parent) == "string" then
    local found = class.find(parent)
    if not found then argument.refuse(2, "torch.class", parent, "the name of a class", "parent") end
    parent = found
  end
  local made = nn.class(name, parent)
  if not parent then made.__init = noConstructor end
  made.new = function(...) return made(...) end
  local space, short = name:match("^(.-)%.?([^.]+)$")
  if holder == nil then holder = space == "" and _G or rawget(_G, space) end
  if type(holder) == "table" then holder[short] = made end
  return class.register(name, made), parent
end

--- Torch7's name of a value's type: of tensors, storages and objects of classes; else nil.
function class.typename(value)
  if core.is_tensor(value) then return value:type() end
  if storage.isStorage(value) then return value.__typename end
  local metatable = getmetatable(value)
  return type(metatable) == "table" and rawget(metatable, "__typename") or nil
end

--- The same, or Lua's name of the type.
function class.type(value) return class.typename(value) or type(value) end

--- Is the value of a class, or of one that inherits from it?
-- @param name of the class
function class.isTypeOf(value, name)
  local wanted = type(name) == "table" and name.__typename or name
  if class.typename(value) == wanted then return true end
  local each = type(value) == "table" and getmetatable(value)
  while type(each) == "table" do
    if rawget(each, "__typename") == wanted then return true end
    local above = getmetatable(each)
    each = type(above) == "table" and above.__index
  end
  return false
end

--- Makes a table an object of the class of a name.
function class.setmetatable(object, name)
  argument.table(1, "torch.setmetatable", object, "object")
  if name == "torch.LongStorage" then return storage.sizes(object) end
  local found = class.find(name)
  if not found then argument.refuse(2, "torch.setmetatable", name, "the name of a class") end
  return setmetatable(object, found)
end

return class
