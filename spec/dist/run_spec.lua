-- A training run of several ranks: its files, its checkpoints, how it stops, and what is wrong with it.
local core = require "densenet.core"
local dn = require "densenet"
local ranks = require "spec.support.ranks"
local smallRun = require "spec.support.small_run"
local temporary = require "spec.support.temporary"

local ranked = ranks.it(it, pending)
local PROGRAM = "spec/dist/programs/run.lua"
local LINE = "-dataset mnist -d1 1 -d2 1 -growthRate 3 -batchSize 8 -nEpochs 3 -dropRate 0.2 "
  .. "-saveEvery 1 -precision double "
  .. "-syncBN true -save "

local function case(fields)
  local list = {}
  for name, value in pairs(fields) do list[#list + 1] = ("%s = %s"):format(name, value) end
  return { "{ " .. table.concat(list, ", ") .. " }" }
end

local function run(n, line, fields)
  fields = fields or {}
  fields.line = ("%q"):format(line)
  return ranks.answer(n, PROGRAM, case(fields))
end

-- All numbers of a run's last model and its optimizer.
local function stateOf(directory, epoch)
  local state = {}
  for _, name in ipairs { "model", "optimState" } do
    local tensors = assert(dn.safetensors.load(("%s/%s_%d.safetensors"):format(directory, name, epoch)))
    for key, tensor in pairs(tensors) do state[name .. " "
      .. key] = tensor:double():view(tensor:nElement()):totable() end
  end
  return state
end

local function difference(expected, found)
  local most, where = 0, ""
  for name, list in pairs(expected) do
    for i, value in ipairs(list) do
      local off = math.abs(value - found[name][i]) / math.max(1, math.abs(value))
      if off > most or off ~= off then most, where = off, name end
    end
  end
  return most, where
end

describe("a run of several ranks", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function assertNear(expected, path)
    local most, where = difference(expected, stateOf(path, 3))
    assert.is_true(most <= 1e-12, ("%s: %g at %s"):format(path, most, where))
  end

  ranked("learns generated weights from a teacher as one process does", function()
    local teacher = directory .. "/teacher"
    assert.are.equal("", run(1, LINE .. teacher).message)
    local line = LINE .. "%s -mlg true -mlgProjectionSteps 20 -teacher " .. teacher .. "/model_best.safetensors"
    local expected
    for _, n in ipairs { 1, 2, 3 } do
      local path = ("%s/student%d"):format(directory, n)
      assert.are.equal("", run(n, line:format(path)).message)
      expected = expected or stateOf(path, 3)
      assertNear(expected, path)
    end
    local named = 0
    for name in pairs(expected) do named = named + (name:find "coeff" and 1 or 0) end
    assert.is_true(named > 0)
  end)

  ranked("is stopped, and goes on with another number of ranks, as one that was not", function()
    local expected
    for _, n in ipairs { 1, 2, 4 } do
      local path = ("%s/whole%d"):format(directory, n)
      local answer = run(n, LINE .. path)
      assert.are.equal("", answer.message)
      assert.are.equal(0, answer.otherLines)
      assert.is_true(answer.lines > 5)
      expected = expected or stateOf(path, 3)
      assertNear(expected, path)
    end
    for _, from in ipairs { 1, 2, 4 } do
      local stopped = ("%s/from%d"):format(directory, from)
      local answer = run(from, LINE .. stopped, { interrupt = ("{ rank = %d, at = 5 }"):format(from - 1) })
      assert.are.equal(143, answer.statuses[1])
      for _, n in ipairs { 1, 2, 4 } do
        local path = ("%s/from%dto%d"):format(directory, from, n)
        assert.are.equal("", run(n, ("-resume %s -save %s"):format(stopped, path)).message)
        assertNear(expected, path)
      end
    end
  end)

  ranked("logs and saves once, and what it logs is what one process logs", function()
    local logs, lists = {}, {}
    for i, n in ipairs { 1, 3 } do
      local path = ("%s/%d"):format(directory, n)
      run(n, LINE .. path)
      logs[i], lists[i] = smallRun.log(path), core.directory_list(path)
    end
    assert.are.same(lists[1], lists[2])
    assert.are.equal(4, #logs[1])
    assert.are.same(logs[1], logs[2])
  end)

  ranked("gives the same bytes when it is run again, whatever rank gets the signal", function()
    local bytes = {}
    for i = 1, 2 do
      local path = ("%s/%d"):format(directory, i)
      local line = LINE:gsub("%-syncBN true", "-syncBN false") .. path
      if i == 2 then
        local answer = run(3, line, { interrupt = "{ rank = 1, at = 4 }" })
        assert.are.same({ 143, 143, 143 }, answer.statuses)
        assert.are.same({ "interrupted", "agreed", "agreed" }, answer.codes)
        assert.matches("interrupted; saved after batch", answer.message, 1, true)
        line = "-resume " .. path
      end
      run(3, line)
      bytes[i] = temporary.read(path .. "/model_3.safetensors")
    end
    assert.is_true(bytes[1] == bytes[2])
  end)

  ranked("ends on all ranks where rank 0 cannot save, with its sentence", function()
    local answer = run(3, LINE .. directory .. "/a", { blocked = "true" })
    assert.are.equal("the disk is full", answer.message)
    assert.are.same({ "io", "agreed", "agreed" }, answer.codes)
  end)

  ranked("ends where the ranks have drifted apart", function()
    local answer = run(3, LINE .. directory .. "/a", { drift = "{ rank = 2, epoch = 2 }" })
    assert.are.equal("after epoch 2 rank 2 has other parameters than rank 0: the ranks have drifted apart",
      answer.message)
    assert.are.same({ "drift", "agreed", "agreed" }, answer.codes)
    local status, _, err = ranks.run(2, PROGRAM, case { line = ("%q"):format(LINE .. directory .. "/b"),
      behind = "{ rank = 1, epoch = 2 }" })
    assert.are.equal(3, status)
    assert.matches("rank 0 of 2: the ranks have drifted apart: they are not at the same batch of the same run", err, 1,
      true)
  end)

  ranked("diverges on all ranks at once", function()
    local answer = run(2, LINE .. directory .. "/a", { nan = "{ rank = 1, epoch = 2 }" })
    assert.are.same({ "diverged", "agreed" }, answer.codes)
    assert.matches("the loss is not a number in epoch 2, iteration 1 of 3", answer.message, 1, true)
  end)

  ranked("writes events for TensorBoard once, the same ones", function()
    local sizes = {}
    for i, n in ipairs { 1, 2 } do
      local path = ("%s/%d"):format(directory, n)
      assert.are.equal("", run(n, ("%s%s -tensorboard %s/events"):format(LINE, path, path)).message)
      local names = assert(core.directory_list(path .. "/events"))
      assert.are.equal(1, #names)
      sizes[i] = #temporary.read(path .. "/events/" .. names[1])
    end
    assert.is_true(sizes[1] > 500)
    assert.are.equal(sizes[1], sizes[2])
  end)

  it("does not tell its mistakes", function()
    local values = assert(dn.train.options.parse { "-retrain", "FILE", "-testOnly", "true", "-confusion", directory,
      "-device", "cpu", "-rank", "0", "-size", "2" })
    local found, message, code = dn.train.ranks.open(values)
    assert.is_nil(found)
    assert.matches("^%-confusion is told by one process", message)
    assert.are.equal("usage", code)
  end)

  ranked("ends where one rank lacks its data, with that rank's sentence on all", function()
    local line = "-dataset fashion-mnist -depth 10 -growthRate 2 -trainSize 8 -testSize 8 -batchSize 8 -nEpochs 1 "
      .. "-device cpu -nThreads 0 -save " .. directory .. "/a"
    local words = {}
    for word in line:gmatch "%S+" do words[#words + 1] = word end
    local status, _, err = ranks.run(2, "spec/dist/programs/apart.lua", words)
    assert.are.equal(1, status)
    assert.matches("main.lua: fashion-mnist: there is no /nowhere/train", err, 1, true)
    assert.matches("main.lua: rank 0 of 2: rank 1 has ended: fashion-mnist: there is no /nowhere/train", err, 1, true)
    assert.is_nil(err:find("traceback", 1, true))
    assert.is_false(core.file_exists(directory .. "/a"))
  end)

  ranked("is refused where options differ", function()
    local path = directory .. "/a"
    local answer = run(3, LINE .. path, { line2 = ("%q"):format((LINE:gsub("%-growthRate 3", "-growthRate 4"))
      .. path) })
    assert.are.equal("rank 2 trains with -growthRate 4, rank 0 with -growthRate 3", answer.message)
    assert.are.same({ "usage", "agreed", "agreed" }, answer.codes)
    assert.are.equal(2, answer.statuses[2])
  end)

  ranked("tests a network with the counts of one process", function()
    local path = directory .. "/a"
    local train = "-dataset fashion-mnist -depth 10 -growthRate 2 -trainSize 8 -testSize 8 "
      .. "-batchSize 8 -nEpochs 1 -device cpu "
      .. "-nThreads 0 -save " .. path
    local trained = {}
    for word in train:gmatch "%S+" do trained[#trained + 1] = word end
    assert.are.equal(0, (ranks.run(2, "main.lua", trained)))
    local main = { "-retrain", path .. "/model_best.safetensors", "-testOnly", "true", "-testSize", "37", "-device",
      "cpu",
      "-nThreads", "0", "-batchSize", "10" }
    local outs = {}
    for i, n in ipairs { 1, 4 } do
      local status, out, err = ranks.run(n, "main.lua", main)
      assert.are.equal(0, status, err)
      outs[i] = out:match "Finished epoch[^\n]*"
    end
    assert.is_truthy(outs[1])
    assert.are.equal(outs[1], outs[2])
  end)
end)

describe("the plan of a run of several ranks", function()
  it("is of a rank's share of the batch", function()
    local values = assert(dn.train.options.parse { "-dataset", "fashion-mnist", "-device", "cpu", "-batchSize", "10",
      "-plan",
      "-nProcesses", "4" })
    assert.is_nil(dn.train.ranks.open(values))
    dn.train.device.choose(values, {})
    assert.are.equal(3, dn.train.memory.plan(values, {}).inputSize[1])
  end)
end)
