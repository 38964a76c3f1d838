-- main.lua -nProcesses N as its users meet it: the same training as one process, interrupts, a rank that is killed; and
-- what is refused.
local launched = require "spec.support.launched"
local temporary = require "spec.support.temporary"

local missing = launched.missing()

local SMALL = { "-dataset", "fashion-mnist", "-depth", "10", "-growthRate", "4", "-device", "cpu", "-nThreads", "0",
  "-nCores", "1" }

local function withMore(...)
  local list = table.move(SMALL, 1, #SMALL, 1, {})
  return table.move({ ... }, 1, select("#", ...), #list + 1, list)
end

-- Rows of a log, by the columns' names.
local function logOf(path)
  local rows, names = {}, nil
  for line in io.lines(path) do
    local row = {}
    for cell in (line .. "\t"):gmatch "([^\t]*)\t" do row[#row + 1] = cell end
    if not names then names = row else
      local named = {}
      for i, name in ipairs(names) do named[name] = tonumber(row[i]) end
      rows[#rows + 1] = named
    end
  end
  return rows
end

local directory

describe("main.lua -nProcesses", function()
  if missing then return pending(missing) end

  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function main(...) return launched.run(directory, "main.lua", withMore(...)) end

  it("2 with -syncBN trains as one process does, on 512 images", function()
    -- In double: in single rounding grows tenfold with every handful of steps, also from one number of threads to
    -- another.
    local size = { "-trainSize", "512", "-testSize", "100", "-batchSize", "64", "-nEpochs", "1", "-LR", "0.02",
      "-syncBN", "true", "-precision", "double" }
    local status, _, err = main("-save", "one", table.unpack(size))
    assert.message(err).equal(0, status)
    local out
    status, out, err = main("-save", "two", "-nProcesses", "2", table.unpack(size))
    assert.message(err).equal(0, status)
    assert.equal("", err)
    local _, nTimes = out:gsub("Finished epoch # 1 ", "")
    assert.equal(1, nTimes) -- rank 0 prints
    local one, two = logOf(directory .. "/one/log.tsv"), logOf(directory .. "/two/log.tsv")
    assert.same({ 1, 1 }, { #one, #two })
    for i, row in ipairs(one) do
      for _, name in ipairs { "train_loss", "test_loss" } do
        assert.message(name).is_true(math.abs(row[name] - two[i][name]) < 1e-8)
      end
    end
  end)

  it("stops all after the same batch at SIGINT and SIGTERM, with one checkpoint, and goes on", function()
    for _, signal in ipairs { 2, 15 } do
      local name = "run" .. signal
      local child = launched.start(directory, "main.lua", withMore("-save", name, "-nProcesses", "3", "-nEpochs",
        "1000", "-trainSize", "64", "-testSize", "16", "-batchSize", "16", "-saveEvery", "1"))
      launched.lines(directory .. "/out", 12) -- it trains
      child:signal(signal)
      local status, _, err = launched.finish(child, directory)
      assert.message(err).equal(128 + signal, status)
      local batch, epoch = err:match(
        "^main.lua: interrupted; saved after batch (%d+) of epoch (%d+); to go on: [^\n]*\n$")
      assert.message(err).is_truthy(batch)
      -- Any number of processes goes on from there.
      child = launched.start(directory, "main.lua", withMore("-resume", name, "-nProcesses", "2"))
      launched.lines(directory .. "/out", 12)
      child:signal(signal)
      local out
      status, out, err = launched.finish(child, directory)
      assert.message(err).equal(128 + signal, status)
      assert.matches(tonumber(batch) < 4 and ("from batch %d of 4"):format(batch + 1)
        or ("Training epoch # %d"):format(epoch + 1), out)
    end
  end)

  it("names the start as the last checkpoint where no batch was saved yet", function()
    local child = launched.start(directory, "main.lua", withMore("-save", "run", "-nProcesses", "2", "-nEpochs", "1",
      "-trainSize", "60000", "-testSize", "16", "-batchSize", "16", "-saveEvery", "0", "-commTimeout", "3"))
    launched.lines(directory .. "/out", 12)
    local children = temporary.read(("/proc/%d/task/%d/children"):format(child:pid(), child:pid()))
    os.execute("kill -9 " .. children:match "(%d+)%s*$")
    local status, _, err = launched.finish(child, directory)
    assert.equal(137, status)
    assert.matches("all others were ended. The last checkpoint is run/model_1_0.safetensors\n$", err)
  end)

  it("ends all when a rank is killed, and the last checkpoint is whole", function()
    local child = launched.start(directory, "main.lua", withMore("-save", "run", "-nProcesses", "2", "-nEpochs", "1000",
      "-trainSize", "64", "-testSize", "16", "-batchSize", "16", "-saveEvery", "1", "-commTimeout", "3"))
    launched.lines(directory .. "/out", 12)
    local pids = {}
    for pid in temporary.read(("/proc/%d/task/%d/children"):format(child:pid(), child:pid())):gmatch "%d+" do
      if temporary.read(("/proc/%s/cmdline"):format(pid)):find("main.lua", 1, true) then
        pids[#pids + 1] = math.tointeger(pid)
      end
    end
    assert.equal(2, #pids)
    os.execute(("kill -9 %d"):format(pids[2]))
    local status, _, err = launched.finish(child, directory)
    assert.equal(137, status)
    assert.matches(("main.lua: rank 1 %%(cpu, pid %d%%) ended with signal 9 after [%%d,]+ batche?s?; all others were "
      .. "ended. The last checkpoint is run/model_[%%w_]+.safetensors\n$"):format(pids[2]), err)
    assert.matches("rank 0 of 2: rank 1 does not answer any more", err)
    assert.same({}, launched.alive(pids))
    local out
    status, out, err = main("-resume", "run", "-testOnly", "true")
    assert.message(err).equal(0, status)
    assert.matches("Finished epoch", out)
  end)

  it("refuses what does not go together, in one sentence", function()
    local function refused(sentence, arguments, environment)
      local status, _, err = launched.run(directory, "main.lua", arguments, environment)
      assert.equal(2, status)
      assert.equal("main.lua: " .. sentence, err:match "^[^\n]*")
    end
    refused("-nProcesses 2 is for the CPU: say -device cpu, or -nGPU N for GPUs", { "-nProcesses", "2" })
    refused("-device cpu and -nGPU 2 contradict each other", { "-device", "cpu", "-nGPU", "2" })
    refused("-device cuda:1 and -nGPU 2 contradict each other: each of the processes has its own",
      { "-device", "cuda:1", "-nGPU", "2" })
    refused("-nProcesses 2 contradicts torchrun, which says that this is rank 1 of 4: leave -nProcesses out",
      withMore("-nProcesses", "2"), { RANK = "1", WORLD_SIZE = "4", LOCAL_RANK = "1" })
    refused("RANK is set, WORLD_SIZE and LOCAL_RANK are not: torchrun sets all of RANK, WORLD_SIZE, LOCAL_RANK",
      SMALL, { RANK = "1" })
    refused("RANK is 2, and WORLD_SIZE is 2: ranks count from 0 to 1", SMALL,
      { RANK = "2", WORLD_SIZE = "2", LOCAL_RANK = "0" })
    refused("-rank is given, -size is not: a rank among several takes both", withMore("-rank", "0"))
  end)

  it("plans without starting anything", function()
    local status, out, err = main("-nProcesses", "2", "-plan")
    assert.message(err).equal(0, status)
    assert.matches("MB", out)
  end)
end)

describe("densenet run", function()
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function run(...) return launched.run(directory, "scripts/densenet", { "run", ... }) end

  it("runs a script alone with -n 1", function()
    temporary.write(directory .. "/script.lua", [[
      local dn = require "densenet"
      local comm <close> = assert(dn.dist.open { device = "cpu" })
      print(comm.rank, comm.size, dn.threads(), ...)]])
    local status, out, err = run("-n", "1", "-nCores", "1", "script.lua", "-x", "a b")
    assert.message(err).equal(0, status)
    assert.equal("0\t1\t1\t-x\ta b\n", out)
  end)

  it("gives the exit status of the script", function()
    temporary.write(directory .. "/script.lua", "os.exit(9)")
    local status, _, err = run("-n", "1", "script.lua")
    assert.equal(9, status)
    assert.matches("^densenet run: rank 0 %(auto, pid %d+%) ended with status 9 before its first batch was done\n$",
      err)
  end)

  it("says what is missing", function()
    local function refused(expected, sentence, ...)
      local status, _, err = run(...)
      assert.same({ expected, sentence }, { status, err:match "^[^\n]*" })
    end
    refused(2, "densenet run: -n N is missing: how many processes", "script.lua")
    refused(2, "densenet run: a script is missing", "-n", "2")
    refused(1, "densenet run: there is no script 'none.lua'", "-n", "2", "none.lua")
    refused(2, "densenet run: -n 0: expected an integer of at least 1 and of at most 1024, got '0'", "-n", "0",
      "x.lua")
    local status, _, err = launched.run(directory, "scripts/densenet", { "run", "-n", "2", "out" },
      { RANK = "0", WORLD_SIZE = "2", LOCAL_RANK = "0" })
    assert.same({ 1, "densenet run: torchrun has started this process as rank 0 of 2: run the script itself there\n" },
      { status, err })
  end)
end)
