--- The lines a run begins with: images, network, machine, and where it saves; of a resumed one where it goes on.
local core = require "densenet.core"
local device = require "densenet.train.device"
local dtypeBytes = require "densenet.dtype_bytes"
local memory = require "densenet.train.memory"
local models = require "densenet.models"
local options = require "densenet.train.options"
local sources = require "densenet.train.sources"

local function networkLine(trainer)
  local model, config = trainer.model, trainer.model.config
  local nFrozen = model:frozenCount()
  local n = model:parameterCount() + nFrozen
  return core.format("%s, %d classes, %d parameters (%.1f MB)%s", models.describe(config), config.nClasses, n,
    n * dtypeBytes[config.precision == "double" and "double" or "float"] / 2 ^ 20,
    nFrozen > 0 and (", %d of them frozen"):format(nFrozen) or "")
end

-- What is other than it was, from where on, and what the learning rate is there.
local function tellChanges(self)
  local schedule, count = self.trainer.schedule, self.loaders.train:size()
  for _, change in ipairs(self.origin.changes or {}) do
    local from = change.iteration == 0 and ("epoch %d on"):format(change.epoch)
      or ("batch %d of epoch %d on"):format(change.iteration + 1, change.epoch)
    local rate = ""
    if change.option == "LR" or change.option == "lrShape" then
      rate = ("; the learning rate there is %s"):format(options.text(
        schedule:learningRate(change.epoch, change.iteration + 1, count)))
    end
    self.console:fact("changes:", "-%s %s instead of %s, from %s%s", change.option, options.text(change.to),
      options.text(change.from), from, rate)
  end
end

-- Where a resumed run goes on, and what is no longer as it was.
local function tellResumed(self)
  local opt, resumed = self.options, self.origin.resumed
  local state, before = resumed.state, resumed.settings
  self.console:fact("resumes:", "%s, %s epoch %d", resumed.directory,
    state.finished and "after" or ("after batch %d of"):format(state.iteration), state.epoch)
  local function changed(was)
    self.console:fact("", "it had %s: it goes on the same to rounding, not bit for bit", was)
  end
  if before.optMemory and before.optMemory ~= opt.optMemory then changed(memory.modeText(before.optMemory)) end
  if before.device and before.device ~= opt.device then changed("-device " .. before.device) end
  if state.precision ~= opt.precision then changed("-precision " .. tostring(state.precision)) end
  local files, now = state.trainFiles, self.facts.trainFiles
  if files and now and table.concat(files, " ") ~= table.concat(now, " ") then
    self.console:fact("changes:", "the folder trained on holds other files than it did (%d images, it had %d): the run "
      .. "goes on with them, and is no longer what it would have been", now[1], files[1])
  end
  tellChanges(self)
  if self.trainer.epoch > opt.nEpochs then
    self.console:print("All of its %d epochs are trained; a larger -nEpochs trains on.", opt.nEpochs)
  end
end

--- @param self densenet.train.Run
return function(self)
  local opt = self.options
  for _, line in ipairs(sources.describe(self.sets)) do self.console:fact(line[1], "%s", line[2]) end
  self.console:fact("network:", "%s", networkLine(self.trainer))
  self.console:fact("device:", "%s in %s precision, %d compute threads, %d loader threads",
    device.describe(opt.device), opt.precision, opt.nCores, opt.nThreads)
  for _, note in ipairs(self.notes) do self.console:fact("", "%s", note) end
  for i, note in ipairs(self.origin.notes or {}) do
    self.console:fact(i == 1 and "retrains:" or "", "%s: %s", opt.retrain, note)
  end
  if opt.testOnly then return end
  if self.plan then self.console:fact("memory:", "%s", memory.describe(self.plan)) end
  self.console:fact("saves in:", "%s", opt.save)
  if self.origin.resumed then tellResumed(self) end
end
