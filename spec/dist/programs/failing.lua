-- All ranks: one of them fails in the middle. Arguments: which rank, how ("none" for not at all), batches, timeout.
local root = arg[0]:match "^(.*)/spec/" or "."
dofile(root .. "/scripts/setup.lua")
local core = require "densenet.core"
local dn = require "densenet"
local progress = require "densenet.dist.progress"

local failing, how, nBatches, timeout = math.tointeger(arg[1]), arg[2], math.tointeger(arg[3]), tonumber(arg[4])

local fail = {}
function fail.exit() os.exit(7) end
function fail.raise() error "this batch is bad" end
function fail.kill() os.execute("kill -9 " .. core.process_id()) end
function fail.stop() os.execute("kill -STOP " .. core.process_id()) end
function fail.hang() while true do core.process_wait({}, 1) end end

if how == "early" and failing == tonumber(os.getenv "DENSENET_RANK") then os.exit(5) end

-- For whoever looks whether a process is left.
local pids = io.open("pids", "a")
pids:write(core.process_id(), "\n")
pids:close()

local comm <close> = assert(dn.dist.open { device = "cpu", timeout = timeout })
local x = dn.ones(100)
for n = 1, nBatches do
  comm:allReduce(x, "mean")
  progress.batch()
  if n == 2 and comm.rank == failing and fail[how] then fail[how]() end
end
print(("rank %d of %d, %d threads"):format(comm.rank, comm.size, dn.threads()))
io.stderr:write("done\n")
