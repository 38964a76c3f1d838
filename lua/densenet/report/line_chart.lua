--- A line chart: points joined per series, axes from 0 with round ticks, names at the ends of lines.
-- @module densenet.report.line_chart

local core = require "densenet.core"
local svg = require "densenet.report.svg"

local lineChart = {}

local left, right, top, bottom = 64, 130, 40, 48 -- margins
local lineOfText = 16

-- 1, 2 or 5 times a power of ten, so that about five of them reach `most`.
local function tickStep(most)
  local power = 10.0 ^ math.floor(math.log(most / 5, 10))
  for _, factor in ipairs { 1, 2, 5 } do
    if most / (factor * power) <= 6 then return factor * power end
  end
  return 10 * power
end

local function isFinite(value) return value - value == 0 end

local function largest(chart, axis)
  local most = 0
  for _, line in ipairs(chart) do
    for _, point in ipairs(line) do
      if isFinite(point[axis]) then most = math.max(most, point[axis]) end
    end
  end
  return most > 0 and most or 1
end

-- Heights for labels at the given ones, no two closer than a line of text, none below `lowest`.
local function spread(labels, lowest)
  table.sort(labels, function(a, b) return a.y > b.y or a.y == b.y and a.place > b.place end)
  for i, label in ipairs(labels) do
    label.y = math.min(label.y, i == 1 and lowest or labels[i - 1].y - lineOfText)
  end
  return labels
end

local function drawAxes(drawing, chart, frame)
  for i = 0, math.floor(frame.topY / frame.stepY + 0.5) do
    local value = i * frame.stepY
    local _, at = frame.place(0, value)
    drawing:add('<path class="grid" d="M%d %.1f H%.1f"/>', left, at, frame.right)
    drawing:text(left - 8, at + 4, "end", core.format("%.10g", value), 'class="quiet"')
  end
  for i = 0, math.floor(frame.mostX / frame.stepX + 1e-9) do
    local at = frame.place(i * frame.stepX, 0)
    drawing:add('<path class="axis" d="M%.1f %.1f v5"/>', at, frame.bottom)
    drawing:text(at, frame.bottom + 19, "middle", core.format("%.10g", i * frame.stepX), 'class="quiet"')
  end
  drawing:add('<path class="axis" d="M%d %.1f H%.1f"/>', left, frame.bottom, frame.right)
  drawing:text(4, 20, "start", chart.title, 'class="title"')
  drawing:text((left + frame.right) / 2, chart.height - 10, "middle", chart.x, 'class="quiet"')
  if chart.y then
    drawing:text(0, 0, "middle", chart.y, core.format('class="quiet" transform="translate(14 %.1f) rotate(-90)"',
      (top + frame.bottom) / 2))
  end
end

-- Points as a path: one that is no number leaves a gap.
local function pathOf(line, place)
  local path, isOpen = {}, false
  for _, point in ipairs(line) do
    if isFinite(point[1]) and isFinite(point[2]) then
      local x, y = place(point[1], point[2])
      path[#path + 1], isOpen = core.format("%s%.1f %.1f", isOpen and "L" or "M", x, y), true
    else
      isOpen = false
    end
  end
  return table.concat(path, " ")
end

local function lastPoint(line)
  for i = #line, 1, -1 do
    if isFinite(line[i][1]) and isFinite(line[i][2]) then return line[i] end
  end
end

local function drawLine(drawing, line, place)
  drawing:add('<path class="series" d="%s" stroke="%s"%s/>', pathOf(line, place), line.colour,
    line.isDashed and ' stroke-dasharray="5 4" opacity="0.8"' or "")
  for _, point in ipairs(#line <= 60 and line or {}) do
    if isFinite(point[1]) and isFinite(point[2]) then
      local x, y = place(point[1], point[2])
      drawing:add('<circle cx="%.1f" cy="%.1f" r="%s" fill="%s"><title>%s</title></circle>', x, y,
        line.isDashed and "2" or "3", line.colour, svg.escape(core.format("%s: %.6g at %.6g", line.name, point[2],
          point[1])))
    end
  end
end

--- Draws a chart.
-- @tparam table chart { title=, x=, y= texts of the axes (y may be left out), width=, height= (560, 320), topY= least
-- height of the scale, isWhole= only whole numbers along x, series… }; a series is { name=, colour= (by its place),
-- isDashed=, isUnnamed= no label at its end, {x, y}, … } in the order of its x; nothing is negative, and what is no
-- number leaves a gap
-- @return a drawing (densenet.report.svg)
function lineChart.drawing(chart)
  chart = setmetatable({ width = chart.width or 560, height = chart.height or 320 }, { __index = chart })
  local frame = { mostX = largest(chart, 1), right = chart.width - right, bottom = chart.height - bottom }
  local mostY = math.max(largest(chart, 2), chart.topY or 0)
  frame.stepX, frame.stepY = tickStep(frame.mostX), tickStep(mostY)
  if chart.isWhole then frame.stepX = math.max(1, frame.stepX) end
  frame.topY = math.ceil(mostY / frame.stepY - 1e-9) * frame.stepY
  function frame.place(x, y)
    return left + x / frame.mostX * (frame.right - left), frame.bottom - y / frame.topY * (frame.bottom - top)
  end
  local drawing = svg.drawing(chart.width, chart.height, chart.title)
  drawAxes(drawing, chart, frame)
  local labels = {}
  for i, line in ipairs(chart) do
    line.colour = line.colour or svg.seriesColour(i)
    drawLine(drawing, line, frame.place)
    local last = not line.isUnnamed and lastPoint(line)
    if last then
      local x, y = frame.place(last[1], last[2])
      labels[#labels + 1] = { x = x + 9, y = y + 4, place = i, line = line }
    end
  end
  for _, label in ipairs(spread(labels, frame.bottom + 4)) do
    drawing:text(label.x, label.y, "start", label.line.name, ('style="fill:%s"'):format(label.line.colour))
  end
  return drawing
end

return lineChart
