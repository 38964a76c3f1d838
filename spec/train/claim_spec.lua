-- The claim of a run to the directory that it saves in.
local core = require "densenet.core"
local dn = require "densenet"
local smallRun = require "spec.support.small_run"
local temporary = require "spec.support.temporary"

local train = dn.train
local go, new_run = smallRun.go, smallRun.line
local killed = {}

describe("the -save directory", function()
  local directory, path
  before_each(function()
    directory = temporary.directory()
    path = directory .. "/a"
  end)
  after_each(function() temporary.remove(directory) end)

  local function contents(place)
    local all = {}
    for _, name in ipairs(core.directory_list(place)) do
      if name ~= "run.lock" then all[name] = temporary.read(place .. "/" .. name) end
    end
    return all
  end

  it("has an earlier run moved aside, whole, to the next free number, also behind a link", function()
    assert(go(new_run .. path))
    local first = contents(path)
    core.directory_make(path .. ".1")
    local run = assert(go(new_run .. path .. " -LR 0.05"))
    assert.matches(("%s held an earlier run, which is now %s.2"):format(path, core.directory_real(path)),
      table.concat(run.lines, "\n"), 1, true)
    assert.same(first, contents(path .. ".2"))
    local second = contents(path)
    os.execute(("ln -s '%s' '%s/link'"):format(path, directory))
    assert(go(new_run .. directory .. "/link -LR 0.02"))
    assert.same(second, contents(path .. ".3"))
    assert.equal(0.02, assert(train.checkpoint.load(path)).state.options.LR)
    -- A run that goes on elsewhere moves what is there, too.
    local third = contents(path)
    assert(go(("-resume %s.2 -nEpochs 3 -save %s"):format(path, path)))
    assert.same(third, contents(path .. ".4"))
    assert.same(first, contents(path .. ".2"))
    assert.equal(3, assert(train.checkpoint.load(path)).state.epoch)
  end)

  it("is the same one however it is called", function()
    assert(go(new_run .. path))
    assert(go(("-resume %s -nEpochs 3 -save %s/../a/"):format(path, path)))
    assert.is_false(core.file_exists(path .. ".1"))
  end)

  it("with the log elsewhere has that moved aside too", function()
    local log = directory .. "/b.tsv"
    assert(go(new_run .. path .. " -log " .. log))
    local text = temporary.read(log)
    local run = assert(go(new_run .. path .. " -log " .. log))
    assert.matches(log .. " holds the log of an earlier run, which is now " .. log .. ".1",
      table.concat(run.lines, "\n"), 1, true)
    assert.equal(text, temporary.read(log .. ".1"))
    assert.equal(3, select(2, temporary.read(log):gsub("\n", "")))
    assert(go(("-resume %s -nEpochs 3"):format(path)))
    assert.equal(4, select(2, temporary.read(log):gsub("\n", "")))
  end)

  it("loses nothing to a kill while an earlier run is moved aside", function()
    local names, n = { "directory_make", "directory_lock", "directory_real", "file_rename", "file_write" }, 0
    local originals = {}
    for _, name in ipairs(names) do originals[name] = core[name] end
    finally(function()
      for name, original in pairs(originals) do core[name] = original end
    end)
    local done
    repeat
      n = n + 1
      local place = ("%s/%d"):format(directory, n)
      assert(go(new_run .. place))
      local first, count = contents(place), 0
      for _, name in ipairs(names) do
        core[name] = function(...)
          count = count + 1
          if count == n then error(killed, 0) end
          return originals[name](...)
        end
      end
      local err
      done, err = pcall(go, new_run .. place .. " -LR 0.05")
      for name, original in pairs(originals) do core[name] = original end
      assert.is_true(done or err == killed, err)
      local isMoved = core.file_exists(place .. ".1")
      assert.same(first, contents(isMoved and place .. ".1" or place))
      assert(go(new_run .. place .. " -LR 0.05")) -- and the next one trains
    until done or n >= 12
    assert.is_true(n >= 8)
  end)

  it("is one run's at a time", function()
    assert(go(new_run .. path))
    local before = contents(path)
    for _, line in ipairs { new_run .. path, "-nEpochs 3 -resume " .. path } do
      local lock <close> = assert(core.directory_lock(path))
      local run, message = go(line)
      assert.is_nil(run)
      assert.matches(("cannot save in '%s': %s is in use by process %%d+ on %%S+$"):format(path:gsub("%p", "%%%0"),
        path:gsub("%p", "%%%0")), message)
      assert.same(before, contents(path))
      assert.is_truthy(lock)
    end
    assert(go("-nEpochs 3 -resume " .. path))
  end)

  it("is not resumed from a state that another run has left behind meanwhile", function()
    assert(go(new_run .. path))
    local run, message = go("-nEpochs 3 -resume " .. path, nil, function()
      assert(go("-nEpochs 4 -resume " .. path))
    end)
    assert.is_nil(run)
    assert.matches("the run in '" .. path .. "' has gone on since it was read here; resume it again", message, 1, true)
    assert.equal(4, assert(train.checkpoint.load(path)).state.epoch)
  end)

  it("may not be given a network of another number of classes without being told", function()
    assert(go(new_run .. path))
    local model = path .. "/model_best.safetensors"
    local run, message, code = go(("-retrain %s -nClasses 5 -nEpochs 1 -save %s/b"):format(model, directory))
    assert.is_nil(run)
    assert.equal("usage", code)
    assert.equal(("-nClasses 5, but the network in -retrain %s tells 3 classes apart; -resetClassifier true gives it a "
      .. "new last layer"):format(model), message)
    assert(go(("-retrain %s -nClasses 3 -nEpochs 1 -save %s/b"):format(model, directory)))
  end)
end)
