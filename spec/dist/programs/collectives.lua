-- All ranks: every collective, in every dtype and several sizes; rank 0 prints what came out on which rank.
local root = arg[0]:match "^(.*)/spec/" or "."
dofile(root .. "/scripts/setup.lua")
local core = require "densenet.core"
local dn = require "densenet"

local comm <close> = assert(dn.dist.open { device = "cpu", timeout = 60 })
local rank, size = comm.rank, comm.size
local wrong = {}

local function expect(is, text, ...)
  if not is then wrong[#wrong + 1] = ("rank %d: "):format(rank) .. text:format(...) end
end

-- A number of this element and rank that every dtype holds, small enough that sums do.
local function value(i, r) return (7 * i + 3 * r) % 11 - 5 end

local function filled(dtype, n, r)
  local list = {}
  for i = 1, n do list[i] = value(i, r) end
  return dn.tensor(list, dtype)
end

local function same(a, b)
  local difference = a:clone()
  core.add_scaled(difference, difference, b, -1)
  return difference:abs():max() == 0
end

-- Every element as it should be; of large ones some.
local function check(what, tensor, n, expected)
  for i = 1, n, n > 10 and n // 7 or 1 do
    expect(tensor:at(i) == expected(i), "%s, element %d of %d: %s, not %s", what, i, n, tensor:at(i), expected(i))
  end
end

local function sumOver(i)
  local sum = 0
  for r = 0, size - 1 do sum = sum + value(i, r) end
  return sum
end

local function maxOver(i)
  local most = value(i, 0)
  for r = 1, size - 1 do most = math.max(most, value(i, r)) end
  return most
end

local sizes = { 0, 1, 3, 5000, 20000 }
for _, dtype in ipairs { "float", "double", "half", "bfloat16", "long" } do
  for _, n in ipairs(sizes) do
    check(dtype .. " sum", comm:allReduce(filled(dtype, n, rank)), n, sumOver)
    check(dtype .. " max", comm:allReduce(filled(dtype, n, rank), "max"), n, maxOver)
    if dtype ~= "long" and n < 100 then
      local mean = comm:allReduce(filled("double", n, rank), "mean")
      check("mean", mean, n, function(i) return sumOver(i) * (1 / size) end)
    end
  end
end
for _, dtype in ipairs { "float", "double", "half", "bfloat16", "long", "byte" } do
  for _, n in ipairs { 1, 3, 20000 } do
    local own = dtype == "byte" and dn.zeros(n):type("byte"):fill(rank + 1) or filled(dtype, n, rank)
    local all = comm:allGather(own)
    expect(all:size(1) == size and all:size(2) == n, "allGather gave %s", table.concat(all:size(), "x"))
    for r = 0, size - 1 do
      check(dtype .. " gathered", all:select(1, r + 1), n, function(i) return dtype == "byte" and r + 1 or value(i,
        r) end)
    end
    local from = size - 1
    comm:broadcast(own, from)
    check(dtype .. " broadcast", own, n, function(i) return dtype == "byte" and from + 1 or value(i, from) end)
  end
end

-- The large one of a network, and the same bits everywhere and cut in any way: numbers whose sums round.
local n = 769162
dn.manualSeed(rank + 1)
local numbers = dn.randn(n)
local whole, pieces = numbers:clone(), numbers:clone()
comm:allReduce(whole)
local at, length = 1, 1
while at <= n do
  length = math.min(length, n - at + 1)
  comm:allReduceStart(pieces:narrow(1, at, length))
  at, length = at + length, 3 * length
end
comm:join()
expect(same(pieces, whole), "cut in pieces the sum has other bits")
local gathered = comm:allGather(whole)
for r = 1, size do expect(same(gathered:select(1, r), whole), "rank %d has other bits", r - 1) end
if size > 1 then expect(not same(numbers, whole), "nothing was added") end

-- In rank order: what a loop over the ranks gives, to the bit.
local by_hand = comm:allGather(numbers)
local sum = by_hand:select(1, 1):clone()
for r = 2, size do sum:add(by_hand:select(1, r)) end
expect(same(sum, whole), "the sum is not the one in the order of ranks")

-- NaN and infinities.
local special = dn.tensor { rank == 0 and 0 / 0 or 1, 1 / 0, rank == size - 1 and -1 / 0 or 1 }
local most = comm:allReduce(special:clone(), "max")
expect(most:at(1) ~= most:at(1) and most:at(2) == 1 / 0, "max of NaN")

-- A short call between long ones that are under way.
local long = dn.ones(300000)
comm:allReduceStart(long)
expect(comm:reduceNumbers({ 1.5 })[1] == 1.5 * size, "a short sum beside a long one")
comm:join()
expect(long:at(300000) == size, "a long sum beside a short one")


-- What a call takes beside its tensors is given back.
collectgarbage()
local live = core.memory("cpu").live
for _ = 1, 3 do
  comm:allReduceStart(long)
  comm:allReduceStart(long:narrow(1, 1, 9))
  comm:join()
end
expect(core.memory("cpu").live == live, "%d bytes are left behind", core.memory("cpu").live - live)

expect(comm:reduceIntegers({ 1 << 60 }, "max")[1] == 1 << 60, "long maxima are exact")
expect(comm:broadcastText(rank == 0 and "one\0two" or nil) == "one\0two", "a text with a zero byte")
expect(comm:broadcastText(rank == size - 1 and "" or nil, size - 1) == "", "an empty text")

-- Misuse is refused alike everywhere and breaks nothing.
local function refused(part, action, ...)
  local done, message = pcall(action, ...)
  expect(not done and message:find(part, 1, true), "%s: %s", part, message)
end
refused("contiguous", comm.allReduce, comm, dn.ones(4, 4):t())
refused("byte tensor", comm.allReduce, comm, dn.ones(3):type "byte")
refused("'sum', 'mean' or 'max'", comm.allReduce, comm, dn.ones(3), "median")
refused("real numbers", comm.allReduce, comm, dn.ones(3):type "long", "mean")
refused(("a rank from 0 to %d expected, got %d"):format(size - 1, size), comm.broadcast, comm, dn.ones(3), size)
refused(("%d elements expected"):format(3 * size), comm.allGather, comm, dn.ones(3), dn.ones(7 * size))
refused("a float tensor expected", comm.allGather, comm, dn.ones(3), dn.ones(3 * size):double())
comm:barrier()
comm:check()

local all = comm:reduceIntegers { #wrong }
for _, text in ipairs(wrong) do io.stderr:write(text, "\n") end
comm:print(dn.json.encode { size = size, wrong = all[1], calls = comm:statistics().calls > 0, text = tostring(comm),
  live = core.memory("cpu").live > 0 })
comm:close()
