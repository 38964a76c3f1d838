--- Calls what may fail where failing is an answer, such as a plan for a network that cannot be planned. Ctrl-C is no
-- such answer: Lua makes it an error in whatever runs then, and a bare pcall would swallow it, so that the program
-- goes on as if nobody had asked it to stop.
local attempt = {}

--- Is an error Lua's own answer to Ctrl-C?
-- @param err of any type; a text may end with a traceback
function attempt.isInterrupt(err)
  return type(err) == "string" and err:gsub("\nstack traceback:.*", ""):find("interrupted!$") ~= nil
end

local function settled(isDone, ...)
  if not isDone and attempt.isInterrupt((...)) then error((...), 0) end
  return isDone, ...
end

--- As pcall, but Ctrl-C goes on to the caller.
-- @tparam function action called with the further arguments
-- @return true and its results; or false and the error
-- @raise Lua's "interrupted!"
function attempt.call(action, ...) return settled(pcall(action, ...)) end

return attempt
