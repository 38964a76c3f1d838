-- Times what several GPUs do together: sums over all of them (-test allReduce), or training steps (-test step).
--
--   lua scripts/gpu_ranks.lua -n 4 -test allReduce
--   lua scripts/gpu_ranks.lua -n 4 -test step -batchSize 256
--
-- It starts its processes itself, one for each GPU. With -n 1 sums go by way of NCCL as well, every way but the
-- wire. Rank 0 prints one line of JSON:
--   test ranks library   what was done, by how many, by what
--   median_s min_s       seconds of a step; of the sums those of the largest vector
--   sums                 { bytes=, seconds=, apart_s=, bus_gb_s= } for each size: seconds of a sum when many follow
--                        each other, and of one with the wait for it; bus_gb_s (10^9 bytes a second) is what each GPU
--                        sends, 2 (n - 1) / n of the bytes, by the seconds: what a link does
--
-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local CommandLine = require "densenet.train.command_line"
local core = require "densenet.core"
local dn = require "densenet"
local launcher = require "densenet.dist.launcher"
local median = require "median"
local program = require "densenet.train.program"

local commandLine = CommandLine.new {
  { title = "What is timed",
    { name = "n", type = "integer", default = 1, min = 1, max = 1024, help = "GPUs, and processes" },
    { name = "test", type = "word", default = "allReduce", choices = { "allReduce", "step" },
      help = "sums, or training steps" },
    { name = "steps", type = "integer", default = 20, min = 1, help = "timed steps, or sums of each size" },
    { name = "warmup", type = "integer", default = 3, min = 1, help = "of those before them" },
  },
  { title = "Sums",
    { name = "largest", type = "integer", default = 1 << 26, min = 1024, help = "bytes of the largest vector" },
  },
  { title = "Steps",
    { name = "batchSize", type = "integer", default = 64, min = 1, help = "images of all GPUs together" },
    { name = "depth", type = "integer", default = 100, min = 1, help = "of a DenseNet-BC" },
    { name = "growthRate", type = "integer", default = 12, min = 1, help = "of it" },
    { name = "size", type = "integer", default = 32, min = 1, help = "height and width of images" },
    { name = "precision", type = "word", default = "single", choices = { "single", "bfloat16", "tf32" },
      help = "numbers" },
    { name = "optMemory", type = "integer", default = 4, min = 0, max = 5, help = "memory mode" },
  },
}

-- Of n calls, each until the GPU is done.
local function secondsOf(call, n, device)
  local list = {}
  for i = 1, n do
    local start = core.clock()
    call()
    core.synchronize(device)
    list[i] = core.clock() - start
  end
  return list
end

-- This process's communicator. One rank alone is joined by NCCL, too, where `byName`.
local function open(byName)
  local comm = program.check(dn.dist.open { device = "cuda", timeout = 60 })
  if comm.size > 1 or not byName then return comm end
  local bytes = program.check(core.comm_rendezvous "nccl")
  local handle = program.check(core.comm_open("nccl", comm.device, 0, 1, 60, bytes))
  return dn.dist.Comm.new(handle, { rank = 0, size = 1, device = comm.device, engine = "nccl" })
end

local function timeSums(opt, comm)
  local sums = {}
  local nBytes = 1024
  while nBytes <= opt.largest do
    local t = dn.full(comm.rank + 1, { nBytes // 4, device = comm.device })
    comm:allReduce(t)
    if t:min() ~= comm.size * (comm.size + 1) / 2 or t:max() ~= t:min() then
      program.stop(1, ("a sum over %d ranks of %d bytes is wrong"):format(comm.size, nBytes))
    end
    local function sum() comm:allReduce(t:fill(1)) end
    secondsOf(sum, opt.warmup, comm.device)
    local apart = secondsOf(function() comm:allReduce(t) end, opt.steps, comm.device)
    t:fill(1)
    local together = secondsOf(function()
      for _ = 1, opt.steps do comm:allReduce(t) end
    end, 3, comm.device)
    local seconds = median(together) / opt.steps
    sums[#sums + 1] = { bytes = nBytes, seconds = seconds, apart_s = median(apart),
      bus_gb_s = 2 * (comm.size - 1) / comm.size * nBytes / seconds / 1e9 }
    nBytes = nBytes * 4
  end
  return { sums = sums, median_s = sums[#sums].seconds, min_s = sums[#sums].seconds }
end

-- Steps on the same random images again and again, of which each rank has its share.
local function timeSteps(opt, comm)
  local first, last = opt.batchSize * comm.rank // comm.size, opt.batchSize * (comm.rank + 1) // comm.size
  local n = last - first
  if opt.batchSize < comm.size then
    program.refuse(("-batchSize %d leaves some of %d ranks without images"):format(opt.batchSize, comm.size))
  end
  dn.manualSeed(1)
  core.tf32(comm.device, opt.precision == "tf32")
  local model = dn.models.densenet { depth = opt.depth, growthRate = opt.growthRate, nClasses = 10,
    optMemory = opt.optMemory, precision = opt.precision }:to(comm.device)
  local sync = dn.dist.attach(model, comm)
  local criterion = dn.nn.CrossEntropyCriterion()
  local optimizer = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, nesterov = true, dampening = 0,
    weightDecay = 1e-4 })
  local input = dn.randn(n, 3, opt.size, opt.size):type(model:activationType()):to(comm.device)
  local labels = {}
  for i = 1, n do labels[i] = (first + i) % 10 + 1 end
  local target = dn.tensor(labels, "long"):to(comm.device)
  local function step()
    local output = model:forward(input)
    criterion:forward(output, target)
    model:zeroGradParameters()
    model:backward(input, criterion:backward(output, target, n / opt.batchSize))
    sync:wait()
    optimizer:step()
  end
  secondsOf(step, opt.warmup, comm.device)
  comm:barrier()
  local seconds = secondsOf(step, opt.steps, comm.device)
  return { median_s = median(seconds), min_s = math.min(table.unpack(seconds)), batch = opt.batchSize }
end

local function main()
  local opt = program.options(commandLine, arg, "lua scripts/gpu_ranks.lua [-option value ...]")
  if not opt then return end
  if opt.n > 1 and not program.check(dn.dist.ranks.find()).starter then
    return program.check(launcher.run { n = opt.n, arguments = launcher.commandLine(arg), device = "cuda",
      program = "gpu_ranks.lua" })
  end
  local comm = open(opt.test == "allReduce")
  local result = opt.test == "step" and timeSteps(opt, comm) or timeSums(opt, comm)
  result.test, result.ranks, result.library = opt.test, comm.size, core.comm_engine "nccl"
  comm:print(dn.json.encode(result))
  comm:close()
end

os.exit(program.run("gpu_ranks.lua",
  "usage: lua scripts/gpu_ranks.lua [-option value ...]      (--help lists the options)", main), true)
