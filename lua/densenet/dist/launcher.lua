--- Starts a command line several times on this machine, each a rank of one run, and stays to see how they end.
--
-- The launcher computes nothing and loads nothing of CUDA. Ranks find themselves by DENSENET_RANK, DENSENET_SIZE and
-- DENSENET_LOCAL_RANK (densenet.dist.ranks). What their engine needs to join them is there before they start:
-- NCCL's bytes in DENSENET_RENDEZVOUS, as hexadecimal digits, and the variables of MPI (densenet.dist.wireup). So no
-- rank of one machine asks for a port, and none finds what an earlier run has left.
--
-- mpirun is no rank's parent, also on CPUs, because it would end all ranks a second after one fails, could not name the
-- rank that hangs, and would not let an interrupted rank finish its batch.
local core = require "densenet.core"
local Team = require "densenet.dist.team"
local wireup = require "densenet.dist.wireup"

local launcher = {}

--- The command line that this process was started with, from the interpreter on.
-- @param argv a script's `arg`; argv.command, a list of words, where another program read it
-- @return list of words
function launcher.commandLine(argv)
  if argv.command then return argv.command end
  local first = 0
  while argv[first - 1] do first = first - 1 end
  return table.move(argv, first, #argv, 1, {})
end

local function hexadecimal(bytes)
  return (bytes:gsub(".", function(character) return ("%02x"):format(character:byte()) end))
end

--- The bytes that the launcher has left for NCCL's ranks; nil where there is none.
function launcher.rendezvous()
  local digits = os.getenv "DENSENET_RENDEZVOUS"
  if not digits or #digits == 0 or #digits % 2 == 1 or digits:find "%X" then return nil end
  return (digits:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- What "nccl" takes: variables for every rank; or nil, message, code.
local function prepareNccl()
  local bytes, message, code = core.comm_rendezvous "nccl"
  if not bytes then return nil, message, code end
  return { DENSENET_RENDEZVOUS = #bytes > 0 and hexadecimal(bytes) or nil }
end

-- What "mpi" takes: a wireup; or nil, message, code.
local function prepareMpi(n)
  local builtWith, message, code = core.comm_engine "mpi"
  if not builtWith then return nil, message, code end
  return wireup.start(n, builtWith)
end

-- Both engines where the device is "auto", as far as they are there: which one it will be is not known before CUDA
-- is loaded. One process alone takes neither.
-- @return variables for every rank and a wireup, each or nil; or nil, nil, message, code
local function prepare(device, n)
  local variables, wires, message, code
  if n == 1 then return {} end
  if device ~= "cpu" then
    variables, message, code = prepareNccl()
    if not variables and device ~= "auto" then return nil, nil, message, code end
  end
  if device == "cpu" or device == "auto" then
    local why
    wires, why, code = prepareMpi(n)
    if not wires and not variables then
      return nil, nil, message and ("%s; %s"):format(message, why) or why, code
    end
  end
  return variables, wires
end

-- A rank's share of the processors, unless somebody has said how many threads there are to be.
local function threadsOf(n)
  if os.getenv "OMP_NUM_THREADS" then return nil end
  return tostring(math.max(1, core.threads() // n))
end

local function memberOf(job, rank, variables, wires)
  local environment = { DENSENET_RANK = tostring(rank), DENSENET_SIZE = tostring(job.n),
    DENSENET_LOCAL_RANK = tostring(rank), OMP_NUM_THREADS = threadsOf(job.n), DENSENET_RENDEZVOUS = false }
  for _, more in ipairs { wires and wires.environments[rank + 1] or {}, variables or {}, job.environment or {} } do
    for name, value in pairs(more) do environment[name] = value end
  end
  return { arguments = job.arguments, environment = environment,
    device = job.device == "cuda" and ("cuda:%d"):format(rank) or job.device == "auto" and "auto" or "cpu" }
end

--- Starts the ranks and waits for the last of them.
-- @param job
--   n            how many
--   arguments    their command line
--   device       "cpu", "cuda" or "auto"
--   environment  (optional) further variables for each
--   program      name for messages: "main.lua"
--   patience     (optional) as Team.patience
-- @return the exit status: 0; that of the first that failed; 128 + the signal of an interrupt; or nil, message, code
-- where they cannot be started
function launcher.run(job)
  core.interrupt_install()
  local variables, wires, message, code = prepare(job.device, job.n)
  if not variables and not wires then return nil, message, code end
  local members = {}
  for rank = 0, job.n - 1 do members[rank + 1] = memberOf(job, rank, variables, wires) end
  io.stdout:flush()
  local team
  team, message, code = Team.start(members, { patience = job.patience })
  local status = team and team:wait()
  if wires then wires:stop() end
  if not team then return nil, message, code end
  local epitaph = team:epitaph()
  if epitaph then io.stderr:write(("%s: %s\n"):format(job.program, epitaph)) end
  return status
end

return launcher
