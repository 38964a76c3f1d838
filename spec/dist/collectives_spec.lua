-- Ranks that tell each other numbers: 1 to 4 of them.
local core = require "densenet.core"
local dn = require "densenet"
local ranks = require "spec.support.ranks"

local ranked = ranks.it(it, pending)

describe("a communicator", function()
  for n = 1, 4 do
    (n == 1 and it or ranked)(("of %d rank%s adds, gathers and broadcasts every dtype"):format(n, n > 1 and "s" or ""),
      function()
        local answer = ranks.answer(n, "spec/dist/programs/collectives.lua")
        assert.are.equal(n, answer.size)
        assert.are.equal(0, answer.wrong)
        assert.are.equal(n > 1, answer.calls)
        assert.are.equal(("rank 0 of %d on cpu%s"):format(n, n > 1 and " by mpi" or ""), answer.text)
      end)
  end

  it("of one rank is open without any engine, once", function()
    local comm = assert(dn.dist.open { device = "cpu", rank = 0, size = 1 })
    assert.are.equal(nil, comm.engine)
    local t = dn.tensor { 1, 2 }
    assert.are.equal(t, comm:allReduce(t, "mean"))
    assert.are.same({ 1, 2 }, t:totable())
    assert.are.same({ { 1, 2 } }, comm:allGather(t):totable())
    comm:close()
    comm:close()
    assert.has_error(function() comm:allReduce(t) end, "the communicator has been closed")
    assert.has_error(function() comm:barrier() end, "the communicator has been closed")
  end)

  it("is closed at the end of its scope", function()
    local kept
    do
      local comm <close> = assert(dn.dist.open { device = "cpu", rank = 0, size = 1 })
      kept = comm
    end
    assert.is_false(kept.isOpen)
  end)

  it("refuses what it does not know", function()
    assert.has_error(function() dn.dist.open { devise = "cpu" } end,
      "dist.open has no option 'devise'; did you mean 'device'?")
    assert.has_error(function() dn.dist.open { engine = "gloo" } end,
      "bad argument #1 to 'dist.open' (engine: 'mpi' or 'nccl' expected, got 'gloo')")
    assert.has_error(function() dn.dist.open { size = 0 } end,
      "bad argument #1 to 'dist.open' (size: an integer of 1 or more expected, got 0)")
    local comm, message, code = dn.dist.open { rank = 1 }
    assert.is_nil(comm)
    assert.matches("%-rank is given, %-size is not", message)
    assert.are.equal("usage", code)
    assert.has_error(function() core.comm_open(nil, "cpu", 0, 1, 0) end, "timeout 0 s: more than 0 expected")
    assert.has_error(function() core.comm_open(nil, "cpu", 2, 2, 1) end,
      "rank 2 of 2: ranks count from 0 and are fewer than the size")
  end)

  it("says what is missing where an engine is not there", function()
    local library, message, code = core.comm_engine "nccl"
    if library then return end
    assert.matches("^no NCCL: ", message)
    assert.are.equal("device", code)
    assert.has_error(function() core.comm_engine "gloo" end)
  end)
end)
