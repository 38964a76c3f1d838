--- main.lua as its users meet it: a process with an exit status, stdout and stderr.
local temporary = require "spec.support.temporary"

local mainProcess = {}

local absolute, interpreter = temporary.absolute, temporary.interpreter()
local main = absolute "main.lua"

--- Options of a run that takes a moment.
mainProcess.tiny = "-dataset fashion-mnist -depth 10 -growthRate 4 -trainSize 64 -testSize 16 -batchSize 16 "
  .. "-device cpu -nThreads 0 -nCores 1 "

--- Runs it to its end, 60 seconds at most, in a shell of its own.
-- @param directory where it runs
-- @param line its arguments
-- @param before (optional) what the shell does before: "ulimit -n 10"
-- @return exit status (137: it did not end, or was killed), stdout, stderr
function mainProcess.run(directory, line, before)
  local _, _, status = os.execute(("cd '%s' && export DENSENET_BUILD='%s' OMP_WAIT_POLICY=passive "
    .. "&& exec >stdout 2>stderr && { %s; } && exec timeout -s KILL 60 '%s' '%s' %s"):format(directory,
    absolute(os.getenv("DENSENET_BUILD") or "build"), before or "true", interpreter, main, line))
  return status, temporary.read(directory .. "/stdout"), temporary.read(directory .. "/stderr")
end

--- The same as a shell command.
-- @param name (optional) of the files that it writes to: NAMEout and NAMEerr, stdout and stderr when left out
function mainProcess.command(line, name)
  name = name or "std"
  return ("DENSENET_BUILD='%s' '%s' '%s' %s >%sout 2>%serr"):format(
    absolute(os.getenv("DENSENET_BUILD") or "build"), interpreter, main, line, name, name)
end

return mainProcess
