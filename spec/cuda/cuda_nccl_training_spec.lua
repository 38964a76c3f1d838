-- Training steps of ranks with a GPU each are those of one process with the whole batch; gradients that are too
-- large on one rank let all skip the step; overlapped or not, the bits are the same.

local gpuRanks = require "spec.support.gpu_ranks"
local ranksIt = gpuRanks.itWith(it, pending)

-- Trains case after case on this rank's GPU; rank 0 prints what came of it.
local TRAIN = [[
  local CLASSES, SIDE = 3, 8
  local comm <close> = assert(open())
  local function imageSet(n)
    dn.manualSeed(5)
    local images = dn.randn(n, 2, SIDE, SIDE):mul(40):add(120):clamp(0, 255):type "byte"
    local labels = {}
    for i = 1, n do labels[i] = (i * 7) % CLASSES + 1 end
    return { images = images, labels = dn.tensor(labels, "long"), size = function() return n end }
  end
  local function state(model, optimizer)
    local lists = {}
    for kind, all in pairs {
      parameter = model:stateDict(), gradient = model:gradDict(), optimizer = optimizer:state(),
    } do
      for name, tensor in pairs(all) do
        lists[kind .. " " .. name] = tensor:to("cpu"):double():view(tensor:nElement()):totable()
      end
    end
    return lists
  end
  local function train(case)
    local precision = case.precision
    local compute = precision == "half" and "half" or precision
    local storage = precision == "double" and "double" or "float"
    dn.manualSeed(3)
    local model = dn.models.densenet { blocks = { 2, 2 }, growthRate = 4, initChannels = 8, inputChannels = 2,
      nClasses = CLASSES, dropRate = case.dropRate or 0, optMemory = case.optMemory or 0 }:type(compute):to(device)
    local criterion = dn.nn.CrossEntropyCriterion():type(storage):to(device)
    local optimizer = dn.optim.SGD(model, { learningRate = 0.05, momentum = 0.9, weightDecay = 1e-3 })
    local lossScale = precision == "half" and dn.optim.LossScale(model) or nil
    local sync = dist.attach(model, comm, { bucketMB = (case.bucketKB or 8192) / 1024, syncBN = true })
    local normalize = dn.data.transforms.ColorNormalize { mean = { 120, 130 }, std = { 70, 75 } }
    local loader = dn.data.Loader { set = imageSet(case.images), batchSize = case.batchSize, nThreads = 0,
      shuffle = true, shard = comm, precision = storage, transform = normalize }
    dn.manualSeed(11)
    local losses, n = {}, 0
    for epoch = 1, 2 do
      for _, batch in loader:run(epoch) do
        n = n + 1
        model:zeroGradParameters()
        local input, target = batch.input:to(device):type(compute), batch.target:to(device)
        local output = model:forward(input)
        local share = comm:share(batch, criterion)
        local loss = criterion:forward(output, target)
        local scale = lossScale and lossScale.scale or 1
        model:backward(input, criterion:backward(output, target, share * scale), 1 / scale)
        if case.overflows and n == 2 and rank == size - 1 then
          local _, gradients = model:parameters()
          gradients[#gradients]:fill(math.huge)
        end
        sync:wait()
        if not lossScale or lossScale:check() then optimizer:step() end
        losses[#losses + 1] = comm:reduceNumbers({ share == 0 and 0 or loss * share })[1]
      end
    end
    sync:averageStatistics()
    local result = state(model, optimizer)
    result.losses = losses
    if lossScale then result.scale = { lossScale.scale } end
    return result
  end
  local results = {}
  for i, case in ipairs(CASES) do results[i] = train(case) end
  local text = dn.json.encode(results)
  -- All have the same, to the bit.
  local sums = {}
  for i = 1, #text do sums[(i - 1) // 64 + 1] = ((sums[(i - 1) // 64 + 1] or 7) * 31 + text:byte(i)) % 0x7fffffff end
  local all = comm:allGather(dn.tensor(sums, "long", device)):view(size, #sums)
  for r = 1, size do assert((all:select(1, r) - all:select(1, 1)):abs():max() == 0, "ranks differ") end
  if rank == 0 then print(text) end
]]

local function run(n, cases)
  local outputs, statuses = gpuRanks.run(n, "local CASES = { " .. cases .. " }\n" .. TRAIN, { seconds = 150 })
  for rank = 0, n - 1 do assert.equal(0, statuses[rank], outputs[rank]) end
  return gpuRanks.decode(outputs[0])
end

local function difference(expected, found)
  local most, where = 0, ""
  for name, list in pairs(expected) do
    assert.equal(#list, #found[name], name)
    for i, value in ipairs(list) do
      local off = math.abs(value - found[name][i]) / math.max(1, math.abs(value))
      if off > most or off ~= off then most, where = off, ("%s, element %d"):format(name, i) end
    end
  end
  return most, where
end

local CASES = {
  { "memory mode 0", "images = 12, batchSize = 6, precision = 'double'", 1e-12 },
  { "memory mode 4, dropout, ragged",
    "images = 7, batchSize = 5, optMemory = 4, dropRate = 0.3, precision = 'double'", 1e-12 },
  { "memory mode 5", "images = 12, batchSize = 6, optMemory = 5, precision = 'double'", 1e-12 },
  { "a rank without images", "images = 8, batchSize = 6, optMemory = 4, precision = 'double'", 1e-12 },
  { "float", "images = 12, batchSize = 6, optMemory = 4, precision = 'float'", 1e-4 },
}

local function text()
  local list = {}
  for i, case in ipairs(CASES) do list[i] = "{ " .. case[2] .. " }" end
  return table.concat(list, ", ")
end

describe("ranks on GPUs", function()
  local alone

  for _, n in ipairs { 2, 3, 4 } do
    ranksIt(n, ("train as %d what one process trains"):format(n), function()
      alone = alone or run(1, text())
      local found = run(n, text())
      for i, case in ipairs(CASES) do
        local most, where = difference(alone[i], found[i])
        assert.is_true(most <= case[3], ("%s: %g at %s"):format(case[1], most, where))
        assert.is_true(#found[i].losses >= 4)
      end
    end)
  end

  ranksIt(2, "skip a step together where one has gradients that are too large", function()
    local found = run(2, "{ images = 12, batchSize = 6, optMemory = 4, precision = 'half', overflows = true }")[1]
    assert.same({ 2 ^ 15 }, found.scale)
    for name, list in pairs(found) do
      for _, value in ipairs(list) do
        if not name:find "^gradient" then assert.is_true(value == value and math.abs(value) < math.huge, name) end
      end
    end
  end)

  ranksIt(3, "train the same bits with buckets of 1 KB beside the backward pass as with one behind it", function()
    local case = "{ images = 12, batchSize = 6, optMemory = 4, precision = 'float', bucketKB = %s }"
    local found = run(3, case:format(1) .. ", " .. case:format(8192))
    assert.same(found[2], found[1])
    assert.is_true(#found[1].losses == 4)
  end)
end)
