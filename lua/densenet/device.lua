--- Devices as Lua sees them: a table with the device's name, which stands wherever a name does.

local argument = require "densenet.argument"
local core = require "densenet.core"

local device = {}

local Device = { __tostring = function(self) return self.name end }

--- The device called `name`: "cpu", or a GPU, "cuda:0" ("cuda" for short). What it is, it says in
-- `product` (a name), `memory` (bytes), and for a GPU `free` (bytes of it that no program has taken),
-- `capability` ("9.0"), `driver` and `runtime` (versions of CUDA, "13.0"), `cublas` and `cudnn` (of these
-- libraries, "9.19.0"), and where ranks can be joined there `nccl`, too. Of convolutions there so far, by this process:
-- `convolutionPlans` of cuDNN that are kept, `convolutionsRefused` (plans and calls that it has not), and
-- `convolutionsDirect` (calls computed by slow kernels in its place; 0 is what one wants).
-- @return {name =, product =, memory =, ...}, or nil, message, code where there is no such device
function device.find(name)
  argument.string(1, "device", name)
  local found, message, code = core.device_find(name)
  if not found then return nil, message, code end
  local described
  described, message, code = core.device_describe(name)
  if not described then return nil, message, code end
  described.name, described.product = name == "cuda" and "cuda:0" or name, described.name
  if name:find "^cuda" then described.nccl = (core.comm_engine "nccl" or ""):match "^NCCL (.*)" end
  return setmetatable(described, Device)
end

--- The name of a device given as a name, as a device, or not at all ("cpu").
function device.nameOf(given)
  if given == nil then return "cpu" end
  local name = given
  if type(given) == "table" then name = given.name end
  if type(name) ~= "string" then argument.raise("a device or its name expected, got %s", argument.describe(given)) end
  return name
end

return device
