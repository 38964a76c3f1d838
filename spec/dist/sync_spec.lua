-- dist.attach on several ranks; ranks that fail, and MPI that is not there.
local core = require "densenet.core"
local ranks = require "spec.support.ranks"
local temporary = require "spec.support.temporary"

local ranked = ranks.it(it, pending)

describe("dist.attach", function()
  for n = 2, 3 do
    ranked(("on %d ranks makes networks one, adds up, pauses, and refuses what cannot be"):format(n), function()
      local answer = ranks.answer(n, "spec/dist/programs/attach.lua")
      assert.are.equal(0, answer.wrong)
      assert.is_true(answer.checks > 30)
    end)
  end

  ranked("serves a script of one's own", function()
    local status, out, err = ranks.run(3, "examples/distributed.lua", { "1" })
    assert.message(err).are.equal(0, status)
    assert.matches("^epoch 1: %d+%.%d %% of the 600 test pictures right\n$", out)
  end)
end)

describe("a rank that", function()
  local PROGRAM = "spec/dist/programs/fails.lua"

  -- What the others are told within `seconds`, and that no later call waits.
  local function told(how, seconds, expected)
    local since = core.clock()
    local status, _, err = ranks.run(3, PROGRAM, { how, tostring(seconds) })
    assert.is_true(core.clock() - since < 60)
    assert.are_not.equal(0, status)
    assert.matches(expected, err)
    return err
  end

  ranked("raises is named to the others", function()
    local err = told("raise", 60, "told: [^\n]*rank [02] of 3: rank 1 has ended")
    assert.matches("this is why", err, 1, true)
  end)
  ranked("exits is named", function() told("exit", 60, "told: [^\n]*rank [02] of 3: rank 1 has ended") end)
  ranked("leaves is named, and no later call waits for it", function()
    local err = told("leave", 60, "told: [^\n]*rank [02] of 3: rank 1 has ended")
    assert.matches("again: [^\n]*rank [02] of 3: the communicator has failed before", err)
    assert.matches("told: [^\n]*the communicator has been closed", err)
  end)
  ranked("gives up says why", function() told("abort", 60,
    "told: [^\n]*rank [02] of 3: rank 1 has ended: the data are gone") end)
  ranked("hangs is named after the time that was given", function()
    told("hang", 1, "told: [^\n]*rank [02] of 3: rank 1 does not answer any more %(nothing within 1 s%)")
  end)
  ranked("calls something else is noticed", function() told("skip", 1, "told: [^\n]*rank [02] of 3: ") end)
end)

describe("MPI", function()
  local function output(directory, environment)
    local script = temporary.write(os.tmpname(), ([[
      package.path, package.cpath = %q, %q
      print(select(2, require "densenet".dist.open { device = "cpu" }))
    ]]):format(package.path, (directory or os.getenv "DENSENET_BUILD" or "build") .. "/?.so"))
    local pipe = assert(io.popen(("env %s %s %s 2>&1"):format(environment, temporary.interpreter(), script)))
    local text = pipe:read "a"
    pipe:close()
    os.remove(script)
    return text
  end

  it("that was not built is a sentence", function()
    local directory = temporary.directory()
    assert(core.directory_make(directory .. "/densenet"))
    temporary.write(directory .. "/densenet/core.so",
      temporary.read((os.getenv "DENSENET_BUILD" or "build") .. "/densenet/core.so"))
    local text = output(directory, "RANK=0 WORLD_SIZE=2 LOCAL_RANK=0")
    temporary.remove(directory)
    assert.are.equal("no MPI: mpi.so is not beside core.so; make builds it where it finds mpicc\tdevice\n", text)
  end)

  ranked("that has not started the ranks says so", function()
    assert.matches("this process is to be rank 0 of 2, but MPI has started it as rank 0 of 1: start ranks with mpirun",
      output(nil, "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 RANK=0 WORLD_SIZE=2 LOCAL_RANK=0"), 1,
        true)
  end)
end)
