-- The convolutions of DenseNet-BC(100,12), one by one, on a GPU (gpu_check.sh): 3x3 at the three sizes of its blocks, a
-- 1x1 at each, and the first layer, in every direction and precision. With -device plan:cuda:0 it needs no GPU: cuDNN
-- is asked about one that is only described, and nothing is measured. Prints a line of JSON for each:
--   status              what cuDNN says: "done"; "too large": of so many images, it took fewer; "refused", so slow
--                       kernels of our own computed it; "product": a 1x1, which cuBLAS computes
--   engine images       of cuDNN, by its number, and how many images it takes at a time
--   workspace_bytes     of that engine
--   question_us         microseconds of the host for all questions to cuDNN, which are put once for a shape
--   host_us device_us   of the call alone afterwards, and of the GPU for it when many follow each other
--   gflop_s             10^9 multiplications and additions a second of the latter
--   kernels             names of those that a call runs, the longest first, where CUPTI tells: whether there are copies
--                       into another layout, or a product in several parts
--
-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local dn = require "densenet"
local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local gpu = require "gpu_ask"
local program = require "densenet.train.program"

local commandLine = CommandLine.new {
  { title = "Convolutions",
    { name = "device", type = "word", default = "cuda:0", choices = { "cuda:N", "plan:cuda:N" },
      pattern = "^[plan:]*cuda:%d+$", help = "the GPU, or one that is described" },
    { name = "batchSize", type = "integer", default = 64, min = 1, help = "images" },
    { name = "repeats", type = "integer", default = 20, min = 1, help = "of each" },
    { name = "tiny", type = "flag", help = "images of an eighth of the size" },
  },
}

-- Input channels, output channels, height and width, side of the window.
local SHAPES = {
  { 3, 24, 32, 3 }, { 48, 12, 32, 3 }, { 48, 12, 16, 3 }, { 48, 12, 8, 3 }, { 120, 48, 32, 1 }, { 204, 48, 16, 1 },
  { 246, 48, 8, 1 }, { 216, 108, 32, 1 }, { 300, 150, 16, 1 },
}
-- Precision, dtype, TF32; and in which dtypes plans are, where gradients of weights may be made of wide copies.
local WAYS = {
  { "single", "float", false, { float = true } }, { "tf32", "float", true, { tf32 = true } },
  { "bfloat16", "bfloat16", false, { bfloat16 = true, tf32 = true } },
}
local DIRECTIONS = { "forward", "backward_data", "backward_weight" }

-- Microseconds of the host for one of n calls, and of the GPU.
local function measure(call, n, device)
  core.synchronize(device)
  local host = 0
  local own = gpu.milliseconds(device, function()
    local start = core.clock()
    for _ = 1, n do call() end
    host = core.clock() - start
  end)
  return host / n * 1e6, own / n * 1e3
end

-- Names of the kernels that a call runs; nil where they are not told.
local function kernelsOf(call, device)
  local times = gpu.kernelTimes(device, call)
  if not times then return nil end
  local names = {}
  for i, kernel in ipairs(times) do names[i] = kernel.name:sub(1, 80) end
  return dn.json.array(names)
end

-- The plans that a call has made, or found where an earlier one has made them: { images =, isDone =, ... }.
local function plansOf(device, before, direction, dtypes, shape, size)
  local c, k, _, side = table.unpack(shape)
  local wanted = ("^%s (%%w+) (%%d+) %d %d %d %d %d %d (%%l+) (%%-?%%d+) (%%d+) (%%S+)$"):format(direction, c, size,
    size, k, side, side)
  local function matching(first)
    local found = {}
    for _, line in ipairs(gpu.list(device, "convolution plan", first)) do
      local dtype, images, status, engine, bytes, us = line:match(wanted)
      if dtypes[dtype] then
        found[#found + 1] = { images = tonumber(images), isDone = status == "done", engine = tonumber(engine),
          bytes = tonumber(bytes), us = tonumber(us) }
      end
    end
    return found
  end
  local made = matching(before)
  return #made > 0 and made or matching(0)
end

-- What became of a call, from its plans.
local function outcomeOf(plans)
  local result = { status = "refused", question_us = 0 }
  local isRefused
  for _, plan in ipairs(plans) do
    result.question_us = result.question_us + plan.us
    isRefused = isRefused or not plan.isDone
    if plan.isDone and (not result.images or plan.images > result.images) then
      result.engine, result.images, result.workspace_bytes = plan.engine, plan.images, plan.bytes
    end
  end
  if result.images then result.status = isRefused and "too large" or "done" end
  return result
end

local function callsOf(x, y, weight, pad)
  return {
    forward = function() core.conv2d_forward(y, x, weight, nil, 1, 1, pad, pad, 1) end,
    backward_data = function() core.conv2d_backward_data(x, y, weight, 1, 1, pad, pad, 1) end,
    backward_weight = function() core.conv2d_backward_weight(weight, nil, y, x, 1, 1, pad, pad, 1, 1e-6) end,
  }
end

local function main()
  local opt = program.options(commandLine, arg, "lua scripts/gpu_shapes.lua [-option value ...]")
  if not opt then return end
  local device, isPlanned = opt.device, opt.device:find "^plan" ~= nil
  program.check(core.device_find(device))
  for _, way in ipairs(WAYS) do
    local precision, dtype, tf32, dtypes = table.unpack(way)
    core.tf32(device, tf32)
    for _, shape in ipairs(SHAPES) do
      local c, k, size, side = table.unpack(shape)
      if opt.tiny then size = size // 8 end
      local x, y = core.tensor_new(device, dtype, { opt.batchSize, c, size, size }),
        core.tensor_new(device, dtype, { opt.batchSize, k, size, size })
      local weight = core.tensor_new(device, "float", { k, c, side, side })
      for i, tensor in ipairs { x, y, weight } do core.random_uniform(tensor, -1, 1, i, 0, 0) end
      local calls = callsOf(x, y, weight, side // 2)
      for _, direction in ipairs(DIRECTIONS) do
        local before = #gpu.list(device, "convolution plan")
        calls[direction]()
        local result = side == 1 and { status = "product" }
          or outcomeOf(plansOf(device, before, direction, dtypes, shape, size))
        if not isPlanned then
          result.host_us, result.device_us = measure(calls[direction], opt.repeats, device)
          result.kernels = kernelsOf(calls[direction], device)
          result.gflop_s = 2 * opt.batchSize * c * k * (size * side) ^ 2 / result.device_us / 1e3
        end
        result.kind, result.precision, result.direction = "convolution", precision, direction
        result.batch = opt.batchSize
        result.channels, result.outputs, result.size, result.side = c, k, size, side
        print(dn.json.encode(result))
        io.stdout:flush() -- what is there stays there when time is over
      end
    end
  end
  core.tf32(device, false)
end

os.exit(program.run("gpu_shapes.lua",
  "usage: lua scripts/gpu_shapes.lua [-option value ...]      (--help lists the options)", main), true)
