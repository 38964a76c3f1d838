-- Runs a script of one's own as several processes of this machine, ranks of one run: densenet run -n 4 script.lua ...
-- What they do with each other is densenet.dist's; this starts them, and ends all when one fails.
local checkout = dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local CommandLine = require "densenet.train.command_line"
local core = require "densenet.core"
local launcher = require "densenet.dist.launcher"
local program = require "densenet.train.program"
local ranks = require "densenet.dist.ranks"

local commandLine = CommandLine.new {
  { title = "Options, before the script's name",
    { name = "n", type = "integer", shown = "needed", min = 1, max = 1024, help = "number of processes" },
    { name = "device", type = "word", default = "auto", choices = { "auto", "cpu", "cuda" },
      help = "what they will compute on: cuda is joined by NCCL, cpu by MPI, auto by whichever there is" },
    { name = "nCores", type = "integer", shown = "all there are, divided by -n", min = 1, max = 1024,
      help = "threads that compute in each process" },
  },
}

local usage = "usage: densenet run -n N [-option value ...] script.lua [what the script takes]"

-- Where the script's name stands: the first word that is neither an option nor an option's value.
local function scriptIndex(argv)
  local i = 1
  while argv[i] and argv[i]:find "^%-" do i = i + (argv[i]:find("=", 1, true) and 1 or 2) end
  return i
end

local function main()
  local at = scriptIndex(arg)
  local options, why = commandLine:parse(table.move(arg, 1, math.min(at, #arg + 1) - 1, 1, {}))
  if not options then program.refuse(why) end
  if options.help then
    return print(usage .. "\n\nThe processes are ranks 0 to N-1 of one run, as dn.dist.open finds them. Standard "
      .. "output is rank 0's.\n" .. commandLine:help())
  end
  if not options.n then program.refuse "-n N is missing: how many processes" end
  local script = arg[at]
  if not script then program.refuse "a script is missing" end
  if not core.file_exists(script) then program.stop(1, ("there is no script '%s'"):format(script)) end
  local place = program.check(ranks.find())
  if place.starter then
    program.stop(1, ("%s has started this process as rank %d of %d: run the script itself there"):format(place.starter,
      place.rank, place.size))
  end
  local root, build = program.check(core.directory_real(checkout.root)), core.directory_real(checkout.build)
  local environment = {
    LUA_PATH_5_4 = ("%s/lua/?.lua;%s/lua/?/init.lua;"):format(root, root)
      .. (os.getenv "LUA_PATH_5_4" or os.getenv "LUA_PATH" or ";"),
    LUA_CPATH_5_4 = (build and build .. "/?.so;" or "")
      .. (os.getenv "LUA_CPATH_5_4" or os.getenv "LUA_CPATH" or ";"),
  }
  if options.nCores then environment.OMP_NUM_THREADS = tostring(options.nCores) end
  local words = { arg[-1] or "lua5.4", script, table.unpack(arg, at + 1) }
  return program.check(launcher.run { n = options.n, arguments = words, device = options.device,
    environment = environment, program = "densenet run" })
end

os.exit(program.run("densenet run", usage, main), true)
