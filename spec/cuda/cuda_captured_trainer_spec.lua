-- The trainer with captured steps: what it leaves behind, prints and hands on is what it does without.

local core = require "densenet.core"
local dn = require "densenet"
local Console = require "densenet.train.console"
local Loader = require "densenet.data.loader"
local random = require "densenet.random"
local Trainer = require "densenet.train.trainer"

local DEVICE = "cuda:0"
local N_CLASSES, N_IMAGES, BATCH_SIZE = 3, 20, 6 -- 4 batches, the last of 2

local function images(seed, n)
  local generator, labels = random.generator(seed), {}
  local pixels = dn.empty(n, 1, 6, 6)
  core.random_normal(pixels, 0, 1, generator:reserve(pixels:nElement()))
  for i = 1, n do
    labels[i] = generator:integer(N_CLASSES)
    pixels:narrow(1, i, 1):narrow(3, 2 * labels[i], 1):add(1)
  end
  return { images = pixels, labels = dn.tensor(labels, "long"), size = function() return n end }
end

local function loaderOf(n, shuffles, batchSize)
  return Loader { set = images(1, n), batchSize = batchSize or BATCH_SIZE, nThreads = 0, seed = 3, shuffle = shuffles,
    pinFor = DEVICE }
end

-- parts: captures, precision, onBatch, complete. Returns the trainer and what it reports: lines, scores.
local function newTrainer(parts)
  dn.manualSeed(5)
  local model = dn.models.densenet { blocks = { 1, 1 }, growthRate = 4, inputChannels = 1, nClasses = N_CLASSES,
    dropRate = 0.2, optMemory = 4, precision = parts.precision }:to(DEVICE)
  local seen = { lines = {}, scores = {} }
  local trainer
  trainer = Trainer.new {
    model = model, criterion = dn.nn.CrossEntropyCriterion(nil, true, parts.smoothing or 0), captures = parts.captures,
    console = Console.new(2, {}, function(line)
      seen.lines[#seen.lines + 1] = line:gsub("Time %S+", ""):gsub(" left .*", "")
    end),
    optimizer = dn.optim.SGD(model, { learningRate = 1, momentum = 0.9, nesterov = true }),
    schedule = dn.optim.schedule.cosine { learningRate = 0.1, nEpochs = 2 },
    onBatch = parts.onBatch and function(...) return parts.onBatch(trainer, ...) end,
    onScore = function(each)
      seen.scores[#seen.scores + 1] = { each.epoch, each.n, each.steps, each.learningRate, each.score,
        each.lossScale and each.lossScale.scale }
      return true
    end,
  }
  if parts.precision == "half" then trainer.lossScale:setState { scale = 2.0 ^ 22, good = 0, skipped = 0 } end
  return trainer, seen
end

local function stateOf(trainer)
  local state = { position = trainer:position(), random = random.state() }
  for _, tensors in ipairs { trainer.model:stateDict(), trainer.optimizer:state() } do
    for name, tensor in pairs(tensors) do
      state[name] = state[name] or {}
      table.insert(state[name], tensor:to("cpu"):totable())
    end
  end
  return state
end

local function twoEpochs(parts)
  local trainer, seen = newTrainer(parts)
  local loader <close> = loaderOf(N_IMAGES, true)
  local heldOut <close> = loaderOf(7, false, 4)
  for epoch = 1, 2 do
    local trained, tested = assert(trainer:train(epoch, loader)), assert(trainer:test("Test", epoch, heldOut))
    seen[epoch] = { trained, tested }
  end
  seen.state = stateOf(trainer)
  return seen, trainer
end

describe("the trainer with captured steps", function()
  for _, precision in ipairs { "single", "half" } do
    it("learns the same, bit for bit, in " .. precision, function()
      local plain = twoEpochs { precision = precision }
      local captured, trainer = twoEpochs { precision = precision, captures = true }
      assert.same(plain, captured)
      assert.is_true((trainer.captured.step:graphs()) >= 1)
      if precision == "half" then assert.is_true(plain.state.position.lossScale.skipped > 0, "of no use") end
    end)
  end

  it("learns the same with smoothed labels", function()
    assert.same((twoEpochs { smoothing = 0.1 }), (twoEpochs { smoothing = 0.1, captures = true }))
  end)

  for _, precision in ipairs { "single", "half" } do
    it("goes on from the middle of an epoch as if nothing had happened, in " .. precision, function()
      local middle
      local whole = newTrainer { captures = true, precision = precision, onBatch = function(trainer, n)
        if n == 3 then
          middle = { position = trainer:position(), random = random.state(), model = {}, optimizer = {} }
          for part, tensors in pairs { model = trainer.model:stateDict(), optimizer = trainer.optimizer:state() } do
            for name, tensor in pairs(tensors) do middle[part][name] = tensor:clone() end
          end
        end
        return true
      end }
      local loader <close> = loaderOf(N_IMAGES, true)
      assert(whole:train(1, loader))
      local expected = assert(whole:train(2, loader))
      -- Only the second epoch's middle is kept.
      local resumed = newTrainer { captures = true, precision = precision }
      resumed.model:loadStateDict(middle.model)
      resumed.optimizer:loadState(middle.optimizer)
      resumed:goTo(middle.position)
      random.setState(middle.random)
      assert.equal(2, middle.position.epoch)
      assert.equal(3 * BATCH_SIZE, middle.position.errors.count)
      assert.same(expected, (assert(resumed:train(2, loader))))
      assert.same(stateOf(whole), stateOf(resumed))
    end)
  end

  it("knows scores a batch later, and all of them at the end and where it is saved", function()
    local known = {}
    local trainer, seen = newTrainer { captures = true, onBatch = function(trainer, n)
      if n == 3 then assert(trainer:settle()) end
      known[n] = trainer.errors.count
      return true
    end }
    local loader <close> = loaderOf(N_IMAGES, true)
    assert.equal(N_IMAGES, assert(trainer:train(1, loader)).count)
    assert.same({ 0, 6, 18, 18 }, known)
    for n = 1, 4 do assert.equal(n, seen.scores[n][2]) end
  end)

  it("notices a step later that training has diverged, and names the step", function()
    local steps = 0
    local trainer = newTrainer { captures = true, onBatch = function(trainer, n)
      steps = n
      if n == 2 then trainer.model:get("classifier").bias:fill(0 / 0) end
      return true
    end }
    local loader <close> = loaderOf(N_IMAGES, true)
    local result, message, code = trainer:train(1, loader)
    assert.is_nil(result)
    assert.equal("diverged", code)
    assert.equal("the loss is not a number in epoch 1, iteration 3 of 4: training diverged", message)
    assert.equal(3, steps)
  end)

  it("does not settle over a step that has diverged", function()
    local outcome
    local trainer = newTrainer { captures = true, onBatch = function(trainer, n)
      if n == 2 then trainer.model:get("classifier").bias:fill(1 / 0) end
      if n == 3 then
        outcome = { trainer:settle() }
        return table.unpack(outcome, 1, 3)
      end
      return true
    end }
    local loader <close> = loaderOf(N_IMAGES, true)
    assert.is_nil((trainer:train(1, loader)))
    assert.is_nil(outcome[1])
    assert.matches("in epoch 1, iteration 3 of 4: training diverged", outcome[2])
    assert.equal("diverged", outcome[3])
    assert.equal(12, trainer:position().errors.count)
  end)

  it("says when half precision overflows without any loss scale", function()
    local trainer = newTrainer { captures = true, precision = "half" }
    trainer.lossScale:setState { scale = 1.0, good = 0, skipped = 22 }
    trainer.model:get("classifier").weight:fill(6e4)
    local loader <close> = loaderOf(N_IMAGES, true)
    local result, message, code = trainer:train(1, loader)
    assert.is_nil(result)
    assert.equal("diverged", code)
    assert.matches("training diverged", message)
  end)

  it("refuses what cannot be captured", function()
    local model = dn.nn.Linear(2, 2):to(DEVICE)
    assert.error_matches(function()
      Trainer.new { model = model, criterion = dn.nn.CrossEntropyCriterion(), optimizer = dn.optim.Adam(model),
        captures = true }
    end, "the step cannot be captured: optim.Adam counts its steps on the CPU")
  end)
end)
