--- The parts of a report: each a function of the runs that gives HTML, or nil where there is nothing to show.
-- @module densenet.report.sections

local attempt = require "densenet.attempt"
local core = require "densenet.core"
local curves = require "densenet.report.curves"
local featureReuse = require "densenet.models.feature_reuse"
local heatMap = require "densenet.report.heat_map"
local html = require "densenet.report.html"
local memoryPicture = require "densenet.report.memory_picture"
local models = require "densenet.models"
local options = require "densenet.train.options"
local seeds = require "densenet.report.seeds"

local sections = {}

local function number(format, value) return value and core.format(format, value) or "" end

local function duration(hours)
  if not hours then return "" end
  if hours >= 2 then return core.format("%.1f h", hours) end
  return hours * 60 >= 2 and core.format("%.1f min", hours * 60) or core.format("%.1f s", hours * 3600)
end

local function heading(words) return "<h2>" .. html.escape(words) .. "</h2>\n" end

local function paragraph(words) return "<p>" .. html.escape(words) .. "</p>\n" end

--- What each run came to.
function sections.summary(runs)
  local cards = {}
  if #runs == 1 then
    local one = seeds.outcome(runs[1])
    for _, card in ipairs { { number("%.2f %%", one.best), "best error (top 1)" },
      { number("%.2f %%", one.last), "test error after the last epoch" }, { tostring(one.epochs), "epochs" },
      { duration(one.hours), "training and testing" }, { number("%.3f s", one.step), "a training step" } } do
      if card[1] ~= "" then cards[#cards + 1] = html.card(card[1], card[2]) end
    end
  end
  local rows = {}
  for i, run in ipairs(runs) do
    local one = seeds.outcome(run)
    local described, network = attempt.call(models.describe, run.state.network)
    rows[i] = { html.swatch(i) .. html.escape(run.label), html.escape(described and network or "?"),
      html.escape(run.state.dataset or ""), tostring(one.epochs), number("%.2f", one.best), number("%.2f", one.last),
      number("%.3f", one.step), duration(one.hours) }
  end
  return (#cards > 0 and '<div class="cards">' .. table.concat(cards) .. "</div>\n" or "") .. html.table({ { "run" },
    { "network" }, { "data" }, { "epochs", true }, { "best error %", true }, { "last test error %", true },
    { "s a step", true }, { "time", true } }, rows)
end

--- Means and deviations over seeds.
function sections.seeds(runs)
  local rows = {}
  for _, group in ipairs(seeds.groups(runs)) do
    local figures, names = { best = {}, last = {}, step = {} }, {}
    for i, run in ipairs(group) do
      names[i] = run.label
      local one = seeds.outcome(run)
      for field, list in pairs(figures) do list[#list + 1] = one[field] end
    end
    local function cell(field, format)
      local mean, deviation = seeds.statistics(figures[field])
      return number(format, mean) .. (deviation and " ± " .. number(format, deviation) or "")
    end
    if #group > 1 then
      rows[#rows + 1] = { html.escape(table.concat(names, ", ")), tostring(#group), cell("best", "%.2f"),
        cell("last", "%.2f"), cell("step", "%.3f") }
    end
  end
  if #rows == 0 then return nil end
  return heading "Runs that differ in their seed only" .. html.table({ { "runs" }, { "n", true },
    { "best error %", true }, { "last test error %", true }, { "s a step", true } }, rows,
    "Mean ± standard deviation over the runs (n - 1).")
end

--- Curves.
function sections.curves(runs)
  local drawings = curves.of(runs)
  if #drawings == 0 then return heading "Curves" .. paragraph "No epoch is done yet." end
  local words = #runs > 1 and "Solid: test. Dashed: training, the mean of the epoch." or
    "Training is the mean of the epoch, while the weights change; tests come after it."
  return heading "Curves" .. paragraph(words) .. html.charts(drawings)
end

--- Options that are not the same in all runs; of one run all of them.
function sections.options(runs)
  local names, isKnown = {}, {}
  for _, run in ipairs(runs) do
    for name in pairs(run.options) do
      if not isKnown[name] then isKnown[name], names[#names + 1] = true, name end
    end
  end
  table.sort(names, core.before)
  local columns, rows = { { "option" } }, {}
  for i, run in ipairs(runs) do columns[i + 1] = { run.label } end
  for _, name in ipairs(names) do
    local row, differs = { "-" .. html.escape(name) }, #runs == 1
    for i, run in ipairs(runs) do
      local value = run.options[name]
      row[i + 1] = value == nil and "" or html.escape(options.text(value))
      differs = differs or row[i + 1] ~= row[2]
    end
    if differs then rows[#rows + 1] = row end
  end
  if #rows == 0 then return heading "Options" .. paragraph "All options of the runs are the same." end
  local parts = { heading(#runs == 1 and "Options" or "Options that differ"),
    #runs == 1 and html.list(rows) or html.table(columns, rows) }
  for _, run in ipairs(runs) do
    for _, change in ipairs(run.changes) do
      parts[#parts + 1] = paragraph(("%s: -%s %s instead of %s from batch %d of epoch %d on."):format(run.label,
        change.option, options.text(change.to), options.text(change.from), change.iteration + 1, change.epoch))
    end
  end
  return table.concat(parts, "\n")
end

--- The memory of a training step.
function sections.memory(runs)
  local parts = { heading "Memory of a training step" }
  for _, run in ipairs(runs) do
    if #runs > 1 then parts[#parts + 1] = "<h3>" .. html.escape(run.label) .. "</h3>" end
    local plan = run.plan
    if not plan then
      parts[#parts + 1] = paragraph(("No plan: %s."):format(run.planFailure))
    else
      local rows = {}
      for i, part in ipairs(memoryPicture.parts(plan)) do
        rows[i] = { html.escape(part[1]), number("%.1f", part[2] / 2 ^ 20) }
      end
      rows[#rows + 1] = { "<b>total</b>", number("<b>%.1f</b>", plan.totalBytes / 2 ^ 20) }
      parts[#parts + 1] = html.table({ { "" }, { "MB", true } }, rows,
        ("Planned for %d images a step with -optMemory %d. MB are 2^20 bytes."):format(plan.inputSize[1], plan.mode))
      local picture = memoryPicture.arena(plan)
      if picture then parts[#parts + 1] = html.charts { picture } end
    end
  end
  return table.concat(parts, "\n")
end

--- How strongly layers use the features before them.
function sections.featureReuse(runs)
  local parts = {}
  for _, run in ipairs(runs) do
    local drawings = {}
    for number_, map in ipairs(featureReuse.of(run.tensors)) do
      local values = {} -- sources down the page, targets across it, as in the paper
      for s in ipairs(map.sources) do
        values[s] = {}
        for t in ipairs(map.targets) do values[s][t] = map.values[t][s] end
      end
      drawings[number_] = heatMap.drawing { title = ("Block %d"):format(number_), x = "target", y = "source",
        rows = map.sources, columns = map.targets, values = values,
        cell = math.max(9, math.min(24, math.floor(440 / #map.sources))),
        hint = function(value, s, t)
          return core.format("%s from %s: mean |weight| %.4g", map.targets[t], map.sources[s], value)
        end }
    end
    if #drawings > 0 then
      if #runs > 1 then parts[#parts + 1] = "<h3>" .. html.escape(run.label) .. "</h3>" end
      parts[#parts + 1] = html.charts(drawings)
    end
  end
  if #parts == 0 then return nil end
  return heading "Feature reuse" .. paragraph("Mean |weight| with which a layer (target) reads the features of a layer "
    .. "before it (source): figure 5 of the DenseNet paper. The strongest colour of a block is its largest value; "
    .. "point at a square for the number.") .. table.concat(parts, "\n")
end

return sections
