--- Checks of arguments, and errors that give the line of the caller's program, not one of this library.
--
-- A message names the function and the argument, what was expected and what was given:
--
--     train.lua:12: bad argument #1 to 'nn.Linear' (nInputs: an integer of 1 or more expected, got '3')
--
-- Checks are called as check(position, name, value, ...), `name` being the function's, and return the
-- value. A label, where there is one, is the argument's own name.

local core = require "densenet.core"
local nearest = require "densenet.nearest"

core.library()

local argument = {}

--- Raises a sentence, formatted as string.format does.
function argument.raise(pattern, ...)
  core.raise(select("#", ...) > 0 and core.format(pattern, ...) or pattern)
end

--- A caught message without the line that `raise` puts before it here, for a longer message.
-- @return the sentence, and the line, "train.lua:12: "
function argument.sentence(message)
  local line = core.where()
  return message:sub(1, #line) == line and message:sub(#line + 1) or message, line
end

local LONGEST_TEXT = 40

--- A value in a few words, for "got ...".
function argument.describe(value)
  local kind = type(value)
  if kind == "string" then
    return "'" .. (#value > LONGEST_TEXT and value:sub(1, LONGEST_TEXT) .. "..." or value) .. "'"
  elseif kind == "number" or kind == "boolean" or value == nil then
    return (core.format("%s", value))
  elseif core.is_tensor(value) then
    return "a " .. core.tensor_describe(value)
  elseif kind == "table" and rawget(getmetatable(value) or {}, "__typename") then
    return "a " .. getmetatable(value).__typename
  end
  return "a " .. kind
end

--- Raises that something else was expected of an argument.
function argument.refuse(position, name, value, expected, label)
  argument.raise("bad argument #%d to '%s' (%s%s expected, got %s)", position, name, label and label .. ": " or "",
    expected, argument.describe(value))
end

function argument.tensor(position, name, value, label)
  if not core.is_tensor(value) then argument.refuse(position, name, value, "a tensor", label) end
  return value
end

function argument.number(position, name, value, label)
  if type(value) ~= "number" then argument.refuse(position, name, value, "a number", label) end
  return value
end

--- A number with an integer value, `least` or more where that is given.
-- @return it as an integer
function argument.integer(position, name, value, least, label)
  local integer = type(value) == "number" and math.tointeger(value)
  if not integer or least and integer < least then
    argument.refuse(position, name, value, least and ("an integer of %d or more"):format(least) or "an integer", label)
  end
  return integer
end

function argument.boolean(position, name, value, label)
  if type(value) ~= "boolean" then argument.refuse(position, name, value, "true or false", label) end
  return value
end

function argument.string(position, name, value, label)
  if type(value) ~= "string" then argument.refuse(position, name, value, "a string", label) end
  return value
end

function argument.table(position, name, value, label)
  if type(value) ~= "table" then argument.refuse(position, name, value, "a table", label) end
  return value
end

--- The default where nothing was given, else what the check of this name makes of the value.
-- @param check "integer", "number" or "boolean"
-- @param default what nil stands for
-- @param position of the argument, from 1
-- @param name of the function
-- @param value what was given
-- @param ... what the check takes beside them
function argument.optional(check, default, position, name, value, ...)
  if value == nil then return default end
  return argument[check](position, name, value, ...)
end

--- What a module was called with has to be a tensor.
-- @param module whose method was called
-- @param what "input" or "gradOutput"
-- @param value what it was called with
function argument.passed(module, what, value)
  if not core.is_tensor(value) then
    argument.raise("a tensor expected as %s of %s, got %s", what, module.__typename, argument.describe(value))
  end
end

--- Or a list of tensors, not an empty one.
function argument.passedList(module, what, value)
  local isList = type(value) == "table" and #value > 0
  for i = 1, isList and #value or 0 do isList = isList and core.is_tensor(value[i]) end
  if isList then return end
  argument.raise("a list of tensors expected as %s of %s, got %s", what, module.__typename, argument.describe(value))
end

--- Or a table, of whatever the module says.
function argument.passedTable(module, what, value)
  if type(value) == "table" then return end
  argument.raise("a table expected as %s of %s, got %s", what, module.__typename, argument.describe(value))
end

--- Is it called as a function is?
function argument.isCallable(value)
  return type(value) == "function" or type(getmetatable(value)) == "table" and getmetatable(value).__call ~= nil
end

function argument.callable(position, name, value, label)
  if not argument.isCallable(value) then argument.refuse(position, name, value, "a function", label) end
  return value
end

--- "; did you mean 'Dropout'?" for the name most like `name`, or "" where none is like it.
-- @param name the wrong one
-- @param names table whose keys are the names
function argument.nearest(name, names)
  local candidates = {}
  for known in pairs(names) do
    if type(known) == "string" then candidates[#candidates + 1] = known end
  end
  table.sort(candidates, core.before)
  local meant = nearest(name, candidates)
  return meant and ("; did you mean '%s'?"):format(meant) or ""
end

--- A table of names to which a wrong one is an error: reading a name that it has not raises, and says
-- which one is like it. rawget asks without that.
-- @param names the table
-- @param title what the table is called, "dn.nn"
-- @param load function(name) → a part that is loaded when first asked for, or nil
-- @param further names that `load` knows, as keys
-- @return the table itself
function argument.closed(names, title, load, further)
  return setmetatable(names, {
    __index = function(_, name)
      local part = load and load(name)
      if part ~= nil then
        names[name] = part
        return part
      end
      local known = {}
      for each in pairs(names) do known[each] = true end
      for each in pairs(further or {}) do known[each] = true end
      argument.raise("there is no %s.%s%s", title, tostring(name), argument.nearest(tostring(name), known))
    end,
  })
end

return argument
