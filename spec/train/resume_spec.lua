-- What a run does that diverges, and one that is resumed with other options.
local core = require "densenet.core"
local dn = require "densenet"
local smallRun = require "spec.support.small_run"
local temporary = require "spec.support.temporary"

local train = dn.train
local go, log_of, new_run = smallRun.go, smallRun.log, smallRun.line
local killed = {}

describe("a run that diverges", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  -- From epoch 2 on the classifier answers `value` for one of the classes in tests.
  local function spoil(value)
    return function(run)
      local test = run.trainer.test
      run.trainer.test = function(trainer, name, epoch, loader)
        if epoch == 2 then trainer.model:get("classifier").bias:fill(value) end
        return test(trainer, name, epoch, loader)
      end
    end
  end

  for _, case in ipairs { { "NaN", 0 / 0 }, { "infinite", -math.huge } } do
    local text, value = table.unpack(case)
    it("in its test, with outputs that are " .. text .. ", has no new best model and keeps what it had", function()
      local path = directory .. "/a"
      local run, message, code = go(new_run:gsub("%-nEpochs 2", "-nEpochs 3") .. path, nil, spoil(value))
      assert.is_nil(run)
      assert.equal("diverged", code)
      assert.matches("the network's outputs are not all finite numbers in the validation of epoch 2, batch 1 of 1",
        message, 1, true)
      assert.matches(path .. "/model_2_2.safetensors, and " .. path .. "/model_1.safetensors; to go on with a smaller "
        .. "rate: main.lua -resume " .. path .. " -LR X", message, 1, true)
      assert.equal("classes.tsv latest.json log.tsv model_1.safetensors model_2_2.safetensors model_best.safetensors "
        .. "optimState_1.safetensors optimState_2_2.safetensors", table.concat(core.directory_list(path), " "))
      assert.equal(2, #log_of(path))
      for _, from in ipairs { path, path .. "/model_1.safetensors" } do
        assert(go(("-resume %s -LR 0.01 -save %s/b"):format(from, directory)))
        temporary.remove(directory .. "/b")
      end
    end)
  end

  it("does not save weights that are no numbers", function()
    local path = directory .. "/a"
    local run, message, code = go(new_run .. path, nil, function(run)
      local step = run.trainer.optimizer.step
      run.trainer.optimizer.step = function(optimizer)
        step(optimizer)
        if run.trainer.iteration == 1 then run.trainer.model:get("classifier").bias:fill(0 / 0) end
      end
    end)
    assert.is_nil(run)
    assert.equal("diverged", code)
    assert.matches("classifier.bias is not all finite numbers after batch 2 of epoch 1: training diverged", message, 1,
      true)
    assert.matches(path .. "/model_1_1.safetensors", message, 1, true)
    assert.is_false(core.file_exists(path .. "/model_1_2.safetensors"))
    assert(go("-resume " .. path))
  end)
end)

describe("a resumed run", function()
  local directory, path
  before_each(function()
    directory = temporary.directory()
    path = directory .. "/a"
  end)
  after_each(function() temporary.remove(directory) end)

  local files = { "model_3.safetensors", "model_best.safetensors", "optimState_3.safetensors" }

  -- Interrupts at the n-th question.
  local function at(n)
    local asked = 0
    return function()
      asked = asked + 1
      return asked >= n and 1 or 0, 15
    end
  end

  local changes = "-LR 0.05 -lrShape cosine -momentum 0.5 -weightDecay 0.01"

  -- Trains for an epoch, or to batch 2 of epoch 2, and from there on with other options; `stops` are the
  -- questions at which it is stopped again and resumed without them.
  local function changed(place, line, isWithin, stops)
    local start = new_run:gsub("%-nEpochs 2", isWithin and "-nEpochs 3" or "-nEpochs 1") .. place
    assert.equal(not isWithin, go(start, isWithin and at(7) or nil) ~= nil)
    local run
    for i, stop in ipairs(stops) do
      run = go(("-resume %s %s"):format(place, i == 1 and line or ""), at(stop))
      assert.is_nil(run)
    end
    return assert(go(("-resume %s %s"):format(place, #stops == 0 and line or "")))
  end

  for _, isWithin in ipairs { true, false } do
    it("takes other options, says from where on, and keeps them, killed or not, "
      .. (isWithin and "within an epoch" or "between epochs"), function()
      local line = "-nEpochs 3 " .. changes .. (isWithin and "" or " -batchSize 5")
      local run = changed(path, line, isWithin, {})
      local said = table.concat(run.lines, "\n")
      local from = isWithin and "from batch 3 of epoch 2 on" or "from epoch 2 on"
      assert.matches("changes:   -LR 0.05 instead of 0.1, " .. from .. "; the learning rate there is 0.0", said, 1,
        true)
      assert.matches("changes:   -momentum 0.5 instead of 0.9, " .. from, said, 1, true)
      assert.matches("changes:   -weightDecay 0.01 instead of 0.0001, " .. from, said, 1, true)
      assert.matches("changes:   -lrShape cosine instead of multistep, " .. from, said, 1, true)
      assert.equal(not isWithin, said:find("-batchSize 5 instead of 8, from epoch 2 on", 1, true) ~= nil)
      assert.equal(0.5, run.values.momentum)
      local state = assert(train.checkpoint.load(path)).state
      assert.equal(0.05, state.options.LR)
      assert.equal(isWithin and 4 or 5, #state.changes)
      for _, stops in ipairs { { 1 }, { 1, 1, 1 }, { 2, 3 }, { 4 } } do
        local other = ("%s/%s"):format(directory, table.concat(stops, "-"))
        local again = changed(other, line, isWithin, stops)
        assert.equal(0.05, again.values.LR)
        assert.is_nil(table.concat(again.lines, "\n"):find("changes:", 1, true))
        for _, name in ipairs(files) do
          assert.is_true(temporary.read(path .. "/" .. name) == temporary.read(other .. "/" .. name),
            name .. " after " .. table.concat(stops, " "))
        end
      end
    end)
  end

  it("has not lost them when it is killed before its first save", function()
    assert(go(new_run:gsub("%-nEpochs 2", "-nEpochs 1") .. path))
    local write = core.file_write
    finally(function() core.file_write = write end)
    local hasAmended = false
    core.file_write = function(to, ...) -- luacheck: ignore 122
      if hasAmended and to:find("safetensors") then error(killed, 0) end
      hasAmended = hasAmended or to:find("latest.json", 1, true) ~= nil
      return write(to, ...)
    end
    local done, err = pcall(go, "-resume " .. path .. " -nEpochs 3 " .. changes)
    assert.is_false(done)
    assert.equal(killed, err)
    core.file_write = write -- luacheck: ignore 122
    local run = assert(go("-resume " .. path))
    assert.equal(0.05, run.values.LR)
    assert.equal(3, run.values.nEpochs)
    changed(directory .. "/b", "-nEpochs 3 " .. changes, false, {})
    for _, name in ipairs(files) do
      assert.is_true(temporary.read(path .. "/" .. name) == temporary.read(directory .. "/b/" .. name), name)
    end
  end)

  it("does the same in another directory", function()
    assert(go(new_run:gsub("%-nEpochs 2", "-nEpochs 1") .. path))
    assert(go(("-resume %s -nEpochs 3 %s -save %s/b"):format(path, changes, directory)))
    assert(go(("-resume %s -nEpochs 3 %s"):format(path, changes)))
    for _, name in ipairs(files) do
      assert.is_true(temporary.read(path .. "/" .. name) == temporary.read(directory .. "/b/" .. name), name)
    end
  end)

  it("takes another -batchSize only between epochs", function()
    assert.is_nil(go(new_run .. path, at(2)))
    local run, message, code = go("-batchSize 4 -resume " .. path)
    assert.is_nil(run)
    assert.equal("usage", code)
    assert.matches("a resumed run cannot change -batchSize 4 (the checkpoint has 8, and stands after batch 2 of "
      .. "epoch 1: it may change between epochs)", message, 1, true)
  end)

  it("starts without velocities when there was no momentum, and forgets them when there is none", function()
    assert(go(new_run:gsub("%-nEpochs 2", "-nEpochs 1") .. path))
    assert(go("-resume " .. path .. " -nEpochs 2 -momentum 0"))
    assert.same({}, (dn.safetensors.load(path .. "/optimState_2.safetensors")))
    assert(go("-resume " .. path .. " -nEpochs 3 -momentum 0.9"))
    assert.is_truthy(next((dn.safetensors.load(path .. "/optimState_3.safetensors"))))
  end)
end)
