-- A rank of several fails: all end in time, with the right status and a sentence that names it, and none is left.
local launched = require "spec.support.launched"
local temporary = require "spec.support.temporary"

local missing = launched.missing()

-- densenet run of programs/failing.lua; rank `failing` fails so.
local function run(n, failing, how, nBatches, timeout, seconds)
  local directory = temporary.directory()
  local status, out, err, took = launched.run(directory, "scripts/densenet", { "run", "-n", tostring(n), "-device",
    "cpu", temporary.absolute "spec/dist/programs/failing.lua", tostring(failing), how, tostring(nBatches),
    tostring(timeout) }, nil, seconds)
  local pids = {}
  for line in io.lines(directory .. "/pids") do pids[#pids + 1] = math.tointeger(line) end
  temporary.remove(directory)
  return { status = status, out = out, err = err, seconds = took, pids = pids, last = err:match "([^\n]*)\n$" }
end

describe("a failing rank", function()
  if missing then return pending(missing) end

  it("is none where all goes well", function()
    local result = run(3, -1, "none", 5, 60)
    assert.message(result.err).equal(0, result.status)
    assert.matches("^rank 0 of 3, %d+ threads\n$", result.out)
    -- Rank 0's errors as they are, the others' with their rank.
    local lines = {}
    for line in result.err:gmatch "[^\n]+" do lines[#lines + 1] = line end
    table.sort(lines)
    assert.same({ "[rank 1] done", "[rank 2] done", "done" }, lines)
    assert.same({}, launched.alive(result.pids))
  end)

  for _, case in ipairs {
    { how = "exit", status = 7, ends = "ended with status 7", others = "rank 2 has ended" },
    { how = "raise", status = 1, ends = "ended with status 1", says = "%[rank 2%] [^\n]*this batch is bad",
      others = "rank 2 has ended" },
    { how = "kill", status = 137, ends = "ended with signal 9", others = "rank 2 does not answer any more" },
  } do
    it(("that ends by %s ends all"):format(case.how), function()
      local result = run(4, 2, case.how, 1000000, 3, 25)
      assert.equal(case.status, result.status)
      assert.matches("^densenet run: rank 2 %(cpu, pid %d+%) " .. case.ends
        .. " after 2 batches; all others were ended$", result.last)
      assert.matches(case.others, result.err)
      if case.says then assert.matches(case.says, result.err) end
      assert.is_true(result.seconds < 3 + 10 + 5)
      assert.equal(4, #result.pids)
      assert.same({}, launched.alive(result.pids))
    end)
  end

  it("that stands still ends all after the timeout, and is named", function()
    local result = run(3, 1, "stop", 1000000, 3, 25)
    assert.equal(1, result.status)
    assert.matches("^densenet run: rank 1 %(cpu, pid %d+%) was stopped by signal 19 after 2 batches, and rank %d "
      .. "%(cpu, pid %d+%) ended with status 1 after 2 batches; all others were ended, rank 1 by force$", result.last)
    assert.matches("rank 0 of 3: rank[ s1,2]+ ", result.err)
    assert.matches("rank 1 does not answer any more", result.err)
    assert.is_true(result.seconds < 3 + 10 + 5)
    assert.same({}, launched.alive(result.pids))
  end)

  it("that does something else for ever ends all, too", function()
    local result = run(2, 1, "hang", 1000000, 2, 30)
    assert.equal(1, result.status)
    assert.matches("^densenet run: rank 1 %(cpu, pid %d+%) did not end after 2 batches, and rank 0 %(cpu, pid %d+%) "
      .. "ended with status 1 after 2 batches; all others were ended", result.last)
    assert.is_true(result.seconds < 2 + 10 + 5 + 3)
    assert.same({}, launched.alive(result.pids))
  end)

  it("that never comes to the others ends them, too", function()
    local result = run(3, 1, "early", 5, 300, 30)
    assert.equal(5, result.status)
    assert.matches("^densenet run: rank 1 %(cpu, pid %d+%) ended with status 5 before its first batch was done; "
      .. "all others were ended", result.last)
    assert.is_true(result.seconds < 10 + 5 + 3)
    assert.same({}, launched.alive(result.pids))
  end)
end)

describe("a launcher that is killed", function()
  if missing then return pending(missing) end

  it("leaves no rank behind", function()
    local directory = temporary.directory()
    local child = launched.start(directory, "scripts/densenet", { "run", "-n", "3", "-device", "cpu",
      temporary.absolute "spec/dist/programs/failing.lua", "-1", "none", "1000000000", "60" })
    local pids = {}
    for i, line in ipairs(launched.lines(directory .. "/pids", 3)) do pids[i] = math.tointeger(line) end
    -- mpirun, too
    for pid in temporary.read(("/proc/%d/task/%d/children"):format(child:pid(), child:pid())):gmatch "%d+" do
      pids[#pids + 1] = math.tointeger(pid)
    end
    assert.equal(7, #launched.alive(pids))
    child:signal(9)
    launched.finish(child, directory)
    for _ = 1, 100 do
      if #launched.alive(pids) == 0 then break end
      require "densenet.core".process_wait({}, 0.05)
    end
    assert.same({}, launched.alive(pids))
    temporary.remove(directory)
  end)
end)
