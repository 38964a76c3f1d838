--- Is this process one that trains, or one that starts those that do? -nGPU N and -nProcesses N ask for N
-- processes; a process that somebody has started as one of several trains.
local launcher = require "densenet.dist.launcher"
local ranks = require "densenet.dist.ranks"

local launch = {}

-- The option that asks for several processes, how many, and what they compute on; nil for none.
local function wish(values)
  if (values.nGPU or 1) > 1 then return "nGPU", values.nGPU, "cuda" end
  if (values.nProcesses or 1) > 1 then return "nProcesses", values.nProcesses, "cpu" end
end

--- Do the options about processes go together, and with who started this one?
-- @param values as options.parse returns them
-- @param getenv (optional) as for ranks.find
-- @return the place of this process, as ranks.find; or nil, message, "usage"
function launch.check(values, getenv)
  local place, message, code = ranks.find(values, getenv)
  if not place then return nil, message, code end
  local name, n = wish(values)
  if name and place.starter and place.size ~= n then
    return nil, ("-%s %d contradicts %s, which say%s that this is rank %d of %d: leave -%s out"):format(name, n,
      place.starter, place.starter:find " and " and "" or "s", place.rank, place.size, name), "usage"
  end
  return place
end

--- Starts the processes of a run where this one is to.
-- @param values as options.parse returns them
-- @param argv the script's `arg`
-- @param getenv (optional) as for ranks.find
-- @return nil where this process is to train; or the exit status of the run; or nil, message, code
function launch.go(values, argv, getenv)
  local place, message, code = launch.check(values, getenv)
  if not place then return nil, message, code end
  local name, n, device = wish(values)
  if not name or place.starter or values.plan then return nil end
  return launcher.run { n = n, arguments = launcher.commandLine(argv), device = device, program = "main.lua" }
end

return launch
