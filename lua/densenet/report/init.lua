--- A page about one or several runs: HTML that needs no script and nothing from elsewhere.
-- @module densenet.report

local argument = require "densenet.argument"
local attempt = require "densenet.attempt"
local confusion = require "densenet.report.confusion"
local device = require "densenet.train.device"
local html = require "densenet.report.html"
local memory = require "densenet.train.memory"
local options = require "densenet.train.options"
local origin = require "densenet.train.origin"
local runDirectory = require "densenet.report.run_directory"
local sections = require "densenet.report.sections"

local report = {}

-- The plan of a run's step, as `main.lua -resume DIR -plan` makes it; or nil and why there is none.
local function planOf(path)
  local values, given = options.parse { "-resume", path, "-plan" }
  if not values then return nil, given end
  local found, message = origin.find(values, given)
  if not found then return nil, message end
  local chosen
  chosen, message = device.choose(values, given)
  if not chosen then return nil, message end
  local isPlanned, plan, why = attempt.call(memory.plan, values, found)
  if not isPlanned then return nil, tostring(plan) end
  return plan, why
end

-- Names for runs, as short as they are still different ones.
local function label(runs)
  local seen = {}
  for _, run in ipairs(runs) do
    run.label = run.name:match "[^/]+$" or run.name
    seen[run.label] = (seen[run.label] or 0) + 1
  end
  for _, run in ipairs(runs) do
    if seen[run.label] > 1 then run.label = run.name end
  end
end

--- Reads runs and makes the page.
-- @tparam table paths directories of runs, at least one
-- @treturn string HTML; or nil, message, code
function report.page(paths)
  argument.table(1, "page", paths, "directories of runs")
  local runs = {}
  for i, path in ipairs(paths) do
    local run, message, code = runDirectory.read(path)
    if not run then return nil, message, code end
    run.plan, run.planFailure = planOf(path)
    runs[i] = run
  end
  label(runs)
  local names = {}
  for i, run in ipairs(runs) do names[i] = run.label end
  local title = #runs == 1 and "Run " .. names[1] or ("%d runs"):format(#runs)
  local parts = { "<h1>" .. html.escape(title) .. "</h1>", ('<p class="quiet">%s</p>'):format(html.escape(
    "Errors are the share of images that are told wrong, in percent. Made by densenet report.")) }
  for _, section in ipairs { sections.summary, sections.seeds, sections.curves, confusion.section, sections.memory,
    sections.featureReuse, sections.options } do
    parts[#parts + 1] = section(runs)
  end
  return html.page(title .. " · densenet", table.concat(parts, "\n"))
end

return report
