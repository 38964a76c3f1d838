--- Scripts for Torch7 as their users run them, lua5.4 -l densenet.torch7 script.lua: in a process of their own, since
-- densenet.torch7 gives tensors other methods and sets global variables.
local temporary = require "spec.support.temporary"

local script = {}

local absolute = temporary.absolute
local library = absolute "lua"

-- What scripts check with: same(expected, value), near(expected, number), refuses(sentence's part, function, ...).
local CHECKS = [[
local function text(value)
  if torch.isTensor(value) then value = value:totable() end
  if type(value) ~= "table" then return (math.type(value) == "float" and "%.10g" or "%s"):format(value) end
  local parts = {}
  for i, each in ipairs(value) do parts[i] = text(each) end
  return "{" .. table.concat(parts, ", ") .. "}"
end
local function same(expected, value)
  if text(expected) ~= text(value) then error(("%s expected, got %s"):format(text(expected), text(value)), 2) end
end
local function near(expected, number)
  if not (math.abs(expected - number) <= 1e-6 * math.max(1, math.abs(expected))) then
    error(("%.9g expected, got %.9g"):format(expected, number), 2)
  end
end
local function refuses(part, call, ...)
  local isDone, message = pcall(call, ...)
  if isDone or not tostring(message):find(part, 1, true) then
    error(("a refusal with '%s' expected, got %s"):format(part, isDone and "none" or tostring(message)), 2)
  end
end
]]

--- Runs a script.
-- @param body its text, after the checks above
-- @param options (optional) directory (where it runs; a new one), arguments (a text), files (name → content)
-- @return both its streams in one, and its exit status
function script.run(body, options)
  options = options or {}
  local directory = options.directory or temporary.directory()
  for name, content in pairs(options.files or {}) do
    os.execute(("mkdir -p '%s'"):format((directory .. "/" .. name):match("^(.*)/")))
    temporary.write(directory .. "/" .. name, content)
  end
  temporary.write(directory .. "/script.lua", CHECKS .. body)
  local _, _, status = os.execute(("cd '%s' && LUA_PATH_5_4='%s/?.lua;%s/?/init.lua;./?.lua' "
    .. "LUA_CPATH_5_4='%s/?.so' OMP_WAIT_POLICY=passive timeout -s KILL 60 '%s' -l densenet.torch7 script.lua %s "
    .. ">output 2>&1"):format(directory, library, library, absolute(os.getenv("DENSENET_BUILD") or "build"),
    temporary.interpreter(), options.arguments or ""))
  local output = temporary.read(directory .. "/output")
  if not options.directory then temporary.remove(directory) end
  return output, status
end

--- Runs a script that has to end well.
-- @return what it printed
function script.passes(body, options)
  local output, status = script.run(body, options)
  if status ~= 0 then error(("the script ended with status %s:\n%s"):format(status, output), 2) end
  return output
end

return script
