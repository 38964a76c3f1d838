-- A page about one or several runs: densenet report RUN_DIR [RUN_DIR ...] -output page.html
--
-- Curves of loss and errors, memory, confusions and mistakes where there are some (main.lua -testOnly -confusion),
-- feature reuse, and the options in which the runs differ; means and deviations of runs that differ in the seed.

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local program = require "densenet.train.program"
local report = require "densenet.report"

local usage = "usage: densenet report RUN_DIR [RUN_DIR ...] [-output page.html]"

local commandLine = CommandLine.new {
  { title = "Report",
    { name = "output", type = "text", default = "report.html", help = "file for the page" },
  },
}

-- Directories come before the options.
local function directories()
  local list, rest = {}, { [0] = arg[0] }
  for _, word in ipairs(arg) do
    if #rest == 0 and word:sub(1, 1) ~= "-" then
      list[#list + 1] = word
    else
      rest[#rest + 1] = word
    end
  end
  return list, rest
end

local function main()
  local paths, rest = directories()
  local opt = program.options(commandLine, rest, usage .. "\n")
  if not opt then return end
  if #paths == 0 then program.refuse("no run: give the -save directory of one, or of several") end
  program.check(core.file_write(opt.output, program.check(report.page(paths)), {}))
  print(("%s: %d run%s"):format(opt.output, #paths, #paths == 1 and "" or "s"))
end

os.exit(program.run("report.lua", usage, main), true)
