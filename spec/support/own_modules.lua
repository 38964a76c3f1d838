--- Modules of a user's own, as a spec writes them: a directory on package.path while a test runs.
local busted = require "busted"
local temporary = require "spec.support.temporary"

local ownModules = {}

--- For the tests of the describe block that calls this.
-- @return define(name, text), which writes a module; its name begins with own_
-- @return pathOf(name), where it is
function ownModules.setUp()
  local directory, path
  busted.before_each(function()
    directory, path = temporary.directory(), package.path
    package.path = directory .. "/?.lua;" .. path
  end)
  busted.after_each(function()
    package.path = path
    for name in pairs(package.loaded) do
      if name:find "^own_" then package.loaded[name] = nil end
    end
    temporary.remove(directory)
  end)
  local function pathOf(name) return directory .. "/" .. name .. ".lua" end
  return function(name, text) temporary.write(pathOf(name), text) end, pathOf
end

return ownModules
