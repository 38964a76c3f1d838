--- Damage: a file's content changed in a few places, the same way each time for the same numbers.
local mutator = {}

--- A source of numbers: next(n) is one of 1..n. Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
-- generators" (SplitMix64).
-- @param seed, number two integers that name it
function mutator.source(seed, number)
  local state = seed * 0x5851f42d4c957f2d + number * 0x14057b7ef767814f
  return function(n)
    state = state + 0x9e3779b97f4a7c15
    local z = state
    z = (z ~ z >> 30) * 0xbf58476d1ce4e5b9
    z = (z ~ z >> 27) * 0x94d049bb133111eb
    return ((z ~ z >> 31) >> 1) % n + 1
  end
end

-- Numbers at which sizes and counts change their meaning.
local EDGES = { 0, 1, -1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000, 4095,
  4096, 32767, 32768, 65535, 65536, 0x7fffff, 0xffffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
  math.mininteger, 1 << 32, 1 << 40, -2, -128, -32768 }
local WIDTHS = { 1, 2, 2, 4, 4, 4, 8 }
local LONGEST = 64 -- bytes that are moved at once, but for a few
local MOST_CHANGES = 6

-- Each gives new content for content of at least one byte.
local changes = {}

local function replaced(content, at, n, by) return content:sub(1, at - 1) .. by .. content:sub(at + n) end

local function stretch(content, pick)
  local longest = pick(8) == 1 and #content or math.min(#content, LONGEST)
  return pick(#content), pick(longest)
end

function changes.bit(content, pick)
  local at = pick(#content)
  return replaced(content, at, 1, string.char(content:byte(at) ~ 1 << (pick(8) - 1)))
end

function changes.byte(content, pick) return replaced(content, pick(#content), 1, string.char(pick(256) - 1)) end

function changes.number(content, pick)
  local width = WIDTHS[pick(#WIDTHS)]
  local at = pick(#content)
  local value = pick(4) == 1 and pick(math.maxinteger) or EDGES[pick(#EDGES)]
  if width < 8 then value = value & (1 << 8 * width) - 1 end
  return replaced(content, at, width, string.pack((pick(2) == 1 and "<I" or ">I") .. width, value))
end

-- A digit where there is one: numbers of text formats.
function changes.digit(content, pick)
  local at = content:find("%d", pick(#content)) or content:find("%d")
  if not at then return changes.byte(content, pick) end
  local texts = { "0", "9", "-1", "1e9", "99999999999999999999", ".", "" }
  return replaced(content, at, 1, texts[pick(#texts)])
end

function changes.cut(content, pick) return content:sub(1, pick(#content) - 1) end

function changes.drop(content, pick)
  local at, n = stretch(content, pick)
  return replaced(content, at, n, "")
end

function changes.double(content, pick)
  local at, n = stretch(content, pick)
  return replaced(content, at, 0, content:sub(at, at + n - 1))
end

function changes.move(content, pick)
  local from, n = stretch(content, pick)
  local part = content:sub(from, from + n - 1)
  return replaced(content, pick(#content), #part, part)
end

function changes.insert(content, pick)
  local bytes = {}
  for i = 1, pick(8) do bytes[i] = string.char(pick(256) - 1) end
  return replaced(content, pick(#content), 0, table.concat(bytes))
end

-- The beginning of one file and the end of another.
function changes.splice(content, pick, others)
  local other = others[pick(#others)]
  if #other == 0 then return content end
  return content:sub(1, pick(#content)) .. other:sub(pick(#other))
end

local NAMES = {}
for name in pairs(changes) do NAMES[#NAMES + 1] = name end
table.sort(NAMES)

--- Content with one change, half of the times, or up to MOST_CHANGES.
-- @param content of a file
-- @param pick a source of numbers
-- @param others list of contents that parts may come from
function mutator.mutate(content, pick, others)
  for _ = 1, pick(2) == 1 and 1 or pick(MOST_CHANGES) do
    if #content == 0 then content = string.char(pick(256) - 1) end
    content = changes[NAMES[pick(#NAMES)]](content, pick, others)
  end
  return content
end

return mutator
