-- -optimizer: which optimizer a run gets, by what rate, what is planned for it, and that a resumed run goes on.
local core = require "densenet.core"
local dn = require "densenet"
local network = require "densenet.train.network"
local optimizer = require "densenet.train.optimizer"
local options = require "densenet.train.options"
local temporary = require "spec.support.temporary"

local function parse(line)
  local argv = {}
  for word in line:gmatch("%S+") do argv[#argv + 1] = word end
  return options.parse(argv)
end

describe("-optimizer", function()
  it("chooses the class, and the rate where -LR is not given", function()
    local model = dn.nn.Linear(2, 2)
    for line, text in pairs {
      [""] = "optim.SGD(learningRate 0.1, momentum 0.9, dampening 0, weightDecay 0.0001, nesterov)",
      ["-momentum 0"] = "optim.SGD(learningRate 0.1, momentum 0, dampening 0, weightDecay 0.0001)",
      ["-optimizer adam"] =
        "optim.Adam(learningRate 0.001, beta1 0.9, beta2 0.999, epsilon 1e-08, weightDecay 0.0001)",
      ["-optimizer adamw -LR 0.5"] =
        "optim.AdamW(learningRate 0.5, beta1 0.9, beta2 0.999, epsilon 1e-08, weightDecay 0.0001)",
      ["-weightDecay 0 -optimizer radam"] =
        "optim.RAdam(learningRate 0.002, beta1 0.9, beta2 0.999, epsilon 1e-08, weightDecay 0)",
    } do
      assert.equal(text, tostring(network.optimizer(assert(parse(line)), {}, model)), line)
    end
  end)

  it("refuses what does not go together", function()
    local _, message = parse "-optimizer adam -momentum 0.9"
    assert.equal("-momentum is of -optimizer sgd; adam has none", message)
    _, message = parse "-optimizer adagrad"
    assert.matches("optimizer", message)
  end)

  it("and the rate stay with a resumed run, and the rate with another family's network", function()
    local values, given = parse "-resume somewhere"
    assert(options.merge(values, given, { optimizer = "adam", LR = 0.25, nEpochs = 3 }))
    assert.equal("adam", values.optimizer)
    assert.equal(0.25, values.LR)
    values, given = parse "-resume somewhere -optimizer sgd"
    local _, message = options.merge(values, given, { optimizer = "adam", LR = 0.25, nEpochs = 3 })
    assert.matches("cannot change %-optimizer sgd %(the checkpoint has adam%)", message)
    values, given = parse "-optimizer radam"
    assert(options.adopt(values, given, "preresnet"))
    assert.equal(0.002, values.LR)
  end)

  it("takes what is planned for it", function()
    core.threads(1)
    for _, word in ipairs(optimizer.words) do
      local values = assert(parse("-optimizer " .. word))
      local function build()
        return dn.models.densenet { blocks = { 2, 2 }, growthRate = 12, nClasses = 10, optMemory = 0 }
      end
      local plan = build():plan({ 2, 3, 8, 8 }, optimizer.planOptions(values))
      collectgarbage()
      collectgarbage()
      core.scratch_release()
      local before = core.memory("cpu").live
      local model, x, criterion = build(), dn.randn(2, 3, 8, 8), dn.nn.CrossEntropyCriterion()
      local target, made = dn.tensor({ 1, 2 }, "long"), network.optimizer(values, {}, model)
      collectgarbage()
      collectgarbage()
      core.memory_reset_peak("cpu")
      for _ = 1, 2 do
        criterion:forward(model:forward(x), target)
        model:zeroGradParameters()
        model:backward(x, criterion:backward(model.output, target))
        made:step()
      end
      local measured = core.memory("cpu").peak - before
      assert.is_true(math.abs(measured / plan.totalBytes - 1) <= 0.02,
        ("%s: planned %d, measured %d bytes"):format(word, plan.totalBytes, measured))
    end
  end)
end)

describe("main.lua -optimizer", function()
  it("resumed ends with the same weights and the same state as one run", function()
    local directory, build = temporary.directory(), os.getenv("DENSENET_BUILD") or "build"
    local function run(line)
      local command = ("DENSENET_BUILD='%s' '%s' main.lua %s >'%s/out' 2>&1"):format(build, temporary.interpreter(),
        line, directory)
      assert.message(line).is_true((os.execute(command)), temporary.read(directory .. "/out"))
    end
    for _, word in ipairs { "adam", "radam" } do
      local whole, parts = directory .. "/whole" .. word, directory .. "/parts" .. word
      run(("-dataset fashion-mnist -depth 10 -growthRate 4 -trainSize 64 -testSize 32 -batchSize 32 -nThreads 1 "
        .. "-nCores 1 -optimizer %s -nEpochs 2 -lrShape cosine -save %s -keep 2"):format(word, whole))
      run(("-resume %s/model_1.safetensors -save %s"):format(whole, parts))
      local file = dn.safetensors.load(whole .. "/optimState_2.safetensors")
      assert.equal(4, file.step:at(1))
      for _, name in ipairs { "model_2", "optimState_2" } do
        assert.is_true(temporary.read(whole .. "/" .. name .. ".safetensors")
          == temporary.read(parts .. "/" .. name .. ".safetensors"), name)
      end
    end
    temporary.remove(directory)
  end)
end)
