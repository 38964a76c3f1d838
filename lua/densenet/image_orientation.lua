--- The camera's orientation of a JPEG (EXIF tag 274), and images turned upright by it.
-- Source: CIPA DC-008 (Exif 2.32), sections 4.5.2 and 4.6.4.
-- @module densenet.image_orientation

local core = require "densenet.core"

local orientation = {}

local ORIENTATION_TAG, SHORT = 0x0112, 3
local APP1, START_OF_SCAN = 0xE1, 0xDA
local MOST_ENTRIES = 1000

-- The tag's value in a block of TIFF; 1 where it has none, or is damaged.
local function ofTiff(tiff)
  local mark = ({ II = "<", MM = ">" })[tiff:sub(1, 2)]
  if not mark or #tiff < 8 then return 1 end
  local directory = string.unpack(mark .. "I4", tiff, 5)
  if directory < 8 or directory + 2 > #tiff then return 1 end
  local count = string.unpack(mark .. "I2", tiff, directory + 1)
  for i = 0, math.min(count, MOST_ENTRIES) - 1 do
    local at = directory + 3 + 12 * i
    if at + 11 > #tiff then return 1 end
    local tag, kind = string.unpack(mark .. "I2I2", tiff, at)
    if tag == ORIENTATION_TAG then
      local value = kind == SHORT and string.unpack(mark .. "I2", tiff, at + 8) or 1
      return value >= 1 and value <= 8 and value or 1
    end
  end
  return 1
end

--- @tparam string content of a file, of any kind
-- @treturn integer 1 (upright) to 8; 1 for what is no JPEG or does not say
function orientation.of(content)
  if content:sub(1, 2) ~= "\xff\xd8" then return 1 end
  local at = 3
  while at + 3 <= #content do
    local ff, marker, length = string.unpack(">I1I1I2", content, at)
    if ff ~= 0xFF or marker == START_OF_SCAN or length < 2 then return 1 end
    local segment = content:sub(at + 4, at + 1 + length)
    if marker == APP1 and segment:sub(1, 6) == "Exif\0\0" then return ofTiff(segment:sub(7)) end
    at = at + 2 + length
  end
  return 1
end

local function flippedRows(picture)
  local out, height = core.tensor_new("cpu", picture:dtype(), picture:size()), picture:size(2)
  for y = 1, height do core.copy(out:select(2, y), picture:select(2, height + 1 - y)) end
  return out
end

local function flippedColumns(picture)
  local out = core.tensor_new("cpu", picture:dtype(), picture:size())
  core.image_flip(out, picture)
  return out
end

local function transposed(picture) return picture:transpose(2, 3):contiguous() end

-- What makes each orientation upright, in order.
local STEPS = { {}, { flippedColumns }, { flippedColumns, flippedRows }, { flippedRows }, { transposed },
  { transposed, flippedColumns }, { transposed, flippedColumns, flippedRows }, { transposed, flippedRows } }

--- @tparam tensor picture C,H,W
-- @tparam integer number 1 to 8
-- @treturn tensor upright; the picture itself where it is
function orientation.upright(picture, number)
  for _, step in ipairs(STEPS[number]) do picture = step(picture) end
  return picture
end

return orientation
