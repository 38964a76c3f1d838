--- Processes that train together: `dn.dist`.
--
--    local dist = dn.dist
--    local comm <close> = assert(dist.open { device = "cpu" })
--    local sync = dist.attach(model, comm)
--
-- Each process is a rank, counted from 0. Which rank of how many it is, its starter has put into the environment
-- (densenet.dist.ranks): mpirun, srun, torchrun, or densenet's own launcher. A process that nobody started so is rank 0
-- of 1, and everything works with it.

local argument = require "densenet.argument"
local core = require "densenet.core"
local Comm = require "densenet.dist.comm"
local device = require "densenet.device"
local launcher = require "densenet.dist.launcher"
local progress = require "densenet.dist.progress"
local ranks = require "densenet.dist.ranks"
local rendezvous = require "densenet.dist.rendezvous"
local Sync = require "densenet.dist.sync"

local dist = { Comm = Comm, ranks = ranks, Sync = Sync }

--- densenet.dist.Sync.attach
-- @function dist.attach
-- @param model any module
-- @param comm from dist.open
-- @param options (optional) bucketMB, syncBN
dist.attach = Sync.attach

local KNOWN = { device = true, rank = true, size = true, engine = true, timeout = true, rendezvous = true,
  agree = true }
local ENGINES = { mpi = true, nccl = true }
local TIMEOUT = 300 -- seconds

local function check(options)
  if options ~= nil then argument.table(1, "dist.open", options, "options") end
  for name in pairs(options or {}) do
    if not KNOWN[name] then
      argument.raise("dist.open has no option '%s'%s", tostring(name), argument.nearest(tostring(name), KNOWN))
    end
  end
  options = options or {}
  argument.optional("integer", nil, 1, "dist.open", options.rank, 0, "rank")
  argument.optional("integer", nil, 1, "dist.open", options.size, 1, "size")
  argument.optional("number", nil, 1, "dist.open", options.timeout, "timeout")
  argument.optional("string", nil, 1, "dist.open", options.rendezvous, "rendezvous")
  argument.optional("string", nil, 1, "dist.open", options.agree, "agree")
  if options.engine ~= nil and not ENGINES[options.engine] then
    argument.refuse(1, "dist.open", options.engine, "'mpi' or 'nccl'", "engine")
  end
  return options
end

-- None of them is opened: a process has nothing to do on the GPUs of others.
local function gpuCount() return core.device_count "cuda" or 0 end

-- Where a rank computes: "auto" is its own GPU where there are GPUs.
local function deviceFor(place, given)
  local name = device.nameOf(given)
  if name == "auto" then
    local n = gpuCount()
    if n == 0 then return "cpu" end
    if place.size == 1 then return "cuda:0" end
    return ranks.gpu(place, n)
  elseif name == "cuda" and place.size > 1 then
    return ranks.gpu(place, gpuCount())
  end
  local found, message, code = device.find(name)
  if not found then return nil, message, code end
  return found.name
end

-- The bytes that NCCL's ranks share, from rank 0 by way of MPI. No two of them have one GPU.
local function rendezvousByMpi(place, name, timeout)
  local handle, message, code = core.comm_open("mpi", "cpu", place.rank, place.size, timeout)
  if not handle then return nil, message, code end
  local comm <close> = Comm.new(handle, { rank = place.rank, size = place.size, device = "cpu", engine = "mpi" })
  local bytes = ""
  if place.rank == 0 then
    bytes, message, code = core.comm_rendezvous "nccl"
    if not bytes then
      comm:abort(message)
      return nil, message, code
    end
  end
  bytes = comm:broadcastText(bytes)
  local seat = core.tensor_from("cpu", "long", { rendezvous.seat(name) })
  message = ranks.clash(comm:allGather(seat):view(place.size):totable())
  if message then return nil, message, "usage" end
  return bytes
end

-- The same, by the way that whoever started this process has prepared.
local function rendezvousOf(options, place, name, timeout)
  if options.rendezvous then return options.rendezvous end
  local way = rendezvous.way(place)
  if way == "launcher" then return launcher.rendezvous() end
  if way == "nccl" then return "" end
  if way == "mpi" then return rendezvousByMpi(place, name, timeout) end
  return rendezvous.byTcp(place, { device = name, timeout = timeout, options = options.agree })
end

--- Joins this process with the other ranks. All of them call it.
-- @tparam[opt] table options
--
--    device      "cpu", "cuda", a device, or "auto" (the default: the rank's own GPU where there are GPUs, else "cpu")
--    rank, size  where the environment does not say them, or to overrule it
--    engine      "mpi" or "nccl"; by default what goes with the device
--    timeout     seconds, 300: the longest wait for another rank
--    rendezvous  bytes that NCCL's ranks share, core.comm_rendezvous("nccl") of one of them
--    agree       lines "NAME VALUE", the same on every rank; compared where ranks meet by TCP
-- @return densenet.dist.Comm; or nil, message, code: "device" where the engine or the device is not there or another
-- rank does not come, "usage" where the environment says half of what it takes
function dist.open(options)
  options = check(options)
  local place, message, code = ranks.find(options)
  if not place then return nil, message, code end
  local name
  name, message, code = deviceFor(place, options.device == nil and "auto" or options.device)
  if not name then return nil, message, code end
  local engine = place.size > 1 and (options.engine or name == "cpu" and "mpi" or "nccl") or nil
  local timeout, bytes, status = options.timeout or TIMEOUT
  progress.device(name)
  if engine == "nccl" then
    bytes, message, code, status = rendezvousOf(options, place, name, timeout)
    if not bytes then return nil, message, code, status end
  end
  local handle
  handle, message, code = core.comm_open(engine, name, place.rank, place.size, timeout, bytes)
  if not handle then return nil, message, code end
  return Comm.new(handle, { rank = place.rank, size = place.size, localRank = place.localRank, device = name,
    engine = engine })
end

return argument.closed(dist, "dist")
