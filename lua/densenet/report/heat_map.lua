--- A table of numbers as a picture: the larger, the stronger the colour.
-- @module densenet.report.heat_map

local core = require "densenet.core"
local svg = require "densenet.report.svg"

local heatMap = {}

-- As wide as about the longest name is.
local function roomFor(names)
  local most = 0
  for _, name in ipairs(names) do most = math.max(most, utf8.len(name) or #name) end
  return math.min(160, 12 + most * 7)
end

local function shorten(name) return #name <= 22 and name or name:sub(1, 21) .. "…" end

-- A cell's colour: `share` (0 to 1) of the way from low to high.
local function fill(share) return core.format("color-mix(in oklab, var(--high) %.1f%%, var(--low))", 100 * share) end

--- Draws a map.
-- @tparam table map { title=, x=, y= texts of the axes, columns=, rows= lists of names, values= by row and column, nil
-- where there is none, cell= size in pixels (24), text= function(value, row, column) → what a cell says, or nil;
-- hint= function(value, row, column) → what shows when it is pointed at, most= the value of the strongest colour
-- (the largest) }
-- @return a drawing (densenet.report.svg)
function heatMap.drawing(map)
  local cell, left, foot = map.cell or 24, roomFor(map.rows), 0.87 * roomFor(map.columns)
  local top = 34
  local width, height = #map.columns * cell, #map.rows * cell
  local most = map.most or 0
  for r = 1, #map.rows do
    for c = 1, #map.columns do
      local value = map.values[r][c]
      if not map.most and value and value == value then most = math.max(most, value) end
    end
  end
  local drawing = svg.drawing(math.max(left + 24 + width + 8, 8.5 * #map.title), top + height + foot + 26, map.title)
  drawing:text(4, 20, "start", map.title, 'class="title"')
  local x0 = left + 24
  for r, name in ipairs(map.rows) do
    local y = top + (r - 1) * cell
    drawing:text(x0 - 6, y + cell / 2 + 4, "end", shorten(name), 'class="quiet"')
    for c = 1, #map.columns do
      local value = map.values[r][c]
      if value then
        local x, share = x0 + (c - 1) * cell, most > 0 and value == value and math.min(value / most, 1) or 0
        drawing:box(x + 0.5, y + 0.5, cell - 1, cell - 1, "none", map.hint(value, r, c),
          ('style="fill:%s"'):format(fill(share)))
        local words = map.text and map.text(value, r, c)
        if words then
          drawing:text(x + cell / 2, y + cell / 2 + 4, "middle", words,
            ('font-size="11" pointer-events="none" style="fill:var(%s)"'):format(share > 0.5 and "--onHigh" or "--ink"))
        end
      end
    end
  end
  for c, name in ipairs(map.columns) do
    local x, y = x0 + (c - 0.5) * cell + 4, top + height + 8
    drawing:text(x, y, "end", shorten(name), core.format('class="quiet" transform="rotate(-60 %.1f %.1f)"', x, y))
  end
  drawing:text(x0 + width / 2, top + height + foot + 18, "middle", map.x, 'class="quiet"')
  drawing:text(0, 0, "middle", map.y, core.format('class="quiet" transform="translate(12 %.1f) rotate(-90)"',
    top + height / 2))
  return drawing
end

return heatMap
