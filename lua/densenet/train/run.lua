--- A training run from its first epoch to its last: trains, tests, logs, saves, and stops where it
-- can be gone on from.
--
-- What decides the result is in the state that each checkpoint holds: where the trainer stands, the
-- best score, the generator, and the facts that never change in a run (options, network, classes,
-- mean and std; options that a resumed run changed stand there with the place from which they count). Runs
-- with the same facts and the same number of compute threads pass through the
-- same states, killed and resumed or not.
local announcement = require "densenet.train.announcement"
local core = require "densenet.core"
local checkpoint = require "densenet.train.checkpoint"
local claim = require "densenet.train.claim"
local ClassErrors = require "densenet.train.class_errors"
local Events = require "densenet.train.events"
local finite = require "densenet.train.finite"
local json = require "densenet.io.json"
local Log = require "densenet.train.log"
local meters = require "densenet.train.meters"
local Mistakes = require "densenet.train.mistakes"
local nextSteps = require "densenet.train.next_steps"
local options = require "densenet.train.options"
local progress = require "densenet.dist.progress"
local random = require "densenet.random"
local setRecipe = require "densenet.data.set_recipe"

local Run = {}
Run.__index = Run

--- Columns of the log after "epoch": batches of the epoch, the learning rate of the last batch, losses, error rates in
-- percent; in half precision the loss scale and the steps skipped so far; seconds.
Run.columns = {
  "train_batches", "lr", "train_loss", "train_top1", "train_top5", "val_loss", "val_top1", "val_top5",
  "test_loss", "test_top1", "test_top5", "best_top1", "loss_scale", "skipped_steps",
  "train_seconds", "test_seconds",
}

-- All changes of options in the run so far, or nil.
local function changesOf(origin)
  local all, resumed = {}, origin.resumed
  for _, list in ipairs { resumed and resumed.state.changes or {}, resumed and resumed.pending or {},
    origin.changes or {} } do
    table.move(list, 1, #list, #all + 1, all)
  end
  return #all > 0 and json.array(all) or nil
end

-- What a file of the run says about itself beside its state, so that it can be used alone.
local function factsOf(model, sets, values, origin)
  local set, train = sets.test, sets.train
  return {
    changes = changesOf(origin),
    options = options.select(values, "same"), network = model.config, precision = values.precision,
    trainFiles = train and train.signature and train:signature(),
    dataset = set.name, classes = set.classes, mean = set.mean, std = set.std,
    inputSize = { set.channels, set.height, set.width }, preprocess = setRecipe(set),
  }
end

--- @param parts
--   options   as options.parse and origin.find left them
--   origin    what origin.find found
--   trainer
--   sets, loaders   { train=, test=, validation= or nil } each
--   plan      (optional) of the training step, to be announced
--   notes     (optional) lines about the device, from device.choose, and others
--   facts     (optional) what a checkpoint holds besides
--   given     (optional) the set of names that the command line had
--   program   (optional) what commands begin with that the run tells of: "main.lua" when left out
--   interrupted  (optional) function() → count, signal; core.interrupted when left out
-- Where the trainer has ranks, all of them run this; rank 0 alone reads and writes the run's files.
function Run.new(parts)
  local self = setmetatable({
    options = parts.options, origin = parts.origin, trainer = parts.trainer, console = parts.trainer.console,
    sets = parts.sets, loaders = parts.loaders, plan = parts.plan, notes = parts.notes or {}, best = nil,
    given = parts.given or {}, program = parts.program or "main.lua", since = meters.Stopwatch(),
    facts = factsOf(parts.trainer.model, parts.sets, parts.options, parts.origin),
    interrupted = parts.interrupted or parts.trainer.ranks and function() return parts.trainer.ranks:interrupted() end
      or core.interrupted, ranks = parts.trainer.ranks,
    seconds = 0.0, -- spent training in the epoch under way, also by earlier processes
  }, Run)
  for name, value in pairs(parts.facts or {}) do self.facts[name] = value end
  self.trainer.epoch = self.options.epochNumber
  self.trainer.onBatch = function(n, count) return self:afterBatch(n, count) end
  if self.options.tensorboard then self.trainer.onScore = function(seen) return self:afterScore(seen) end end
  self.trainer.interrupted = function() return self.interrupted() > 0 end
  if self.origin.resumed then self:goOn(self.origin.resumed) end
  return self
end

-- Stands where the checkpoint was taken.
function Run:goOn(saved)
  local state = saved.state
  if state.finished then
    self.trainer:goTo { epoch = state.epoch + 1, iteration = 0, steps = state.steps, lossScale = state.lossScale }
  else
    self.trainer:goTo(state)
    self.seconds = saved.settings.seconds or 0.0
  end
  if not state.steps then -- of an earlier version
    self.trainer.steps = (self.trainer.epoch - self.options.epochNumber) * self.loaders.train:size()
      + self.trainer.iteration
  end
  self.best = state.best
  random.setState(state.random)
end

function Run:snapshot(finished)
  local state = self.trainer:position()
  if finished then state.errors = nil end
  state.finished, state.best, state.random = finished, self.best, random.state()
  for name, value in pairs(self.facts) do state[name] = value end
  local settings = options.select(self.options, "free")
  settings.seconds = self.seconds + self.trainer:secondsTraining()
  settings.device = self.options.device
  settings.events = self.events and self.events:state()
  return { state = state, settings = settings,
    model = self.trainer.model:stateDict(), optimizer = self.trainer.optimizer:state() }
end

-- In the directory of a run that was resumed: what a kill left undone is done, where the best model is found.
local function repair(self)
  local resumed = self.origin.resumed
  local repaired, message, code = self.store:repair(resumed.state, resumed.directory)
  if repaired == nil then return nil, message, code end
  if not repaired then
    self.console:print("The best model, of epoch %d, is gone: the best is looked for from here on.", self.best.epoch)
    self.best = nil
  end
  return true
end

-- Puts the start on the disk.
local function saveStart(self, stays)
  local resumed, changes, settings = self.origin.resumed, self.origin.changes, self:snapshot(false).settings
  if not resumed then return self.store:save(self:snapshot(false), true) end
  local done, message, code = repair(self)
  if not done then return nil, message, code end
  local pending = table.move(resumed.pending, 1, #resumed.pending, 1, {})
  table.move(changes, 1, #changes, #pending + 1, pending)
  if not stays then
    return self.store:save({ state = resumed.state, settings = settings, pending = pending, model = resumed.model,
      optimizer = resumed.optimizer }, true)
  end
  return #changes == 0 or self.store:amend(resumed, pending, settings)
end

-- For the sentence about a rank that fails.
local function tellCheckpoint(self) progress.checkpoint(self.store:path(self.store:latest())) end

-- Does the run go on in the directory that it was resumed from?
local function staysIn(directory, resumed)
  local real = resumed and core.directory_real(resumed.directory)
  return real ~= nil and core.directory_real(directory) == real
end

-- Where the errors of classes go: beside the log.
local function classLogPath(self)
  local log = self.options.log
  return log and log:gsub("%.tsv$", "") .. "_classes.tsv" or self.store:path("classes.tsv")
end

-- Is a file the errors of classes of a run, which may have had other classes?
local function isClassLog(path)
  local text = core.file_exists(path) and core.file_read(path)
  return text and text:find("^epoch\t") ~= nil
end

-- Logs elsewhere than in the -save directory are moved aside as that is.
local function moveLogsAside(self)
  local log = self.options.log
  if self.origin.resumed or not log then return true end
  local held = { Log.hasRows(log, Run.columns) and log or nil }
  held[#held + 1] = isClassLog(classLogPath(self)) and classLogPath(self) or nil
  for _, path in ipairs(held) do
    local to, message, code = claim.moveAside(path)
    if not to then return nil, message, code end
    self.console:print("%s holds the log of an earlier run, which is now %s", path, to)
  end
  return true
end

-- Lets rank 0 do something with the run's files.
local function byFirst(self, action)
  if self.ranks then return self.ranks:first(action) end
  return action()
end

-- What all ranks have found alike, rank 0 tells.
local function told(self, ...)
  if self.ranks then return self.ranks:outcome(...) end
  return ...
end

-- What `open` does with files.
local function openFiles(self)
  local opt, resumed = self.options, self.origin.resumed
  local stays = staysIn(opt.save, resumed)
  local message, code, done
  self.claim, message, code = claim.take(opt.save, not stays)
  if not self.claim then return nil, message, code end
  if stays and not checkpoint.isUnchanged(resumed) then
    return nil, ("the run in '%s' has gone on since it was read here; resume it again"):format(opt.save), "io"
  end
  if self.claim.movedTo then
    self.console:print("%s held an earlier run, which is now %s", opt.save, self.claim.movedTo)
  end
  self.store, message, code = checkpoint.Store { directory = opt.save, keep = opt.keep, kept = stays and resumed.kept }
  if not self.store then return nil, message, code end
  done, message, code = moveLogsAside(self)
  if not done then return nil, message, code end
  self.log, message, code = Log.open(opt.log or self.store:path("log.tsv"), Run.columns, self.trainer.epoch)
  if not self.log then return nil, message, code end
  self.classLog, message, code = Log.open(classLogPath(self), ClassErrors.columns(self.sets.test.classes),
    self.trainer.epoch)
  if not self.classLog then return nil, message, code end
  if opt.tensorboard then
    self.events, message, code = Events.open(opt.tensorboard, self.trainer.steps, opt.device,
      resumed and resumed.settings.events)
    if not self.events then return nil, message, code end
  end
  done, message, code = saveStart(self, stays)
  if done then tellCheckpoint(self) end
  return done, message, code
end

--- Claims the places the run writes to, so that one that cannot be written, or where another run is at work,
-- is known before training, and saves the start, so that the run can be resumed from its first second.
-- @return true, or nil, message, code
function Run:open()
  core.interrupt_install()
  self.savesFiles = true
  return told(self, byFirst(self, function() return openFiles(self) end))
end

--- Lets other processes into the -save directory. Once is enough; also done by the end of the process.
function Run:close()
  if self.claim then self.claim:release() end
  if self.events then self.events:close() end
end

-- `save`, on the rank that has the files.
local function saveFiles(self, finished)
  local snapshot = self:snapshot(finished)
  local name = finite.exception(snapshot.model) or finite.exception(snapshot.optimizer)
  if not name then
    local done, message, code = self.store:save(snapshot)
    if done then tellCheckpoint(self) end
    return done, message, code
  end
  return nil, self:divergence(("%s is not all finite numbers after batch %d of epoch %d: training diverged"):format(
    name, self.trainer.iteration, self.trainer.epoch)), "diverged"
end

-- Saves what is worth going on from.
-- @return true; or nil, message, code: "diverged" where a weight is no finite number, and nothing is saved
local function save(self, finished)
  if self.ranks then self.ranks:averageStatistics() end
  return byFirst(self, function() return saveFiles(self, finished) end)
end

-- The command that goes on with this run, with a further option where there is one.
function Run:resumeCommand(more) return nextSteps.resume(self.options, self.given, self.program, more) end

-- The sentence about a run that has diverged, with what there is to go on from.
function Run:divergence(sentence)
  if not self.store then return sentence end -- another rank has it
  local latest, kept = self.store:latest(), self.store.kept[#self.store.kept]
  local files = latest and self.store:path(latest) or self.store:path("latest.json")
  local earlier = kept and ("model_%d.safetensors"):format(kept)
  if earlier and earlier ~= latest then files = ("%s, and %s"):format(files, self.store:path(earlier)) end
  return ("%s; the last checkpoint is kept: %s; to go on with a smaller rate: %s"):format(sentence, files,
    self:resumeCommand("-LR X"))
end

function Run:stop()
  local _, signal = self.interrupted()
  local position = self.trainer:position()
  return nil, ("interrupted; saved after batch %d of epoch %d; to go on: %s"):format(
    position.iteration, position.epoch, self:resumeCommand()), "interrupted", 128 + (signal or 2)
end

-- Records a batch's score.
function Run:afterScore(seen)
  return byFirst(self, function() return self.events:trained(seen.steps, seen.n, seen.count, seen) end)
end

-- Saves where it is due, and stops where it is asked for.
function Run:afterBatch(n, count)
  progress.batch()
  local every = self.options.saveEvery
  local isAsked = self.interrupted() > 0
  if isAsked or every > 0 and n % every == 0 and n < count then
    local saved, message, code = self.trainer:settle()
    if saved then saved, message, code = save(self, false) end
    if not saved then return nil, message, code end
  end
  if isAsked then return self:stop() end
  return true
end

-- Images that could not be read, and that others stood for.
local function reportBad(self, loader)
  local bad = loader.badImages and loader:badImages() or {}
  if #bad == 0 then return end
  if self.ranks and self.ranks.rank > 0 then -- its console is silent
    for _, message in ipairs(bad) do io.stderr:write(message, "; another image stood for it\n") end
    return
  end
  self.console:print(" | %d images could not be read, and others of their classes stood for them:", #bad)
  for _, message in ipairs(bad) do self.console:print(" |   %s", message) end
end

--- Trains an epoch, or the rest of it.
-- @return the scores, as Trainer:train; or nil, message, code ("interrupted": and the exit status)
function Run:train(epoch)
  local scores, seconds, code, status = self.trainer:train(epoch, self.loaders.train)
  if not scores then
    if code == "diverged" and not seconds:find("last checkpoint", 1, true) then seconds = self:divergence(seconds) end
    return told(self, nil, seconds, code, status)
  end
  self.seconds = self.seconds + seconds
  reportBad(self, self.loaders.train)
  return scores
end

-- What sees each batch of the test images: the errors of classes, and `observe` where there is one.
local function observer(self, observe)
  self.classErrors = ClassErrors.new(self.sets.test.classes)
  return function(output, target)
    self.classErrors:add(output, target)
    if observe then observe(output, target) end
  end
end

--- Tests after an epoch, on the validation images too where there are some.
-- @param epoch its number
-- @param observe (optional) as for Trainer:test, of the test images
-- @return { test=, validation= or nil, seconds= }; or nil, message, code, exit status
function Run:test(epoch, observe)
  local scores = { seconds = 0.0 }
  for _, part in ipairs { { "validation", "Validation" }, { "test", "Test" } } do
    local loader = self.loaders[part[1]]
    if loader then
      local result, seconds, code = self.trainer:test(part[2], epoch, loader,
        part[1] == "test" and observer(self, observe) or nil)
      if not result and code == "interrupted" and self.savesFiles then
        local saved, message, saveCode = save(self, false)
        if not saved then return told(self, nil, message, saveCode) end
        return told(self, self:stop())
      end
      if not result and code == "diverged" and self.savesFiles then seconds = self:divergence(seconds) end
      if not result then return told(self, nil, seconds, code) end
      scores[part[1]], scores.seconds = result, scores.seconds + seconds
      reportBad(self, loader)
    end
  end
  if self.ranks then self.classErrors:addUp(self.ranks) end
  if self.options.perClass then self.classErrors:print(self.console) end
  return scores
end

local function fill(row, name, result)
  if not result then return end
  row[name .. "_loss"], row[name .. "_top1"], row[name .. "_top5"] = result.loss, result.top1, result.top5
end

--- Ends an epoch: is it the best, a row in the log, a checkpoint. The row comes first: a run killed
-- between the two trains the epoch again and replaces it.
-- @param epoch its number
-- @param trained what train returned
-- @param tested what test returned
-- @return true, or nil, message, code
function Run:finish(epoch, trained, tested)
  local chosen = tested.validation or tested.test
  if not self.best or chosen.top1 < self.best.top1 then
    self.best = { epoch = epoch, top1 = chosen.top1, top5 = chosen.top5,
      by = tested.validation and "validation" or "test" }
    self.console:print(" * Best model so far: top1 %.3f  top5 %.3f", chosen.top1, chosen.top5)
  end
  local count = self.loaders.train:size()
  local row = { train_batches = count, lr = self.trainer.schedule:learningRate(epoch, count, count),
    best_top1 = self.best.top1, train_seconds = self.seconds, test_seconds = tested.seconds }
  local scaling = self.trainer.lossScale
  if scaling then row.loss_scale, row.skipped_steps = scaling.scale, scaling.skipped end
  fill(row, "train", trained)
  fill(row, "val", tested.validation)
  fill(row, "test", tested.test)
  local done, message, code = byFirst(self, function()
    local added, why, kind = self.log:add(epoch, row)
    if added then added, why, kind = self.classLog:add(epoch, self.classErrors:row()) end
    return added, why, kind
  end)
  self.seconds = 0.0
  if done and self.ranks then done, message, code = self.ranks:checkSame(epoch) end
  if done and self.options.tensorboard then
    done, message, code = byFirst(self, function() return self.events:tested(self.trainer.steps, tested) end)
  end
  if done then done, message, code = save(self, true) end
  if not done then return told(self, nil, message, code) end
  return true
end

--- What the run came to, how long it took, and what can be done with its model.
function Run:report()
  local best = self.best
  if self.savesFiles and not self.store then return end -- another rank tells it
  if not best then return self.console:print("No epoch was trained.") end
  self.console:print(" * Best: %s error top1 %.3f %%, top5 %.3f %% after epoch %d", best.by, best.top1, best.top5,
    best.epoch)
  self.console:print("%s %s. The best model is in %s", self.origin.resumed and "Since it was resumed the run took"
    or "The run took", self.console.duration(self.since:seconds()), self.store:bestPath())
  self.console:print("To test it:\n  %s", nextSteps.test(self.options, self.given, self.program, self.store:bestPath()))
  self.console:print("To train for longer, such as twice the epochs:\n  %s",
    self:resumeCommand(("-nEpochs %d"):format(2 * self.options.nEpochs)))
end

--- Tests the network that the run starts from, and nothing else; with -confusion writes what was mistaken.
-- @return as test
function Run:testOnly()
  core.interrupt_install()
  local about, directory = self.origin.about, self.options.confusion
  local mistakes = directory and Mistakes.new(self.sets.test)
  local scores, message, code, status = self:test(about and about.epoch or self.options.epochNumber,
    mistakes and function(...) mistakes:add(...) end)
  if scores and mistakes then
    local written
    written, message, code = mistakes:write(directory)
    if not written then return nil, message, code end
    self.console:fact("confusion:", "%s/confusion.tsv, the worst mistakes in %s/mistakes", directory, directory)
  end
  return scores, message, code, status
end

--- Prints the lines a run begins with: images, network, machine, and where it saves.
function Run:announce() announcement(self) end

return Run
