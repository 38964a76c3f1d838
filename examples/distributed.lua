-- A training script of one's own on one process or several: pictures made in Lua, trained on by all ranks together.
--
--   eval $(make env); lua5.4 examples/distributed.lua [epochs, 3 by default]
--   densenet run -n 2 -device cpu examples/distributed.lua
--   mpirun -np 2 lua5.4 examples/distributed.lua

local dn = require "densenet"
local nEpochs = tonumber(arg and arg[1]) or 3

-- Rank, size and device; rank 0 of 1 where nobody has started others.
local comm <close> = assert(dn.dist.open { device = "auto" })

-- All ranks seed alike and build the same network.
dn.manualSeed(7)
local train = assert(dn.data.open("examples.spirals", { split = "train" }))
local test = assert(dn.data.open("examples.spirals", { split = "test" }))
local model = dn.models.densenet { depth = 10, growthRate = 8, inputChannels = 1, nClasses = #train.classes,
  dropRate = 0.1 }
model = model:to(comm.device)
local criterion = dn.nn.CrossEntropyCriterion():to(comm.device)
local sgd = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, nesterov = true, weightDecay = 1e-4 })
local rate = dn.optim.schedule.cosine { learningRate = 0.1, nEpochs = nEpochs }

-- The network becomes rank 0's, and its gradients are added up over the ranks from here on.
local sync = dn.dist.attach(model, comm, { syncBN = true })

-- batchSize is the whole batch: with two ranks each of them gets 16 of the 32.
local function loaderOf(set, split)
  return dn.data.Loader { set = set, batchSize = 32, shuffle = split == "train", shard = comm,
    transform = dn.data.preprocess(set, split) }
end
local loader, testLoader = loaderOf(train, "train"), loaderOf(test, "test")

for epoch = 1, nEpochs do
  model:training()
  for n, batch in loader:run(epoch) do
    local input, target = batch.input:to(comm.device), batch.target:to(comm.device)
    sgd.learningRate = rate(epoch, n, loader:size())
    local output = model:forward(input)
    criterion:forward(output, target)
    model:zeroGradParameters()
    model:backward(input, criterion:backward(output, target, comm:share(batch, criterion)))
    sync:wait()
    sgd:step()
  end

  sync:averageStatistics()
  model:evaluate()
  local right, count = 0, 0
  for _, batch in testLoader:run(1) do
    local output = model:forward(batch.input:to(comm.device))
    local _, guesses = output:max(2)
    guesses = guesses:to("cpu"):view(guesses:size(1)):totable()
    for i = 1, batch.size do
      if guesses[i] == batch.target:at(i) then right = right + 1 end
    end
    count = count + batch.size
  end
  local sums = comm:reduceIntegers { right, count }
  comm:print(("epoch %d: %.1f %% of the %d test pictures right"):format(epoch, 100 * sums[1] / sums[2], sums[2]))
end

-- One rank writes; the others wait until it has.
local path = arg and arg[2]
if path and comm.rank == 0 then assert(dn.safetensors.save(path, model:stateDict())) end
comm:barrier()
