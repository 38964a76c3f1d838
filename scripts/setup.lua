-- What every script begins with: is this the right Lua, and where is this checkout, wherever the script is
-- called from. A script reads it by dofile; it gives { root =, build = }, two directories.
--
-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
local script = arg[0]:match("[^/]*$")
if _VERSION ~= "Lua 5.4" then
  io.stderr:write(script, ": needs Lua 5.4, and this is ", _VERSION, ". Run it as: lua5.4 ", arg[0], " ...\n")
  os.exit(1)
end

local scripts = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
local root = scripts == "scripts" and "." or scripts:match("^(.*)/scripts$") or scripts .. "/.."
local build = os.getenv("DENSENET_BUILD") or root .. "/build"
-- The last of the root's: examples, by names such as examples.spirals.
package.path = root .. "/lua/?.lua;" .. root .. "/lua/?/init.lua;" .. root .. "/scripts/?.lua;" .. root .. "/?.lua;"
  .. package.path
package.cpath = build .. "/?.so;" .. package.cpath

return { root = root, build = build }
