--- Deep copies of modules and criterions.
--
-- Everything that the original reaches is copied, each thing once, so parameters that are shared inside it are
-- shared inside the copy. Buffers are not: the copy's next forward makes its own. Parameters that are views of
-- one vector become tensors of their own here (Module:clone).
-- @module densenet.nn.clone

local core = require "densenet.core"
local stateDict = require "densenet.nn.state_dict"
local views = require "densenet.nn.views"

local IS_BUFFER = { output = true, gradInput = true }

local function isClass(value) return rawget(value, "__index") == value end

-- A result as it is before the first call.
local function emptied(value)
  if core.is_tensor(value) and value:isFreed() then return core.tensor_new("cpu", "float", { 0 }) end
  if core.is_tensor(value) then return core.tensor_new(value:device(), value:dtype(), { 0 }) end
  return type(value) == "table" and {} or value
end

local function copyOf(value, copies)
  if copies[value] then return copies[value] end
  if core.is_tensor(value) then
    copies[value] = value:clone()
    return copies[value]
  elseif type(value) ~= "table" or isClass(value) then
    return value
  end
  local copy, metatable = {}, getmetatable(value)
  copies[value] = copy
  local hasBuffers = metatable and rawget(value, "scratch") ~= nil
  for key, held in pairs(value) do
    if hasBuffers and key == "scratch" then
      copy[key] = {}
    elseif hasBuffers and IS_BUFFER[key] then
      copy[key] = emptied(held)
    else
      copy[copyOf(key, copies)] = copyOf(held, copies)
    end
  end
  return setmetatable(copy, metatable)
end

--- @param object a module or a criterion
-- @return its copy
-- @raise by name, where parameters share their memory in a way that copies cannot
return function(object)
  local copies = object.parameters and views.together(stateDict.held(object), function(held) return held:clone() end)
  return copyOf(object, copies or {})
end
