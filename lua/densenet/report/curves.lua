--- Curves of runs over epochs and over time.
-- @module densenet.report.curves

local lineChart = require "densenet.report.line_chart"
local svg = require "densenet.report.svg"

local curves = {}

-- Time in the unit that suits the longest run: hours, minutes or seconds.
local function unitOf(runs)
  local hours = 0.0
  for _, run in ipairs(runs) do
    local last = run.rows[#run.rows]
    hours = math.max(hours, last and last.hours or 0)
  end
  if hours >= 2 then return "hours", 1 end
  if hours * 60 >= 2 then return "minutes", 60 end
  return "seconds", 3600
end

local function points(run, x, y)
  local line = {}
  for _, row in ipairs(run.rows) do
    if row[x.field] and row[y] then line[#line + 1] = { row[x.field] * x.factor, row[y] } end
  end
  return line
end

local function series(line, name, colour, more)
  line.name, line.colour = name, svg.seriesColour(colour)
  for field, value in pairs(more or {}) do line[field] = value end
  return line
end

-- Of one run each kind has a colour of its own; of several each run has.
local function linesOf(runs, x, field)
  local chart = {}
  local kinds = { { "train_", "training" }, { "val_", "validation" }, { "test_", "test" } }
  for r, run in ipairs(runs) do
    for k, kind in ipairs(kinds) do
      local line = points(run, x, kind[1] .. field)
      local isTraining = kind[1] == "train_"
      local isShown = #line > 0 and (#runs == 1 or isTraining or kind[1] == "test_")
      if isShown then
        chart[#chart + 1] = #runs == 1 and series(line, kind[2], k) or series(line, run.label, r,
          { isDashed = isTraining, isUnnamed = isTraining })
      end
    end
  end
  return chart
end

local function simpleLines(runs, x, field)
  local chart = {}
  for r, run in ipairs(runs) do
    local line = points(run, x, field)
    if #line > 0 then chart[#chart + 1] = series(line, #runs > 1 and run.label or "", r) end
  end
  return chart
end

local function draw(chart, title, x, y)
  if #chart == 0 then return nil end
  chart.title, chart.x, chart.y, chart.isWhole = title, x.name, y, x.field == "epoch"
  return lineChart.drawing(chart)
end

--- Draws all curves that the logs have figures for.
-- @param runs of run_directory.read, each with a `label`
-- @return a list of drawings
function curves.of(runs)
  local unit, factor = unitOf(runs)
  local epochs = { field = "epoch", factor = 1, name = "epoch" }
  local time = { field = "hours", factor = factor, name = unit }
  local drawings = {}
  for _, x in ipairs { epochs, time } do
    local over = x == epochs and "" or ", over time"
    drawings[#drawings + 1] = draw(linesOf(runs, x, "top1"), "Error (top 1)" .. over, x, "%")
    drawings[#drawings + 1] = draw(linesOf(runs, x, "loss"), "Loss" .. over, x)
  end
  drawings[#drawings + 1] = draw(simpleLines(runs, epochs, "lr"), "Learning rate at an epoch's end", epochs)
  drawings[#drawings + 1] = draw(simpleLines(runs, epochs, "step_seconds"), "Seconds a step, mean of an epoch", epochs)
  return drawings
end

return curves
