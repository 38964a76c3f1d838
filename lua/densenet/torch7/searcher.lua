--- require "./name" and require "../name": a Lua file beside the one that asks, as the th program finds it.

local paths = require "densenet.torch7.paths"

local RELATIVE = "^%.%.?/"

-- require is level 2 above this function's caller; the file that asks is the first above it.
local function directoryOfCaller()
  for level = 3, 12 do
    local info = debug.getinfo(level, "S")
    if not info then break end
    if info.what ~= "C" then return info.source:match("^@(.*)/[^/]*$") or "." end
  end
  return "."
end

local function search(name)
  if not name:find(RELATIVE) then return nil end
  local path = directoryOfCaller() .. "/" .. name .. ".lua"
  if not paths.filep(path) then return ("no file '%s'"):format(path) end
  local chunk, message = loadfile(path)
  if not chunk then error(message, 0) end
  return chunk, path
end

--- Lets require find such files from now on.
return function() table.insert(package.searchers, 2, search) end
