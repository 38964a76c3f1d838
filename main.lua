-- Trains and tests networks on images: lua main.lua -dataset fashion-mnist -depth 40 -growthRate 12
-- (lua main.lua --help lists the options). Each step below is a file of lua/densenet/train.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/scripts/setup.lua")

local function main(dn)
  local train, optim = dn.train, dn.optim
  local check = train.program.check
  local opt, given = train.options.parse(arg)
  if not opt then train.program.refuse(given) end
  if opt.version then return print("densenet " .. dn.version) end
  if opt.help then return print(train.options.help(opt)) end
  local status = check(train.launch.go(opt, arg)) -- of a run whose ranks are processes of their own
  if status then return status end

  local ranks = check(train.ranks.open(opt)) -- the other processes that share every batch; usually none

  -- What to start from, images, network
  local origin = check(train.origin.find(opt, given))
  opt.device = ranks and ranks.comm.device or opt.device
  local notes = check(train.device.choose(opt, given))
  opt.nCores = dn.threads(opt.nCores)
  check(train.memory.chooseBatch(opt, origin, notes, ranks))
  if opt.plan then return print(check(train.memory.plan(opt, origin)):table(opt.plan == "rows")) end
  dn.manualSeed(opt.manualSeed)
  local sets, loaders = check(train.sources.open(opt, origin.about, origin.recipe, ranks and ranks.comm))
  local plan = not opt.testOnly and check(train.memory.check(opt, origin)) or nil
  local model = check(train.network.build(opt, origin, sets.test))
  local written = check(train.generationRun.export(opt, origin, model))
  if written then return print(table.concat(written, "\n")) end

  -- The trainer
  local optimizer = check(train.network.optimizer(opt, origin, model))
  local schedule = optim.schedule[opt.lrShape] { learningRate = opt.LR, nEpochs = opt.nEpochs }
  local console = train.Console.new(opt.nEpochs, loaders, ranks and ranks:writer())
  local criterion, testCriterion = check(train.criterion(opt, sets, model))
  local parts = check(train.generationRun.prepare(opt, origin, model, loaders, criterion))
  local trainer = train.Trainer.new { model = model, criterion = parts.criterion, testCriterion = testCriterion,
    target = parts.target, complete = parts.complete, optimizer = optimizer, schedule = schedule, console = console,
    ranks = ranks, syncBN = opt.syncBN, captures = check(train.capturing(opt, given, optimizer, ranks, notes)) }

  -- The run
  table.move(parts.notes, 1, #parts.notes, #notes + 1, notes)
  local run = train.Run.new { options = opt, origin = origin, trainer = trainer, loaders = loaders, sets = sets,
    plan = plan, notes = notes, facts = parts.facts, given = given, program = train.nextSteps.program(arg) }
  run:announce()
  if opt.testOnly then return check(run:testOnly()) and 0 end
  check(run:open())
  for epoch = trainer.epoch, opt.nEpochs do
    local trained = check(run:train(epoch))
    local tested = check(run:test(epoch))
    check(run:finish(epoch, trained, tested))
  end
  run:report()
end

local function start()
  local dn = require "densenet"
  require "densenet.core".file_limit_ignore() -- a file that may not grow is a sentence, no signal
  return dn.train.program.run("main.lua", dn.train.options.usage, function() return main(dn) end)
end

-- While the module loads, a failure has nobody else to report it; Ctrl-C is one to Lua.
local isLoaded, status = pcall(start)
if not isLoaded then
  local isInterrupt = tostring(status):find("interrupted!$")
  io.stderr:write("main.lua: ", isInterrupt and "interrupted" or tostring(status), "\n")
  status = isInterrupt and 130 or 1
end
os.exit(status, true)
