-- All ranks, two or more: what dist.attach and shares refuse, and what they do beside plain steps; rank 0 prints how
-- often it went wrong.
local root = arg[0]:match "^(.*)/spec/" or "."
dofile(root .. "/scripts/setup.lua")
local core = require "densenet.core"
local batchShare = require "densenet.nn.batch_share"
local dn = require "densenet"
local nn = dn.nn

local comm <close> = assert(dn.dist.open { device = "cpu", timeout = 60 })
local rank, size = comm.rank, comm.size
local wrong, checks = {}, 0

local function expect(is, text, ...)
  checks = checks + 1
  if not is then wrong[#wrong + 1] = ("rank %d: "):format(rank) .. text:format(...) end
end

local function refused(part, action, ...)
  local done, message = pcall(action, ...)
  expect(not done and tostring(message):find(part, 1, true), "'%s' expected, got %s", part, tostring(message))
end

local function near(a, b) return math.abs(a - b) < 1e-6 end

local function linear()
  dn.manualSeed(rank) -- not alike
  return nn.Sequential():add(nn.Linear(3, 2)):add(nn.Tanh()):add(nn.Linear(2, 2))
end

-- ---- Networks become rank 0's; other networks are refused ----
local model = linear()
local sync = dn.dist.attach(model, comm)
for _, name in ipairs { "0.weight", "0.bias", "2.weight", "2.bias" } do -- in one order
  local all = comm:allGather(model:stateDict()[name])
  for r = 2, size do
    expect(near((all:select(1, r) - all:select(1, 1)):abs():max(), 0), "%s differs after attach", name)
  end
end
refused("the ranks' networks have different names, types or sizes", dn.dist.attach, nn.Sequential():add(nn.Linear(3,
  2 + rank)),
  comm)
refused("dist.attach has no option 'bucketMb'; did you mean 'bucketMB'?", dn.dist.attach, model, comm, { bucketMb = 1 })
refused("bucketMB: more than 0 expected, got 0", dn.dist.attach, model, comm, { bucketMB = 0 })
refused("trains no parameters", dn.dist.attach, nn.Sequential():add(nn.Tanh()), comm)
refused("a communicator expected", dn.dist.attach, model, {})

-- ---- Sums, pauses, and passes too many ----
local x, dy = dn.ones(2, 3):mul(rank + 1), dn.ones(2, 2)
local function pass()
  model:forward(x)
  model:backward(x, dy)
end
local _, gradients = model:parameters()
local function bias() return gradients[4]:at(1) end -- of the last layer: the sum of dy's rows

model:zeroGradParameters()
pass()
sync:wait()
expect(bias() == 2 * size, "the sum over the ranks is %g", bias())
model:zeroGradParameters()
sync:pause()
pass()
sync:wait()
expect(bias() == 2, "a paused pass is not added up: %g", bias())
sync:resume()
pass()
sync:wait()
expect(bias() == 4 * size, "two passes come to %g", bias())
model:zeroGradParameters()
pass()
refused("a second backward pass before sync:wait()", pass)
sync:wait()

-- ---- A gradient that has moved ----
model:getParameters()
model:zeroGradParameters()
refused("the gradients have moved since dist.attach", function()
  pass()
  sync:wait()
end)
sync:detach()
comm:join()

-- ---- optim.LossScale made before: its vector is the one that is added up ----
model = linear()
local scale = dn.optim.LossScale(model)
sync = dn.dist.attach(model, comm)
_, gradients = model:parameters()
model:zeroGradParameters()
pass()
sync:wait()
expect(bias() == 2 * size and scale:check(), "with a loss scale the sum is %g", bias())
gradients[1]:fill(rank == size - 1 and 1 / 0 or 0)
pass()
sync:wait()
expect(not scale:check() and scale.skipped == 1, "an overflow on one rank is one of all")
sync:detach()
model:zeroGradParameters()
pass()
expect(bias() == 2, "detached the gradients are this rank's own: %g", bias())

-- ---- A module that no pass reaches, and one that stands in two places ----
local shared = nn.Linear(2, 2)
model = nn.Sequential():add(nn.Linear(3, 2)):add(shared):add(nn.Tanh()):add(shared)
local aside = nn.Linear(4, 1)
model.parameters = function(self)
  local w, g = nn.Sequential.parameters(self)
  w[#w + 1], g[#g + 1] = aside.weight, aside.gradWeight
  return w, g
end
refused("a parameter that `parameters` lists stands in no field", dn.dist.attach, model, comm)
model.aside, model.gradAside = aside.weight, aside.gradWeight
model.parameters = function(self)
  local w, g = nn.Sequential.parameters(self)
  w[#w + 1], g[#g + 1] = self.aside, self.gradAside
  return w, g
end
sync = dn.dist.attach(model, comm, { bucketMB = 1e-5 })
model:zeroGradParameters()
core.fill(model.gradAside, rank)
pass()
local expected = comm:allReduce(shared.gradBias:clone(), "sum")
sync:wait()
expect(near((shared.gradBias - expected):abs():max(), 0), "a module in two places")
local left = model.gradAside:at(1, 1)
expect(left == size * (size - 1) / 2, "what no pass reaches adds what is in it: %g", left)
sync:detach()

-- ---- Shares ----
local own = rank == 0 and 0 or rank -- rank 0 has none
comm:enter { size = own }
local share = batchShare.get()
expect(share.whole == size * (size - 1) / 2 and share.size == own, "entered: %d of %d", share.size, share.whole)
expect(comm:share { size = own } == own / share.whole, "a share of images")
expect(comm:share({ size = own }, nn.MSECriterion(false)) == (own == 0 and 0 or 1), "a criterion of sums")
local weighted = nn.CrossEntropyCriterion(dn.tensor { 1, 3 })
local labels = {}
for i = 1, math.max(own, 1) do labels[i] = i % 2 + 1 end
local part = comm:share({ size = own, target = dn.tensor(labels, "long") }, weighted)
expect(near(comm:reduceNumbers({ part })[1], 1), "shares of class weights add up to 1")
expect((part == 0) == (own == 0), "none of it where there is no image")
refused("class weights of a criterion inside nn.MultiCriterion", comm.share, comm, { size = own },
  nn.MultiCriterion():add(weighted))
refused("a batch, with size expected", comm.enter, comm, 3)
comm:enter(nil)
expect(batchShare.get() == nil, "left")
refused("shard must be a communicator", dn.data.Loader, { set = { size = function() return 1 end,
  get = function() end },
  batchSize = 1, shard = { rank = 2, size = 2 } })

-- A norm over all ranks has to know how many images they have.
local norm = nn.Sequential():add(nn.SpatialBatchNormalization(2))
local normSync = dn.dist.attach(norm, comm, { syncBN = true })
refused("a norm over all ranks has to know the ranks' shares of the batch", norm.forward, norm, dn.ones(2, 2, 3, 3))
comm:enter { size = 2 }
norm:forward(dn.randn(2, 2, 3, 3):add(rank))
local mean = norm:get(1).running_mean:clone()
expect(near((comm:broadcast(mean:clone()) - mean):abs():max(), 0), "running statistics are all ranks'")
local copy = norm:clone()
comm:enter(nil)
copy:forward(dn.ones(2, 2, 3, 3):mul(rank)) -- a copy is not attached: it waits for nobody
normSync:detach()
norm:forward(dn.ones(2, 2, 3, 3):mul(rank))

-- ---- What a rank takes is what was planned ----
local syncNorm = require "densenet.nn.sync_norm"
core.threads(1)
for mode = 0, 5 do
  local config = { blocks = { 2, 3, 2 }, growthRate = 12, inputChannels = 3, nClasses = 10, optMemory = mode }
  local shadow = dn.models.withoutMemory(config)
  syncNorm.attachAll(shadow, { size = size })
  local plannedBytes = shadow:plan({ 8, 3, 16, 16 }, { exchange = true }).totalBytes
  collectgarbage()
  collectgarbage()
  core.scratch_release()
  local before = core.memory("cpu").live
  local planned = dn.models.fromConfig(config)
  local images = dn.randn(8, 3, 16, 16)
  local sgd = dn.optim.SGD(planned, { learningRate = 0.1, momentum = 0.9 })
  local plannedSync = dn.dist.attach(planned, comm, { syncBN = true })
  comm:enter { size = 8 }
  collectgarbage()
  collectgarbage()
  core.memory_reset_peak("cpu")
  for _ = 1, 3 do
    local output = planned:forward(images)
    expect(planned.planFailure == nil, "%s", tostring(planned.planFailure))
    planned:zeroGradParameters()
    planned:backward(images, output)
    plannedSync:wait()
    sgd:step()
  end
  local used = core.memory("cpu").peak - before
  expect(math.abs(used / plannedBytes - 1) < 0.03, "mode %d: planned %d, used %d", mode, plannedBytes, used)
  plannedSync:detach()
  comm:enter(nil)
end

for _, text in ipairs(wrong) do io.stderr:write(text, "\n") end
local all = comm:reduceIntegers { #wrong }
comm:print(dn.json.encode { wrong = all[1], checks = checks })
