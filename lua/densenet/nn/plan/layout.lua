--- Places in one arena for the rows of a trace.
--
-- Two rows may have the same bytes if they never live at the same time. The largest row is placed
-- first, each at the lowest place where it fits: for rows of few sizes and nested lives, as a
-- network's are, this comes close to the most that lives at once.
-- @module densenet.nn.plan.layout

local layout = {}

--- A multiple of it is where every tensor begins, in bytes.
layout.ALIGNMENT = 64

local PHASES = { "training", "evaluation" }

local function livesWith(a, b)
  for _, phase in ipairs(PHASES) do
    local one, other = a.lives[phase], b.lives[phase]
    if one and other and one.first <= other.last and other.first <= one.last then
      return true
    end
  end
  return false
end

-- The lowest offset for a row beside those placed, and its position among them, which are sorted by
-- offset.
local function findPlace(row, bytes, placed, shares)
  local offset = 0
  for _, other in ipairs(placed) do
    if other.offset + other.bytes > offset and (not (shares(row) and shares(other)) or livesWith(row, other)) then
      if other.offset - offset >= bytes then
        return offset
      end
      offset = math.max(offset, (other.offset + other.bytes + layout.ALIGNMENT - 1) // layout.ALIGNMENT
        * layout.ALIGNMENT)
    end
  end
  return offset
end

local function insert(placed, row)
  local low, high = 1, #placed + 1
  while low < high do
    local middle = (low + high) // 2
    if placed[middle].offset <= row.offset then
      low = middle + 1
    else
      high = middle
    end
  end
  table.insert(placed, low, row)
end

--- Gives each row an `offset`.
-- @tparam table rows with bytes, lives, isBackward; in any order, which is kept
-- @tparam function shares row → whether it may share its bytes
-- @treturn integer bytes of the arena
function layout.place(rows, shares)
  local order = {}
  for i, row in ipairs(rows) do
    order[i] = { row = row, i = i }
  end
  table.sort(order, function(a, b)
    return a.row.bytes > b.row.bytes or (a.row.bytes == b.row.bytes and a.i < b.i)
  end)
  local placed, total = {}, 0
  for _, entry in ipairs(order) do
    local row = entry.row
    row.offset = findPlace(row, row.bytes, placed, shares)
    insert(placed, row)
    total = math.max(total, row.offset + row.bytes)
  end
  return total
end

return layout
