local options = require "densenet.train.options"

local function parse(line)
  local argv = {}
  for word in line:gmatch("%S+") do argv[#argv + 1] = word end
  return options.parse(argv)
end

-- Each line is refused with a sentence that holds every one of the texts.
local refused = {
  { "-depth forty", "-depth", "expected an integer", "'forty'" },
  { "-depth 4.5", "expected an integer", "'4.5'" },
  { "-depth 0x28", "expected an integer", "'0x28'" },
  { "-depth 99999999999999999999", "expected an integer" },
  { "-depth 41", "not possible", "6 n + 4", "40 and 46" },
  { "-depth 5", "nearest: 10" },
  { "-depth 41 -bottleneck false", "3 n + 4", "40 and 43" },
  { "-batchSize 0", "expected an integer of at least 1", "'0'" },
  { "-testOnly maybe", "expected true or false", "'maybe'" },
  { "-testOnly no", "expected true or false", "'no'" },
  { "-nEpochs -3", "expected an integer of at least 0", "'-3'" },
  { "-LR 0", "expected a number above 0" },
  { "-LR nan", "expected a number", "'nan'" },
  { "-LR inf", "expected a number", "'inf'" },
  { "-LR 1e999", "expected a number" },
  { "-momentum 1", "below 1" },
  { "-dropRate 1", "below 1" },
  { "-reduction 1.5", "at most 1" },
  { "-lrShape cosin", "did you mean cosine?" },
  { "-dept 40", "unknown option '-dept'", "did you mean -depth?" },
  { "-batchsize 40", "did you mean -batchSize?" },
  { "--depth 40", "unknown option '--depth'", "did you mean -depth?" },
  { "-depth=40", "did you mean -depth?" },
  { "-qqqqqqqq 40", "unknown option '-qqqqqqqq'" },
  { "40", "unexpected argument '40'" },
  { "-depth", "-depth needs a value" },
  { "-depth -growthRate 12", "-depth needs a value" },
  { "-depth 40 -depth 40", "-depth is given twice" },
  { "-nGPU 2", "not available in this version", "one GPU" },
  { "-backend cunn", "not available", "cuDNN" },
  { "-cudnn fastest", "not available" },
  { "-device gpu", "expected one of cpu, cuda, cuda:N" },
  { "-device cuda:", "expected one of cpu, cuda, cuda:N" },
  { "-device cuda:-1", "expected one of" },
  { "-device cpu -nGPU 1", "-device cpu and -nGPU 1 contradict each other" },
  { "-device cuda -nGPU 0", "-device cuda and -nGPU 0 contradict each other" },
  { "-device cuda:3 -nGPU 0", "-device cuda:3 and -nGPU 0 contradict each other" },
  { "-precision tf32 -device cpu", "-precision tf32 is a GPU's: -device cpu computes in single, double" },
  { "-precision tf32 -nGPU 0", "-precision tf32 is a GPU's: -nGPU 0" },
  { "-precision quarter", "expected one of single, tf32, double, half, bfloat16" },
  { "-optMemory 6", "at most 5" },
  { "-memory least", "expected one of", "minimal" },
  { "-optMemory 4 -memory minimal", "-optMemory 4 and -memory minimal contradict", "-optMemory 5" },
  { "-memory linear -optnet true", "-memory linear and -optnet true contradict", "-optMemory 1" },
  { "-shareGradInput true -optnet true", "-shareGradInput true and -optnet true contradict" },
  { "-optMemory 0 -shareGradInput true", "-optMemory 0 and -shareGradInput true contradict", "-optMemory 2" },
  { "-tenCrop true", "not available" },
  { "-shareGradInput yes", "expected true or false" },
  { "-plan true", "unexpected argument 'true'" },
  { "-gen gen", "not available" },
  { "-dataset imagenet", "not available", "available: fashion-mnist, mnist, cifar10, cifar100" },
  { "-dataset cifar11", "expected one of", "did you mean cifar10?" },
  { "-d2 3", "-d1 is missing" },
  { "-d1 3 -d3 3", "-d2 is missing" },
  { "-d1 3 -depth 40", "not both" },
  { "-testOnly true", "-retrain FILE or -resume" },
  { "-resetClassifier true -nClasses 4", "needs -retrain" },
  { "-resetClassifier true -retrain a.safetensors", "needs -nClasses" },
  { "-epochNumber 5 -nEpochs 4", "past the last epoch" },
}

describe("the command line", function()
  for _, case in ipairs(refused) do
    it("refuses " .. case[1], function()
      local values, message = parse(case[1])
      assert.is_nil(values)
      for i = 2, #case do
        assert.is_truthy(message:find(case[i], 1, true), ("%q lacks %q"):format(message, case[i]))
      end
      assert.is_nil(message:lower():find("issue", 1, true))
    end)
  end

  it("has the documented defaults", function()
    local values, given = parse("")
    assert.equal("fashion-mnist", values.dataset)
    assert.equal("densenet", values.netType)
    assert.equal(40, values.depth)
    assert.equal(12, values.growthRate)
    assert.equal(64, values.batchSize)
    assert.equal(0.1, values.LR)
    assert.equal(0.9, values.momentum)
    assert.equal(1e-4, values.weightDecay)
    assert.equal(0.5, values.reduction)
    assert.is_true(values.bottleneck)
    assert.equal("multistep", values.lrShape)
    assert.equal("checkpoints", values.save)
    assert.equal(1, values.keep)
    assert.equal(2, values.nThreads)
    assert.equal(0, values.manualSeed)
    assert.is_false(values.testOnly)
    assert.is_nil(values.resume)
    assert.same({}, given)
  end)

  it("reads every type", function()
    local values, given = parse("-depth 46 -LR 1e-2 -bottleneck true -lrShape cosine -save runs/a -tenCrop false")
    assert.equal("integer", math.type(values.depth))
    assert.equal(46, values.depth)
    assert.equal(0.01, values.LR)
    assert.equal("float", math.type(parse("-LR 1").LR))
    assert.equal("cosine", values.lrShape)
    assert.equal("runs/a", values.save)
    assert.is_true(given.tenCrop)
    assert.is_nil(given.keep)
  end)

  it("gives help for -help, -h and --help, wherever they stand", function()
    for _, line in ipairs { "-help", "--help", "-h", "-depth 40 --help" } do assert.is_true(parse(line).help) end
  end)
end)

describe("the help", function()
  it("names every option of the original and of ours", function()
    local text = options.help()
    for name in ([[data dataset manualSeed nGPU backend cudnn gen precision nThreads nEpochs epochNumber batchSize
      testOnly tenCrop save resume LR momentum weightDecay lrShape netType depth retrain optimState shareGradInput
      optnet resetClassifier nClasses growthRate bottleneck reduction dropRate optMemory d1 d2 d3 d4 device valSize
      memory plan log keep trainSize testSize saveEvery nCores]]):gmatch("%w+") do
      assert.is_truthy(text:find("\n  -" .. name .. " ", 1, true), name)
    end
  end)

  it("fits a wide terminal", function()
    for line in options.help():gmatch("[^\n]+") do assert.is_true(#line <= 105, line) end
  end)
end)

describe("blocks", function()
  it("come from the depth", function()
    assert.same({ 6, 6, 6 }, options.blocks(parse("-depth 40")))
    assert.same({ 12, 12, 12 }, options.blocks(parse("-depth 40 -bottleneck false")))
    assert.same({ 16, 16, 16 }, options.blocks(parse("-depth 100")))
  end)

  it("or from -d1 to -d4", function()
    assert.same({ 6, 12 }, options.blocks(parse("-d1 6 -d2 12")))
    assert.same({ 6, 12, 24, 16 }, options.blocks(parse("-d1 6 -d2 12 -d3 24 -d4 16")))
  end)
end)

describe("a resumed run's options", function()
  local saved = options.complete(parse("-depth 22 -batchSize 32 -nEpochs 5 -keep 3 -manualSeed 7 -LR 0.05"))

  local function merge(line)
    local values, given = parse("-resume x " .. line)
    return options.merge(values, given, saved)
  end

  it("are the checkpoint's unless given", function()
    local merged = merge("-nThreads 5")
    assert.equal(22, merged.depth)
    assert.equal(32, merged.batchSize)
    assert.equal(5, merged.nEpochs)
    assert.equal(3, merged.keep)
    assert.equal(5, merged.nThreads)
    assert.equal("x", merged.resume)
  end)

  it("may repeat what the checkpoint has, and change what does not decide the result", function()
    local merged = merge("-depth 22 -LR 0.05 -keep 1 -nEpochs 9")
    assert.equal(1, merged.keep)
    assert.equal(9, merged.nEpochs)
  end)

  it("cannot change the rest: every conflict is named with both values", function()
    local merged, message = merge("-depth 40 -batchSize 64 -manualSeed 8 -LR 0.1")
    assert.is_nil(merged)
    for _, text in ipairs { "-depth 40 (the checkpoint has 22)", "-batchSize 64 (the checkpoint has 32)",
      "-manualSeed 8 (the checkpoint has 7)", "-LR 0.1 (the checkpoint has 0.05)" } do
      assert.is_truthy(message:find(text, 1, true), text)
    end
    assert.is_nil(message:find("growthRate", 1, true))
  end)

  it("cannot take epochs away", function()
    local merged, message = merge("-nEpochs 4")
    assert.is_nil(merged)
    assert.is_truthy(message:find("-nEpochs 4 (the checkpoint has 5 and may only grow)", 1, true))
  end)

  it("separate what decides the result from what does not", function()
    local same, free = options.select(saved, "same"), options.select(saved, "free")
    assert.equal(22, same.depth)
    assert.is_nil(same.nEpochs)
    assert.is_nil(same.save)
    assert.equal(5, free.nEpochs)
    assert.is_nil(free.depth)
    assert.is_nil(free.resume)
  end)
end)

describe("-nEpochs 0", function()
  it("is the data set's usual number", function()
    assert.equal(100, options.complete(parse("")).nEpochs)
    assert.equal(164, options.complete(parse("-dataset cifar10")).nEpochs)
    assert.equal(3, options.complete(parse("-nEpochs 3")).nEpochs)
  end)
end)
