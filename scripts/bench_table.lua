-- The table of seconds in docs/memory-and-speed.md from one command: usual networks in training and evaluation, each
-- timed by bench.lua in a process of its own, with others beside it.
--
--   lua scripts/bench.lua -table -peer python3 > table.md
--
-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
local here = (arg[0]:match("^(.*)/[^/]*$") or ".")
dofile(here .. "/setup.lua")

local CommandLine = require "densenet.train.command_line"
local json = require "densenet.io.json"
local program = require "densenet.train.program"
local quote = require "shell_quote"

local BC100, BC40, BC22 = "-depth 100 -batchSize 64", "-depth 40 -batchSize 64", "-depth 22 -batchSize 64"
local LARGE = "-netType densenet121 -size 224 -nClasses 1000"
local ROWS = {
  { title = "step of DenseNet-BC(100,12), 64 images, mode 4", words = BC100 .. " -optMemory 4", steps = 1 },
  { title = "the same, mode 5", words = BC100 .. " -optMemory 5", steps = 1 },
  { title = "the same, mode 0", words = BC100 .. " -optMemory 0", steps = 1 },
  { title = "step of DenseNet-BC(40,12), 64 images, mode 4", words = BC40, steps = 3 },
  { title = "step of DenseNet-BC(22,12), 64 images, mode 4", words = BC22, steps = 5 },
  { title = "step of DenseNet-121, 8 images of 224x224, mode 4", words = LARGE .. " -batchSize 8", steps = 1 },
  { title = "evaluation of DenseNet-121, 1 image", words = LARGE .. " -infer -batchSize 1", steps = 5 },
  { title = "the same, 8 images", words = LARGE .. " -infer -batchSize 8", steps = 2 },
  { title = "the same, 64 images", words = LARGE .. " -infer -batchSize 64", steps = 1 },
}

local reader = CommandLine.new {
  { title = "Table",
    { name = "peer", type = "text", shown = "none", help = "as bench.lua's" },
    { name = "peers", type = "text", shown = "as bench.lua's", help = "as bench.lua's" },
    { name = "rounds", type = "integer", default = 5, min = 1, help = "turns; medians count" },
    { name = "only", type = "text", shown = "all rows", help = "rows whose title has this Lua pattern" },
    { name = "nCores", type = "integer", shown = "all there are", min = 1, max = 1024, help = "compute threads" },
    { name = "tiles", type = "text", shown = "the best of this processor", help = "as bench.lua's" },
  },
}

local function run(opt, row)
  local steps = opt.peer and row.steps or row.steps * opt.rounds
  local command = { quote(arg[-1] or "lua5.4"), quote(here .. "/bench.lua"), "-json -warmup 2 -steps", steps,
    row.words }
  if opt.nCores then command[#command + 1] = "-nCores " .. opt.nCores end
  if opt.tiles then command[#command + 1] = "-tiles " .. quote(opt.tiles) end
  if opt.peer then command[#command + 1] = ("-peer %s -rounds %d"):format(quote(opt.peer), opt.rounds) end
  if opt.peer and opt.peers then command[#command + 1] = "-peers " .. quote(opt.peers) end
  local pipe = assert(io.popen(table.concat(command, " ")))
  local text = pipe:read("a")
  if not pipe:close() then program.stop(1, "bench.lua -table: stopped at: " .. row.title) end
  return json.decode(text)
end

local function cell(seconds, mb) return ("%.3f s, %.0f MB"):format(seconds, mb) end

local function printRow(row, result)
  local others = {}
  for _, peer in ipairs(result.peers or {}) do
    others[#others + 1] = ("%s %s (%.2f)"):format(peer.title, cell(peer.median_s, peer.rss_mb), peer.ratio)
  end
  local share = type(result.peak_share) == "number" and ("%.0f %%"):format(100 * result.peak_share) or ""
  print(("| %s | %s | %s | %s |"):format(row.title, cell(result.median_s, result.rss_mb), share,
    table.concat(others, "; ")))
  io.stdout:flush()
end

local function main()
  local opt = program.options(reader, arg, "lua scripts/bench.lua -table [-option value ...]")
  if not opt then return end
  print("| median seconds, most memory of the process | ours | of the peak | others (their seconds by ours) |")
  print("|---|---|---|---|")
  for _, row in ipairs(ROWS) do
    if not opt.only or row.title:find(opt.only) then printRow(row, run(opt, row)) end
  end
end

os.exit(program.run("bench.lua -table", "usage: lua scripts/bench.lua -table [-option value ...]      "
  .. "(--help lists the options)", main), true)
