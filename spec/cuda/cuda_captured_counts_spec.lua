-- What a captured step takes of CUDA, counted by the emulation: one launch of a graph, a few calls beside it, and
-- nothing that waits but for what is over. The same step's plain calls are in cuda_counts_spec.lua.

local core = require "densenet.core"
local dn = require "densenet"
local Console = require "densenet.train.console"
local Loader = require "densenet.data.loader"
local random = require "densenet.random"
local Trainer = require "densenet.train.trainer"

local DEVICE = "cuda:0"
local N_BATCHES, BATCH_SIZE = 8, 4

-- What steps 6 and 7 of the trainer took, and the operations in the graph.
local function counted(precision, captures)
  dn.manualSeed(1)
  local model = dn.models.densenet { blocks = { 2, 2 }, growthRate = 4, nClasses = 5, inputChannels = 3,
    dropRate = 0.2, optMemory = 4, precision = precision }:to(DEVICE)
  local n = N_BATCHES * BATCH_SIZE
  local pixels, labels = dn.empty(n, 3, 8, 8), {}
  core.random_normal(pixels, 0, 1, random.generator(1):reserve(pixels:nElement()))
  for i = 1, n do labels[i] = (i - 1) % 5 + 1 end
  local set = { images = pixels, labels = dn.tensor(labels, "long"), size = function() return n end }
  local loader <close> = Loader { set = set, batchSize = BATCH_SIZE, nThreads = 0, seed = 1, pinFor = DEVICE }
  local took = {}
  local trainer = Trainer.new { model = model, criterion = dn.nn.CrossEntropyCriterion(), captures = captures,
    optimizer = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, nesterov = true }),
    schedule = dn.optim.schedule.cosine { learningRate = 0.1, nEpochs = 2 }, console = Console.new(2, {}, print),
    onBatch = function(batch)
      local launches, calls = core.testing.cuda_counts()
      took[batch] = { calls = calls, launches = launches }
      return true
    end }
  trainer.console = setmetatable({}, { __index = function() return function() end end })
  assert(trainer:train(1, loader))
  assert.same(took[7], took[6]) -- and so it goes on
  local nodes = captures and select(2, trainer.captured.step:graphs())
  return took[7], nodes
end

local function total(launches)
  local n = 0
  for _, count in pairs(launches) do n = n + count end
  return n
end

-- What would be in a graph: launches, products and convolutions.
local function work(took)
  local n = total(took.launches)
  for name, count in pairs(took.calls) do
    local isWork = name:find "^cublasGemm" or name:find "^cudnnConvolution" or name:find "^cudnnBackendExecute"
      or name:find "^cudaMemset"
    if isWork then n = n + count end
  end
  return n
end

describe("a captured step", function()
  for _, case in ipairs { { "single", 0 }, { "half", 1 } } do
    local precision, nConversions = table.unpack(case)
    it(("is one launch of a graph and %d copies on the GPU, in %s"):format(2 + nConversions, precision), function()
      if not core.testing.cuda_emulation "fail graph" then return pending "the emulation counts" end
      local took, nodes = counted(precision, true)
      assert.equal(2 + nConversions, total(took.launches)) -- input and target into the graph's own; and to half before
      assert.same({
        cudaGraphLaunch = 1,
        cudaMemcpyAsync = 4,        -- two on the side, of the next batch; the graph's numbers; the score
        cudaEventRecord = 6,        -- around those on the side, and behind the others
        cudaStreamWaitEvent = 3,    -- the same
        cudaStreamSynchronize = 1,  -- of the side stream: the batch after the next one may be loaded
        cudaEventSynchronize = 2,   -- the score of the step before; numbers of four steps before
      }, took.calls)
      local plain = counted(precision, false)
      assert.is_true(plain.calls["blocking copy"] >= 3, "the plain step waits")
      -- The same work. Instead of topk there is the score, of a loss that becomes double; in half the images are
      -- converted before, the loss scale moves, and gradients are divided by it.
      assert.equal(work(plain) - nConversions + 1 + (precision == "half" and 2 or 0), nodes)
    end)
  end
end)
