-- A whole run on images made here, as main.lua puts it together.
local core = require "densenet.core"
local dn = require "densenet"
local ImageSet = require "densenet.data.image_set"
local random = require "densenet.random"
local temporary = require "spec.support.temporary"

local train = dn.train
local smallRun = {}

local function image_set(split, n)
  local pixels, labels, generator = {}, {}, random.generator(split == "train" and 1 or 2)
  for i = 1, n do
    labels[i] = generator:integer(3)
    pixels[i] = { {} }
    for y = 1, 5 do
      pixels[i][1][y] = {}
      for x = 1, 5 do pixels[i][1][y][x] = math.floor(generator:uniform(0, 60)) + (y == labels[i] and 150 or 0) end
    end
  end
  return ImageSet.new {
    images = dn.tensor(pixels, "byte"), labels = dn.tensor(labels, "long"), classes = { "one", "two", "three" },
    name = "mnist", split = split, mean = { 60.5 }, std = { 61.25 }, directory = "here",
  }
end

-- 20 images to train on, 4 to choose by, 7 to test on.
local function open_sets(opt, ranks)
  local set = image_set("train", 24)
  local sets = { train = set:subset(0, 20), validation = set:subset(20, 4), test = image_set("test", 7) }
  local loaders = {}
  for name, part in pairs(sets) do
    loaders[name] = dn.data.Loader { set = part, batchSize = opt.batchSize, nThreads = 0, seed = 4,
      shard = ranks and ranks.comm, precision = opt.precision == "double" and "double" or "float",
      shuffle = name == "train",
      transform = dn.data.preprocess(part, name == "train" and "train" or "test") }
  end
  return sets, loaders
end

--- Does what main.lua does with a command line; where this process is one of several ranks, as one of them.
-- @param interrupted (optional) function() → count, signal
-- @param on_start (optional) function(run) before it is announced
-- @return the run, its lines of the console in `lines` and its options in `values`; or nil, message, code, status
function smallRun.go(line, interrupted, on_start)
  local argv = {}
  for word in line:gmatch("%S+") do argv[#argv + 1] = word end
  local opt, given = train.options.parse(argv)
  assert(opt, given)
  opt.device = "cpu"
  local ranks, message, code, status = train.ranks.open(opt)
  if message then return nil, message, code, status end
  local origin
  origin, message, code = train.origin.find(opt, given)
  if not origin then return nil, message, code end
  opt.nCores, opt.device = core.threads(1), "cpu"
  dn.manualSeed(opt.manualSeed)
  local sets, loaders = open_sets(opt, ranks)
  local model
  model, message, code = train.network.build(opt, origin, sets.test)
  if not model then return nil, message, code end
  local optimizer = assert(train.network.optimizer(opt, origin, model))
  local lines, parts = {}
  local criterion = dn.nn.CrossEntropyCriterion()
  parts, message, code = train.generationRun.prepare(opt, origin, model, loaders, criterion)
  if not parts then return nil, message, code end
  local trainer = train.Trainer.new {
    model = model, criterion = parts.criterion, testCriterion = criterion, target = parts.target,
    complete = parts.complete, optimizer = optimizer,
    schedule = dn.optim.schedule[opt.lrShape] { learningRate = opt.LR, nEpochs = opt.nEpochs },
    console = train.Console.new(opt.nEpochs, loaders, ranks and ranks:writer()
      or function(text) lines[#lines + 1] = text end),
    ranks = ranks, syncBN = opt.syncBN,
  }
  local run = train.Run.new { options = opt, origin = origin, trainer = trainer, loaders = loaders, sets = sets,
    notes = parts.notes, facts = parts.facts,
    interrupted = interrupted or not ranks and function() return 0 end or nil }
  run.lines = lines
  if on_start then on_start(run) end
  run:announce()
  local function epochs()
    local done
    done, message, code, status = run:open()
    for epoch = trainer.epoch, done and opt.nEpochs or 0 do
      local trained, tested
      trained, message, code, status = run:train(epoch)
      if not trained then return nil, message, code, status end
      tested, message, code, status = run:test(epoch)
      if not tested then return nil, message, code, status end
      done, message, code, status = run:finish(epoch, trained, tested)
      if not done then break end
    end
    if not done then return nil, message, code, status end
    run:report()
    return run
  end
  run.values = opt
  local result = table.pack(pcall(epochs))
  core.testing.interrupt_remove()
  run:close()
  if not result[1] then error(result[2], 0) end
  return table.unpack(result, 2, result.n)
end

--- The command line of a new run, but for its directory.
smallRun.line = "-dataset mnist -d1 1 -d2 1 -growthRate 3 -batchSize 8 -nEpochs 2 -dropRate 0.2 -saveEvery 1 -save "

--- The rows of a directory's log without their seconds.
function smallRun.log(directory)
  local rows = {}
  for row in temporary.read(directory .. "/log.tsv"):gmatch("[^\n]+") do
    rows[#rows + 1] = row:gsub("\t[^\t]*\t[^\t]*$", "")
  end
  return rows
end

return smallRun
