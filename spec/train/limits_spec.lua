-- main.lua where the system gives it little, and where somebody wants it to stop: a sentence and a status, never
-- a hang, a traceback or a signal of its own making.
local core = require "densenet.core"
local mainProcess = require "spec.support.main_process"
local temporary = require "spec.support.temporary"

local tiny = mainProcess.tiny
local isSanitized = (os.getenv("DENSENET_BUILD") or "build"):find("asan") ~= nil

describe("main.lua", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function run(line, before) return mainProcess.run(directory, line, before) end

  -- In bash, whose background processes keep SIGINT where job control is on; and with SIGINT and SIGHUP heard, which
  -- whoever runs this in the background or under nohup may not hear.
  local function script(text)
    temporary.write(directory .. "/script", ("cd '%s'\nset -m\n%s"):format(directory, text))
    local _, _, status = os.execute(("env --default-signal=HUP,INT bash '%s/script' 2>/dev/null"):format(directory))
    return status, temporary.read(directory .. "/stdout"), temporary.read(directory .. "/stderr")
  end

  it("says that a file may not grow, and keeps the last checkpoint", function()
    assert.equal(0, (run(tiny .. "-nEpochs 1 -save run")))
    local latest = temporary.read(directory .. "/run/latest.json")
    -- Too few for what it prints, even.
    assert.equal(1, (run("-resume run -nEpochs 2", "ulimit -f 0")))
    for _, blocks in ipairs { 4, 8, 16 } do
      local status, _, stderr = run("-resume run -nEpochs 2", "ulimit -f " .. blocks)
      assert.equal(1, status)
      assert.matches("^main.lua: cannot write run/%S+: File too large\n$", stderr)
      assert.equal(latest, temporary.read(directory .. "/run/latest.json"))
    end
    local status = run("-resume run -nEpochs 2")
    assert.equal(0, status)
  end)

  it("says that too many files are open", function()
    local nRefused = 0
    for n = 4, 30 do -- whoever runs this has some open already
      local status, _, stderr = run(tiny .. "-nEpochs 1 -save run", "ulimit -n " .. n)
      if status == 0 then break end
      nRefused = nRefused + (status == 1 and 1 or 0)
      assert.is_true(status == 1 or status == 127, status) -- 127: the programs' loader itself had none left
      assert.is_true(status == 127 or stderr:find("^main.lua: [^\n]*Too many open files\n") ~= nil, stderr)
    end
    assert.is_true(nRefused > 0)
  end)

  it("says that the module finds no memory", function()
    if isSanitized then return pending("the sanitizers take more addresses") end
    local status, _, stderr = run(tiny .. "-nEpochs 1 -save run", "ulimit -v 20000")
    assert.equal(1, status)
    assert.matches("^main.lua: [^\n]+", stderr)
    assert.is_nil(stderr:find("traceback", 1, true), stderr)
  end)

  it("computes and loads with fewer threads where there is no room for all", function()
    if isSanitized then return pending("the sanitizers take more addresses") end
    local status, stdout, stderr = run(tiny:gsub("%-nCores 1", "-nCores 128") .. "-nEpochs 1 -save run",
      "ulimit -v 700000")
    assert.equal(0, status, stdout .. stderr)
    temporary.remove(directory .. "/run")
    status, stdout, stderr = run(tiny:gsub("%-nThreads 0", "-nThreads 128") .. "-nEpochs 1 -save run",
      "ulimit -v 700000")
    assert.equal(0, status, stdout .. stderr)
    assert.equal(0, (run(tiny .. "-nEpochs 1 -save one")))
    assert.is_true(temporary.read(directory .. "/run/model_1.safetensors")
      == temporary.read(directory .. "/one/model_1.safetensors"))
  end)

  it("ends with 130 on Ctrl-C in its first instants", function()
    for _, hundredths in ipairs { 1, 2, 3, 4, 6, 8, 12, 16, 24 } do
      -- Before bash has become the program there are no files to read.
      local status, stdout, stderr = script(("%s &\nwhile read -r name </proc/$!/comm && [ $name = bash ]; do :; done\n"
        .. "sleep 0.%02d; kill -INT $!; wait $!"):format(
        mainProcess.command(tiny .. "-nEpochs 1000 -save run"), hundredths))
      assert.equal(130, status, hundredths)
      assert.is_nil(stderr:find("traceback", 1, true), stderr)
      -- Before Lua has begun the system ends it, without a word.
      assert.is_true(stderr == "" and stdout == "" or stderr:find("^main.lua: interrupted") ~= nil, stderr)
    end
  end)

  -- A shell's wait also comes back, with 147, when the process is stopped.
  local function until_training(rest)
    return ("%s &\npid=$!; until grep -q 'Epoch: .1..1/' stdout; do sleep 0.01; done\n%s\n"
      .. "status=147; while [ $status = 147 ]; do wait $pid; status=$?; done; exit $status"):format(
      mainProcess.command(tiny .. "-nEpochs 100000 -save run"), rest)
  end

  it("saves on SIGHUP, which comes when its terminal goes", function()
    local status, _, stderr = script(until_training("kill -HUP $pid"))
    assert.equal(129, status)
    assert.matches("^main.lua: interrupted; saved after batch %d of epoch %d+; to go on: "
      .. "[^\n]*main.lua %-resume run %-device cpu\n$",
      stderr)
    local epoch = tonumber(stderr:match("epoch (%d+)"))
    assert.equal(0, (run(("-resume run -nEpochs 100000 -testOnly true"))))
    assert.equal(epoch, tonumber(temporary.read(directory .. "/run/latest.json"):match('\n  "epoch": (%d+)')))
  end)

  it("does not hear SIGHUP under nohup", function()
    local status = script("trap '' HUP\n" .. until_training("kill -HUP $pid; sleep 0.3; kill -TERM $pid"))
    assert.equal(143, status)
  end)

  it("ends at once on a second signal of any kind, even when it cannot go on", function()
    for _, pair in ipairs { { "TERM", "TERM" }, { "INT", "INT" }, { "HUP", "TERM" }, { "TERM", "INT" } } do
      -- Stopped, both wait for it; the batch under way would take the first one to its end.
      local status, _, stderr = script(until_training(("kill -STOP $pid; kill -%s $pid; kill -CONT $pid; kill -%s $pid")
        :format(pair[1], pair[2])))
      local expected = { TERM = 143, INT = 130, HUP = 129 }
      assert.is_true(status == expected[pair[1]] or status == expected[pair[2]], table.concat(pair, " ") .. status)
      assert.is_nil(stderr:find("traceback", 1, true))
      os.execute(("rm -rf '%s/run' '%s/run.1'"):format(directory, directory))
    end
  end)

  it("leaves a directory in which another run is at work alone", function()
    assert.equal(137, (script(until_training(mainProcess.command(tiny .. "-nEpochs 1 -save run", "second")
      .. "; echo $? >second; kill -KILL $pid"))))
    assert.equal("1\n", temporary.read(directory .. "/second"))
    assert.matches("^main.lua: cannot save in 'run': run is in use by process %d+ on %S+\n$",
      temporary.read(directory .. "/seconderr"))
    -- What a killed run leaves locks nobody out.
    assert.is_true(core.file_exists(directory .. "/run/run.lock"))
    local latest = temporary.read(directory .. "/run/latest.json")
    local status, stdout = run(tiny .. "-nEpochs 1 -save run")
    assert.equal(0, status)
    assert.matches("run held an earlier run, which is now " .. core.directory_real(directory) .. "/run.1", stdout, 1,
      true)
    assert.equal(latest, temporary.read(directory .. "/run.1/latest.json"))
    assert.is_false(core.file_exists(directory .. "/run/run.lock"))
  end)

  it("has no best model when its test's outputs are no numbers", function()
    local line = tiny:gsub("%-batchSize 16", "-batchSize 64")
    local status, stdout, stderr = run(line .. "-nEpochs 1 -LR 1e30 -save run")
    assert.equal(1, status)
    assert.matches("^main.lua: the network's outputs are not all finite numbers in the test of epoch 1, batch 1 of 1; "
      .. "the last checkpoint is kept: run/model_1_0.safetensors", stderr)
    assert.is_nil(stdout:find("Best", 1, true))
    assert.is_false(core.file_exists(directory .. "/run/model_best.safetensors"))
    assert.equal(0, (run("-resume run -LR 0.1")))
    assert.is_true(core.file_exists(directory .. "/run/model_best.safetensors"))
  end)
end)
