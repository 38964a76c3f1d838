--- What a step asks of a device, operation by operation: how often, with how many bytes of tensors, for how long, and
-- which of the dense layer's operations one fused kernel did.

local core = require "densenet.core"
local gpu = require "gpu_ask"

local operations = {}

local SIZES = { float = 4, double = 8, half = 2, bfloat16 = 2, long = 8, byte = 1 }

local function bytesOf(...)
  local sum = 0
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if core.is_tensor(value) then sum = sum + value:nElement() * SIZES[value:dtype()] end
  end
  return sum
end

-- Calls step() with around(name, operation, arguments...) in place of every operation of the device.
local function watch(device, step, around)
  local usual = {}
  for _, name in ipairs((core.operations(device))) do
    local operation = core[name]
    usual[name] = operation
    core[name] = operation and function(...) return around(name, operation, ...) end
  end
  local ok, message = pcall(step)
  for name, operation in pairs(usual) do core[name] = operation end
  if not ok then error(message, 0) end
end

-- Where the dense layer's operations have their input and their weight, among the arguments.
local DENSE = { norm_relu_conv_forward = { x = 3, weight = 5 }, norm_relu_conv_backward = { x = 7, weight = 9 } }

-- "1x1, 120 to 48, 32x32, forward"
local function described(name, ...)
  local places = DENSE[name]
  local x, weight = select(places.x, ...), select(places.weight, ...)
  return ("%dx%d, %d to %d, %dx%d, %s"):format(weight:size(3), weight:size(4), weight:size(2), weight:size(1),
    x:size(3), x:size(4), name:match "%l+$")
end

-- A call of such an operation, and whether a fused kernel did it.
local function callDense(device, operation, ...)
  local result
  local arguments = table.pack(...)
  local launches = gpu.launches(device, function()
    result = table.pack(operation(table.unpack(arguments, 1, arguments.n)))
  end)
  local isFused = false
  for kernel in pairs(launches) do isFused = isFused or kernel:find "^norm_relu_conv_" ~= nil end
  return isFused, result
end

--- Counts what a step asks for; not of a captured one, which asks for nothing.
-- @param device its name
-- @param step a function
-- @return { bytes = of the operations' tensors, calls =, dense = calls of the dense layer's operations, fused = those
--   that a fused kernel did, unfused = list of { what =, calls = } }, the last three of a GPU alone
function operations.count(device, step)
  local found, unfused = { bytes = 0, calls = 0, dense = 0, fused = 0, unfused = {} }, {}
  local isGpu = device ~= "cpu"
  watch(device, step, function(name, operation, ...)
    found.calls, found.bytes = found.calls + 1, found.bytes + bytesOf(...)
    if not (isGpu and DENSE[name]) then return operation(...) end
    local isFused, result = callDense(device, operation, ...)
    found.dense = found.dense + 1
    if isFused then
      found.fused = found.fused + 1
    else
      local what = described(name, ...)
      if not unfused[what] then
        unfused[what] = { what = what, calls = 0 }
        table.insert(found.unfused, unfused[what])
      end
      unfused[what].calls = unfused[what].calls + 1
    end
    return table.unpack(result, 1, result.n)
  end)
  if not isGpu then found.dense, found.fused, found.unfused = nil, nil, nil end
  return found
end

-- Seconds of one of n calls in a row: of the GPU, by events, or on the CPU by the clock.
local function secondsOf(device, n, call)
  local function all()
    for _ = 1, n do call() end
  end
  core.synchronize(device)
  if device ~= "cpu" then return gpu.milliseconds(device, all) * 1e-3 / n end
  local start = core.clock()
  all()
  return (core.clock() - start) / n
end

-- Adds what the kernels of each operation take, without the gaps between them, where CUPTI tells.
local function addKernelTimes(device, step, found)
  local isTold = true
  watch(device, step, function(name, operation, ...)
    if not isTold then return operation(...) end
    local arguments, result = table.pack(...), nil
    local kernels = gpu.kernelTimes(device, function()
      result = table.pack(operation(table.unpack(arguments, 1, arguments.n)))
    end, true)
    isTold = kernels ~= nil
    if not isTold then return operation(...) end
    local one = found[name]
    one.kernel_s = one.kernel_s or 0
    for _, kernel in ipairs(kernels) do one.kernel_s = one.kernel_s + kernel.seconds end
    return table.unpack(result, 1, result.n)
  end)
  gpu.endKernelTimes(device)
end

--- Times every operation of a step by itself, several times in a row, so that the wait for it does not count.
-- @param device its name
-- @param step a function
-- @param repeats how often in a row
-- @return list of { name =, calls =, seconds =, bytes = of its tensors, kernel_s = seconds of its kernels alone, where
--   they are told }, the longest first
function operations.time(device, step, repeats)
  local found, list = {}, {}
  watch(device, step, function(name, operation, ...)
    local arguments, result = table.pack(...), nil
    local seconds = secondsOf(device, repeats, function()
      result = table.pack(operation(table.unpack(arguments, 1, arguments.n)))
    end)
    local one = found[name]
    if not one then
      one = { name = name, calls = 0, seconds = 0, bytes = 0 }
      found[name] = one
      list[#list + 1] = one
    end
    one.calls, one.bytes, one.seconds = one.calls + 1, one.bytes + bytesOf(...), one.seconds + seconds
    return table.unpack(result, 1, result.n)
  end)
  if device ~= "cpu" then addKernelTimes(device, step, found) end
  table.sort(list, function(a, b) return a.seconds > b.seconds end)
  return list
end

return operations
