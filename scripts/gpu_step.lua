-- One training step of a network on a GPU, measured from all sides (gpu_check.sh):
--
--   lua5.4 scripts/gpu_step.lua -device cuda:0 -depth 100 -growthRate 12 -batchSize 64 -precision bfloat16
--   lua5.4 scripts/gpu_step.lua -captured        the step as one CUDA graph, where the build has dn.captured
--   lua5.4 scripts/gpu_step.lua -operations      besides, what each of its operations takes
--   lua5.4 scripts/gpu_step.lua -kernels         besides, what each kernel takes, also of libraries and graphs
--
-- Prints a line of JSON:
--   median_s min_s first_s    seconds of a step with the wait for it; the first one stands apart
--   host_ms                   milliseconds of the calls alone, without a wait, and without the loss, which waits
--   device_ms                 milliseconds of the GPU, by events around many steps that nobody waits for; where the
--                             host is the slower one it is the host's, so the GPU's own time is at most this
--   loss                      after these steps from the same start: alike bit for bit where two ways do the same
--   planned_mb peak_mb reserved_mb   as of bench.lua
--   nodes                     of the graph; null where there is none
--   launches                  of kernels of our own by the host; none in a captured step
--   refusals direct           plans and calls that cuDNN refused, and convolutions that slow kernels computed instead,
--                             from the start on: both have to be 0
--   counted                   of a plain step (gpu_operations.lua): bytes of its operations' tensors, calls of the
--                             dense layer's operations, how many of them one fused kernel did, and which it did not
--   operations                with -operations, by name: calls, seconds of all of them, bytes of their tensors,
--                             kernel_s, seconds of their kernels alone, where they are told
--   kernels                   with -kernels, by name: calls and seconds of a step; or kernels_why there are none
--
-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local dn = require "densenet"
local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local gpu = require "gpu_ask"
local median = require "median"
local models = require "densenet.models"
local operations = require "gpu_operations"
local precision = require "densenet.models.precision"
local program = require "densenet.train.program"

local hasCapture, captured = pcall(require, "densenet.captured")

local commandLine = CommandLine.new {
  { title = "Step",
    { name = "device", type = "word", default = "cuda:0", choices = { "cpu", "cuda", "cuda:N" }, pattern = "^cuda:%d+$",
      help = "where" },
    { name = "netType", type = "word", default = "densenet", choices = { "densenet", "densenet121" },
      help = "network" },
    { name = "depth", type = "integer", default = 100, min = 4, help = "of densenet" },
    { name = "growthRate", type = "integer", default = 12, min = 1, help = "of densenet" },
    { name = "nClasses", type = "integer", default = 10, min = 1, help = "classes" },
    { name = "size", type = "integer", default = 32, min = 1, help = "height and width of images" },
    { name = "batchSize", type = "integer", default = 64, min = 1, help = "images" },
    { name = "precision", type = "word", default = "single", choices = precision.words, help = "numbers" },
    { name = "optMemory", type = "integer", default = 4, min = 0, max = 5, help = "memory mode" },
    { name = "captured", type = "flag", help = "as one CUDA graph" },
    { name = "steps", type = "integer", default = 20, min = 1, help = "timed steps" },
    { name = "warmup", type = "integer", default = 3, min = 2, help = "steps before them; capturing takes two" },
    { name = "operations", type = "flag", help = "time each operation, too" },
    { name = "kernels", type = "flag", help = "time each kernel, too" },
    { name = "repeats", type = "integer", default = 10, min = 1, help = "of an operation or a step when it is timed" },
  },
}

-- The network, and what a step needs beside it.
local function build(opt)
  local config = opt.netType == "densenet" and { depth = opt.depth, growthRate = opt.growthRate }
    or { family = opt.netType }
  config.nClasses, config.optMemory, config.precision, config.inputChannels = opt.nClasses, opt.optMemory,
    opt.precision, 3
  local model = models.withoutImageGradient(models.fromConfig(config)):to(opt.device)
  local labels = {}
  for i = 1, opt.batchSize do labels[i] = math.random(opt.nClasses) end
  local input = dn.randn(opt.batchSize, 3, opt.size, opt.size):type(model:activationType()):to(opt.device)
  local optimizer = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, nesterov = true, weightDecay = 1e-4 })
  return { model = model, input = input, target = dn.tensor(labels, "long"):to(opt.device), optimizer = optimizer,
    criterion = dn.nn.CrossEntropyCriterion(),
    plan = model:plan { opt.batchSize, 3, opt.size, opt.size } }
end

-- The whole step; and, for what is measured without waiting, one with a fixed gradient instead of the loss's.
local function stepOf(t)
  local output = t.model:forward(t.input)
  local loss = t.criterion:forward(output, t.target)
  t.model:zeroGradParameters()
  t.model:backward(t.input, t.criterion:backward(output, t.target))
  t.optimizer:step()
  return loss
end

local function stepWithoutLoss(t)
  t.model:forward(t.input)
  t.model:zeroGradParameters()
  t.model:backward(t.input, t.gradient)
  t.optimizer:step()
end

-- Seconds of each of n calls, with the wait for the device.
local function time(step, n, device)
  local seconds = {}
  for i = 1, n do
    local start = core.clock()
    step()
    core.synchronize(device)
    seconds[i] = core.clock() - start
  end
  return seconds
end

-- Milliseconds of the calls alone (the median), each asked of a device with nothing to do, whose queue has room; and on
-- a GPU its own of a step when n follow each other.
local function timeApart(step, n, device)
  local seconds = {}
  for i = 1, n do
    core.synchronize(device)
    local before = core.clock()
    step()
    seconds[i] = core.clock() - before
  end
  core.synchronize(device)
  local own
  if device ~= "cpu" then
    own = gpu.milliseconds(device, function()
      for _ = 1, n do step() end
    end) / n
  end
  return median(seconds) * 1e3, own
end

-- What kernels take of one step, on average.
local function timeKernels(step, repeats, device)
  local list, why = gpu.kernelTimes(device, function()
    for _ = 1, repeats do step() end
  end)
  if not list then return nil, why end
  for _, one in ipairs(list) do one.calls, one.seconds, one.count = one.count / repeats, one.seconds / repeats, nil end
  return dn.json.array(list)
end

local function mb(bytes) return math.floor(bytes / 2 ^ 20 * 10 + 0.5) / 10 end

local function main()
  local opt = program.options(commandLine, arg, "lua scripts/gpu_step.lua [-option value ...]")
  if not opt then return end
  if opt.captured and not hasCapture then program.stop(3, "left out: this build has no captured steps") end
  if opt.captured and opt.device == "cpu" then program.refuse("-captured is a GPU's, and -device is cpu") end
  if opt.kernels and opt.device == "cpu" then program.refuse("-kernels are a GPU's, and -device is cpu") end
  if opt.captured and opt.precision == "half" then
    program.refuse "-captured: half needs its loss scaled, which this script does not do"
  end
  if opt.device ~= "cpu" then
    program.check(core.device_find(opt.device == "cuda" and "cuda:0" or opt.device))
    if opt.precision == "tf32" then core.tf32(opt.device, true) end
  end
  dn.manualSeed(0)
  math.randomseed(0)
  local t = build(opt)
  local function plain() return stepOf(t) end
  local uses = { device = opt.device, uses = { t.model, t.optimizer } }
  local step = opt.captured and captured(plain, uses) or plain
  local first = time(step, opt.warmup, opt.device)
  local seconds = time(step, opt.steps, opt.device)
  local memory = dn.memory(opt.device)
  local loss = t.criterion:forward(t.model:forward(t.input), t.target)
  t.gradient = t.criterion:backward(t.model:forward(t.input), t.target):clone()
  local function withoutLoss() stepWithoutLoss(t) end
  local apart = opt.captured and captured(withoutLoss, uses) or withoutLoss
  for _ = 1, opt.warmup do apart() end
  local hostMs, deviceMs = timeApart(apart, opt.steps, opt.device)
  local counted = operations.count(opt.device, withoutLoss)
  if counted.unfused then counted.unfused = dn.json.array(counted.unfused) end
  local result = {
    kind = "step", way = opt.captured and "captured" or "plain",
    fused = os.getenv "DENSENET_CUDA_FUSED" or dn.json.null,
    chunk_mb = os.getenv "DENSENET_CUDA_CHUNK_MB" or dn.json.null,
    median_s = median(seconds), min_s = math.min(table.unpack(seconds)), first_s = first[1],
    host_ms = hostMs, device_ms = deviceMs, loss = ("%.17g"):format(loss),
    planned_mb = mb(t.plan.totalBytes), peak_mb = mb(memory.peak), reserved_mb = mb(memory.reserved),
    nodes = dn.json.null, counted = counted,
  }
  if opt.captured and step.graphs then result.nodes = select(2, step:graphs()) end
  if opt.device ~= "cpu" then
    local about, launches = program.check(dn.device(opt.device)), 0
    for _, n in pairs(gpu.launches(opt.device, apart)) do launches = launches + n end
    result.launches, result.refusals, result.direct = launches, about.convolutionsRefused, about.convolutionsDirect
  end
  if opt.operations then
    result.operations = dn.json.array(operations.time(opt.device, withoutLoss, opt.repeats))
  end
  if opt.kernels then -- last: under CUPTI all takes longer; and it may not tell of a graph that is older
    gpu.beginKernelTimes(opt.device)
    if opt.captured then
      apart:free()
      apart = captured(withoutLoss, uses)
      for _ = 1, opt.warmup do apart() end
    end
    result.kernels, result.kernels_why = timeKernels(apart, opt.repeats, opt.device)
  end
  for name, value in pairs(opt) do
    if result[name] == nil then result[name] = value end
  end
  print(dn.json.encode(result))
end

os.exit(program.run("gpu_step.lua",
  "usage: lua scripts/gpu_step.lua [-option value ...]      (--help lists the options)", main), true)
