--- Whether a run's steps are captured (densenet.train.captured_step), as -cudaGraph says: on a GPU unless something
-- stands in the way, which is told.
local CapturedStep = require "densenet.train.captured_step"
local core = require "densenet.core"

--- @param values options
-- @param given the set of names that the command line had
-- @param optimizer the trainer's
-- @param ranks the trainer's, or nil
-- @param notes list of lines for people; one may be added
-- @return true or false; or nil, message, "usage" where -cudaGraph true was given and cannot be had
return function(values, given, optimizer, ranks, notes)
  local isAsked = given.cudaGraph ~= nil
  if not values.cudaGraph or values.testOnly then return false end
  if not core.graph_possible(values.device) then
    if not isAsked then return false end
    return nil, ("-cudaGraph true is a GPU's, and the run computes on %s"):format(values.device), "usage"
  end
  local obstacle = CapturedStep.obstacle(optimizer, ranks)
  if not obstacle then return true end
  if isAsked then return nil, "-cudaGraph true: " .. obstacle, "usage" end
  notes[#notes + 1] = "steps are not captured as a CUDA graph: " .. obstacle
  return false
end
