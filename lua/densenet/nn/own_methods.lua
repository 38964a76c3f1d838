--- Has a module its class's methods, or others in their place?
--
-- A module that does another's work in its stead, or two of its own methods' work at once, asks first
-- whether somebody has overridden those methods, on the object or in a subclass.
-- @module densenet.nn.own_methods

local ownMethods = {}

local standsFor = setmetatable({}, { __mode = "k" }) -- wrapper → the method it calls and leaves as it is

--- Puts a function in place of a method of one object that does the same and more that nobody sees: it
-- does not count as overriding it.
-- @param module any
-- @tparam string name of the method
-- @tparam function wrapper
function ownMethods.wrap(module, name, wrapper)
  standsFor[wrapper] = module[name]
  module[name] = wrapper
end

--- The method of a module, under its wrappers.
function ownMethods.of(module, name)
  local method = module[name]
  while standsFor[method] do
    method = standsFor[method]
  end
  return method
end

--- The first of the named methods that is not the class's; nil where all are.
-- @param module any
-- @tparam table class
-- @tparam table names
function ownMethods.overridden(module, class, names)
  for _, name in ipairs(names) do
    if module[name] ~= class[name] and ownMethods.of(module, name) ~= class[name] then
      return name
    end
  end
end

return ownMethods
