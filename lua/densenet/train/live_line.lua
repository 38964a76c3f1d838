--- The one line of a terminal that is redrawn in place. There is one standard output, so there is one such
-- line, and whoever prints something else clears it first.
local core = require "densenet.core"

local liveLine = {}

local isShown = false
local gap = "  "
local leastBar, mostBar = 12, 40 -- characters of a progress bar

--- Columns of the terminal that standard output is, as they are now; nil where it is none.
liveLine.columns = core.terminal

--- Draws a line in place of the one before. It must be shorter than the terminal is wide.
function liveLine.show(text)
  io.stdout:write("\r", text, "\27[K")
  io.stdout:flush()
  isShown = true
end

--- Takes the line away, if there is one.
function liveLine.clear()
  if not isShown then return end
  io.stdout:write("\r\27[K")
  io.stdout:flush()
  isShown = false
end

-- "[=====>    ]" of `width` characters.
local function bar(share, width)
  local inner = width - 2
  local done = math.floor(share * inner)
  if done >= inner then return "[" .. ("="):rep(inner) .. "]" end
  return "[" .. ("="):rep(done) .. ">" .. (" "):rep(inner - done - 1) .. "]"
end

local function widthOf(pieces)
  local width = -#gap
  for _, piece in ipairs(pieces) do width = width + #gap + #piece.text end
  return width
end

-- The place of the least important piece.
local function leastOf(pieces)
  local place = 1
  for i, piece in ipairs(pieces) do
    if piece.rank > pieces[place].rank then place = i end
  end
  return place
end

--- Makes a line of at most `width` characters: pieces are left out, those of the highest rank first, until the
-- others fit, and a progress bar behind the first takes what room is left.
-- @param pieces list of { text=, rank= } in the order shown; changed
-- @param share how much is done, 0 to 1
-- @param width in characters
function liveLine.fit(pieces, share, width)
  while #pieces > 1 and widthOf(pieces) > width do table.remove(pieces, leastOf(pieces)) end
  local room = math.min(width - widthOf(pieces) - #gap, mostBar)
  if room >= leastBar then table.insert(pieces, 2, { text = bar(share, room) }) end
  local texts = {}
  for i, piece in ipairs(pieces) do texts[i] = piece.text end
  return table.concat(texts, gap):sub(1, math.max(width, 0))
end

return liveLine
