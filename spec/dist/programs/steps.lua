-- All ranks: trains small networks for a few steps on images made here, one after the other as arg[1] lists them (a Lua
-- table), and rank 0 prints what each came to: losses, parameters, gradients, velocities, running statistics.
--
-- A case: images, batchSize, epochs (1); optMemory (0); dropRate (0); precision ("double"); syncBN; weights (true:
-- class weights); bucketKB (8192); family (nil: a DenseNet; "plain": no norms; "dropout": dropout on rows of 3
-- elements); passes (1: backward passes a step, on halves of the share, paused but for the last); slices (true: as
-- `size` processes one after the other, by hand, in one process)
local root = arg[0]:match "^(.*)/spec/" or "."
dofile(root .. "/scripts/setup.lua")
local core = require "densenet.core"
local dn = require "densenet"
local random = require "densenet.random"
local nn, optim = dn.nn, dn.optim

local comm <close> = assert(dn.dist.open { device = "cpu", timeout = 60 })

local CLASSES, SIDE = 3, 8

local function imageSet(n)
  local generator = random.generator(5)
  local images, labels = dn.zeros(n, 2, SIDE, SIDE):type "byte", {}
  local pixels = {}
  for i = 1, n * 2 * SIDE * SIDE do pixels[i] = generator:integer(256) - 1 end
  core.copy(images:view(n * 2 * SIDE * SIDE), dn.tensor(pixels, "byte"))
  for i = 1, n do labels[i] = generator:integer(CLASSES) end
  labels = dn.tensor(labels, "long")
  return { images = images, labels = labels, size = function() return n end }
end

local function network(case)
  dn.manualSeed(3)
  if case.family == "plain" then
    local net = nn.Sequential()
    net:add(nn.SpatialConvolution(2, 4, 3, 3, 1, 1, 1, 1)):add(nn.ReLU()):add(nn.SpatialMaxPooling(2, 2))
    net:add(nn.Flatten()):add(nn.Linear(4 * SIDE * SIDE // 4, 5)):add(nn.Tanh()):add(nn.Linear(5, CLASSES))
    return net:type(case.precision)
  elseif case.family == "dropout" then
    local net = nn.Sequential()
    net:add(nn.Flatten()):add(nn.Linear(2 * SIDE * SIDE, 3)):add(nn.BatchNormalization(3)):add(nn.Dropout(0.3))
    net:add(nn.Linear(3, CLASSES))
    return net:type(case.precision)
  end
  local model = dn.models.densenet { blocks = { 2, 2 }, growthRate = 4, initChannels = 8, inputChannels = 2,
    nClasses = CLASSES, dropRate = case.dropRate, optMemory = case.optMemory }
  return model:type(case.precision)
end

local function state(model, optimizer)
  local all = {}
  for name, tensor in pairs(model:stateDict()) do all["parameter " .. name] = tensor end
  for name, tensor in pairs(model:gradDict()) do all["gradient " .. name] = tensor end
  for name, tensor in pairs(optimizer:state()) do all["optimizer " .. name] = tensor end
  local lists = {}
  for name, tensor in pairs(all) do lists[name] = tensor:double():view(tensor:nElement()):totable() end
  return lists
end

-- A part of a share: rows first to last of the tensors.
local function backward(model, criterion, batch, weight)
  local output = model:forward(batch.input)
  local loss = criterion:forward(output, batch.target)
  model:backward(batch.input, criterion:backward(output, batch.target, weight))
  return weight == 0 and 0 or loss * weight
end

local function step(case, model, criterion, sync, batch)
  local share = comm:share(batch, criterion)
  if case.passes ~= 2 or batch.size < 2 then
    if sync and case.passes == 2 then sync:resume() end
    return backward(model, criterion, batch, share)
  end
  local middle = batch.size // 2
  local loss = 0
  for pass, range in ipairs { { 1, middle }, { middle + 1, batch.size - middle } } do
    local part = { input = batch.input:narrow(1, range[1], range[2]), target = batch.target:narrow(1, range[1],
      range[2]) }
    if pass == 1 then sync:pause() else sync:resume() end
    loss = loss + backward(model, criterion, part, share * range[2] / batch.size)
  end
  return loss
end

local function transform()
  local transforms = dn.data.transforms
  return transforms.Compose { transforms.ColorNormalize { mean = { 120, 130 }, std = { 70, 75 } },
    transforms.HorizontalFlip(0.5) }
end

local function train(case)
  case.precision = case.precision or "double"
  case.dropRate, case.optMemory = case.dropRate or 0, case.optMemory or 0
  local model = network(case)
  local weights = case.weights and dn.tensor({ 0.5, 2, 1.25 }, case.precision) or nil
  local criterion = nn.CrossEntropyCriterion(weights):type(case.precision)
  local optimizer = optim.SGD(model, { learningRate = 0.05, momentum = 0.9, weightDecay = 1e-3 })
  if comm.rank > 0 then -- what only rank 0 has right
    for _, tensor in pairs(model:stateDict()) do core.fill(tensor, 7) end
  end
  local sync = dn.dist.attach(model, comm, { bucketMB = (case.bucketKB or 8192) / 1024, syncBN = case.syncBN })
  local loader = dn.data.Loader { set = imageSet(case.images), batchSize = case.batchSize, nThreads = case.nThreads
    or 0,
    shuffle = true, shard = comm, precision = case.precision == "double" and "double" or "float",
      transform = transform() }
  dn.manualSeed(11)
  local losses = {}
  for epoch = 1, case.epochs or 1 do
    for _, batch in loader:run(epoch) do
      model:zeroGradParameters()
      local loss = step(case, model, criterion, sync, batch)
      sync:wait()
      optimizer:step()
      losses[#losses + 1] = comm:reduceNumbers({ loss })[1]
    end
  end
  sync:averageStatistics()
  loader:close()
  sync:detach()
  local result = state(model, optimizer)
  result.losses, result.random = losses, { random.state().position }
  return result
end

-- Ranks as one process does by hand what they do together: each slice has a network of its own.
local function trainSlices(case)
  local n, models, optimizers, loaders, parts = case.slices, {}, {}, {}, {}
  case.precision, case.dropRate, case.optMemory = "double", 0, case.optMemory or 0
  local criterion = nn.CrossEntropyCriterion():double()
  for r = 1, n do
    models[r] = network(case)
    optimizers[r] = optim.SGD(models[r], { learningRate = 0.05, momentum = 0.9, weightDecay = 1e-3 })
    loaders[r] = dn.data.Loader { set = imageSet(case.images), batchSize = case.batchSize, shuffle = true,
      shard = { rank = r - 1, size = n }, precision = "double", transform = transform() }
    parts[r] = loaders[r]:run(1)
  end
  dn.manualSeed(11)
  local losses, seen = {}, {}
  for _ = 1, loaders[1]:size() do
    local loss = 0
    for r = 1, n do
      local _, batch = parts[r]()
      models[r]:zeroGradParameters()
      loss = loss + backward(models[r], criterion, batch, batch.size / batch.share.whole)
      seen[r] = (seen[r] or 0) + batch.size
    end
    losses[#losses + 1] = loss
    local _, sums = models[1]:parameters()
    for r = 2, n do
      local _, gradients = models[r]:parameters()
      for i, gradient in ipairs(gradients) do sums[i]:add(gradient) end
    end
    for r = 1, n do
      local _, gradients = models[r]:parameters()
      for i, gradient in ipairs(gradients) do core.copy(gradient, sums[i]) end
      optimizers[r]:step()
    end
  end
  local states, total = {}, 0
  for r = 1, n do states[r], total = models[r]:stateDict(), total + seen[r] end
  for name, tensor in pairs(states[1]) do
    if name:find "running" then
      tensor:mul(seen[1] / total)
      for r = 2, n do core.add_scaled(tensor, tensor, states[r][name], seen[r] / total) end
    end
  end
  local result = state(models[1], optimizers[1])
  result.losses, result.random = losses, { random.state().position }
  return result
end

local results = {}
for i, case in ipairs(load("return " .. arg[1])()) do
  results[i] = case.slices and trainSlices(case) or train(case)
end
comm:print(dn.json.encode(results))
comm:close()
