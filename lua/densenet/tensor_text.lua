--- A tensor as text: its values, a screenful at most, and a last line that says what it is.
--
--      1.0000  -2.5000
--      0.2500   4.0000
--     [float tensor of size 2x2]

local core = require "densenet.core"

local MOST_ROWS, MOST_COLUMNS = 24, 10

-- A format for all numbers of a list: integers as such, others with four digits after the point,
-- with an exponent where that would hide small ones or run wide.
local function numberFormat(numbers)
  local largest, smallest, areIntegers = 0, math.huge, true
  for _, x in ipairs(numbers) do
    local size = math.abs(x)
    if size < math.huge then -- neither infinite nor NaN
      largest = math.max(largest, size)
      if size > 0 then smallest = math.min(smallest, size) end
      areIntegers = areIntegers and size % 1 == 0
    end
  end
  if areIntegers and largest < 1e15 then return "%.0f" end
  if largest < 1e5 and (smallest >= 1e-3 or largest >= 1) then return "%.4f" end
  return "%.4e"
end

-- Rows of numbers, aligned; `more` ends each row that goes on.
local function rowsText(rows, more)
  local numbers = {}
  for _, row in ipairs(rows) do table.move(row, 1, #row, #numbers + 1, numbers) end
  local format = numberFormat(numbers)
  local width = 0
  for _, x in ipairs(numbers) do width = math.max(width, #core.format(format, x)) end
  local lines = {}
  for i, row in ipairs(rows) do
    local words = {}
    for j, x in ipairs(row) do words[j] = ("%" .. width .. "s"):format(core.format(format, x)) end
    lines[i] = " " .. table.concat(words, "  ") .. more
  end
  return lines
end

-- At most n_rows rows of a matrix as lines, with a last line for those left out.
local function matrixLines(matrix, nRows)
  local height, width = matrix:size(1), matrix:size(2)
  local shownHeight, shownWidth = math.min(height, nRows), math.min(width, MOST_COLUMNS)
  local window = matrix:narrow(1, 1, shownHeight):narrow(2, 1, shownWidth)
  local lines = rowsText(window:totable(), shownWidth < width and "  ..." or "")
  if shownHeight < height then lines[#lines + 1] = (" ... %d rows more"):format(height - shownHeight) end
  return lines
end

-- Moves a list of positions on to the next one, the last dimension fastest; false after the last.
local function advance(positions, sizes)
  for d = #positions, 1, -1 do
    positions[d] = positions[d] + 1
    if positions[d] <= sizes[d] then return true end
    positions[d] = 1
  end
  return false
end

-- A tensor of three dimensions or more as matrices, each under its place: (1,2,.,.) =
local function slicesLines(tensor)
  local lines = {}
  local sizes, positions = tensor:size(), {}
  for d = 1, #sizes - 2 do positions[d] = 1 end
  repeat
    if #lines >= MOST_ROWS then
      lines[#lines + 1] = "..."
      break
    end
    local matrix = tensor
    for _, position in ipairs(positions) do matrix = matrix:select(1, position) end
    lines[#lines + 1] = ("(%s,.,.) ="):format(table.concat(positions, ","))
    local shown = matrixLines(matrix, MOST_ROWS - #lines + 1)
    table.move(shown, 1, #shown, #lines + 1, lines)
  until not advance(positions, sizes)
  return lines
end

--- The text of a tensor, freed or not.
return function(tensor)
  local last = "[" .. core.tensor_describe(tensor) .. "]"
  if tensor:isFreed() or tensor:nElement() == 0 or tensor:device():find("^plan") then return last end
  local lines
  if tensor:dim() == 0 then
    lines = rowsText({ { tensor:item() } }, "")
  elseif tensor:dim() == 1 then
    -- A column, as Torch prints vectors: the transpose of a one-row matrix, whatever its stride.
    lines = matrixLines(tensor:expand(1, tensor:size(1)):t(), MOST_ROWS)
  elseif tensor:dim() == 2 then
    lines = matrixLines(tensor, MOST_ROWS)
  else
    lines = slicesLines(tensor)
  end
  lines[#lines + 1] = last
  return table.concat(lines, "\n")
end
