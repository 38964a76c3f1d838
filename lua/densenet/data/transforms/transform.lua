--- A transform makes an image from an image: `transform(image, rng)`.
--
-- An image is a byte, float or double tensor C,H,W of any range (the data sets give bytes). The result
-- is a new tensor, or the image itself where there is nothing to do; the image is never written. What
-- moves or resizes pixels keeps a byte image one, with PIL's numbers; what computes with colours makes
-- it float, or what a third argument, `dtype`, names.
-- `rng` is an object of random.generator and by default the default generator; whoever wants the
-- same augmentation again gives one with the same seed and stream.
--
-- A transform remembers its arguments, so that it can be described by plain values and built again
-- in a worker thread.

local core = require "densenet.core"
local oneThread = require "densenet.one_thread"
local random = require "densenet.random"

local transform = {}

local classes = {}

local function isTransform(value)
  local class = getmetatable(value)
  return type(class) == "table" and classes[class.name] == class
end

local function checkImage(name, image)
  if type(image) ~= "userdata" then
    error(("%s: an image is a tensor C,H,W, not a %s"):format(name, type(image)), 3)
  end
  local dtype = image:dtype()
  if image:dim() ~= 3 or dtype ~= "byte" and dtype ~= "float" and dtype ~= "double" then
    error(("%s: an image is a byte, float or double tensor C,H,W, not %s %s"):format(
      name, dtype, table.concat(image:size(), "x")), 3)
  end
end

-- A byte image as one of the dtype that colours are computed in.
local function real(image, dtype)
  if image:dtype() ~= "byte" then return image end
  local out = core.tensor_new("cpu", dtype or "float", image:size())
  core.copy(out, image)
  return out
end

--- Applies a step that may be any function; such a one is written for float and double images.
function transform.apply(step, image, rng, dtype)
  if isTransform(step) then return step(image, rng, dtype) end
  return step(core.is_tensor(image) and real(image, dtype) or image, rng)
end

-- Arguments that are left out at the end are none.
local function packed(...)
  local arguments = table.pack(...)
  while arguments.n > 0 and arguments[arguments.n] == nil do arguments.n = arguments.n - 1 end
  return arguments
end

--- Defines a kind of transform.
-- @param name as it stands in densenet.data.transforms
-- @param prepare `prepare(self, ...)`: checks the constructor's arguments and keeps them in self
-- @param apply `apply(self, image, rng, dtype)`
-- @param takesBytes true: `apply` is given byte images as they are; otherwise as dtype, float by default
-- @return a table that makes transforms when called and to which methods can be added
function transform.define(name, prepare, apply, takesBytes)
  local class = { name = name }
  class.__index = class
  class.__name = name
  class.__call = function(self, image, rng, dtype)
    checkImage(name, image)
    local alone <close> = oneThread() -- luacheck: ignore 211
    return apply(self, takesBytes and image or real(image, dtype), rng or random.default, dtype)
  end
  class.__tostring = function(self)
    local words = {}
    for i = 1, self.arguments.n do
      local value = self.arguments[i]
      words[i] = type(value) == "table" and not isTransform(value) and "{...}" or core.format("%s", value)
    end
    return ("%s(%s)"):format(name, table.concat(words, ", "))
  end
  classes[name] = class
  return setmetatable(class, {
    __call = function(_, ...)
      local self = setmetatable({ arguments = packed(...) }, class)
      prepare(self, ...)
      return self
    end,
  })
end

--- Is the value a transform of the kind `class`, or of any kind?
function transform.is(value, class)
  if class then return getmetatable(value) == class end
  return isTransform(value)
end

-- The checks below are called by `prepare`, so the mistake is three levels further out: in the call
-- of the constructor.
local function refuse(name, ...)
  error(name .. ": " .. core.format(...), 5)
end

--- Raises "RandomCrop: size must be ..." at the caller of the constructor unless the condition holds.
function transform.check(condition, name, ...)
  if not condition then refuse(name, ...) end
end

--- A whole number from `least` on.
function transform.checkInteger(name, what, value, least)
  if math.type(value) ~= "integer" or value < least then
    refuse(name, "%s must be a whole number from %d on, not %s", what, least, value)
  end
end

--- A number in low..high, both included.
function transform.checkNumber(name, what, value, low, high)
  if type(value) ~= "number" or not (value >= low and value <= high) then
    refuse(name, "%s must be a number from %g to %g, not %s", what, low, high, value)
  end
end

--- A list of n numbers (of any length when n is nil).
function transform.checkNumbers(name, what, list, n)
  if type(list) ~= "table" or #list == 0 or n and #list ~= n then
    refuse(name, "%s must be a list of %s", what, n and n .. " numbers" or "numbers, one a channel")
  end
  for _, value in ipairs(list) do
    if type(value) ~= "number" then
      refuse(name, "%s must be numbers, not a %s", what, type(value))
    end
  end
end

--- A new image with the element type of `like`, or another one, content undefined.
function transform.newImage(like, channels, height, width, dtype)
  return core.tensor_new("cpu", dtype or like:dtype(), { channels, height, width })
end

-- Functions cannot be described; everything else in an argument can.
local function describeValue(value, place)
  if isTransform(value) then return transform.describe(value) end
  if type(value) == "table" then
    local copy = {}
    for key, item in pairs(value) do copy[key] = describeValue(item, place) end
    return copy
  end
  if type(value) == "function" then
    error(place .. " has a Lua function in it, which cannot be described; put it into a module"
      .. " and use FromModule(module, argument)", 0)
  end
  return value
end

--- Plain values (numbers, strings, tables) from which transform.build makes the same transform.
function transform.describe(value)
  if not isTransform(value) then
    error(("a %s cannot be described; put the function into a module and use"
      .. " FromModule(module, argument)"):format(type(value)), 0)
  end
  local description = { transform = value.name, n = value.arguments.n }
  for i = 1, value.arguments.n do
    description[i] = describeValue(value.arguments[i], value.name)
  end
  return description
end

local function buildValue(value)
  if type(value) ~= "table" then return value end
  if value.transform then return transform.build(value) end
  local copy = {}
  for key, item in pairs(value) do copy[key] = buildValue(item) end
  return copy
end

--- The transform that a description tells.
function transform.build(description)
  local class = type(description) == "table" and classes[description.transform]
  if not class then error("this describes no known transform", 2) end
  local arguments = {}
  for i = 1, description.n do arguments[i] = buildValue(description[i]) end
  return class(table.unpack(arguments, 1, description.n))
end

return transform
