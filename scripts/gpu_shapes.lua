-- The convolutions of DenseNet-BC(100,12), one by one, on a GPU (gpu_check.sh): 3x3 at the three sizes of its blocks, a
-- 1x1 at each, and the first layer, in every direction and precision. With -device plan:cuda:0 it needs no GPU: cuDNN
-- is asked about one that is only described, and nothing is measured. Prints a line of JSON for each:
--   status              what cuDNN says: "done"; "too large": of so many images, it took fewer; "refused", so slow
--                       kernels of our own computed it; "product": a 1x1, which cuBLAS computes; "fused": it was not
--                       asked, as a kernel of ours on tensor cores computed it (DENSENET_CUDA_FUSED=0 asks it)
--   engine images       of cuDNN, by its number, and how many images it takes at a time
--   workspace_bytes     of that engine
--   question_us         microseconds of the host for all questions to cuDNN, which are put once for a shape
--   host_us device_us   of the call alone afterwards, and of the GPU for it when many follow each other
--   gflop_s             10^9 multiplications and additions a second of the latter
-- and then, where CUPTI tells, another:
--   kernels             names of those that a call runs, the longest first: whether there are copies into another
--                       layout, or a product in several parts
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
    { name = "onlyFused", type = "flag", help = "leave out what no fused kernel computes" },
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
local function plansOf(device, before, dtypes, of)
  local wanted = ("^%s (%%w+) (%%d+) %d %d %d %d %d %d (%%l+) (%%-?%%d+) (%%d+) (%%S+)$"):format(of.direction,
    of.channels, of.size, of.size, of.outputs, of.side, of.side)
  local function matching(first)
    local found = {}
    for _, line in ipairs(gpu.list(device, "convolution plan", first)) do
      local dtype, images, status, engine, bytes, us = line:match(wanted)
      if dtype and dtypes[dtype] then
        found[#found + 1] = { images = tonumber(images), isDone = status == "done", engine = tonumber(engine),
          bytes = tonumber(bytes), us = tonumber(us) }
      end
    end
    return found
  end
  local made = matching(before)
  return #made > 0 and made or matching(0)
end

-- What became of a call, from its plans; a product has none.
local function addOutcome(result, plans)
  if not plans then
    result.status = "product"
    return
  end
  if #plans == 0 then
    result.status = "fused"
    return
  end
  local isRefused = false
  result.status, result.question_us = "refused", 0
  for _, plan in ipairs(plans) do
    result.question_us = result.question_us + plan.us
    isRefused = isRefused or not plan.isDone
    if plan.isDone and (not result.images or plan.images > result.images) then
      result.engine, result.images, result.workspace_bytes = plan.engine, plan.images, plan.bytes
    end
  end
  if result.images then result.status = isRefused and "too large" or "done" end
end

local function callsOf(x, y, weight, pad)
  return {
    forward = function() core.conv2d_forward(y, x, weight, nil, 1, 1, pad, pad, 1) end,
    backward_data = function() core.conv2d_backward_data(x, y, weight, 1, 1, pad, pad, 1) end,
    backward_weight = function() core.conv2d_backward_weight(weight, nil, y, x, 1, 1, pad, pad, 1, 1e-6) end,
  }
end

-- each(result, call, dtypes): every precision, shape and direction, with the call, and the dtypes of its plans.
local function forEach(opt, each)
  for _, way in ipairs(WAYS) do
    local precision, dtype, tf32, dtypes = table.unpack(way)
    core.tf32(opt.device, tf32)
    for _, shape in ipairs(SHAPES) do
      local c, k, size, side = table.unpack(shape)
      if opt.tiny then size = size // 8 end
      local x, y = core.tensor_new(opt.device, dtype, { opt.batchSize, c, size, size }),
        core.tensor_new(opt.device, dtype, { opt.batchSize, k, size, size })
      local weight = core.tensor_new(opt.device, "float", { k, c, side, side })
      for i, tensor in ipairs { x, y, weight } do core.random_uniform(tensor, -1, 1, i, 0, 0) end
      local calls = callsOf(x, y, weight, side // 2)
      for _, direction in ipairs(DIRECTIONS) do
        each({ precision = precision, direction = direction, batch = opt.batchSize, channels = c, outputs = k,
          size = size, side = side }, calls[direction], dtypes)
      end
    end
  end
  core.tf32(opt.device, false)
end

-- A line; what is there stays there when time is over.
local function show(kind, result)
  result.kind = kind
  print(dn.json.encode(result))
  io.stdout:flush()
end

local function main()
  local opt = program.options(commandLine, arg, "lua scripts/gpu_shapes.lua [-option value ...]")
  if not opt then return end
  local device, isPlanned = opt.device, opt.device:find "^plan" ~= nil
  program.check(core.device_find(device))
  forEach(opt, function(result, call, dtypes)
    local before = #gpu.list(device, "convolution plan")
    call()
    addOutcome(result, result.side > 1 and plansOf(device, before, dtypes, result))
    if opt.onlyFused and result.status ~= "fused" then return end
    if not isPlanned then
      result.host_us, result.device_us = measure(call, opt.repeats, device)
      result.gflop_s = 2 * result.batch * result.channels * result.outputs * (result.size * result.side) ^ 2
        / result.device_us / 1e3
    end
    show("convolution", result)
  end)
  if isPlanned or opt.onlyFused then return end
  -- Behind all measurements: CUPTI takes time of the host.
  forEach(opt, function(result, call)
    call()
    result.kernels = kernelsOf(call, device)
    if result.kernels then show("convolution kernels", result) end
  end)
end

os.exit(program.run("gpu_shapes.lua",
  "usage: lua scripts/gpu_shapes.lua [-option value ...]      (--help lists the options)", main), true)
