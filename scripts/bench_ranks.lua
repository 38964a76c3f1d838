-- Seconds of a training step where several processes share the batch; or of one process, to compare with:
--
--    OMP_NUM_THREADS=2 lua5.4 scripts/bench_ranks.lua
--    densenet run -n 2 -device cpu -nCores 1 scripts/bench_ranks.lua
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local dn = require "densenet"
local median = require "median"
local program = require "densenet.train.program"

local commandLine = CommandLine.new {
  { title = "Options",
    { name = "device", type = "word", default = "cpu", choices = { "cpu", "cuda" }, help = "where to compute" },
    { name = "depth", type = "integer", default = 100, min = 10, max = 1000, help = "of the DenseNet-BC" },
    { name = "growthRate", type = "integer", default = 12, min = 1, max = 1000, help = "of the DenseNet-BC" },
    { name = "batchSize", type = "integer", default = 64, min = 1, max = 100000, help = "images of 3x32x32 in all" },
    { name = "nSteps", type = "integer", default = 5, min = 1, max = 100000, help = "steps that are timed, after one" },
    { name = "syncBN", type = "boolean", default = false, help = "norms take the statistics of the whole batch" },
    { name = "bucketMB", type = "number", default = 8, above = 0,
      help = "gradients are added up in pieces of this size" },
  },
}

local function setOf(n)
  local images = dn.zeros(n, 3, 32, 32):type "byte"
  core.copy(images, dn.randn(n, 3, 32, 32):mul(40):add(128))
  local labels = {}
  for i = 1, n do labels[i] = i % 10 + 1 end
  labels = dn.tensor(labels, "long")
  return { images = images, labels = labels, size = function() return n end }
end

local function main()
  local options, why = commandLine:parse(arg)
  if not options then program.refuse(why) end
  if options.help then return print(commandLine:help()) end
  local comm <close> = program.check(dn.dist.open { device = options.device })
  dn.manualSeed(1)
  local nLayers = (options.depth - 4) // 6
  local model = dn.models.densenet { blocks = { nLayers, nLayers, nLayers }, growthRate = options.growthRate,
    nClasses = 10 }:to(comm.device)
  local criterion = dn.nn.CrossEntropyCriterion()
  local optimizer = dn.optim.SGD(model, { learningRate = 0.01, momentum = 0.9 })
  local sync = dn.dist.attach(model, comm, { syncBN = options.syncBN, bucketMB = options.bucketMB })
  local normalize = dn.data.transforms.ColorNormalize { mean = { 128, 128, 128 }, std = { 64, 64, 64 } }
  local loader = dn.data.Loader { set = setOf(options.batchSize), batchSize = options.batchSize, shard = comm,
    transform = normalize }
  local times, waits, calls = {}, {}, 0
  for epoch = 0, options.nSteps do
    for _, batch in loader:run(epoch) do
      local input, target = batch.input:to(comm.device), batch.target:to(comm.device)
      comm:barrier()
      dn.synchronize(comm.device)
      local since, before = core.clock(), comm:statistics()
      local output = model:forward(input)
      criterion:forward(output, target)
      model:zeroGradParameters()
      model:backward(input, criterion:backward(output, target, comm:share(batch, criterion)))
      sync:wait()
      optimizer:step()
      dn.synchronize(comm.device)
      if epoch > 0 then
        times[epoch] = core.clock() - since
        waits[epoch] = comm:statistics().seconds - before.seconds
        calls = comm:statistics().calls - before.calls
      end
    end
  end
  comm:print(core.format("%d of %d: %.3f s a step (median of %d), of them %.4f s in %d calls "
    .. "between ranks; %d threads each",
    comm.rank, comm.size, median(times), #times, median(waits), calls, dn.threads()))
end

os.exit(program.run("bench_ranks.lua", "usage: lua bench_ranks.lua [-option value ...]", main), true)
