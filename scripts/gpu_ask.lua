--- What a GPU answers beside its operations (cuda/cuda_testing.h), for scripts that measure it.

local core = require "densenet.core"
local program = require "densenet.train.program"

local gpu = {}

--- Asks, and stops the program with the reason where there is no answer.
-- @param device its name
-- @param hook what is asked
-- @param n (optional) a number with it
-- @return text
function gpu.ask(device, hook, n) return program.check(core.testing.device_ask(device, hook, n)) end

--- All answers to a question that has them in a row, from a place on.
-- @param device its name
-- @param hook what is asked
-- @param first (optional) the first one's place, from 0
-- @return list of texts
function gpu.list(device, hook, first)
  local list, n = {}, first or 0
  while true do
    local text = gpu.ask(device, hook, n)
    if text == "" then return list end
    list[#list + 1] = text
    n = n + 1
  end
end

--- Milliseconds of the GPU, by events on its stream before and behind what a function asks of it.
function gpu.milliseconds(device, call)
  gpu.ask(device, "mark", 0)
  call()
  gpu.ask(device, "mark", 1)
  return tonumber(gpu.ask(device, "milliseconds"))
end

--- How often kernels of our own were launched meanwhile, by name.
-- @param device its name
-- @param call a function
-- @return { [name] = number }
function gpu.launches(device, call)
  gpu.ask(device, "count launches", 1)
  call()
  local counts = {}
  for _, line in ipairs(gpu.list(device, "launched")) do
    local name, count = line:match "^(%S+) (%d+)$"
    counts[name] = tonumber(count)
  end
  gpu.ask(device, "count launches", 0)
  return counts
end

--- Times of kernels from now on, of nothing before.
-- @return true; or nil and why there are none
function gpu.beginKernelTimes(device) return core.testing.device_ask(device, "time kernels", 1) end

--- No more of them.
function gpu.endKernelTimes(device) return core.testing.device_ask(device, "time kernels", 0) end

--- What every kernel takes of the GPU meanwhile, those of libraries included.
-- @param device its name
-- @param call a function
-- @param goesOn (optional) others follow at once: what takes the times stays on until gpu.endKernelTimes
-- @return list of { name =, count =, seconds = }, the longest first; or nil and why there is none
function gpu.kernelTimes(device, call, goesOn)
  core.synchronize(device)
  local isThere, why = gpu.beginKernelTimes(device)
  if not isThere then return nil, why end
  call()
  core.synchronize(device)
  isThere, why = core.testing.device_ask(device, "time kernels", goesOn and 2 or 0)
  if not isThere then return nil, why end
  local list = {}
  for _, line in ipairs(gpu.list(device, "kernel time")) do
    local count, nanoseconds, name = line:match "^(%d+) (%d+) (.*)$"
    list[#list + 1] = { name = name, count = tonumber(count), seconds = tonumber(nanoseconds) * 1e-9 }
  end
  table.sort(list, function(a, b) return a.seconds > b.seconds end)
  return list
end

return gpu
