-- The promise of a checkpoint: killed between any two file operations, or in the middle of one, the
-- directory can be gone on from. A kill is simulated by core.file_* functions that raise at the n-th
-- call, before or after it had its effect, for every n.
local core = require "densenet.core"
local checkpoint = require "densenet.train.checkpoint"
local json = require "densenet.io.json"
local safetensors = require "densenet.io.safetensors"
local temporary = require "spec.support.temporary"

local function list(directory) return table.concat(core.directory_list(directory), " ") end

local operations = { "file_write", "file_remove" }
local killed = {}

-- Runs action; the n-th file operation in it is the last. Returns whether there was an n-th.
local function kill_at(n, after, action)
  local originals, count = {}, 0
  for _, name in ipairs(operations) do
    originals[name] = core[name]
    core[name] = function(...)
      count = count + 1
      if count == n and not after then error(killed, 0) end
      local a, b, c = originals[name](...)
      if count == n then error(killed, 0) end
      return a, b, c
    end
  end
  local done, err = pcall(action)
  for name, original in pairs(originals) do core[name] = original end
  if not done and err ~= killed then error(err, 0) end
  return not done
end

local function tensor(value) return core.tensor_from("cpu", "float", { value, value }) end

-- A run whose weights and optimizer hold epoch + iteration / 100, and whose epochs 1 and 3 are best.
local best_by_epoch = { { epoch = 1, top1 = 9.5 }, { epoch = 1, top1 = 9.5 }, { epoch = 3, top1 = 2.25 } }

local function snapshot(epoch, iteration, finished)
  local value = epoch + iteration / 100
  local last = finished and epoch or epoch - 1
  return {
    state = { epoch = epoch, iteration = iteration, finished = finished, best = best_by_epoch[last],
      options = {}, network = {}, random = { seed = 0, position = 7 } },
    settings = { nEpochs = 3 },
    model = { weight = tensor(value) }, optimizer = { ["velocity.weight"] = tensor(-value) },
  }
end

local steps = {
  { 1, 0, false }, { 1, 4, false }, { 1, 8, true }, { 2, 4, false }, { 2, 8, true }, { 3, 4, false }, { 3, 8, true },
}

local function store_in(directory, keep, kept)
  return assert(checkpoint.Store { directory = directory, keep = keep or 1, kept = kept })
end

local function value_of(step) return step[1] + step[2] / 100 end

-- Which step the directory goes on from; its model and optimizer must agree with its state.
local function resumed_step(directory)
  local saved = assert(checkpoint.load(directory))
  for i, step in ipairs(steps) do
    if step[1] == saved.state.epoch and step[2] == saved.state.iteration then
      local expected = core.tensor_from("cpu", "float", { value_of(step), -value_of(step) })
      assert.equal(expected:at(1), saved.model.weight:at(1))
      assert.equal(expected:at(2), saved.optimizer["velocity.weight"]:at(1))
      assert.equal(step[3], saved.state.finished)
      return i, saved
    end
  end
  error("no step of the run")
end

local function assert_best(directory, state)
  local path = directory .. "/model_best.safetensors"
  if not state.best then
    assert.is_false(core.file_exists(path))
  else
    local _, metadata = safetensors.load(path)
    assert.same(state.best, assert(checkpoint.stateOf(metadata, path)).best)
    assert.equal(state.best.epoch, checkpoint.stateOf(metadata, path).epoch)
  end
end

describe("a checkpoint directory", function()
  local directory
  before_each(function() directory = temporary.directory() .. "/deep/er" end)
  after_each(function() temporary.remove((directory:gsub("/deep/er$", ""))) end)

  it("holds the files that other tools know, and no others", function()
    local store = store_in(directory)
    for _, step in ipairs(steps) do assert(store:save(snapshot(table.unpack(step)))) end
    assert.equal("latest.json model_3.safetensors model_best.safetensors optimState_3.safetensors",
      list(directory))
    local latest = json.decode(temporary.read(directory .. "/latest.json"))
    assert.equal("model_3.safetensors", latest.model)
    assert.equal(3, latest.epoch)
  end)

  it("is saved past pipes and links that somebody put under its temporary names", function()
    local store = store_in(directory)
    local victim = temporary.write(directory .. "/victim", "precious")
    assert(os.execute(("cd %s && mkfifo model_1.safetensors.tmp && ln victim optimState_1.safetensors.tmp "
      .. "&& ln -s victim latest.json.tmp"):format(directory)))
    assert(store:save(snapshot(1, 8, true)))
    assert.equal("precious", temporary.read(victim))
    assert.equal(1, assert(checkpoint.load(directory)).state.epoch)
  end)

  it("whose latest.json is another file says what that is", function()
    store_in(directory)
    temporary.write(directory .. "/latest.json", "<html>Not found</html>")
    local saved, message, code = checkpoint.load(directory)
    assert.is_nil(saved)
    assert.is_truthy(message:find("/latest.json: expected JSON, got an HTML page", 1, true), message)
    assert.equal("format", code)
  end)

  it("keeps as many epochs as asked for", function()
    local store = store_in(directory, 2)
    for i = 1, 5 do assert(store:save(snapshot(table.unpack(steps[i])))) end
    assert.equal("latest.json model_1.safetensors model_2.safetensors model_best.safetensors "
      .. "optimState_1.safetensors optimState_2.safetensors", list(directory))
    assert(store:save(snapshot(3, 4, false)))
    assert.is_truthy(list(directory):find("model_1.safetensors model_2.safetensors model_3_4.safetensors", 1, true))
    assert(store:save(snapshot(3, 8, true)))
    assert.equal("latest.json model_2.safetensors model_3.safetensors model_best.safetensors "
      .. "optimState_2.safetensors optimState_3.safetensors", list(directory))
  end)

  for _, after in ipairs { false, true } do
    it("can be gone on from, killed " .. (after and "after" or "before") .. " any file operation", function()
      local before = directory .. "-before"
      local earlier, lists = store_in(before), {}
      for i = 2, #steps do
        assert(earlier:save(snapshot(table.unpack(steps[i - 1]))))
        lists[i - 1] = list(before)
        local n = 0
        repeat
          n = n + 1
          assert(n < 50)
          os.execute(("rm -rf '%s' && cp -r '%s' '%s'"):format(directory, before, directory))
          local store = store_in(directory, 1, earlier.kept)
          local was_killed = kill_at(n, after, function() assert(store:save(snapshot(table.unpack(steps[i])))) end)
          local at, saved = resumed_step(directory)
          assert.is_true(at == i or was_killed and at == i - 1)
          -- The next process repairs the best model and leaves what a process never killed leaves.
          assert.is_true(store_in(directory, 1, saved.kept):repair(saved.state, directory))
          assert_best(directory, saved.state)
          lists[at] = lists[at] or list(directory)
          assert.equal(lists[at], list(directory))
        until not was_killed
        assert.is_true(n > 3)
      end
    end)
  end

  it("survives a kill during the repair", function()
    local store = store_in(directory)
    for i = 1, 2 do assert(store:save(snapshot(table.unpack(steps[i])))) end
    assert.is_true(kill_at(4, false, function() store:save(snapshot(table.unpack(steps[3]))) end))
    local saved = assert(checkpoint.load(directory))
    assert.equal(1, saved.state.best.epoch)
    assert.is_false(core.file_exists(directory .. "/model_best.safetensors"))
    assert.is_true(kill_at(1, false, function() store:repair(saved.state, directory) end))
    assert.is_true(store_in(directory):repair(saved.state, directory))
    assert_best(directory, saved.state)
  end)

  it("says when nobody has the best model any more", function()
    local store = store_in(directory)
    for i = 1, 4 do assert(store:save(snapshot(table.unpack(steps[i])))) end
    os.remove(directory .. "/model_best.safetensors")
    os.remove(directory .. "/model_1.safetensors")
    assert.is_false(store:repair(assert(checkpoint.load(directory)).state, directory))
  end)

  it("knows whether it holds a run", function()
    local store = store_in(directory)
    assert.is_false(checkpoint.holdsRun(directory))
    assert.is_true(kill_at(3, false, function() store:save(snapshot(1, 0, false)) end))
    assert.equal("model_1_0.safetensors optimState_1_0.safetensors", list(directory))
    assert.is_false(checkpoint.holdsRun(directory))
    assert(store:save(snapshot(1, 0, false)))
    assert.is_true(checkpoint.holdsRun(directory))
    for _, name in ipairs { "model_7.safetensors", "model_best.safetensors", "optimState_7_3.safetensors" } do
      local other = directory .. "/" .. name:match("^%a+_(.+)%.")
      core.directory_make(other)
      temporary.write(other .. "/" .. name, "")
      assert.is_true(checkpoint.holdsRun(other))
    end
    assert.is_false(checkpoint.holdsRun(directory .. "/none"))
  end)

  it("keeps options that changed until the next save, killed anywhere", function()
    local pending = { { option = "LR", from = 0.1, to = 0.05, epoch = 2, iteration = 0 } }
    for n = 1, 3 do
      for _, after in ipairs { false, true } do
        local store = store_in(directory)
        assert(store:save(snapshot(1, 8, true)))
        local saved = assert(checkpoint.load(directory))
        assert.same({}, saved.pending)
        local was_killed = kill_at(n, after, function() assert(store:amend(saved, pending, { nEpochs = 5 })) end)
        local again = assert(checkpoint.load(directory))
        assert.equal(not (was_killed and not after), #again.pending == 1)
        assert.equal(#again.pending == 1 and 5 or 3, again.settings.nEpochs)
        assert.same(saved.state, again.state)
        -- One save later they belong to the state.
        assert(store:save(snapshot(2, 4, false)))
        assert.same({}, assert(checkpoint.load(directory)).pending)
        os.execute(("rm -rf '%s'"):format(directory))
      end
    end
  end)

  it("resumes from one of its model files", function()
    local store = store_in(directory, 3)
    for _, step in ipairs(steps) do assert(store:save(snapshot(table.unpack(step)))) end
    local saved = assert(checkpoint.load(directory .. "/model_2.safetensors"))
    assert.equal(2, saved.state.epoch)
    assert.equal(directory, saved.directory)
    assert.same({ 1, 2 }, { table.unpack(saved.kept) })
    assert.equal(3, saved.settings.nEpochs)
    assert.equal(3, assert(checkpoint.load(directory .. "/latest.json")).state.epoch)
  end)
end)

describe("what cannot be resumed", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function refuses(path, text, expected_code)
    local saved, message, code = checkpoint.load(path)
    assert.is_nil(saved)
    assert.is_truthy(message:find(text, 1, true), message)
    assert.equal(expected_code, code)
  end

  it("is an empty directory, or none", function()
    refuses(directory, "nothing to resume", "io")
    refuses(directory .. "/none", "nothing to resume", "io")
    refuses(directory .. "/model_4.safetensors", "model_4.safetensors", "io")
    refuses(directory .. "/model_best.safetensors", "expected a directory or its model_<epoch>", "format")
  end)

  it("is a latest.json that is not one", function()
    for content, text in pairs {
      [""] = "JSON", ["{"] = "JSON", ["[]"] = "not a checkpoint", ["{}"] = "not a checkpoint",
      ['{"version":99}'] = "version: expected 1, got 99",
      ['{"version":1,"epoch":1.5}'] = "epoch: expected a whole number from 1 to 1000000, got 1.5",
      ['{"version":1,"epoch":1,"iteration":0}'] = "finished: expected true or false, got nothing",
    } do
      temporary.write(directory .. "/latest.json", content)
      refuses(directory, text, "format")
    end
  end)

  it("is a checkpoint with a file missing, cut short or exchanged", function()
    local store = store_in(directory, 3)
    for i = 1, 5 do assert(store:save(snapshot(table.unpack(steps[i])))) end
    local path = directory .. "/model_2.safetensors"
    local whole = temporary.read(path)
    temporary.write(path, temporary.read(directory .. "/model_1.safetensors"))
    refuses(directory, "are of different checkpoints", "format")
    temporary.write(path, whole:sub(1, -2))
    refuses(directory, "model_2.safetensors", "format")
    temporary.write(path, whole)
    os.remove(directory .. "/optimState_2.safetensors")
    refuses(directory, "optimState_2.safetensors", "io")
  end)
end)

describe("saving", function()
  it("is refused at once where nothing can be written", function()
    for _, path in ipairs { "/dev/null/checkpoints", "/proc/checkpoints" } do
      local store, message, code = checkpoint.Store { directory = path, keep = 1 }
      assert.is_nil(store)
      assert.is_truthy(message:find("cannot save in '" .. path .. "'", 1, true))
      assert.equal("io", code)
    end
  end)
end)
