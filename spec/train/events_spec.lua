-- What a run writes for TensorBoard: the numbers of its log, and the same ones whether it was killed or not.
local core = require "densenet.core"
local eventReader = require "spec.support.event_reader"
local smallRun = require "spec.support.small_run"
local tablex = require "pl.tablex"
local temporary = require "spec.support.temporary"

local line = smallRun.line:gsub("%-batchSize 8", "-batchSize 1") -- 20 batches in an epoch

-- Without what is measured anew each time.
local function lasting(scalars)
  local kept = {}
  for tag, list in tablex.sort(scalars) do
    if not (tag:find "^time/" or tag == "images_per_second" or tag == "memory/MB") then kept[tag] = list end
  end
  return kept
end

describe("-tensorboard", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function path(name) return directory .. "/" .. name end

  local function interruptAt(n)
    local asked = 0
    return function()
      asked = asked + 1
      return asked >= n and 1 or 0, 15
    end
  end

  it("has a record for ten batches and one for an epoch's evaluations", function()
    assert(smallRun.go(line .. path "run" .. " -tensorboard " .. path "events"))
    local scalars = eventReader.scalars(path "events")
    local steps = {}
    for i, pair in ipairs(scalars["train/loss"]) do steps[i] = pair[1] end
    assert.same({ 10, 20, 30, 40 }, steps)
    assert.same({ 20, 40 }, { scalars["test/loss"][1][1], scalars["test/loss"][2][1] })
    local rows, columns = {}, {}
    for row in temporary.read(path "run/log.tsv"):gmatch "[^\n]+" do
      local cells = {}
      for cell in row:gmatch "[^\t]*" do cells[#cells + 1] = cell end
      rows[#rows + 1] = cells
    end
    for i, name in ipairs(rows[1]) do columns[name] = i end
    for epoch = 1, 2 do
      for _, each in ipairs { { "test/loss", "test_loss" }, { "test/top1_error", "test_top1" },
        { "val/top5_error", "val_top5" }, { "val/loss", "val_loss" } } do
        assert.near(tonumber(rows[epoch + 1][columns[each[2]]]), scalars[each[1]][epoch][2], 1e-5)
      end
      local train = scalars["train/loss"]
      assert.near(tonumber(rows[epoch + 1][columns.train_loss]),
        (train[2 * epoch - 1][2] + train[2 * epoch][2]) / 2, 1e-5)
    end
    for _, tag in ipairs { "lr", "time/data", "time/step", "images_per_second", "memory/MB" } do
      assert.equal(4, #scalars[tag])
      assert.is_true(scalars[tag][1][2] >= 0, tag)
    end
    assert.near(core.memory("cpu").peak / 2 ^ 20, scalars["memory/MB"][4][2], 1)
  end)

  it("tells the same after a kill at any batch", function()
    assert(smallRun.go(line .. path "whole" .. " -tensorboard " .. path "a"))
    local expected = lasting(eventReader.scalars(path "a"))
    for _, n in ipairs { 1, 4, 9, 10, 17, 20, 26, 37 } do
      local run, events = path("run" .. n), path("events" .. n)
      assert.is_nil(smallRun.go(line .. run .. " -tensorboard " .. events, interruptAt(n)))
      assert(smallRun.go("-resume " .. run)) -- the directory is the run's
      assert.equal(2, #core.directory_list(events))
      assert.same(expected, lasting(eventReader.scalars(events)))
    end
  end)

  it("drops what came after a checkpoint that the run goes on from", function()
    assert(smallRun.go(line .. path "run" .. " -keep 2 -tensorboard " .. path "events"))
    local expected = lasting(eventReader.scalars(path "events"))
    assert(smallRun.go("-resume " .. path "run/model_1.safetensors"))
    assert.same(expected, lasting(eventReader.scalars(path "events")))
  end)

  it("leaves an earlier run's events out in a directory that a new one takes over", function()
    assert(smallRun.go(line .. path "run" .. " -tensorboard " .. path "events"))
    local before = lasting(eventReader.scalars(path "events"))
    assert(smallRun.go(line:gsub("%-nEpochs 2", "-nEpochs 1") .. path "other" .. " -tensorboard " .. path "events"))
    local scalars = lasting(eventReader.scalars(path "events"))
    assert.equal(2, #scalars["train/loss"])
    assert.same({ before["train/loss"][1], before["train/loss"][2] }, scalars["train/loss"])
  end)

  it("ends the run in a sentence where it cannot write", function()
    temporary.write(path "events", "a file")
    local run, message, code = smallRun.go(line .. path "run" .. " -tensorboard " .. path "events")
    assert.is_nil(run)
    assert.is_truthy(message:find(path "events", 1, true), message)
    assert.equal("io", code)
  end)
end)
