--- Two machines made of this one (two_machines.sh), for tests.
local core = require "densenet.core"
local launched = require "spec.support.launched"
local temporary = require "spec.support.temporary"

local machines = {}

machines.script = temporary.absolute "spec/support/two_machines.sh"

local Pair = {}
Pair.__index = Pair

local function shell(format, ...)
  local _, _, status = os.execute(format:format(...))
  return status
end

--- Makes them.
-- @return pair, with name, cut() and down() (also at the end of its scope); or nil and why there can be none
function machines.up()
  local self = setmetatable({ name = ("dn%d"):format(core.process_id() % 100000) }, Pair)
  local message = os.tmpname()
  local status = shell("'%s' up %s 2>'%s'", machines.script, self.name, message)
  local why = temporary.read(message):match "[^\n]*"
  os.remove(message)
  if status == 0 then return self end
  self:down()
  return nil, "no network namespaces here: " .. why
end

--- Pulls the cable.
function Pair:cut() assert(shell("'%s' cut %s", machines.script, self.name) == 0) end

--- Ends what runs there, and removes them.
function Pair:down() shell("'%s' down %s", machines.script, self.name) end

Pair.__close = Pair.down

--- A process on one of them, its streams going to the files out and err of a directory; launched.finish waits for it.
-- @param name of the pair
-- @param side "a" or "b"
-- @param directory where it runs
-- @param command a list of words
-- @param environment (optional) variables
function machines.start(name, side, directory, command, environment)
  os.remove(directory .. "/out") -- an earlier one's
  return assert(core.process_spawn({ "sh", "-c", 'cd "$1" && shift && exec "$@" >out 2>err', "sh", directory,
    machines.script, "on", name, side, table.unpack(command) },
    { environment = launched.environment(environment), group = true, parentSignal = 9 }))
end

return machines
