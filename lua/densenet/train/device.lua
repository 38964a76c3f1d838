--- Where a run computes, and in which precision: what its options say together, and what the machine
-- has. Without -device a run takes the first GPU where there is one, else the CPU.
local core = require "densenet.core"

local device = {}

--- Do -device, -nGPU and -precision go together?
-- @param values as options.parse returns them
-- @return true, or nil and a sentence
function device.check(values)
  local on, gpus = values.device, values.nGPU
  if on == "cpu" and gpus and gpus > 0 then
    return nil, ("-device cpu and -nGPU %d contradict each other"):format(gpus)
  end
  if gpus and gpus > 1 and on and on ~= "cuda" then
    return nil, ("-device %s and -nGPU %d contradict each other: each of the processes has its own"):format(on, gpus)
  end
  if values.nProcesses and values.nProcesses > 1 and on ~= "cpu" and gpus ~= 0 then
    return nil, ("-nProcesses %d is for the CPU: say -device cpu, or -nGPU N for GPUs"):format(values.nProcesses)
  end
  if on and on ~= "cpu" and gpus == 0 then
    return nil, ("-device %s and -nGPU 0 contradict each other"):format(on)
  end
  if values.precision == "tf32" and (on == "cpu" or gpus == 0) then
    return nil, ("-precision tf32 is a GPU's: %s computes in single, double, half or bfloat16"):format(
      on == "cpu" and "-device cpu" or "-nGPU 0, the CPU,")
  end
  return true
end

-- "cuda" is the first.
local function wholeName(name) return name == "cuda" and "cuda:0" or name end

-- The device's name; or nil, message, code.
local function settle(values, isPlanning)
  if values.device == "cpu" or values.nGPU == 0 then return "cpu" end
  local wanted = values.device or "cuda"
  -- A plan needs the backend, and no GPU when one is named.
  local needed = isPlanning and values.device and "plan:" .. wholeName(wanted) or wanted
  local found, message, code = core.device_find(needed)
  if found then return wholeName(wanted) end
  if values.device or values.nGPU == 1 then return nil, message, code end
  return "cpu", message
end

--- Settles where a run computes: values.device becomes a device's name.
-- @param values options that go together; changed
-- @param given the names that the user wrote
-- @return what there is to say about it: a list of lines, empty when all is as was asked; or
-- nil, message, code where the device that was asked for is not there
function device.choose(values, given)
  local on, message, code = settle(values, values.plan)
  if not on then return nil, message, code end
  local notes = {}
  if on == "cpu" and message then notes[1] = "not on a GPU: " .. message end
  if values.precision == "tf32" and on == "cpu" then
    if given.precision then return nil, "-precision tf32 needs a GPU: " .. message, "device" end
    values.precision = "single"
    notes[#notes + 1] = "tf32 is a GPU's: the run goes on in single precision"
  end
  if on == "cpu" and (values.precision == "half" or values.precision == "bfloat16") then
    notes[#notes + 1] = values.precision .. " is slow on the CPU, which converts to float and back: it is for tests"
  end
  if on ~= "cpu" then
    local done
    done, message, code = core.tf32((values.plan and "plan:" or "") .. on, values.precision == "tf32")
    if not done then return nil, message, code end
  end
  values.device = on
  return notes
end

--- A device as a line says it: "cpu"; "cuda:0 (NVIDIA H100, 79.6 GB)".
function device.describe(name)
  local about = name ~= "cpu" and core.device_describe(name)
  if not about then return name end
  local memory = about.memory and core.format(", %.1f GB", about.memory / 2 ^ 30) or ""
  return ("%s (%s%s)"):format(name, about.name, memory)
end

return device
