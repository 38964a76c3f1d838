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
  { "--dept 40", "unknown option '--dept'", "did you mean -depth?" },
  { "---depth 40", "unknown option '---depth'", "did you mean -depth?" },
  { "--depth=forty", "-depth forty: expected an integer of at least", "got 'forty'" },
  { "-depth 40 --depth=40", "-depth is given twice" },
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
  { "-tenCrop true", "-tenCrop true: images of fashion-mnist are used whole" },
  { "-shareGradInput yes", "expected true or false" },
  { "-plan true", "-plan true: expected rows or nothing, got 'true'" },
  { "-plan row", "got 'row'; did you mean rows?" },
  { "-gen gen", "-gen gen: the data set fashion-mnist has no such option" },
  { "-imageSize 64", "-imageSize 64: the data set fashion-mnist has no such option" },
  { "-dataset mnist -extra true", "-extra true: the data set mnist has no such option" },
  { "-dataset imagenet -split val", "-split needs -testOnly true" },
  { "-dataset imagenet -filter lanczos", "expected one of bicubic, bilinear, torch" },
  { "-dataset imagenet -depth 40", "-depth 40 is not known with the imagenet stem", "nearest" },
  { "-dataset imagenette", "no data set is called 'imagenette'",
    "known are cifar10, cifar100, fashion-mnist, imagenet, mnist",
    "no ./imagenette.lua" },
  { "-dataset ../x", "no data set is called '../x'", "a module's name has letters" },
  { "-netType resnet", "no network is called 'resnet' (did you mean densenet?)", "preresnet", "no ./resnet.lua" },
  { "-netType string", "module string: options: expected a list of options", "got nil" },
  { "-dataset string", "module string: classes: expected a list of the classes' names, got nil" },
  { "-netType preresnet -growthRate 4", "unknown option '-growthRate'" },
  { "-netType preresnet -depth 21", "-depth 21 is not possible with bottleneck false", "6 n + 2", "20 and 26" },
  { "-netType preresnet -depth 26 -bottleneck true", "9 n + 2", "20 and 29" },
  { "-netType preresnet -optMemory 4", "-optMemory 4 (linear) is no mode of preresnet, which has 0 (standard), "
    .. "1 (liveness), 2 (shared-gradients)" },
  { "-netType preresnet -memory minimal", "-optMemory 5 (minimal) is no mode of preresnet" },
  { "-netType densenet121 -depth 122", "-depth 122 is not known with the imagenet stem", "121 and 161" },
  { "-initChannels -1", "of at least 0" },
  { "-dataset cifar11", "no data set is called 'cifar11' (did you mean cifar10?)" },
  { "-d2 3", "-d1 is missing" },
  { "-d1 3 -d3 3", "-d2 is missing" },
  { "-d1 3 -depth 40", "not both" },
  { "-testOnly true", "-retrain FILE or -resume" },
  { "-resetClassifier true -nClasses 4", "needs -retrain" },
  { "-resetClassifier true -retrain a.safetensors", "needs -nClasses" },
  { "-freeze denseblock1", "-freeze PATTERN needs -retrain FILE" },
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
    local text = options.help(parse("-help"))
    for name in ([[data dataset manualSeed nGPU backend cudnn gen precision nThreads nEpochs epochNumber batchSize
      testOnly tenCrop save resume LR momentum weightDecay lrShape netType depth retrain optimState shareGradInput
      optnet resetClassifier nClasses growthRate bottleneck reduction dropRate optMemory d1 d2 d3 d4 device valSize
      freeze memory plan log keep trainSize testSize saveEvery nCores stem initChannels]]):gmatch("%w+") do
      assert.is_truthy(text:find("\n  -" .. name .. " ", 1, true), name)
    end
  end)

  it("fits a wide terminal", function()
    for line in options.help(parse("-help")):gmatch("[^\n]+") do assert.is_true(#line <= 105, line) end
  end)

  it("is the chosen family's, and says how to see another one's", function()
    local text = options.help(parse("-netType preresnet --help"))
    assert.is_truthy(text:find("6 n + 2", 1, true))
    assert.is_truthy(text:find("0 to 5 [liveness]", 1, true))
    assert.is_nil(text:find("-growthRate", 1, true))
    assert.is_truthy(text:gsub("%s+", " "):find("-netType NAME -help", 1, true))
    assert.is_truthy(text:find("densenet121", 1, true))
    text = options.help(parse("--help -netType wide"))
    assert.is_truthy(text:find("channels that each layer adds [48]", 1, true))
  end)
end)

describe("the network", function()
  local function config(line)
    local values, given = parse(line)
    return assert(options.networkConfig(values, given))
  end

  it("has blocks by the depth", function()
    assert.same({ 6, 6, 6 }, config("-depth 40").blocks)
    assert.same({ 12, 12, 12 }, config("-depth 40 -bottleneck false").blocks)
    assert.same({ 16, 16, 16 }, config("-depth 100").blocks)
    assert.same({ 6, 12, 24, 16 }, config("-depth 121 -stem imagenet").blocks)
  end)

  it("or from -d1 to -d4", function()
    assert.same({ 6, 12 }, config("-d1 6 -d2 12").blocks)
    assert.same({ 6, 12, 24, 16 }, config("-d1 6 -d2 12 -d3 24 -d4 16").blocks)
  end)

  it("begins with twice the growth rate of channels, or as many as -initChannels says", function()
    assert.equal(24, config("").initChannels)
    assert.equal(24, config("-bottleneck false").initChannels)
    assert.equal(16, config("-bottleneck false -initChannels 16").initChannels)
  end)

  it("is a preset, whose options can be changed", function()
    local preset = config("-netType densenet121")
    assert.same({ 6, 12, 24, 16 }, preset.blocks)
    assert.equal("densenet", preset.family)
    assert.equal("imagenet", preset.stem)
    assert.equal(32, preset.growthRate)
    assert.same({ 6, 12, 36, 24 }, config("-netType densenet161").blocks)
    assert.equal(48, config("-netType densenet161").growthRate)
    assert.same({ 2, 2 }, config("-netType densenet161 -d1 2 -d2 2").blocks)
    local wide = config("-netType wide -growthRate 60 -bottleneck false")
    assert.same({ 12, 12, 12 }, wide.blocks)
    assert.equal(60, wide.growthRate)
    assert.equal(16, config("-netType 100-12").initChannels)
  end)

  it("of a preset is trained with the preset's schedule unless told otherwise", function()
    assert.equal("cosine", parse("-netType cosine").lrShape)
    assert.equal("multistep", parse("-netType cosine -lrShape multistep").lrShape)
    assert.equal("multistep", parse("-netType wide").lrShape)
  end)

  it("is of another family, with the family's usual memory mode", function()
    local values, given = parse("-netType preresnet -depth 29 -bottleneck true")
    assert.same({ depth = 29, bottleneck = true, family = "preresnet" }, options.networkConfig(values, given))
    assert.equal(1, values.optMemory)
    assert.is_nil(values.growthRate)
    assert.equal(2, parse("-netType preresnet -shareGradInput true").optMemory)
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

  it("are those of the checkpoint's family", function()
    local before = options.complete(parse("-netType preresnet -depth 26"))
    local values, given = parse("-resume x -nThreads 1")
    local merged = assert(options.merge(values, given, before))
    assert.equal("preresnet", merged.netType)
    assert.equal(26, merged.depth)
    assert.equal(1, merged.optMemory)
    assert.is_nil(merged.growthRate)
    values, given = parse("-resume x -growthRate 12")
    local none, message = options.merge(values, given, before)
    assert.is_nil(none)
    assert.matches("%-growthRate 12: a network of the family preresnet has no such option", message)
    values, given = parse("-resume x -netType densenet -depth 40")
    none, message = options.merge(values, given, before)
    assert.is_nil(none)
    assert.is_truthy(message:find("-netType densenet (the checkpoint has preresnet)", 1, true), message)
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
