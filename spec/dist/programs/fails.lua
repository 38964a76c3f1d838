-- All ranks add up numbers; then rank 1 does what arg[1] says, while the others wait for it.
local root = arg[0]:match "^(.*)/spec/" or "."
dofile(root .. "/scripts/setup.lua")
local dn = require "densenet"

local comm = assert(dn.dist.open { device = "cpu", timeout = tonumber(arg[2]) })
local t = dn.ones(50000)
comm:allReduce(t)
if comm.rank == 1 then
  if arg[1] == "raise" then error("this is why", 0) end
  if arg[1] == "exit" then os.exit(7) end
  if arg[1] == "leave" then comm:close() end
  if arg[1] == "abort" then comm:abort("the data are gone") end
  if arg[1] == "hang" then os.execute("sleep 20") end
  if arg[1] == "skip" then -- another call than the others'
    comm:allGather(dn.ones(3))
    os.execute("sleep 20")
  end
end
local done, message = pcall(comm.allReduce, comm, t)
io.stderr:write("told: ", tostring(message), "\n")
local again, second = pcall(comm.barrier, comm)
io.stderr:write("again: ", again and "went well" or tostring(second), "\n")
os.exit(done and 0 or 5, true)
