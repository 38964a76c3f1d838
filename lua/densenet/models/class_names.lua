--- The names of a network's classes: a list in Lua or in a file's metadata, or a text file with one a line, in the
-- order of the network's outputs.
-- @module densenet.models.class_names

local core = require "densenet.core"

local classNames = {}

--- Reads a text file with a name a line; empty lines at its end are passed over.
-- @tparam string path
-- @treturn table the names; or nil, message, code
function classNames.read(path)
  local text, message, code = core.file_read(path)
  if not text then return nil, message, code end
  if text:find("\0", 1, true) then
    return nil, ("%s: expected a text with a class a line, got bytes of 0"):format(path), "format"
  end
  local list = {}
  for line in (text:gsub("\r\n", "\n"):gsub("%s+$", "") .. "\n"):gmatch("(.-)\n") do
    list[#list + 1] = line
    if line:find("^%s*$") then
      return nil, ("%s: line %d is empty; expected a class a line"):format(path, #list), "format"
    end
  end
  return list
end

--- Checks a list of names.
-- @param list of whatever a caller or a file gave
-- @tparam integer nClasses that the network tells apart
-- @tparam string where what a message begins with
-- @treturn table a copy; or nil and a sentence
function classNames.checked(list, nClasses, where)
  if type(list) ~= "table" then
    return nil, ("%s: expected a list of the classes' names, got a %s"):format(where, type(list))
  end
  local copy = {}
  for i = 1, #list do
    copy[i] = list[i]
    if type(list[i]) ~= "string" then
      return nil, ("%s: expected names of classes, got a %s as the name of class %d"):format(where, type(list[i]), i)
    end
  end
  if #copy ~= nClasses then
    return nil, ("%s: expected %d names, as many as the network tells classes apart, got %d"):format(where, nClasses,
      #copy)
  end
  return copy
end

return classNames
