-- The trainer on a task small enough to be learned in seconds: bright rows of noisy images, one row
-- a class.
local core = require "densenet.core"
local dn = require "densenet"
local Console = require "densenet.train.console"
local Loader = require "densenet.data.loader"
local random = require "densenet.random"
local Trainer = require "densenet.train.trainer"

local n_classes, n_images, batch_size = 3, 50, 8 -- 7 batches, the last of 2

local function images(seed)
  local generator = random.generator(seed)
  local pixels, labels = {}, {}
  for i = 1, n_images do
    labels[i] = generator:integer(n_classes)
    local image = {}
    for y = 1, 6 do
      image[y] = {}
      for x = 1, 6 do image[y][x] = generator:normal(y == 2 * labels[i] and 1 or 0, 0.3) end
    end
    pixels[i] = { image }
  end
  return { images = dn.tensor(pixels), labels = dn.tensor(labels, "long"), size = function() return n_images end }
end

local function loader_of(set, shuffle, size)
  return Loader { set = set, batchSize = size or batch_size, nThreads = 0, seed = 3, shuffle = shuffle }
end

local function new_trainer(parts)
  parts = parts or {}
  dn.manualSeed(5)
  local model = dn.models.densenet { blocks = { 1, 1 }, growthRate = 4, inputChannels = 1, nClasses = n_classes,
    dropRate = parts.dropRate, precision = parts.precision }
  local lines = {}
  local console = Console.new(3, {}, function(line) lines[#lines + 1] = line end)
  return Trainer.new {
    model = model, criterion = dn.nn.CrossEntropyCriterion(), console = console,
    optimizer = dn.optim.SGD(model, { learningRate = 1, momentum = 0.9, nesterov = true }),
    schedule = dn.optim.schedule.cosine { learningRate = 0.1, nEpochs = parts.nEpochs or 3 },
    onBatch = parts.onBatch, interrupted = parts.interrupted,
  }, lines
end

local function copy_of(tensors)
  local copies = {}
  for name, tensor in pairs(tensors) do copies[name] = tensor:clone() end
  return copies
end

local function assert_same_tensors(expected, actual)
  for name, tensor in pairs(expected) do
    assert.is_truthy(actual[name], name)
    assert.same(tensor:totable(), actual[name]:totable(), name)
  end
end

describe("the trainer", function()
  before_each(function() core.threads(1) end)

  it("learns", function()
    local trainer = new_trainer { nEpochs = 12 }
    local loader, held_out = loader_of(images(1), true), loader_of(images(2), false)
    local first, last = assert(trainer:train(1, loader)), nil
    for epoch = 2, 12 do last = assert(trainer:train(epoch, loader)) end
    assert.is_true(last.loss < 0.5 * first.loss, ("%g after %g"):format(last.loss, first.loss))
    assert.equal(n_images, last.count)
    local tested = assert(trainer:test("Test", 12, held_out))
    assert.is_true(tested.top1 < 20, tested.top1)
    assert.equal(0, tested.top5)
  end)

  for _, precision in ipairs { "half", "bfloat16", "double" } do
    it("learns in " .. precision .. " precision as well", function()
      local exact, trainer = new_trainer { nEpochs = 12 }, new_trainer { nEpochs = 12, precision = precision }
      local loader = loader_of(images(1), true)
      local first, right = assert(trainer:train(1, loader)), assert(exact:train(1, loader))
      assert.is_true(math.abs(first.loss - right.loss) < 0.1 * right.loss, ("%g for %g"):format(first.loss, right.loss))
      local last
      for epoch = 2, 12 do last = assert(trainer:train(epoch, loader)) end
      assert.is_true(last.loss < 0.5 * first.loss, ("%g after %g"):format(last.loss, first.loss))
      for name, tensor in pairs(trainer.model:stateDict()) do
        assert.equal(precision == "double" and "double" or "float", tensor:dtype(), name)
      end
      assert.equal(precision == "half", trainer.lossScale ~= nil)
      assert.is_true(assert(trainer:test("Test", 12, loader_of(images(2), false))).top1 < 20)
    end)
  end

  it("skips steps whose gradients overflow half, and halves the scale", function()
    local trainer, lines = new_trainer { precision = "half" }
    trainer.lossScale:setState { scale = 2 ^ 24, good = 0, skipped = 0 }
    local steps, original = 0, trainer.optimizer.step
    trainer.optimizer.step = function(...)
      steps = steps + 1
      return original(...)
    end
    assert(trainer:train(1, loader_of(images(1), true)))
    local scaling = trainer.lossScale
    assert.is_true(scaling.skipped > 0)
    assert.equal(7, steps + scaling.skipped)
    assert.equal(2.0 ^ (24 - scaling.skipped), scaling.scale)
    assert.same(scaling:state(), trainer:position().lossScale)
    assert.is_truthy(table.concat(lines, "\n"):find(("loss scale %g, skipped %d steps"):format(scaling.scale,
      scaling.skipped), 1, true))
    for name, tensor in pairs(trainer.model:stateDict()) do
      assert.equal(0, tensor:sum() - tensor:sum(), name)
    end
  end)

  it("stops where gradients overflow half even without a scale", function()
    local trainer = new_trainer { precision = "half" }
    trainer.lossScale:setState { scale = 2, good = 0, skipped = 15 }
    local backward = trainer.model.backward
    trainer.model.backward = function(model, ...)
      local gradInput = backward(model, ...)
      model:get("classifier").gradBias:fill(1 / 0)
      return gradInput
    end
    local before = copy_of(trainer.model:get("classifier"):stateDict())
    local result, message, code = trainer:train(1, loader_of(images(1), true))
    assert.is_nil(result)
    assert.equal("diverged", code)
    assert.is_truthy(message:find("gradients overflow half precision without any loss scale in epoch 1, iteration 2", 1,
      true), message)
    assert_same_tensors(before, trainer.model:get("classifier"):stateDict())
  end)

  it("says once that a network has no memory plan, and why", function()
    local trainer, lines = new_trainer()
    local forward = trainer.model.forward
    trainer.model.forward = function(model, input)
      local output = forward(model, input)
      model.planFailure = "its reason"
      return output
    end
    assert(trainer:train(1, loader_of(images(1), true)))
    local _, n = table.concat(lines, "\n"):gsub("cannot be planned, so every buffer is kept by itself: its reason", "")
    assert.equal(1, n)
  end)

  it("goes on from the middle of an epoch as if it had not stopped", function()
    local loader = loader_of(images(1), true)
    local whole = new_trainer { dropRate = 0.2 }
    local results = { (assert(whole:train(1, loader))), (assert(whole:train(2, loader))) }

    local saved
    local first = new_trainer { dropRate = 0.2 }
    assert(first:train(1, loader))
    first.onBatch = function(n)
      if n < 3 then return true end
      saved = {
        position = dn.json.decode(dn.json.encode(first:position())), random = random.state(),
        model = copy_of(first.model:stateDict()), optimizer = copy_of(first.optimizer:state()),
      }
      return nil, "stopped", "interrupted"
    end
    local result, message, code = first:train(2, loader)
    assert.is_nil(result)
    assert.equal("stopped", message)
    assert.equal("interrupted", code)

    local second = new_trainer { dropRate = 0.2 }
    dn.manualSeed(99)
    second.model:loadStateDict(saved.model)
    second.optimizer:loadState(saved.optimizer)
    second:goTo(saved.position)
    random.setState(saved.random)
    assert.same(results[2], (assert(second:train(2, loader_of(images(1), true)))))
    assert_same_tensors(whole.model:stateDict(), second.model:stateDict())
    assert_same_tensors(whole.optimizer:state(), second.optimizer:state())
  end)

  it("has nothing to do at the end of an epoch", function()
    local trainer = new_trainer()
    local loader = loader_of(images(1), true)
    local result = assert(trainer:train(1, loader))
    local before = copy_of(trainer.model:stateDict())
    trainer:goTo(trainer:position())
    assert.same(result, (assert(trainer:train(1, loader))))
    assert_same_tensors(before, trainer.model:stateDict())
  end)

  it("follows the schedule batch by batch", function()
    local rates = {}
    local trainer
    trainer = new_trainer { onBatch = function(n)
      rates[n] = trainer.optimizer.learningRate
      return true
    end }
    assert(trainer:train(2, loader_of(images(1), true)))
    local schedule = dn.optim.schedule.cosine { learningRate = 0.1, nEpochs = 3 }
    for n = 1, 7 do assert.equal(schedule:learningRate(2, n, 7), rates[n]) end
    assert.is_true(rates[7] < rates[1])
  end)

  it("stops at a loss that is no number, before it reaches the weights", function()
    local steps = 0
    local trainer
    trainer = new_trainer { onBatch = function(n)
      steps = n
      if n == 2 then trainer.model:get("classifier").bias:fill(0 / 0) end
      return true
    end }
    local before
    local original = trainer.optimizer.step
    trainer.optimizer.step = function(...)
      original(...)
      before = copy_of(trainer.optimizer:state())
    end
    local result, message, code = trainer:train(1, loader_of(images(1), true))
    assert.is_nil(result)
    assert.equal("diverged", code)
    assert.is_truthy(message:find("in epoch 1, iteration 3 of 7", 1, true), message)
    assert.equal(2, steps)
    assert_same_tensors(before, trainer.optimizer:state())
  end)

  it("tests without changing anything, whatever the batch", function()
    local trainer = new_trainer { dropRate = 0.5 }
    assert(trainer:train(1, loader_of(images(1), true)))
    local before, generator = copy_of(trainer.model:stateDict()), random.state()
    local one = assert(trainer:test("Test", 1, loader_of(images(2), false, 7)))
    local other = assert(trainer:test("Test", 1, loader_of(images(2), false, 50)))
    assert_same_tensors(before, trainer.model:stateDict())
    assert.same(generator, random.state())
    assert.equal(one.top1, other.top1)
    assert.is_true(math.abs(one.loss - other.loss) < 1e-5 * other.loss)
  end)

  it("leaves a test when asked to", function()
    local n = 0
    local trainer = new_trainer { interrupted = function()
      n = n + 1
      return n == 2
    end }
    local result, _, code = trainer:test("Test", 1, loader_of(images(2), false))
    assert.is_nil(result)
    assert.equal("interrupted", code)
    assert.equal(2, n)
  end)
end)
