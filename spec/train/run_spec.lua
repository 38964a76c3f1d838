-- A whole run, broken off in every way and gone on from: it has to end with the same bytes.
local core = require "densenet.core"
local dn = require "densenet"
local smallRun = require "spec.support.small_run"
local temporary = require "spec.support.temporary"

local train = dn.train
local go, log_of, new_run = smallRun.go, smallRun.log, smallRun.line
local killed = {}

describe("a run", function()
  local directory, expected
  before_each(function()
    directory = temporary.directory()
    if not expected then
      local path = directory .. "/expected"
      assert(go(new_run .. path))
      expected = { model = temporary.read(path .. "/model_2.safetensors"),
        best = temporary.read(path .. "/model_best.safetensors"),
        optimizer = temporary.read(path .. "/optimState_2.safetensors"), log = log_of(path),
        files = table.concat(core.directory_list(path), " ") }
    end
  end)
  after_each(function() temporary.remove(directory) end)

  local function assert_as_expected(path)
    assert.equal(expected.files, table.concat(core.directory_list(path), " "))
    assert.is_true(expected.model == temporary.read(path .. "/model_2.safetensors"))
    assert.is_true(expected.best == temporary.read(path .. "/model_best.safetensors"))
    assert.is_true(expected.optimizer == temporary.read(path .. "/optimState_2.safetensors"))
    assert.same(expected.log, log_of(path))
  end

  it("leaves a log row an epoch and the files that other tools know", function()
    assert.equal("classes.tsv latest.json log.tsv model_2.safetensors model_best.safetensors optimState_2.safetensors",
      expected.files)
    assert.equal(3, #expected.log)
    assert.is_truthy(expected.log[2]:find("^1\t"))
    assert.is_truthy(expected.log[3]:find("^2\t"))
  end)

  it("says in its model files how to use them", function()
    local path = directory .. "/a"
    assert(go(new_run .. path))
    local tensors, metadata = dn.safetensors.load(path .. "/model_best.safetensors")
    local state = assert(train.checkpoint.stateOf(metadata, path))
    assert.same({ "one", "two", "three" }, { table.unpack(state.classes) })
    assert.equal(60.5, state.mean[1])
    assert.equal(61.25, state.std[1])
    assert.equal("single", state.precision)
    assert.equal("mnist", state.dataset)
    local model = dn.models.fromConfig(state.network)
    model:loadStateDict(tensors)
  end)

  it("stopped after any batch or in any test, and gone on, ends with the same bytes", function()
    local stops = 0
    for at = 1, 100 do
      local path = ("%s/%d"):format(directory, at)
      local asked = 0
      local run, message, code, status = go(new_run .. path, function()
        asked = asked + 1
        if asked >= at then return 1, 15 end
        return 0
      end)
      if run then break end
      stops = stops + 1
      assert.equal("interrupted", code)
      assert.equal(143, status)
      assert.is_truthy(message:find("-resume " .. path, 1, true))
      run = assert(go("-resume " .. path))
      assert.is_truthy(table.concat(run.lines, "\n"):find("resumes: +" .. path:gsub("%-", "%%-")))
      assert_as_expected(path)
    end
    assert.is_true(stops >= 10, stops)
  end)

  it("in half precision, stopped after any batch, ends with the same bytes and the same loss scale", function()
    local half = new_run:gsub("%-dropRate 0.2", "-dropRate 0.2 -precision half")
    local whole = directory .. "/whole"
    -- A scale that overflows some of the steps: it starts where gradients times it are near 65504.
    local function start(run) run.trainer.lossScale:setState { scale = 2 ^ 19, good = 1997, skipped = 0 } end
    local finished = assert(go(half .. whole, nil, start))
    local scaling = finished.trainer.lossScale:state()
    assert.is_true(scaling.skipped > 0 and scaling.skipped < 6, dn.json.encode(scaling))
    assert.matches("\t" .. math.tointeger(scaling.scale) .. "\t" .. scaling.skipped .. "$", log_of(whole)[3])
    for at = 2, 10, 4 do
      local path, asked = ("%s/%d"):format(directory, at), 0
      local run = go(half .. path, function()
        asked = asked + 1
        return asked >= at and 1 or 0, 15
      end, start)
      assert.is_nil(run)
      run = assert(go("-resume " .. path))
      assert.same(scaling, run.trainer.lossScale:state())
      assert.equal("half", run.values.precision)
      for _, name in ipairs { "model_2.safetensors", "optimState_2.safetensors" } do
        assert.is_true(temporary.read(whole .. "/" .. name) == temporary.read(path .. "/" .. name), name)
      end
      assert.same(log_of(whole), log_of(path))
    end
  end)

  it("goes on in any precision from any other, and says so", function()
    for _, from in ipairs { "single", "double", "half", "bfloat16" } do
      local path = directory .. "/" .. from
      assert(go(new_run:gsub("%-nEpochs 2", "-nEpochs 1 -precision " .. from) .. path))
      for name, tensor in pairs(dn.safetensors.load(path .. "/model_1.safetensors")) do
        assert.equal(from == "double" and "double" or "float", tensor:dtype(), name)
      end
      for _, to in ipairs { "single", "double", "half", "bfloat16" } do
        local run = assert(go(("-resume %s -nEpochs 2 -precision %s -save %s-%s"):format(path, to, path, to)))
        assert.equal(to, run.trainer.model.config.precision)
        assert.equal((require "densenet.models.precision").dtypes[to], run.trainer.model:type())
        local note = table.concat(run.lines, "\n"):find("it had -precision " .. from, 1, true)
        assert.equal(from ~= to, note ~= nil)
      end
    end
  end)

  it("goes on on another device, and says so", function()
    local path = directory .. "/a"
    assert(go(new_run:gsub("%-nEpochs 2", "-nEpochs 1") .. path))
    local latest = temporary.read(path .. "/latest.json")
    assert.matches('"device": "cpu"', latest, 1, true)
    temporary.write(path .. "/latest.json", (latest:gsub('"device": "cpu"', '"device": "cuda:3"')))
    local run = assert(go("-nEpochs 2 -resume " .. path))
    assert.matches("it had -device cuda:3: it goes on the same to rounding", table.concat(run.lines, "\n"), 1, true)
  end)

  -- Every third operation here; the checkpoint's own spec takes every one.
  it("killed at a file operation, and gone on, ends with the same bytes", function()
    local operations, originals, count, last = { "file_write", "file_remove" }, {}, 0, 0
    for _, name in ipairs(operations) do
      originals[name] = core[name]
      core[name] = function(...)
        count = count + 1
        if count == last and last % 2 == 0 then error(killed, 0) end
        local a, b, c = originals[name](...)
        if count == last then error(killed, 0) end
        return a, b, c
      end
    end
    finally(function()
      for name, original in pairs(originals) do core[name] = original end
    end)
    repeat
      last = last + 3
      count = 0
      local path = ("%s/%d"):format(directory, last)
      local done, err = pcall(go, new_run .. path)
      if not done then
        assert(err == killed, err)
        count = -math.huge
        local can_resume = core.file_exists(path .. "/latest.json")
        assert(go(can_resume and "-resume " .. path or new_run .. path))
        assert_as_expected(path)
      end
    until done
    assert.is_true(last > 30, last)
  end)

  it("goes on with more epochs, in another directory, from a file", function()
    local path, other = directory .. "/a", directory .. "/b"
    assert(go(new_run .. path))
    local run = assert(go(("-resume %s -nEpochs 3 -save %s"):format(path, other)))
    assert.equal(3, run.trainer.epoch)
    assert.is_truthy(core.file_exists(other .. "/model_3.safetensors"))
    assert.is_truthy(core.file_exists(other .. "/model_best.safetensors"))
    assert.is_true(expected.model == temporary.read(path .. "/model_2.safetensors"))
    assert(go(("-resume %s/model_2.safetensors -nEpochs 4 -keep 2"):format(path)))
    assert.is_truthy(core.file_exists(path .. "/model_3.safetensors"))
    assert.is_truthy(core.file_exists(path .. "/model_4.safetensors"))
    assert.is_false(core.file_exists(path .. "/model_2.safetensors"))
  end)

  it("that is complete is not trained again", function()
    local path = directory .. "/a"
    assert(go(new_run .. path))
    local run = assert(go("-resume " .. path))
    assert.is_truthy(table.concat(run.lines, "\n"):find("All of its 2 epochs are trained", 1, true))
    assert_as_expected(path)
  end)

  it("refuses options that the checkpoint contradicts", function()
    local path = directory .. "/a"
    assert(go(new_run .. path))
    local run, message, code = go("-valSize 4 -manualSeed 3 -growthRate 4 -resume " .. path)
    assert.is_nil(run)
    assert.equal("usage", code)
    assert.is_truthy(message:find("-valSize 4 (the checkpoint has 0)", 1, true))
    assert.is_truthy(message:find("-manualSeed 3 (the checkpoint has 0)", 1, true))
    assert.is_truthy(message:find("-growthRate 4 (the checkpoint has 3)", 1, true))
  end)

  it("stops when the loss is no number and keeps the last checkpoint", function()
    local path = directory .. "/a"
    local run, message, code = go(new_run .. path, nil, function(run)
      local after = run.trainer.onBatch
      run.trainer.onBatch = function(n, count)
        local goes_on, why, what = after(n, count)
        if n == 2 then run.trainer.model:get("classifier").bias:fill(0 / 0) end
        return goes_on, why, what
      end
    end)
    assert.is_nil(run)
    assert.equal("diverged", code)
    assert.is_truthy(message:find("epoch 1, iteration 3 of 3", 1, true), message)
    assert.is_truthy(message:find(path .. "/model_1_2.safetensors", 1, true), message)
    assert(go("-resume " .. path))
    assert_as_expected(path)
  end)

  it("starts from a file's weights, and gets a new last layer", function()
    local path = directory .. "/a"
    assert(go(new_run .. path))
    local run = assert(go(("-retrain %s/model_best.safetensors -nEpochs 1 -batchSize 8 -save %s/b"):format(path,
      directory)))
    assert.same({ 1, 1 }, run.trainer.model.config.blocks)
    assert.equal(1, run.trainer.epoch)
    local state = dn.safetensors.load(path .. "/model_best.safetensors")
    local start
    run = assert(go(("-retrain %s/model_best.safetensors -resetClassifier true -nClasses 5 -nEpochs 1 -save %s/c")
      :format(path, directory), nil, function(r)
        start = { conv = r.trainer.model:stateDict()["features.conv0.weight"]:totable() }
      end))
    assert.same(state["features.conv0.weight"]:totable(), start.conv)
    assert.equal(5, run.trainer.model.config.nClasses)
    local again = assert(go(("-resume %s/c -nEpochs 2"):format(directory)))
    assert.equal(5, again.trainer.model.config.nClasses)
  end)

  it("starts from an optimizer's state", function()
    local path = directory .. "/a"
    assert(go(new_run .. path))
    local velocity
    assert(go(("-retrain %s/model_2.safetensors -optimState %s/optimState_2.safetensors -nEpochs 1 -save %s/b"):format(
      path, path, directory), nil, function(run) velocity = run.trainer.optimizer:state() end))
    assert.is_truthy(velocity["features.conv0.weight"])
  end)

  it("freezes what -freeze names, stopped and resumed or not", function()
    local path = directory .. "/a"
    assert(go(new_run .. path))
    local line = ("-retrain %s/model_best.safetensors -freeze ^features%%.conv0,denseblock1 -nEpochs 2 -batchSize 8 "
      .. "-saveEvery 1 -save "):format(path)
    local run = assert(go(line .. directory .. "/whole"))
    assert.is_truthy(table.concat(run.lines, "\n"):find("parameters %(0%.0 MB%), %d+ of them frozen"))
    local start = dn.safetensors.load(path .. "/model_best.safetensors")
    local finish = dn.safetensors.load(directory .. "/whole/model_2.safetensors")
    local velocities = dn.safetensors.load(directory .. "/whole/optimState_2.safetensors")
    local nFrozen = 0
    for name, tensor in pairs(start) do
      local isFrozen = name:find("^features%.conv0") or name:find("denseblock1")
      nFrozen = nFrozen + (isFrozen and 1 or 0)
      assert.equal(isFrozen ~= nil, table.concat(tensor:view(-1):totable(), " ")
        == table.concat(finish[name]:view(-1):totable(), " "), name)
      local isParameter = not name:find("running_")
      assert.equal(isParameter and not isFrozen, velocities[name] ~= nil, name)
    end
    assert.is_true(nFrozen > 0)
    local nAsked = 0
    local broken, _, code = go(line .. directory .. "/broken", function()
      nAsked = nAsked + 1
      return nAsked > 3 and 1 or 0
    end)
    assert.is_nil(broken)
    assert.equal("interrupted", code)
    assert(go(("-resume %s/broken"):format(directory)))
    assert.equal(temporary.read(directory .. "/whole/optimState_2.safetensors"),
      temporary.read(directory .. "/broken/optimState_2.safetensors"))
    assert.equal(temporary.read(directory .. "/whole/model_2.safetensors"),
      temporary.read(directory .. "/broken/model_2.safetensors"))
    local again, message
    again, message, code = go(("-resume %s/whole -freeze classifier -nEpochs 3"):format(directory))
    assert.is_nil(again)
    assert.equal("usage", code)
    local conflict = "-freeze classifier (the checkpoint has ^features%.conv0,denseblock1"
    assert.is_truthy(message:find(conflict, 1, true), message)
    for pattern, sentence in pairs { ["conv7"] = "no name matches the pattern 'conv7'",
      ["."] = "nothing is left to train", ["[a"] = "is not a Lua pattern",
      ["bias$"] = "a module is frozen as a whole" } do
      local refused
      refused, message, code = go(("-retrain %s/model_best.safetensors -freeze %s -nEpochs 1 -save %s/c"):format(
        path, pattern, directory))
      assert.is_nil(refused)
      assert.equal("usage", code)
      assert.is_truthy(message:find("-freeze " .. pattern, 1, true) and message:find(sentence, 1, true), message)
    end
  end)

  it("refuses network options that the weights contradict", function()
    local path = directory .. "/a"
    assert(go(new_run .. path))
    for option, has in pairs { ["-growthRate 12"] = "has 3", ["-depth 40"] = "has blocks 1, 1",
      ["-bottleneck false"] = "has true" } do
      local run, message, code = go(("%s -retrain %s/model_best.safetensors"):format(option, path))
      assert.is_nil(run)
      assert.equal("usage", code)
      assert.is_truthy(message:find(option, 1, true) and message:find(has, 1, true), message)
    end
  end)
end)

describe("the seconds of an epoch", function()
  it("count those before a kill in its middle", function()
    local directory = temporary.directory()
    finally(function() temporary.remove(directory) end)
    local path, asked = directory .. "/a", 0
    assert.is_nil(go(new_run .. path, function()
      asked = asked + 1
      if asked == 2 then os.execute "sleep 0.3" end
      return asked >= 2 and 1 or 0, 15
    end))
    local state = dn.json.decode(temporary.read(path .. "/latest.json"))
    assert.is_true(state.settings.seconds >= 0.3, state.settings.seconds)
    assert(go("-resume " .. path))
    local row = temporary.read(path .. "/log.tsv"):match("\n(1\t[^\n]*)")
    assert.is_true(tonumber(row:match("([^\t]*)\t[^\t]*$")) >= 0.3, row)
  end)
end)
