-- A line chart as SVG: points joined per series, axes from 0 with round ticks, a label at the end of
-- each line. Both axes are linear. Dark text on white, and colours that differ in lightness too.

local line_chart = {}

local WIDTH, HEIGHT = 760, 440
local LEFT, RIGHT, TOP, BOTTOM = 80, 150, 50, 60 -- margins
local LINE = 16 -- from one line of text to the next
local COLOURS = { "#b2182b", "#2166ac", "#1a7837", "#762a83", "#b35806" }

-- 1, 2 or 5 times a power of ten, so that about five of them reach `most`.
local function tickStep(most)
  local power = 10 ^ math.floor(math.log(most / 5, 10))
  for _, factor in ipairs { 1, 2, 5 } do
    if most / (factor * power) <= 6 then return factor * power end
  end
  return 10 * power
end

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function largest(series, axis)
  local most = 0
  for _, line in ipairs(series) do
    for _, point in ipairs(line) do most = math.max(most, point[axis]) end
  end
  return most > 0 and most or 1
end

-- Heights for labels at the given ones, lowest on the page first, no two closer than a line of text.
local function spread(labels)
  table.sort(labels, function(a, b) return a.y > b.y end)
  for i = 2, #labels do labels[i].y = math.min(labels[i].y, labels[i - 1].y - LINE) end
  return labels
end

--- @param chart { title=, x=, y= texts of the axes, series… }; a series is { name=, {x, y}, … } in
-- the order of its x, which are not negative
-- @return the SVG document
function line_chart.svg(chart)
  local out = {}
  local function add(pattern, ...) out[#out + 1] = pattern:format(...) end
  local function text(x, y, anchor, words, more)
    add('<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>', x, y, anchor, more or "", escape(words))
  end
  local mostX, mostY = largest(chart, 1), largest(chart, 2)
  local stepX, stepY = tickStep(mostX), tickStep(mostY)
  local topY = math.ceil(mostY / stepY) * stepY
  local function place(x, y)
    return LEFT + x / mostX * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / topY * (HEIGHT - TOP - BOTTOM)
  end

  add('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" '
    .. 'fill="#222">', WIDTH, HEIGHT)
  add('<rect width="%d" height="%d" fill="#fff"/>', WIDTH, HEIGHT)
  text(LEFT, 28, "start", chart.title, ' font-size="16"')
  local right, bottom = place(mostX, 0)
  for y = 0, topY, stepY do
    local _, at = place(0, y)
    add('<path d="M%d %.1f H%.1f" stroke="#ddd"/>', LEFT, at, right)
    text(LEFT - 8, at + 4, "end", ("%.10g"):format(y))
  end
  for x = 0, mostX, stepX do
    local at = place(x, 0)
    add('<path d="M%.1f %.1f v5" stroke="#222"/>', at, bottom)
    text(at, bottom + 20, "middle", ("%.10g"):format(x))
  end
  add('<path d="M%d %d V%.1f H%.1f" fill="none" stroke="#222"/>', LEFT, TOP, bottom, right)
  text((LEFT + right) / 2, HEIGHT - 16, "middle", chart.x)
  text(0, 0, "middle", chart.y, (' transform="translate(20 %.1f) rotate(-90)"'):format((TOP + bottom) / 2))
  local labels = {}
  for i, line in ipairs(chart) do
    local colour, path = COLOURS[(i - 1) % #COLOURS + 1], {}
    for j, point in ipairs(line) do
      local x, y = place(point[1], point[2])
      path[j] = ("%s%.1f %.1f"):format(j == 1 and "M" or "L", x, y)
      add('<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>', x, y, colour)
    end
    add('<path d="%s" fill="none" stroke="%s" stroke-width="2"/>', table.concat(path, " "), colour)
    local x, y = place(line[#line][1], line[#line][2])
    labels[i] = { x = x + 10, y = y + 4, name = line.name, colour = colour }
  end
  for _, label in ipairs(spread(labels)) do
    text(label.x, label.y, "start", label.name, (' fill="%s"'):format(label.colour))
  end
  out[#out + 1] = "</svg>\n"
  return table.concat(out, "\n")
end

return line_chart
