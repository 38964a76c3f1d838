-- A latest.json in which one field is wrong is refused in a sentence that names the file and the field.
local checkpoint = require "densenet.train.checkpoint"
local core = require "densenet.core"
local json = require "densenet.io.json"
local temporary = require "spec.support.temporary"

local function snapshot()
  local weight = core.tensor_from("cpu", "float", { 1, 2 })
  return {
    state = { epoch = 2, iteration = 4, finished = false, random = { seed = 0, position = 7 },
      best = { epoch = 1, top1 = 9.5, top5 = 0.5, by = "test" },
      options = { LR = 0.1, batchSize = 16, dataset = "mnist" },
      network = { blocks = { 1 } }, errors = { lossSum = 2.5, wrong1 = 3, wrong5 = 1, count = 64 },
      lossScale = { scale = 65536.0, good = 3, skipped = 0 }, precision = "half", dataset = "mnist",
      classes = { "a", "b" }, mean = { 60.5 }, std = { 61.25 }, inputSize = { 1, 28, 28 } },
    settings = { nEpochs = 3, seconds = 0.5, device = "cpu" }, model = { weight = weight },
    optimizer = { weight = weight },
  }
end

-- Path of a field, JSON put in its place, and what the sentence says.
local cases = {
  { "version", "2", "version: expected 1, got 2" },
  { "epoch", '"x"', 'epoch: expected a whole number from 1 to 1000000, got "x"' },
  { "epoch", "0", "epoch: expected a whole number" },
  { "epoch", "1e999", "a number beyond what a double holds" },
  { "iteration", "-1", "iteration: expected a whole number from 0" },
  { "iteration", "1.5", "iteration: expected a whole number from 0" },
  { "finished", "0", "finished: expected true or false, got 0" },
  { "finished", "null", "finished: expected true or false, got null" },
  { "random", "[]", "random: expected an object, got a list of 0" },
  { "random.seed", "1.5", "random.seed: expected a whole number" },
  { "random.position", '""', "random.position: expected a whole number" },
  { "options", "3", "options: expected an object, got 3" },
  { "options.LR", '"x"', "options.LR: expected a number above 0, got x" },
  { "options.LR", "0", "options.LR: expected a number above 0, got 0" },
  { "options.LR", "{}", "options.LR: expected a number above 0, got a table" },
  { "options.batchSize", "0.5", "options.batchSize: expected an integer" },
  { "options.dataset", '""', "options.dataset: expected a name, such as fashion-mnist" },
  { "options.dataset", "[]", "options.dataset: expected a name, such as fashion-mnist, got a table" },
  { "options.depth", '"x"', "options.depth: expected an integer" },
  { "options.netType", '"nowhere"', "options.netType: no network is called 'nowhere'" },
  { "options.netType", "3", "options.netType: expected a name, got a number" },
  { "network", "null", "network: expected an object, got null" },
  { "best", "[]", "best: expected an object" },
  { "best.top1", "101", "best.top1: expected a number from 0 to 100, got 101" },
  { "best.epoch", "null", "best.epoch: expected a whole number" },
  { "best.add", "1", 'best has a field "add" that is not known' },
  { "errors.count", "-1", "errors.count: expected a whole number" },
  { "errors.result", "1", 'errors has a field "result" that is not known' },
  { "lossScale.scale", "0", "lossScale.scale: expected a finite number above 0" },
  { "precision", '"quarter"', "precision: expected one of single" },
  { "classes", '["a", 1]', "classes[2]: expected a text, got 1" },
  { "classes", "{}", nil },
  { "mean", "[1e999]", "a number beyond what a double holds" },
  { "mean", "[1, 2]", "mean: expected a list of 1, as many as inputSize has channels, got a list of 2" },
  { "std", "[0]", "std[1]: expected a finite number above 0, got 0" },
  { "std", '{"1": 2}', "std: expected a list, got an object" },
  { "inputSize", "[1, 28]", "inputSize: expected a list of 3" },
  { "inputSize", "[1, 28, 0]", "inputSize[3]: expected a whole number from 1" },
  { "model", '"../model_2_4.safetensors"', "model: expected model_2_4.safetensors" },
  { "model", '"/etc/passwd"', "model: expected model_2_4.safetensors, the file of this epoch and iteration, got /etc" },
  { "model", "null", "model: expected model_2_4.safetensors" },
  { "optimState", '"optimState_1.safetensors"', "optimState: expected optimState_2_4.safetensors" },
  { "kept", '["a"]', 'kept[1]: expected a whole number from 1 to 1000000, got "a"' },
  { "kept", "3", "kept: expected a list, got 3" },
  { "settings", "[]", "settings: expected an object" },
  { "settings.nEpochs", '"x"', "settings.nEpochs: expected an integer" },
  { "settings.nEpochs", "1e999", "a number beyond what a double holds" },
  { "settings.seconds", "-1", "settings.seconds: expected a number of seconds" },
  { "settings.keep", "0", "settings.keep: expected an integer of at least 1" },
  { "settings.device", "{}", "settings.device: expected a text" },
  { "steps", "-1", "steps: expected a whole number" },
  { "settings.events", "3", "settings.events: expected an object, got 3" },
  { "settings.events", "{}", "settings.events.steps: expected a whole number" },
  { "settings.events", '{"steps": 1}', "settings.events.errors: expected an object" },
  { "settings.events", '{"steps": 1, "errors": {"x": 1}}', "settings.events.errors.lossSum: expected a finite number" },
  { "pending", "3", "pending: expected a list, got 3" },
  { "pending", '[{"option": "LR", "to": "x", "epoch": 1, "iteration": 0}]', "pending[1].LR: expected a number" },
  { "pending", '[{"option": "growthRate", "to": 3, "epoch": 1, "iteration": 0}]', "expected one that may change" },
  { "changes", "[3]", "changes[1]: expected an object, got 3" },
}

describe("latest.json", function()
  local directory, whole
  before_each(function()
    directory = temporary.directory()
    local store = assert(checkpoint.Store { directory = directory, keep = 1 })
    assert(store:save(snapshot()))
    whole = temporary.read(directory .. "/latest.json")
  end)
  after_each(function() temporary.remove(directory) end)

  it("is read when it is as it was written", function()
    assert(checkpoint.load(directory))
  end)

  for _, case in ipairs(cases) do
    it(("with %s: %s is %s"):format(case[1], case[2], case[3] and "refused" or "of another checkpoint"), function()
      local latest = json.decode(whole)
      local place, names = latest, {}
      for name in case[1]:gmatch("[^.]+") do names[#names + 1] = name end
      for i = 1, #names - 1 do place = place[names[i]] end
      place[names[#names]] = "MARK"
      local path = directory .. "/latest.json"
      local before, behind = json.encode(latest):match('^(.*)"MARK"(.*)$')
      temporary.write(path, before .. case[2] .. behind)
      local saved, message, code = checkpoint.load(directory)
      assert.is_nil(saved)
      assert.equal("format", code)
      if not case[3] then return assert.matches("of different checkpoints", message, 1, true) end
      assert.equal(1, (message:find(path, 1, true)), message)
      assert.is_truthy(message:find(case[3], 1, true), message)
      assert.is_nil(message:find("\n", 1, true))
    end)
  end
end)
