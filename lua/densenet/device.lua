--- Devices as Lua sees them: a table with the device's name, which stands wherever a name does.

local core = require "densenet.core"

local device = {}

local Device = { __tostring = function(self) return self.name end }

--- The device called `name` ("cpu").
-- @return {name =}, or nil, message, code where there is no such device
function device.find(name)
  local found, message, code = core.device_find(name)
  if not found then return nil, message, code end
  return setmetatable({ name = name }, Device)
end

--- The name of a device given as a name, as a device, or not at all ("cpu").
function device.nameOf(given)
  if type(given) == "table" then given = given.name end
  return given or "cpu"
end

return device
