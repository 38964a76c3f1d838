--- How a script ends. The outside world refusing (no such file, no room, a lost checkpoint) is one
-- sentence on stderr and exit status 1; a bad command line is its sentence, the usage and status 2;
-- an interrupt is 128 + the signal's number, also before there is anything to save; a bug keeps its
-- traceback. Library code returns `nil, message, code`; a script wraps such a call in program.check and
-- reads on as if it could not fail.
local attempt = require "densenet.attempt"
local failure = require "densenet.data.failure"
local liveLine = require "densenet.train.live_line"

local program = {}

local Stop = {}
Stop.__index = Stop
Stop.__tostring = function(stop) return stop.message or ("exit status %d"):format(stop.status) end

--- Ends the program with `status`, after `message` when there is one.
function program.stop(status, message)
  error(setmetatable({ status = status, message = message }, Stop), 0)
end

--- Ends the program because of what stands on its command line.
function program.refuse(message)
  error(setmetatable({ status = 2, message = message, isUsage = true }, Stop), 0)
end

-- After Ctrl-C, until a program takes the signal over.
local function interrupted() return setmetatable({ status = 130, message = "interrupted" }, Stop) end

--- Passes a call's results through; ends the program when they are `nil, message, code, status`:
-- with that status, or with 2 for the code "usage", or with 1.
function program.check(value, message, code, status, ...)
  if not value and message then
    if code == "agreed" then program.stop(status) end -- rank 0 tells it
    if code == "usage" then program.refuse(message) end
    program.stop(status or 1, tostring(message))
  end
  return value, message, code, status, ...
end

-- What a rank says of others that have failed (src/dn_comm.h).
local RANKS = "rank %d+ of %d+: [^\n]*"

-- Running out of memory or threads is the outside world too, though Lua learns of it as an error, whose place in the
-- sources says nothing to a user.
local function explain(err)
  if getmetatable(err) == Stop then return err end
  if failure.is(err) then return setmetatable({ status = 1, message = tostring(err) }, Stop) end
  local text = tostring(err)
  if attempt.isInterrupt(text) then return interrupted() end
  if text:find(RANKS) then return setmetatable({ status = 1, message = text:match(RANKS) }, Stop) end
  if text:find("out of memory", 1, true) or text:find("not enough memory", 1, true)
    or text:find("no thread can be started", 1, true) then
    local sentence = text:gsub("\nstack traceback:.*", ""):gsub("^[^\n:]*%.lua:%d+: ", "")
    return setmetatable({ status = 1, message = sentence }, Stop)
  end
  return { message = debug.traceback(text, 2) }
end

--- Reads a command line; ends the program where it is refused, prints usage and options where help is asked for.
-- @param reader a CommandLine
-- @param argv arguments
-- @param usage for the help
-- @return values and what was given, as CommandLine.parse; nil where help is what was wanted
function program.options(reader, argv, usage)
  local values, given = reader:parse(argv)
  if not values then program.refuse(given) end
  if not values.help then return values, given end
  print(usage .. "\n" .. reader:help())
end

--- Tells on stderr what a model's file left open.
function program.tellNotes(model)
  for _, note in ipairs(model.notes) do io.stderr:write(model.file, ": ", note, "\n") end
end

local endings = {}

--- Has `action` called when the program ends: action(failure), the sentence or the traceback that it ends with; nil
-- where all is well.
function program.atEnd(action) endings[#endings + 1] = action end

--- Runs `main` and returns the exit status, having reported on stderr.
-- @param name the script's name, for messages: "main.lua"
-- @param usage shown after a refusal: one or a few lines
-- @param main a function; what it returns is the status, nothing being 0
function program.run(name, usage, main)
  local done, result = xpcall(main, explain)
  if not done and type(result) ~= "table" then result = explain(result) end -- Lua's own memory: it was not asked
  for _, action in ipairs(endings) do action(not done and (result.message or "it failed") or nil) end
  endings = {}
  if done then return result or 0 end
  liveLine.clear()
  io.stdout:flush()
  -- At once: of several processes that fail none writes into another's line.
  if result.message then io.stderr:write(("%s: %s\n"):format(name, result.message)) end
  if result.isUsage then io.stderr:write(usage, "\n") end
  return result.status or 1
end

return program
