--- Runs of several processes as their users start them: main.lua -nProcesses, densenet run.
local core = require "densenet.core"
local temporary = require "spec.support.temporary"

local launched = {}

local absolute, interpreter = temporary.absolute, temporary.interpreter()

--- Why none can be started here: no MPI, or no mpirun of it; nil where they can.
function launched.missing()
  local builtWith, message = core.comm_engine "mpi"
  if not builtWith then return message end
  local wires, why = require "densenet.dist.wireup".start(1, builtWith)
  if not wires then return why end
  wires:stop()
end

--- Variables of every process that is started here: the build, threads that do not spin while they wait, and of the
-- sanitizer, where it runs, no word about what MPI leaves behind.
-- @param more (optional) further ones, which come first
function launched.environment(more)
  local sanitizer = os.getenv "ASAN_OPTIONS"
  local variables = { DENSENET_BUILD = absolute(os.getenv "DENSENET_BUILD" or "build"), OMP_WAIT_POLICY = "passive",
    ASAN_OPTIONS = sanitizer and sanitizer .. ":detect_leaks=0" }
  for name, value in pairs(more or {}) do variables[name] = value end
  return variables
end

--- Starts a command in a directory, its streams going to the files out and err there.
-- @param directory where
-- @param script its path from the root
-- @param arguments a list
-- @param environment (optional) variables, false for none of that name
-- @return child, with which `finish` is called
function launched.start(directory, script, arguments, environment)
  os.remove(directory .. "/out") -- an earlier one's
  return assert(core.process_spawn({ "sh", "-c", 'cd "$1" && shift && exec "$@" >out 2>err', "sh", directory,
    interpreter, absolute(script), table.unpack(arguments) },
    { environment = launched.environment(environment), group = true, parentSignal = 9 }))
end

--- Waits for its end.
-- @param child
-- @param directory as for start
-- @param seconds at most, 120
-- @return exit status (128 + the signal), stdout, stderr, seconds
function launched.finish(child, directory, seconds)
  local since = core.clock()
  while true do
    local how, number = child:look()
    if how == "exited" or how == "signaled" then
      return how == "exited" and number or 128 + number, temporary.read(directory .. "/out"),
        temporary.read(directory .. "/err"), core.clock() - since
    end
    if core.clock() - since > (seconds or 120) then
      child:signal(9, true)
      error(("no end within %d s; it said: %s"):format(seconds or 120, temporary.read(directory .. "/err")))
    end
    core.process_wait({}, 0.02)
  end
end

--- Both.
function launched.run(directory, script, arguments, environment, seconds)
  return launched.finish(launched.start(directory, script, arguments, environment), directory, seconds)
end

--- Processes of a list that are alive (a zombie is not).
function launched.alive(pids)
  local list = {}
  for _, pid in ipairs(pids) do
    local file = io.open(("/proc/%d/stat"):format(pid))
    local state = file and file:read "a":match ".*%) (%a)"
    if file then file:close() end
    if state and state ~= "Z" then list[#list + 1] = pid end
  end
  return list
end

--- Waits until a file holds so many lines, 60 seconds at most; returns them.
function launched.lines(path, n)
  local deadline = core.clock() + 60
  while true do
    local list, file = {}, io.open(path)
    for line in file and file:lines() or function() end do list[#list + 1] = line end
    if file then file:close() end
    if #list >= n then return list end
    assert(core.clock() < deadline, path .. " does not fill")
    core.process_wait({}, 0.02)
  end
end

return launched
