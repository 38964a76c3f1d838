-- What becomes of the other ranks when one exits, raises, is killed, is stopped or hangs, or when NCCL fails: an error
-- with a sentence, soon, on every one of them, a GPU that works on, and no process left.

local gpuRanks = require "spec.support.gpu_ranks"
local ranksIt = gpuRanks.itWith(it, pending)

-- Steps until one fails; then its sentence, how long that took from `since`, and what works still.
local STEPS = [[
  local sys = { clock = core.clock or os.time }
  local comm = assert(open(limit or 20))
  local t = dn.ones { 1000, device = device }
  local function pid() return tonumber(io.popen("echo $PPID"):read("l")) end
  local pids = comm:allGather(dn.tensor({ pid() }, "long", device)):totable()
  local function step()
    comm:allReduce(t)
    t:fill(1)
    return t:sum()
  end
  local function run(steps)
    for _ = 1, steps do step() end
  end
  local function tell()
    local since = os.time()
    local ok, message = pcall(run, 100000)
    print(ok, (message:gsub("^[^\n]-: rank", "rank")))
    print(os.time() - since <= 4)
    print((select(2, pcall(step)):gsub("^[^\n]-: rank", "rank")))
    print(dn.ones { 5, device = device }:sum())
    comm:close()
    print(pcall(comm.allReduce, comm, t))
  end
  run(3)
]]

local function lines(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

-- What all ranks but `lost` say when it is no more; `sentence` is a pattern behind "rank 0 of 3: ".
local function checkOthers(outputs, statuses, n, lost, sentence)
  for rank = 0, n - 1 do
    if rank ~= lost then
      local found = lines(outputs[rank])
      assert.equal(0, statuses[rank], outputs[rank])
      assert.matches(("^false\trank %d of %d: %s$"):format(rank, n, sentence), found[1])
      assert.equal("true", found[2], outputs[rank])
      assert.equal(("rank %d of %d: the communicator has failed before"):format(rank, n), found[3])
      assert.equal("5.0", found[4])
      assert.matches("^false\t.*the communicator has been closed", found[5])
    end
  end
end

local REMOTE = "NCCL [%d.]+: .*%)"

describe("a rank", function()
  for how, case in pairs {
    ["exits"] = { "os.exit(3)", 3 },
    ["is killed"] = { "os.execute 'kill -KILL $PPID'", 137 },
    ["raises"] = { "local closed <close> = comm; error 'no more'", 1 },
    ["closes early and ends"] = { "comm:close()", 0 },
  } do
    for _, n in ipairs { 2, 3 } do
      ranksIt(n, ("that %s is named by %d others"):format(how, n - 1), function()
        local lost = n - 1
        local outputs, statuses = gpuRanks.run(n, STEPS .. ([[
          if rank == %d then %s else tell() end]]):format(lost, case[1]))
        assert.equal(case[2], statuses[lost], outputs[lost])
        checkOthers(outputs, statuses, n, lost, ("rank %d has ended %%(process %%d+; %s"):format(lost, REMOTE))
      end)
    end
  end

  ranksIt(3, "that is stopped is named after the timeout", function()
    local outputs, statuses = gpuRanks.run(3, "local limit = 2"  .. STEPS .. [[
      if rank == 1 then os.execute "kill -STOP $PPID" end
      tell()
      if rank == 0 then os.execute("sleep 1; kill -KILL " .. pids[2][1]) end]])
    assert.equal(137, statuses[1])
    checkOthers(outputs, statuses, 3, 1,
      "rank 1 does not answer any more %(process %d+ is stopped; NCCL [%d.]+: nothing within 2 s%)")
  end)

  ranksIt(2, "that computes for ever is waited for until the timeout", function()
    local outputs, statuses = gpuRanks.run(2, "local limit = 1"  .. STEPS .. [[
      if rank == 1 then os.execute "sleep 3" os.exit(0) end
      tell()]])
    checkOthers(outputs, statuses, 2, 1, "another rank does not answer any more %(NCCL [%d.]+: nothing within 1 s%)")
  end)

  ranksIt(2, "that is late, but not too late, is waited for", function()
    assert.equal("2000.0\n", gpuRanks.agreed(2, [[
      local comm <close> = assert(open(4))
      local t = dn.ones { 1000, device = device }
      if rank == 1 then os.execute "sleep 1.5" end
      comm:allReduce(t)
      print(t:sum())]]))
  end)

  ranksIt(2, "that never comes is missed by the others", function()
    local outputs, statuses = gpuRanks.run(2, [[
      if rank == 1 then os.exit(0) end
      print(open(1))]])
    assert.equal(0, statuses[0])
    assert.matches("^nil\trank 0 of 2: not all ranks have come %(NCCL [%d.]+: nothing within 1 s%)\tdevice\n$",
      outputs[0])
  end)

  ranksIt(2, "on another's GPU is refused", function()
    local outputs = gpuRanks.run(2, "device = 'cuda:0' print(open(5))")
    for rank = 0, 1 do
      assert.matches(("^nil\trank %d of 2: NCCL [%%d.]+ failed in ncclCommInitRankConfig: invalid usage [^\n]*"
        .. "Duplicate GPU detected[^\n]*\tdevice\n$"):format(rank), outputs[rank])
    end
  end)

  ranksIt(2, "without the bytes of the others is told what it lacks", function()
    local output = gpuRanks.run(2, [[
      print(pcall(core.comm_open, "nccl", device, rank, size, 5, "few"))
      print(pcall(core.comm_open, "nccl", "cpu", rank, size, 5, ("x"):rep(128)))]])[1]
    assert.matches("rank 1 of 2: 128 bytes by which ranks find each other expected, as rendezvous gives them on one of "
      .. "them, got 3\n", output, 1, true)
    assert.matches("NCCL joins GPUs, and rank 1 of 2 is on cpu\n", output, 1, true)
  end)
end)

-- On the emulation NCCL fails when it is told to.
describe("a failure of NCCL", function()
  if not gpuRanks.isEmulated then return end

  ranksIt(2, "that it learns of later ends the wait for the GPU", function()
    local outputs, statuses = gpuRanks.run(2, STEPS .. [[
      if rank == 1 then emulation("fail nccl", 2) end
      tell()]])
    assert.same({ 0, 0 }, { statuses[0], statuses[1] })
    assert.matches("^false\trank 1 of 2: another rank does not answer any more %(NCCL 2.28.9: remote process exited or "
      .. "there was a network error; Connection closed by remote peer, as told to%)\n", outputs[1])
    assert.matches("^false\trank 0 of 2: .*NCCL 2.28.9: remote process exited", outputs[0])
  end)

  ranksIt(2, "of a call names it, and the library", function()
    local outputs = gpuRanks.run(2, STEPS .. [[
      if rank == 1 then emulation("refuse nccl", 2) end
      tell()]])
    assert.matches("^false\trank 1 of 2: NCCL 2.28.9 failed in ncclAllReduce: unhandled system error %(run with "
      .. "NCCL_DEBUG=INFO for details%); Call to nothing failed, as it was told to\ntrue\n"
      .. "rank 1 of 2: the communicator has failed before\n5.0\n", outputs[1])
  end)

  ranksIt(3, "that it never tells of is found by looking for the process", function()
    local outputs, statuses = gpuRanks.run(3, STEPS .. [[
      emulation("deaf nccl", 1)
      if rank == 2 then os.execute "kill -KILL $PPID" end
      tell()]])
    assert.equal(137, statuses[2])
    checkOthers(outputs, statuses, 3, 2,
      "rank 2 has ended %(process %d+; NCCL [%d.]+: its part in a collective is missing%)")
  end)

  ranksIt(2, "of a kernel is one of the GPU", function()
    local outputs = gpuRanks.run(2, [[
      local comm = assert(open(2))
      local t = dn.ones { 10, device = device }
      if rank == 1 then emulation("fail launch", 1) t:fill(2) end
      print(pcall(function() comm:allReduce(t) return t:sum() end))
      comm:close()
      print "closed"]])
    assert.matches("^false\t.*was told to fail.*\nclosed\n$", outputs[1])
    assert.matches("^false\t.*rank 1 .*\nclosed\n$", outputs[0])
  end)

  ranksIt(2, "at the end leaves a program that ends", function()
    local output = gpuRanks.agreed(2, [[
      local comm = assert(open(2))
      local t = dn.ones { 10, device = device }
      comm:allReduce(t)
      print(t:sum())
      comm:barrier()
      emulation("hold nccl", 1) -- a graph that was not given back: NCCL does not destroy what it holds
      comm:close()
      print(t:sum())]])
    assert.equal("20.0\n20.0\n", output)
  end)
end)
