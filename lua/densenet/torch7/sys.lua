--- The sys package: time, and commands of the shell.

local argument = require "densenet.argument"
local core = require "densenet.core"

local sys = {}

--- Seconds since some fixed moment.
function sys.clock() return core.clock() end

local started = core.clock()

function sys.tic() started = core.clock() end

--- Seconds since tic; printed where isPrinted is true.
function sys.toc(isPrinted)
  local seconds = core.clock() - started
  if isPrinted then print(seconds) end
  return seconds
end

--- What a command of the shell writes, without the last end of line.
function sys.execute(command)
  local pipe = assert(io.popen(argument.string(1, "sys.execute", command)))
  local output = pipe:read("a")
  pipe:close()
  return (output:gsub("\n$", ""))
end

function sys.sleep(seconds) os.execute(core.format("sleep %g", argument.number(1, "sys.sleep", seconds))) end

return argument.closed(sys, "sys")
