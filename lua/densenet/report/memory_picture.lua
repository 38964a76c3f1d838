--- The memory of a training step as a picture: what lives when, and where.
--
-- Along the page run the operations of a step, forward, then backward; up the page the bytes of the arena that
-- buffers share. Each buffer is a box as long as it lives and as high as it is large.
-- @module densenet.report.memory_picture

local core = require "densenet.core"
local partsOf = require "densenet.nn.plan.parts"
local svg = require "densenet.report.svg"

local memoryPicture = {}

local width, height, left, top, bottom = 1000, 420, 64, 58, 40
local leastPixels = 0.4 -- a lower box cannot be seen

local kinds = {
  { name = "kept from forward to backward", colour = svg.seriesColour(1),
    holds = function(row) return row.lifetime == "step" and not row.isBackward end },
  { name = "gradients", colour = svg.seriesColour(2), holds = function(row) return row.isBackward end },
  { name = "within a layer", colour = svg.seriesColour(3), holds = function() return true end },
}

local function kindOf(row)
  for _, kind in ipairs(kinds) do
    if kind.holds(row) then return kind end
  end
end

local function megabytes(bytes) return core.format("%.2f MB", bytes / 2 ^ 20) end

local function describe(row)
  return ("%s, %s %s, %s, operations %d to %d"):format(row.name, table.concat(row.size, "x"), row.dtype,
    megabytes(row.bytes), row.first, row.last)
end

-- Rows with a place in the arena, and the last operation of training.
local function placedRows(plan)
  local rows, last = {}, 0
  for _, row in ipairs(plan.rows) do
    local life = row.offset and row.lives and row.lives.training
    if life then
      rows[#rows + 1], last = row, math.max(last, life.last)
    end
  end
  return rows, last
end

local function drawLegend(drawing)
  local x = left
  for _, kind in ipairs(kinds) do
    drawing:box(x, 32, 12, 12, "none", kind.name, ('style="fill:%s"'):format(kind.colour))
    drawing:text(x + 18, 42, "start", kind.name, 'class="quiet"')
    x = x + 36 + 7 * #kind.name
  end
end

--- The arena, or nil where the plan shares no bytes.
-- @param plan densenet.nn.MemoryPlan
-- @return a drawing; or nil
function memoryPicture.arena(plan)
  local rows, last = placedRows(plan)
  if plan.arenaBytes == 0 or #rows == 0 then return nil end
  local title = ("%s of buffers in the bytes of a step: what lives when"):format(megabytes(plan.arenaBytes))
  local drawing = svg.drawing(width, height, title)
  drawing:text(4, 20, "start", title, 'class="title"')
  drawLegend(drawing)
  local plotWidth, plotHeight = width - left - 10, height - top - bottom
  local bytesAPixel, first = plan.arenaBytes / plotHeight, last
  for _, row in ipairs(rows) do first = math.min(first, row.lives.training.first) end
  local function across(operation) return left + (operation - first) / (last + 1 - first) * plotWidth end
  for share = 0, 4 do
    local y = top + plotHeight * (1 - share / 4)
    drawing:add('<path class="grid" d="M%d %.1f h%d"/>', left, y, plotWidth)
    drawing:text(left - 8, y + 4, "end", core.format("%.4g", plan.arenaBytes * share / 4 / 2 ^ 20), 'class="quiet"')
  end
  for _, row in ipairs(rows) do
    local tall = row.bytes / bytesAPixel
    if tall >= leastPixels then
      local life = row.lives.training
      local x = across(life.first)
      drawing:box(x, top + plotHeight - (row.offset + row.bytes) / bytesAPixel, across(life.last + 1) - x, tall, "none",
        describe(row), ('style="fill:%s;stroke:var(--ground);stroke-width:.3"'):format(kindOf(row).colour))
    end
  end
  drawing:text(left + plotWidth / 2, height - 10, "middle",
    ("operations of a step, 1 to %d: forward, then backward"):format(last + 1 - first), 'class="quiet"')
  drawing:text(0, 0, "middle", "MB (2^20 bytes)",
    core.format('class="quiet" transform="translate(14 %.1f) rotate(-90)"', top + plotHeight / 2))
  return drawing
end

--- What a step's bytes are for, in parts that sum up to all.
-- @param plan densenet.nn.MemoryPlan
-- @return a list of { name, bytes }
function memoryPicture.parts(plan)
  local sums, parts = partsOf(plan), {}
  for _, part in ipairs { { "parameters", sums.parameters }, { "their gradients", sums.gradients },
    { "momentum", sums.momentum }, { "running statistics", sums.statistics },
    { "buffers that share their bytes", plan.arenaBytes }, { "other buffers and scratch", sums.others } } do
    if part[2] > 0 then parts[#parts + 1] = part end
  end
  return parts
end

return memoryPicture
