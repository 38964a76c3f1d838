-- The plan of an evaluation: what is measured is what was planned; less than a step of training takes, and in its
-- memory where there is one; and whoever wants more than the output gets it, or a refusal.
local core = require "densenet.core"
local dn = require "densenet"
local evaluation = require "densenet.nn.evaluation"
local inForce = require "densenet.nn.plan.in_force"
local nn = dn.nn

local function config(options)
  local complete = { inputChannels = 3, nClasses = 10, optMemory = 4 }
  for name, value in pairs(options) do complete[name] = value end
  return complete
end

local function build(options)
  dn.manualSeed(1)
  return dn.models.fromConfig(config(options))
end

local function images(model, n, size) return dn.randn(n, 3, size, size):type(model:activationType()) end

local function planOf(options, n, size)
  return dn.models.withoutMemory(config(options)):plan({ n, 3, size, size }, { evaluate = true })
end

-- The most bytes that evaluations of a new network hold, and the allocations of those after the first.
local function measure(options, n, size)
  collectgarbage()
  collectgarbage()
  core.scratch_release()
  local before = core.memory("cpu").live
  local model = build(options):evaluate()
  local x = images(model, n, size)
  collectgarbage()
  collectgarbage()
  core.memory_reset_peak("cpu")
  model:forward(x)
  local allocations = core.memory("cpu").allocations
  for _ = 1, 2 do model:forward(x) end
  local figures = core.memory("cpu")
  return figures.peak - before, figures.allocations - allocations
end

local CASES = {
  { "a DenseNet-BC", { blocks = { 2, 3, 2 }, growthRate = 12 }, 8, 16 },
  { "one without bottlenecks", { blocks = { 3, 2, 3 }, growthRate = 12, bottleneck = false }, 8, 16 },
  { "one in double precision", { blocks = { 2, 2 }, growthRate = 8, precision = "double" }, 4, 16 },
  { "one in half precision", { blocks = { 2, 2 }, growthRate = 8, dropRate = 0.2, precision = "half" }, 4, 16 },
  { "one for ImageNet", { blocks = { 2, 2 }, growthRate = 8, stem = "imagenet" }, 2, 64 },
  { "one whose batch is cut into parts", { blocks = { 1, 1 }, growthRate = 4 }, 13, 256 },
}

describe("a plan for evaluation", function()
  for _, case in ipairs(CASES) do
    for _, mode in ipairs { 0, 1, 2, 3, 4, 5 } do
      it(("is what %s takes in mode %d, and evaluations after the first allocate nothing"):format(case[1], mode),
        function()
          core.threads(1)
          local options = { optMemory = mode }
          for name, value in pairs(case[2]) do options[name] = value end
          local planned = planOf(options, case[3], case[4]).totalBytes
          local measured, allocations = measure(options, case[3], case[4])
          assert.is_true(math.abs(measured / planned - 1) <= 0.02, ("planned %d, measured %d bytes"):format(planned,
            measured))
          assert.equal(0, allocations)
        end)
    end
  end

  it("is less than one for training, in every mode", function()
    for mode = 0, 5 do
      local options = { blocks = { 6, 6, 6 }, growthRate = 12, optMemory = mode }
      local training = dn.models.withoutMemory(config(options)):plan { 64, 3, 32, 32 }
      assert.is_true(training:ofEvaluation().totalBytes < training.totalBytes, mode)
    end
  end)

  it("has rows that add up and never share bytes that live together", function()
    local plan = planOf({ blocks = { 2, 2 }, growthRate = 4 }, 4, 16)
    local byName = {}
    for _, row in ipairs(plan.rows) do
      assert.is_nil(byName[row.name], row.name)
      byName[row.name] = row
    end
    assert.is_true(byName["features.denseblock1.denselayer1.conv1.packedWeight"].isKept)
    assert.equal("step", byName["features.conv0.packedWeight"].lifetime)
    assert.equal("layer", byName["features.denseblock1.output"].lifetime)
    assert.is_nil(byName.gradOutput)
    for i, a in ipairs(plan.placed) do
      for j = i + 1, #plan.placed do
        local b = plan.placed[j]
        local one, other = a.lives.evaluation, b.lives.evaluation
        if one.first <= other.last and other.first <= one.last then
          assert.is_true(a.offset >= b.offset + b.bytes or b.offset >= a.offset + a.bytes, a.name .. ", " .. b.name)
        end
      end
    end
    assert.matches("^Memory of an evaluation%.", plan:table())
    local training = dn.models.withoutMemory(config { blocks = { 2, 2 }, growthRate = 4 }):plan { 4, 3, 16, 16 }
    assert.matches(("\nevaluation +%.2f MB\n"):format(plan.totalBytes / 2 ^ 20), training:table())
  end)

  it("is refused for a network on a GPU", function()
    local model = build { blocks = { 1, 1 }, growthRate = 4 }
    model._device = "cuda:0"
    assert.error_matches(function() model:plan({ 2, 3, 8, 8 }, { evaluate = true }) end,
      "bad argument #2 to 'plan' %(evaluate: evaluation is planned on cpu, got a network on cuda:0%)")
  end)
end)

describe("parts of a batch", function()
  it("are as large as some pixels, and equal", function()
    local model = build { blocks = { 1, 1 }, growthRate = 4 }
    assert.equal(64, evaluation.imagesAtOnce(model, { 64, 3, 32, 32 }))
    assert.equal(8, evaluation.imagesAtOnce(model, { 64, 3, 224, 224 }))
    assert.equal(5, evaluation.imagesAtOnce(model, { 9, 3, 224, 224 }))
    assert.equal(1, evaluation.imagesAtOnce(model, { 3, 3, 4000, 4000 }))
  end)

  it("are the whole batch where a module might look at several images", function()
    local model = build { blocks = { 1, 1 }, growthRate = 4 }
    model:get("classifier").updateOutput = function(self, input) return nn.Linear.updateOutput(self, input) end
    assert.equal(64, evaluation.imagesAtOnce(model, { 64, 3, 224, 224 }))
    assert.equal(64, evaluation.imagesAtOnce(nn.Sequential():add(nn.View(-1)), { 64, 3, 224, 224 }))
  end)

  it("give what the whole gives", function()
    local model = build { blocks = { 1, 1 }, growthRate = 4 }
    model:evaluate()
    local x = images(model, 13, 256)
    local y = model:forward(x):clone()
    assert.same({ 13, 10 }, y:size())
    assert.is_true(inForce.active(model).nAtOnce < 13)
    for i = 1, 13 do
      assert.is_true((model:forward(x:narrow(1, i, 1)) - y:narrow(1, i, 1)):abs():max() <= 1e-5)
    end
  end)
end)

describe("a network that is trained and evaluated by turns", function()
  local function train(model, optimizer, x)
    local criterion, target = nn.CrossEntropyCriterion(), {}
    for i = 1, x:size(1) do target[i] = i % 10 + 1 end
    target = dn.tensor(target, "long")
    model:training()
    model:zeroGradParameters()
    local output = model:forward(x)
    local loss = criterion:forward(output, target)
    model:backward(x, criterion:backward(output, target))
    optimizer:step()
    return loss
  end

  for mode = 1, 5 do
    it(("takes what training takes, and trains as if nobody had evaluated it, mode %d"):format(mode), function()
      core.threads(1)
      local options = { blocks = { 3, 3 }, growthRate = 12, optMemory = mode }
      local function run(evaluates)
        collectgarbage()
        collectgarbage()
        core.scratch_release()
        local before, losses = core.memory("cpu").live, {}
        local model = build(options)
        local optimizer = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9 })
        local x = images(model, 8, 16)
        core.memory_reset_peak("cpu")
        local nAllocated
        for step = 1, 4 do
          losses[step] = train(model, optimizer, x)
          if evaluates then
            model:evaluate()
            for _ = 1, 2 do model:forward(x) end
          end
          if step == 2 then nAllocated = core.memory("cpu").allocations end
        end
        return losses, core.memory("cpu").peak - before, core.memory("cpu").allocations - nAllocated
      end
      local expected, alone = run(false)
      local found, both, nAllocated = run(true)
      assert.same(expected, found)
      -- Kernels of evaluation may want more scratch, which networks as small as this one notice.
      local scratch = 2 ^ 19
      assert.is_true(both <= 1.02 * alone + scratch, ("%d bytes beside %d"):format(both, alone))
      assert.is_true(nAllocated < 100, nAllocated) -- the criterion's, and views
    end)
  end

  it("has one arena, which is the larger one's", function()
    local model = build { blocks = { 2, 2 }, growthRate = 4 }
    local optimizer = dn.optim.SGD(model, { learningRate = 0.1 })
    model:evaluate():forward(images(model, 2, 16))
    local small = inForce.active(model).binding.arena
    train(model, optimizer, images(model, 8, 16))
    local large = inForce.active(model).binding.arena
    assert.is_true(large:nElement() > small:nElement())
    model:evaluate():forward(images(model, 2, 16))
    assert.is_true(inForce.active(model).isOfEvaluation)
    assert.equal(core.storage_key(large), core.storage_key(inForce.active(model).binding.arena))
  end)

  it("gives gradients in evaluation mode as one without a plan", function()
    for mode = 1, 5 do
      for _, trainsFirst in ipairs { false, true } do
        local function run(keepsOutputs)
          local model = build { blocks = { 2, 2 }, growthRate = 4, optMemory = mode }
          local x, gradOutput = images(model, 3, 8), dn.randn(3, 10)
          if trainsFirst then train(model, dn.optim.SGD(model, { learningRate = 0.1 }), x) end
          model:evaluate()
          model:zeroGradParameters()
          model.keepsOutputs = keepsOutputs
          for _ = 1, 2 do
            model:forward(x)
            model:backward(x, gradOutput)
          end
          model:forward(x)
          model:updateGradInput(x, gradOutput)
          model:accGradParameters(x, gradOutput)
          return model:gradDict(), model.gradInput:clone(), model
        end
        local expected, dx = run(true)
        local found, dxFound, model = run(nil)
        assert.is_true((dx - dxFound):abs():max() <= 1e-5)
        for name, gradient in pairs(expected) do
          assert.is_true((gradient - found[name]):abs():max() <= 1e-5 * (1 + gradient:norm()), name)
        end
        train(model, dn.optim.SGD(model, { learningRate = 0.1 }), images(model, 3, 8))
        model:evaluate():forward(images(model, 3, 8))
        assert.equal(mode ~= 2, inForce.active(model) and inForce.active(model).isOfEvaluation or false)
      end
    end
  end)
end)

describe("a module inside a network that was evaluated by a plan", function()
  it("has an output that refuses to be read, unless the network keepsOutputs", function()
    local model = build { blocks = { 2, 2 }, growthRate = 4 }
    local x = images(model, 2, 8)
    model:evaluate():forward(x)
    local block = model:get("features"):get("denseblock1")
    assert.error_matches(function() block.output:sum() end, "freed")
    assert.equal(20, model.output:nElement())
    assert.is_not_nil(model:clone():forward(x))
    model.keepsOutputs = true
    model:forward(x)
    assert.same({ 2, 16, 8, 8 }, block.output:size())
    model.keepsOutputs = nil
    model:forward(x)
    assert.error_matches(function() block.output:sum() end, "freed")
    model:training():forward(x)
    assert.same({ 2, 16, 8, 8 }, block.output:size())
  end)

  it("may be one in training mode: then the network is evaluated module by module", function()
    local model = build { blocks = { 2, 2 }, growthRate = 4, dropRate = 0.5 }
    local x = images(model, 2, 8)
    model:evaluate()
    for _, dropout in ipairs(model:findModules "nn.Dropout") do dropout:training() end
    local first = model:forward(x):clone()
    assert.is_true((model:forward(x) - first):abs():max() > 0)
    assert.is_nil(inForce.active(model))
    model:evaluate()
    first = model:forward(x):clone()
    assert.equal(0, (model:forward(x) - first):abs():max())
    assert.is_true(inForce.active(model).isOfEvaluation)
  end)

  it("may look at values, which a plan cannot have: then there is none", function()
    local model = build { blocks = { 1, 1 }, growthRate = 4 }
    local peek = nn.Identity()
    peek.updateOutput = function(self, input)
      self.sum, self.output = input:sum(), input
      return input
    end
    model:insert(peek, 1, "peek")
    local x = images(model, 2, 8)
    local y = model:evaluate():forward(x)
    assert.is_nil(inForce.active(model))
    assert.equal(20, y:nElement())
    assert.is_not_nil(peek.sum)
  end)

  it("raises what it raises without a plan, for an input that does not fit", function()
    local model = build { blocks = { 1, 1 }, growthRate = 4 }
    model:evaluate()
    local done, message = pcall(model.forward, model, dn.randn(2, 4, 8, 8))
    assert.is_false(done)
    assert.matches("in module 1", message)
    assert.is_not_nil(model:forward(images(model, 2, 8)))
    assert.is_true(inForce.active(model).isOfEvaluation)
  end)

  it("gives everything back when memory lacks", function()
    local model = build { blocks = { 2, 2 }, growthRate = 8 }
    local x = images(model, 32, 32)
    model:evaluate()
    collectgarbage()
    collectgarbage()
    core.memory_limit("cpu", core.memory("cpu").live + 2 ^ 18)
    local done, message = pcall(model.forward, model, x)
    core.memory_limit("cpu", 0)
    assert.is_false(done)
    assert.matches("out of memory on cpu", tostring(message))
    assert.is_not_nil(model:forward(x))
    assert.is_true(inForce.active(model).isOfEvaluation)
  end)
end)
