--- Programs that several ranks run, started by the MPI that mpi.so was built with.
local core = require "densenet.core"
local json = require "densenet.io.json"
local temporary = require "spec.support.temporary"

local ranks = {}

-- By the library's name: programs that start ranks, and how.
local starters = {
  ["Open MPI"] = { programs = { "mpirun.openmpi", "mpirun" }, options = "-np %d --oversubscribe",
    -- As root in a container, with more ranks than cores, on a machine that others use: bound to no core.
    environment = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 "
      .. "OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none "
      .. "OMPI_MCA_btl_vader_single_copy_mechanism=none PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe" },
  ["MPICH"] = { programs = { "mpiexec.mpich", "mpiexec.hydra", "mpiexec" }, options = "-n %d", environment = "" },
}

local function exists(program)
  return (os.execute(("command -v %s >/dev/null 2>&1"):format(program)))
end

local function find()
  local library, message = core.comm_engine "mpi"
  if not library then return nil, message end
  for name, starter in pairs(starters) do
    if library:find(name, 1, true) == 1 then
      for _, program in ipairs(starter.programs) do
        if exists(program) then return starter, program end
      end
      return nil, ("mpi.so is of %s, and none of %s is here"):format(library, table.concat(starter.programs, ", "))
    end
  end
  return nil, ("mpi.so is of %s, which the specs cannot start"):format(library)
end

local starter, program = find()

--- Why no ranks can be started here; nil where they can.
ranks.missing = not starter and program or nil

--- busted's `it` for tests that need MPI: pending, with the reason, where there is none.
function ranks.it(it, pending)
  if not ranks.missing then return it end
  return function(title) pending(title .. " (" .. ranks.missing .. ")") end
end

local build = temporary.absolute(os.getenv "DENSENET_BUILD" or "build")

local function quoted(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

-- What follows `before` in a shell, at most `seconds` of it.
local function execute(directory, before, script, arguments, seconds)
  local words, root = {}, temporary.absolute ""
  for i, argument in ipairs(arguments) do words[i] = quoted(argument) end
  local _, _, status = os.execute(("export DENSENET_BUILD=%s OMP_NUM_THREADS=1 "
    .. "OMP_WAIT_POLICY=passive LUA_PATH_5_4=%s LUA_CPATH_5_4=%s; "
    .. "cd %s && exec >stdout 2>stderr && exec timeout -k 5 %d %s %s %s %s"):format(
    quoted(build), quoted(("%slua/?.lua;%slua/?/init.lua;%s?.lua;;"):format(root, root, root)),
    quoted(build .. "/?.so;;"), quoted(directory), seconds, before,
    quoted(temporary.interpreter()), quoted(temporary.absolute(script)), table.concat(words, " ")))
  return status, temporary.read(directory .. "/stdout"), temporary.read(directory .. "/stderr")
end

--- Runs a program on n ranks, each with one thread; n = 1: as a process that nobody starts as a rank.
-- @param n how many
-- @param script its path from the root
-- @param arguments (optional) a list
-- @param options (optional) directory where it runs, a temporary one by default; seconds, 300
-- @return exit status, stdout, stderr of all
function ranks.run(n, script, arguments, options)
  options = options or {}
  local directory = options.directory or temporary.directory()
  -- MPI itself leaves memory behind, in components that are unloaded when the sanitizer looks.
  local sanitizer = os.getenv "ASAN_OPTIONS" and "ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0" or ""
  local before = n == 1 and ""
    or ("env %s %s %s %s"):format(sanitizer, starter.environment, program, starter.options:format(n))
  local status, out, err = execute(directory, before, script, arguments or {}, options.seconds or 300)
  if not options.directory then temporary.remove(directory) end
  return status, out, err
end

--- Runs a program to its good end, and reads the one line of JSON that its rank 0 prints.
function ranks.answer(n, script, arguments, options)
  local status, out, err = ranks.run(n, script, arguments, options)
  assert(status == 0, ("%d ranks of %s ended with %s:\n%s%s"):format(n, script, status, out, err))
  return json.decode(out)
end

return ranks
