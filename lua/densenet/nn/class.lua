--- Classes in the manner of torch.class: a class is a table that its objects look their methods up
-- in, and that looks up in its parent what it lacks.
--
--    local Scale, parent = nn.class("Scale", nn.Module)
--    function Scale:__init(factor) parent.__init(self); self.factor = factor end
--    local module = Scale(3)
--
-- The constructor is `__init`, the text of an object `__tostring__`, and calling an object calls its
-- `__call__`: all three are inherited like any method. `object.__typename` is the name.
-- @module densenet.nn.class

local argument = require "densenet.argument"

local function textOf(object)
  local describe = object.__tostring__
  return describe and describe(object) or object.__typename
end

local function callObject(object, ...)
  if not object.__call__ then argument.raise("a %s cannot be called", object.__typename) end
  return object:__call__(...)
end

local function construct(class, ...)
  local object = setmetatable({}, class)
  object:__init(...)
  return object
end

--- Makes a class.
-- @tparam string name what `__typename` says and error messages print
-- @tparam[opt] table parent the class to inherit from
-- @treturn table the class; call it to construct
-- @return parent, as given
return function(name, parent)
  if type(name) ~= "string" then
    argument.refuse(1, "class", name, "a name")
  end
  if parent ~= nil and not (type(parent) == "table" and parent.__typename) then
    argument.refuse(2, "class", parent, "a class", "parent")
  end
  local class = { __typename = name, __tostring = textOf, __call = callObject }
  class.__index = class
  setmetatable(class, { __index = parent, __call = construct })
  return class, parent
end
