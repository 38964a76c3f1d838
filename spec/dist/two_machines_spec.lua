-- Several machines: two that are made of this one (support/two_machines.sh), two ranks on each. They find each other by
-- TCP; mpirun starts a training run on both, which goes on on one; the cable between them is pulled.
local core = require "densenet.core"
local launched = require "spec.support.launched"
local machines = require "spec.support.machines"
local temporary = require "spec.support.temporary"

local pair, why = machines.up()
local name = pair and pair.name

local function on(side, directory, command, environment)
  return machines.start(name, side, directory, command, environment)
end

local interpreter = temporary.interpreter()

describe("two machines", function()
  if why then return pending(why) end

  local directory

  setup(function() directory = temporary.directory() end)
  teardown(function()
    pair:down()
    temporary.remove(directory)
  end)

  -- Ranks 0, 1 on the first, 2, 3 on the second; returns what each met.
  local function meet(address, options, timeout)
    local children, places, met = {}, {}, {}
    for rank = 3, 0, -1 do -- rank 0 comes last
      places[rank] = temporary.directory()
      children[rank] = on(rank < 2 and "a" or "b", places[rank], { interpreter,
        temporary.absolute "spec/dist/programs/meeting.lua", options[rank] or "growthRate 12;", tostring(timeout) },
        { RANK = tostring(rank), WORLD_SIZE = "4", LOCAL_RANK = tostring(rank % 2), MASTER_ADDR = address,
          MASTER_PORT = "29511" })
    end
    for rank = 0, 3 do
      launched.finish(children[rank], places[rank])
      met[rank + 1] = temporary.read(("%s/met.%d"):format(places[rank], rank)):gsub("\n$", "")
      temporary.remove(places[rank])
    end
    return met
  end

  it("join their ranks by TCP", function()
    local bytes = ("of rank 0 "):rep(12)
    assert.same({ bytes, bytes, bytes, bytes }, meet(name .. "a", {}, 20))
  end)

  it("tell which rank has other options", function()
    local sentence = "rank 3 trains with -growthRate 24, rank 0 with 12"
    local met = meet("10.77.0.1", { [3] = "growthRate 24;" }, 20)
    assert.same({ sentence, "rank 1 of 4: rank 0 has ended the run: " .. sentence,
      "rank 2 of 4: rank 0 has ended the run: " .. sentence, sentence }, met)
  end)

  it("say so where nobody answers at the address", function()
    local met = meet("10.77.0.9", {}, 2)
    assert.equal("rank 0 of 4: MASTER_ADDR 10.77.0.9 is no address of this machine, and rank 0 listens there", met[1])
    for rank = 1, 3 do
      assert.matches(("^rank %d of 4: rank 0 is not found at 10.77.0.9, port 29511, within 2 s %%("):format(rank),
        met[rank + 1])
    end
  end)

  local noMpi = launched.missing() or not core.comm_engine "mpi":find "^Open MPI" and "the MPI is no Open MPI"
  if noMpi then return pending("two machines train one network: " .. noMpi) end

  -- main.lua on both by mpirun, whose ssh is a script. Each rank's errors go to a file of its machine's.
  local function train(options)
    local agent = temporary.write(directory .. "/agent",
      ("#!/bin/sh\nexec '%s' ssh %s \"$@\"\n"):format(machines.script, name))
    os.execute(("chmod +x '%s'"):format(agent))
    return on("a", directory, { "mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--mca",
      "plm_rsh_agent", agent, "--mca", "btl_tcp_if_include", "eth0", "--mca", "oob_tcp_if_include", "eth0", "-np",
      "4", "-H", name .. "a:2," .. name .. "b:2", "sh", "-c", 'echo $$ >> pids; exec "$@" 2>> errors.$(hostname)', "sh",
      interpreter, temporary.absolute "main.lua", "-dataset", "fashion-mnist", "-depth", "10", "-growthRate", "4",
      "-device", "cpu", "-nThreads", "0", "-nCores", "1", "-trainSize", "64", "-testSize", "16", "-batchSize", "16",
      table.unpack(options) })
  end

  local function pids()
    local list = {}
    for line in io.lines(directory .. "/pids") do list[#list + 1] = math.tointeger(line) end
    os.remove(directory .. "/pids")
    return list
  end

  it("train one network, which goes on on one of them", function()
    local status, out, err = launched.finish(train { "-nEpochs", "2", "-save", "run", "-syncBN", "true" }, directory)
    assert.message(err .. out).equal(0, status)
    assert.matches("Finished epoch # 2 ", out)
    assert.equal(4, #pids())
    local again
    again, out, err = launched.run(directory, "main.lua", { "-resume", "run", "-device", "cpu", "-nProcesses", "2",
      "-nCores", "1", "-nThreads", "0", "-nEpochs", "3" })
    assert.message(err).equal(0, again)
    assert.matches("Finished epoch # 3 ", out)
  end)

  it("end all their ranks with a sentence when the cable is pulled, and the last checkpoint is whole", function()
    local child = train { "-nEpochs", "100000", "-save", "cut", "-saveEvery", "1", "-commTimeout", "3" }
    launched.lines(directory .. "/out", 12)
    local running = pids()
    assert.same({ 4, 4 }, { #running, #launched.alive(running) })
    pair:cut()
    local since = core.clock()
    while #launched.alive(running) > 0 and core.clock() - since < 15 do core.process_wait({}, 0.05) end
    assert.same({}, launched.alive(running))
    -- mpirun waits for its other half, which it does not see.
    pair:down()
    launched.finish(child, directory)
    assert.matches("main.lua: rank [01] of 4: ranks 2, 3 do not answer any more %(nothing within 3 s%)\n",
      temporary.read(directory .. "/errors." .. name .. "a"))
    assert.matches("main.lua: rank [23] of 4: ranks 0, 1 do not answer any more %(nothing within 3 s%)\n",
      temporary.read(directory .. "/errors." .. name .. "b"))
    local status, out, err = launched.run(directory, "main.lua", { "-resume", "cut", "-device", "cpu", "-testOnly",
      "true", "-nCores", "1", "-nThreads", "0" })
    assert.message(err).equal(0, status)
    assert.matches("Finished epoch", out)
  end)
end)
