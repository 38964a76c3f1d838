-- Collectives of NCCL: every type and kind, on 1 to 4 ranks, sizes below and above what the emulation moves at once;
-- the same bits on all ranks; on the side, and joined late.

local gpuRanks = require "spec.support.gpu_ranks"
local ranksIt = gpuRanks.itWith(it, pending)

-- What each rank has is drawn by all, so that each knows what comes out. Halves and small numbers, so that sums are
-- exact in every type and order.
local KNOWN = [[
  local function given(r, n, dtype)
    local t = dn.zeros { n, dtype = "double" }
    for i = 1, math.min(n, 40) do t:put((i * 7 + r * 5) % 23 / 2 - 4, i) end
    if n > 40 then t:narrow(1, n - 1, 2):fill(r + 1) end
    if dtype == "long" or dtype == "byte" then t:mul(2) t:abs() end
    return t:type(dtype)
  end
  -- Elements of which `given` says anything; the others are 0.
  local function expected(n, dtype, kind)
    local result = given(0, n, dtype):double()
    for r = 1, size - 1 do
      local t = given(r, n, dtype):double()
      if kind == "sum" then
        result:add(t)
      else
        for i = 1, math.min(n, 40) do result:put(math.max(result:at(i), t:at(i)), i) end
        for i = math.max(1, n - 1), n do result:put(math.max(result:at(i), t:at(i)), i) end
      end
    end
    return result
  end
  local function same(a, b)
    if (a:double() - b:double()):abs():max() ~= 0 then error(("%s\n%s"):format(a, b)) end
  end
]]

local SIZES = { 1, 3, 1000, 769162 }

describe("NCCL", function()
  for _, n in ipairs { 1, 2, 3, 4 } do
    local on = (" on %d %s"):format(n, n == 1 and "rank" or "ranks")

    ranksIt(n, "reduces every type and size" .. on, function()
      local output = gpuRanks.agreed(n, KNOWN .. ([[
        local comm <close> = assert(open())
        assert(comm.size == size and comm.engine == (size > 1 and "nccl" or nil))
        local n = 0
        for _, dtype in ipairs { "float", "double", "half", "bfloat16", "long" } do
          for _, count in ipairs { %s } do
            for _, kind in ipairs { "sum", "max" } do
              if count < 10000 or dtype == "float" or dtype == "half" then
                local t = given(rank, count, dtype):to(device)
                comm:allReduce(t, kind)
                same(t:to "cpu", expected(count, dtype, kind))
                n = n + 1
              end
            end
          end
        end
        print(n)]]):format(table.concat(SIZES, ", ")))
      assert.equal("34\n", output)
    end)

    ranksIt(n, "gathers and broadcasts every type" .. on, function()
      local output = gpuRanks.agreed(n, KNOWN .. [[
        local comm <close> = assert(open())
        local n = 0
        for _, dtype in ipairs { "float", "double", "half", "bfloat16", "long", "byte" } do
          for _, count in ipairs { 1, 3, 100000 } do
            local t = given(rank, count, dtype):to(device)
            local all = comm:allGather(t)
            for r = 0, size - 1 do same(all:select(1, r + 1):to "cpu", given(r, count, dtype)) end
            comm:broadcast(t, size - 1)
            same(t:to "cpu", given(size - 1, count, dtype))
            n = n + 1
          end
        end
        print(n)]])
      assert.equal("18\n", output)
    end)

    ranksIt(n, "gives all ranks the same bits, and the same again" .. on, function()
      local output = gpuRanks.agreed(n, [[
        local comm <close> = assert(open())
        for _, dtype in ipairs { "float", "half", "bfloat16", "double" } do
          local sums = {}
          for again = 1, 2 do
            dn.manualSeed(rank + 1)
            local t = dn.randn(5000):type(dtype):to(device)
            comm:allReduce(t)
            sums[again] = t:to("cpu"):double()
          end
          assert((sums[1] - sums[2]):abs():max() == 0)
          print(("%a %a"):format(sums[1]:sum(), sums[1]:mul(sums[1]):sum()))
        end]])
      assert.equal(4, select(2, output:gsub("\n", "")))
    end)

    ranksIt(n, "takes what is no number for the largest" .. on, function()
      local output = gpuRanks.agreed(n, [[
        local comm <close> = assert(open())
        local none = 0 / 0
        for _, dtype in ipairs { "float", "double", "half", "bfloat16" } do
          local t = dn.tensor({ -1 - rank, rank == size - 1 and none or 5, -math.huge, rank == 0 and math.huge or 0,
            -0.0 }, dtype, device)
          comm:allReduce(t, "max")
          local list = t:totable()
          assert(list[1] == -1 and list[2] ~= list[2] and list[3] == -math.huge)
          assert(list[4] == math.huge and list[5] == 0)
        end
        print "right"]])
      assert.equal("right\n", output)
    end)
  end

  -- Without an engine one rank does nothing; with one, it goes every way but the wire. With one GPU that is all.
  ranksIt(1, "is called by one rank that names it", function()
    local output = gpuRanks.agreed(1, KNOWN .. [[
      local comm <close> = assert(core.comm_open("nccl", device, 0, 1, 20, core.comm_rendezvous "nccl"))
      for _, dtype in ipairs { "float", "double", "half", "bfloat16", "long" } do
        for _, count in ipairs { 1, 1000, 300000 } do
          local t = given(0, count, dtype):to(device)
          comm:allReduce(t, "sum")
          comm:allReduce(t, "max")
          comm:broadcast(t, 0)
          local all = dn.zeros { count, dtype = dtype, device = device }
          comm:allGather(all, t)
          comm:allReduceStart(all, "sum")
          comm:allReduceStart(all, "max")
          comm:allReduceJoin()
          comm:check()
          same(all:to "cpu", given(0, count, dtype))
        end
      end
      print(comm:statistics())]])
    assert.matches("^105\t%d+\t%d", output)
  end)

  ranksIt(3, "goes on beside what is computed, and joins late", function()
    local output = gpuRanks.agreed(3, [[
      local comm <close> = assert(open())
      local parts, other = {}, dn.ones { 1000, device = device }
      for i = 1, 5 do
        parts[i] = dn.full(rank + i, { 3 * i, device = device })
        comm:allReduceStart(parts[i])
        other:mul(2)
      end
      local flags = dn.tensor({ rank, -rank }, "float", device)
      comm:allReduceStart(flags, "max")
      other:add(1)
      local before = other:sum() -- what is on the side need not be done for this
      local all = comm:allGather(dn.full(rank, { 1, device = device })) -- another call in between
      comm:join()
      for i = 1, 5 do parts[i]:add(1) end
      print(before, table.concat(flags:totable(), " "), table.concat(all:view(3):totable(), " "))
      for i = 1, 5 do print(parts[i]:sum()) end
      comm:join() -- once more, with nothing under way
      ]])
    -- 3 i elements of (i + i + 1 + i + 2) + 1
    assert.equal("33000.0\t2.0 0.0\t0.0 1.0 2.0\n21.0\n60.0\n117.0\n192.0\n285.0\n",
      (output:gsub("%-0%.0", "0.0")))
  end)

  ranksIt(2, "works behind what was called before, and before what is called after", function()
    local output = gpuRanks.agreed(2, [[
      local comm <close> = assert(open())
      local t = dn.zeros { 100000, device = device }
      for step = 1, 20 do
        t:add(rank + 1)
        comm:allReduce(t)
        t:mul(0.5)
      end
      print(t:min(), t:max())]])
    assert.equal("30.0\t30.0\n", output)
  end)

  ranksIt(2, "gives the memory of a step back", function()
    local output = gpuRanks.agreed(2, [[
      local comm <close> = assert(open())
      local flags = dn.ones { 100, device = device }
      comm:allReduce(flags, "max")
      collectgarbage()
      local before, cpu = core.memory(device).live, core.memory("cpu").live
      for _ = 1, 10 do comm:allReduce(flags, "max") end
      print(core.memory(device).live - before, core.memory("cpu").live - cpu)]])
    assert.equal("0\t0\n", output)
  end)

  ranksIt(2, "refuses bytes, gaps, other devices and roots that are none", function()
    local output = gpuRanks.agreed(2, [[
      local comm <close> = assert(open())
      local t = dn.zeros { 4, 6, device = device }
      for _, call in ipairs {
        function() comm:allReduce(dn.zeros { 3, dtype = "byte", device = device }) end,
        function() comm:allReduce(t:narrow(2, 1, 2)) end,
        function() comm:allReduce(dn.zeros(3)) end,
        function() comm:broadcast(t, 2) end,
        function() comm:allGather(t, dn.zeros { 3, device = device }) end,
      } do print((select(2, pcall(call)):gsub("cuda:%d", "cuda"):gsub("^[^ ]*: ", ""))) end
      comm:allReduce(t)
      print(t:sum())]])
    assert.matches("got a byte tensor", output, 1, true)
    assert.matches("a contiguous tensor expected", output, 1, true)
    assert.matches("a tensor on cuda expected, where the communicator is; got one on cpu", output, 1, true)
    assert.matches("a rank from 0 to 1 expected, got 2", output, 1, true)
    assert.matches("48 elements expected, 2 times 24, got 3", output, 1, true)
    assert.matches("\n0.0\n$", output)
  end)
end)
