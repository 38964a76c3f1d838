--- The part of a report about what a network takes for what: the confusion matrix and the worst mistakes, as
-- `main.lua -testOnly true -confusion` leaves them in the run's directory (densenet.train.mistakes).
-- @module densenet.report.confusion

local core = require "densenet.core"
local heatMap = require "densenet.report.heat_map"
local html = require "densenet.report.html"
local runDirectory = require "densenet.report.run_directory"

local confusion = {}

local mostClasses = 40 -- of a picture; beyond, the largest confusions are listed
local mostPairs = 25

-- { names =, counts = by truth and guess }; nil where there is no such file.
local function read(path)
  if not core.file_exists(path) then return nil end
  local rows, names = runDirectory.table(path)
  if not rows or #names ~= #rows + 1 then return nil end
  local matrix = { names = {}, counts = {} }
  for i = 1, #rows do
    matrix.names[i], matrix.counts[i] = tostring(names[i + 1]), {}
    for j = 1, #rows do matrix.counts[i][j] = tonumber(rows[i][names[j + 1]]) or 0 end
  end
  return matrix
end

local function picture(matrix)
  local shares, sums = {}, {}
  for i, counts in ipairs(matrix.counts) do
    sums[i] = 0
    for _, n in ipairs(counts) do sums[i] = sums[i] + n end
    shares[i] = {}
    for j, n in ipairs(counts) do shares[i][j] = sums[i] > 0 and n / sums[i] or 0 end
  end
  local n = #matrix.names
  return heatMap.drawing { title = "Which class is taken for which", x = "told", y = "is", rows = matrix.names,
    columns = matrix.names, values = shares, most = 1, cell = n <= 12 and 36 or n <= 24 and 26 or 18,
    text = function(_, i, j)
      local count = matrix.counts[i][j]
      return n <= 24 and count > 0 and ("%d"):format(count) or nil
    end,
    hint = function(share, i, j)
      return core.format("%d of %d images of %s (%.1f %%) are told as %s", matrix.counts[i][j], sums[i],
        matrix.names[i], 100 * share, matrix.names[j])
    end }
end

local function pairsTable(matrix)
  local list = {}
  for i, counts in ipairs(matrix.counts) do
    for j, n in ipairs(counts) do
      if i ~= j and n > 0 then list[#list + 1] = { i = i, j = j, n = n } end
    end
  end
  table.sort(list, function(a, b)
    if a.n ~= b.n then return a.n > b.n end
    return a.i < b.i or a.i == b.i and a.j < b.j
  end)
  local rows = {}
  for k = 1, math.min(mostPairs, #list) do
    local one = list[k]
    rows[k] = { html.escape(matrix.names[one.i]), html.escape(matrix.names[one.j]), tostring(one.n) }
  end
  return html.table({ { "is" }, { "told" }, { "images", true } }, rows, "The most frequent confusions.")
end

local function gallery(directory)
  local rows = core.file_exists(directory .. "/mistakes.tsv") and runDirectory.table(directory .. "/mistakes.tsv")
  if not rows or #rows == 0 then return nil end
  local figures = {}
  for _, row in ipairs(rows) do
    local bytes = row.file and core.file_read(directory .. "/" .. tostring(row.file))
    local picture_ = bytes and ('<img alt="" src="data:image/png;base64,%s">'):format(html.base64(bytes)) or ""
    figures[#figures + 1] = core.format("<figure>%s<figcaption>is <b>%s</b><br>told %s, %.1f %%<br>"
      .. '<span class="quiet">%s</span></figcaption></figure>', picture_, html.escape(tostring(row.truth)),
      html.escape(tostring(row.told)), 100 * (tonumber(row.told_probability) or 0), html.escape(tostring(row.image)))
  end
  return "<p>The images whose own class was given the least probability.</p>\n" .. '<div class="gallery">'
    .. table.concat(figures, "\n") .. "</div>"
end

--- The section, or nil where no run has been tested with -confusion.
-- @param runs of run_directory.read
function confusion.section(runs)
  local parts = {}
  for _, run in ipairs(runs) do
    local matrix = read(run.directory .. "/confusion.tsv")
    if matrix then
      if #runs > 1 then parts[#parts + 1] = "<h3>" .. html.escape(run.label) .. "</h3>" end
      parts[#parts + 1] = #matrix.names <= mostClasses and html.charts { picture(matrix) } or pairsTable(matrix)
    end
    local images = gallery(run.directory .. "/mistakes")
    if images then parts[#parts + 1] = "<h3>Worst mistakes" .. (#runs > 1 and ", " .. html.escape(run.label) or "")
      .. "</h3>\n" .. images end
  end
  if #parts == 0 then return nil end
  return "<h2>Confusion and mistakes</h2>\n" .. table.concat(parts, "\n")
end

return confusion
