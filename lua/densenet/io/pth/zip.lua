--- Entries of a zip archive whose content is stored as it is, as PyTorch writes it: where each begins in the file.
-- Also zip64. Source: PKWARE's APPNOTE.

local zip = {}

local END_SIZE, LONGEST_COMMENT = 22, 65535
local END, LOCATOR, END64, ENTRY, LOCAL = "PK\5\6", "PK\6\7", "PK\6\6", "PK\1\2", "PK\3\4"
local LOCATOR_SIZE, END64_SIZE, ENTRY_SIZE, LOCAL_SIZE = 20, 56, 46, 30
local LARGE2, LARGE4 = 0xFFFF, 0xFFFFFFFF -- stand for a number that the zip64 part has
local ZIP64_FIELD = 1
local IS_ENCRYPTED = 1

-- The end of the central directory, which only a comment may follow: its text, and where it begins.
local function findEnd(source)
  local size = source.size
  local n = math.min(size, END_SIZE + LONGEST_COMMENT)
  local tail = source:part(size - n, n):take(n)
  for at = n - END_SIZE + 1, 1, -1 do
    if tail:sub(at, at + 3) == END then return tail:sub(at, at + END_SIZE - 1), size - n + at - 1 end
  end
  source:refuse("it is a zip archive without an end: cut short")
end

-- How many entries there are, and the bytes that describe them: their number and where they begin.
local function directory(source)
  local text, at = findEnd(source)
  local count, n, first = string.unpack("<I2I4I4", text, 11)
  if count ~= LARGE2 and n ~= LARGE4 and first ~= LARGE4 or at < LOCATOR_SIZE then return count, n, first end
  local locator = source:part(at - LOCATOR_SIZE, LOCATOR_SIZE):take(LOCATOR_SIZE)
  if locator:sub(1, 4) ~= LOCATOR then return count, n, first end
  local end64 = source:part(string.unpack("<i8", locator, 9), END64_SIZE):take(END64_SIZE)
  if end64:sub(1, 4) ~= END64 then source:refuse("it is a zip archive whose zip64 part is damaged") end
  return string.unpack("<i8i8i8", end64, 33)
end

-- Numbers of an entry that are too large for its fixed part stand in this field of the extra part, in this order.
local function large(source, extra, name, ...)
  local values, at, past = { ... }, 1, 1
  while at + 3 <= #extra do
    local id, n = string.unpack("<I2I2", extra, at)
    past = at + 4 + n
    if id == ZIP64_FIELD then break end
    at = past
  end
  local from = at + 4
  for i, value in ipairs(values) do
    if value == LARGE4 then
      if from + 8 > past or past > #extra + 1 then source:refuse("the archive's entry %q has no size", name) end
      values[i], from = string.unpack("<i8", extra, from)
    end
  end
  return table.unpack(values)
end

local function entry(source, part)
  local fixed = part:take(ENTRY_SIZE)
  if fixed:sub(1, 4) ~= ENTRY then
    source:refuse("the archive's directory is damaged at byte %d", part.at - ENTRY_SIZE)
  end
  local flags, method = string.unpack("<I2I2", fixed, 9)
  local packed, size, nName, nExtra, nComment = string.unpack("<I4I4I2I2I2", fixed, 21)
  local first = string.unpack("<I4", fixed, 43)
  local name = part:take(nName)
  local extra = part:take(nExtra)
  part:skip(nComment)
  size, packed, first = large(source, extra, name, size, packed, first)
  if size < 0 or first < 0 or size > source.size - LOCAL_SIZE or first > source.size - LOCAL_SIZE - size then
    source:refuse("the archive's entry %q would be %d bytes at byte %d, and the file has %d: cut short or damaged",
      name, size, first, source.size)
  end
  return name, { name = name, first = first, size = size, isPacked = method ~= 0 or packed ~= size,
    isEncrypted = flags & IS_ENCRYPTED ~= 0 }
end

--- The entries of an archive: a table by name.
-- @param source densenet.io.byte_source's
function zip.entries(source)
  local count, n, first = directory(source)
  local part, entries = source:part(first, n), {}
  for _ = 1, count do
    local name, each = entry(source, part)
    if entries[name] then source:refuse("the archive has two entries %q", name) end
    entries[name] = each
  end
  return entries
end

--- The content of an entry, as a source.
function zip.open(source, each)
  if each.isEncrypted then source:refuse("the archive's entry %q is encrypted", each.name) end
  if each.isPacked then
    source:refuse("the archive's entry %q is compressed; PyTorch stores entries as they are", each.name)
  end
  local head = source:part(each.first, LOCAL_SIZE):take(LOCAL_SIZE)
  if head:sub(1, 4) ~= LOCAL then source:refuse("the archive's entry %q is not where its directory says", each.name) end
  local nName, nExtra = string.unpack("<I2I2", head, 27)
  return source:part(each.first + LOCAL_SIZE + nName + nExtra, each.size)
end

return zip
