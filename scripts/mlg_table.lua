-- Error against bytes of generated weights on Fashion-MNIST: for each setting the network that a teacher's weights are
-- projected to, with running statistics of its own, and distilled; its packed and its dense file. The table of
-- docs/mlg.md.
--
--   lua scripts/mlg_table.lua -teacher checkpoints/model_best.safetensors -nEpochs 1
--
-- Printed: a row a setting, as it is done. Errors are top-1, in percent of the test images; KiB are 2^10 bytes.

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local dn = require "densenet"
local core = require "densenet.core"
local checkpoint = require "densenet.train.checkpoint"
local CommandLine = require "densenet.train.command_line"
local program = require "densenet.train.program"
local shallowCopy = require "densenet.shallow_copy"

local SET, STATISTICS = "fashion-mnist", 1024 -- images that running statistics are taken of
local RATE, DECAY, PENALTY, TEMPERATURE, BETA = 0.002, 5e-4, 0.05, 3, 0.9

local reader = CommandLine.new { { title = "Options",
  { name = "teacher", type = "text", help = "file of an ordinary network, trained by main.lua" },
  { name = "nEpochs", type = "integer", default = 1, min = 0, help = "of distillation" },
  { name = "batchSize", type = "integer", default = 32, min = 1, help = "images in a mini-batch" },
  { name = "trainSize", type = "integer", default = 0, min = 0, help = "the first N images; 0: all" },
  { name = "testSize", type = "integer", default = 0, min = 0, help = "the first N images; 0: all" },
  { name = "first", type = "integer", default = 1, min = 1, help = "setting to begin with" },
  { name = "last", type = "integer", default = 6, min = 1, help = "setting to end with" },
} }

local function plain(bits) return { baseIn = 0, ratio = 0, plainBits = bits } end
local function levels(baseIn, out, b1, b2, b3)
  return { baseIn = baseIn, baseOut = out > 1 and out or 0, ratio = out <= 1 and out or 0, basisBits = b1,
    coeffInBits = b2, coeffOutBits = b3 }
end

local SETTINGS = { plain(4), plain(3), levels(2, 44, 3, 6, 3), levels(2, 0.5, 4, 6, 4), levels(1, 25, 4, 6, 6),
  levels(2, 0.25, 4, 6, 4) }

local function open(split, size)
  local set = program.check(dn.data.open(SET, { split = split, size = size > 0 and size or nil }))
  return set, function(batchSize)
    return dn.data.Loader { set = set, batchSize = batchSize, shuffle = split == "train", nThreads = 1,
      transform = dn.data.preprocess(set, split) }
  end
end

-- Top-1 error in percent.
local function errorOf(model, loader)
  model:evaluate()
  local wrong, count = 0, 0
  for _, sample in loader:run(1) do
    local _, guess = model:forward(sample.input):max(2)
    wrong, count = wrong + guess:view(-1):ne(sample.target):sum(), count + sample.target:size(1)
  end
  return 100 * wrong / count
end

local function recalibrate(student, loader, batchSize)
  local following, n = loader:run(1), 0
  dn.mlg.recalibrate(student, function()
    n = n + batchSize
    local _, sample = following()
    return n <= STATISTICS and sample and sample.input or nil
  end)
end

local function distill(student, teacher, loader, nEpochs)
  local criterion = dn.nn.DistillationCriterion(TEMPERATURE, BETA)
  local optimizer = dn.optim.RAdam(student, { learningRate = RATE, weightDecay = DECAY })
  local schedule = dn.optim.schedule.cosine { learningRate = RATE, nEpochs = math.max(1, nEpochs) }
  student:training()
  for epoch = 1, nEpochs do
    for n, sample in loader:run(epoch) do
      optimizer.learningRate = schedule:learningRate(epoch, n, loader:size())
      local target = { sample.target, teacher:forward(sample.input) }
      student:zeroGradParameters()
      criterion:forward(student:forward(sample.input), target)
      student:backward(sample.input, criterion:backward(student.output, target))
      dn.mlg.penalty(student, PENALTY)
      optimizer:step()
    end
  end
end

local function row(...) print("| " .. table.concat({ ... }, " | ") .. " |") end

local function number(x, digits) return (core.format("%." .. digits .. "f", x)) end

-- One setting's row.
local function measure(given, config, teacher, files, loaders, options)
  local settings = program.check(dn.mlg.settings.complete(given))
  local own = shallowCopy(config)
  own.mlg = settings
  dn.manualSeed(1)
  local student, since = dn.models.withoutImageGradient(dn.models.fromConfig(own)), core.clock()
  dn.mlg.project(student, teacher)
  local projecting = core.clock() - since
  local projected = errorOf(student, loaders.test)
  recalibrate(student, loaders.train, options.batchSize)
  local recalibrated = errorOf(student, loaders.test)
  since = core.clock()
  distill(student, teacher, loaders.train, options.nEpochs)
  local distilling = core.clock() - since
  local distilled = errorOf(student, loaders.test)

  program.check(dn.mlg.save(files.packed, student))
  program.check(dn.safetensors.save(files.dense, dn.mlg.dense(student)))
  local function ordinary(state)
    local model = dn.models.fromConfig(config)
    model:loadStateDict(state)
    return errorOf(model, loaders.test)
  end
  local unpacked = errorOf(program.check(dn.models.load(files.packed)), loaders.test)
  local dense = ordinary(program.check(dn.safetensors.load(files.dense)))
  assert(unpacked == distilled and dense == distilled, "the files are of another network")
  local size = dn.mlg.size(student)
  row(dn.mlg.settings.text(settings), ("%d"):format(size.generated), number(size.bitRatio, 3),
    number(size.bits / 8192, 1), number(core.file_size(files.packed) / 1024, 1), number(projected, 2),
    number(recalibrated, 2), number(distilled, 2), number(dense, 2), number(projecting, 0), number(distilling, 0))
end

local function main()
  local options, given = reader:parse(arg)
  if not options then program.refuse(given) end
  if options.help then return print(reader:help()) end
  if not options.teacher then program.refuse("-teacher FILE is missing") end
  local tensors, metadata = program.check(dn.safetensors.load(options.teacher))
  local state = program.check(checkpoint.stateOf(metadata, options.teacher))
  local config = program.check(dn.models.complete(state.network))
  local teacher = dn.models.withoutImageGradient(dn.models.fromConfig(config))
  teacher:loadStateDict(tensors):evaluate()
  local _, trainLoader = open("train", options.trainSize)
  local _, testLoader = open("test", options.testSize)
  local loaders = { train = trainLoader(options.batchSize), test = testLoader(100) }
  local path = os.tmpname()
  local files = { packed = path .. ".packed", dense = path .. ".dense" }
  print(("teacher: %s, error %s %%"):format(dn.models.describe(config), number(errorOf(teacher, loaders.test), 2)))
  row("setting", "generated", "ratio", "KiB", "file, KiB", "projected", "recalibrated", "distilled", "dense file",
    "s, projection", "s, distillation")
  row("---", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:")
  for i = options.first, math.min(options.last, #SETTINGS) do
    measure(SETTINGS[i], config, teacher, files, loaders, options)
  end
  for _, file in pairs(files) do os.remove(file) end
  os.remove(path)
end

os.exit(program.run("mlg_table.lua", "usage: lua scripts/mlg_table.lua -teacher FILE [-option value ...]", main), true)
