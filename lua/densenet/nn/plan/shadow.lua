--- Modules without memory: on the device "plan" tensors have sizes and no values. "plan" stands for the
-- CPU, and "plan:cuda:0" for a GPU: operations there take the scratch memory that they would take.
--
-- A shadow is a copy of a module tree there. It runs as the original does, in no time, and nothing
-- that it does reaches the original or the default generator.
-- @module densenet.nn.plan.shadow

local core = require "densenet.core"
local random = require "densenet.random"

local shadow = {}

--- The device without memory that stands for one with; itself for one without.
function shadow.deviceFor(device)
  if device == "cpu" then
    return "plan"
  end
  return device:find("^plan") and device or "plan:" .. device
end

--- Is a module without memory?
function shadow.isShadow(module)
  return module._device:find("^plan") ~= nil
end

-- Calls action(...) with new tensors made on `device`, one without memory, and afterwards, also when it
-- raises, leaves the default generator and the collector as they were found. The collector rests because
-- it would be told of gigabytes that are not there, and would search for them.
local function withoutMemory(device, action, ...)
  local state, isCollecting = random.state(), collectgarbage("isrunning")
  local function restore()
    random.setState(state)
    if isCollecting then
      collectgarbage("restart")
    end
  end
  local _ <close> = setmetatable({}, { __close = restore })
  local _ <close> = core.device_override(device)
  collectgarbage("stop")
  return action(...)
end

shadow.withoutMemory = withoutMemory

local function moveTo(module, device)
  module:apply(function(each) each._device = device end)
  return module
end

--- What build() makes, a module, with all its tensors without memory.
-- @tparam function build
-- @tparam[opt="cpu"] string on the device that it would be on
function shadow.build(build, on)
  local device = shadow.deviceFor(on or "cpu")
  return moveTo(withoutMemory(device, build), device)
end

-- A copy of everything that a value reaches; tensors become ones of `device` of their sizes, freed ones
-- stay.
local function copyOf(value, copies, device)
  if copies[value] then
    return copies[value]
  end
  if core.is_tensor(value) and not value:isFreed() then
    copies[value] = core.tensor_new(device, value:dtype(), value:size())
    return copies[value]
  elseif type(value) ~= "table" then
    return value
  end
  local copy = {}
  copies[value] = copy
  for key, held in pairs(value) do
    copy[copyOf(key, copies, device)] = copyOf(held, copies, device)
  end
  return setmetatable(copy, getmetatable(value))
end

--- The shadow of a module, without any of its buffers.
-- @param module any
-- @return the shadow
-- @treturn table what stands for what: a module of the tree, or a tensor, to its copy
function shadow.of(module)
  local copies = {}
  module:apply(function(each)
    if each.scratch then -- buffers are not worth a copy
      copies[each.scratch] = {}
    end
  end)
  local device = shadow.deviceFor(module._device)
  return withoutMemory(device, function()
    return moveTo(copyOf(module, copies, device), device):apply(function(each) each:clearState() end), copies
  end)
end

return shadow
