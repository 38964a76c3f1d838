-- Reads event files, strictly: every length, check sum and field. Knows the fields that densenet.io.event_file writes.
local crc32c = require "densenet.io.crc32c"

local eventReader = {}

local function masked(bytes)
  local crc = crc32c(bytes)
  return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
end

local function varint(bytes, at)
  local value, shift = 0, 0
  while true do
    local byte = bytes:byte(at)
    value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
    if byte < 0x80 then return value, at end
  end
end

-- visit(field, value) for each field of a message.
local function fields(bytes, visit)
  local at = 1
  while at <= #bytes do
    local key, value
    key, at = varint(bytes, at)
    local kind = key & 7
    if kind == 0 then value, at = varint(bytes, at)
    elseif kind == 1 then value, at = ("<d"):unpack(bytes, at)
    elseif kind == 5 then value, at = ("<f"):unpack(bytes, at)
    else
      assert(kind == 2, "unknown kind of field")
      local length
      length, at = varint(bytes, at)
      value, at = bytes:sub(at, at + length - 1), at + length
    end
    visit(key >> 3, value)
  end
  assert(at == #bytes + 1, "a field goes beyond its message")
end

local function summaryValue(bytes)
  local value = {}
  fields(bytes, function(field, v) value[field] = v end)
  return value
end

local function event(bytes)
  local found = { values = {} }
  fields(bytes, function(field, value)
    if field == 1 then found.wallTime = value
    elseif field == 2 then found.step = value
    elseif field == 3 then found.version = value
    elseif field == 5 then
      fields(value, function(_, each) found.values[#found.values + 1] = summaryValue(each) end)
    elseif field == 7 then
      fields(value, function(_, status) found.isStart = status == 1 end)
    end
  end)
  return found
end

--- @return list of { wallTime=, step=, version=, isStart=, values = { { tag, number }, ... } }
function eventReader.read(path)
  local file = assert(io.open(path, "rb"))
  local bytes, events, at = file:read "a", {}, 1
  file:close()
  while at <= #bytes do
    local length = ("<I8"):unpack(bytes, at)
    assert(("<I4"):unpack(bytes, at + 8) == masked(bytes:sub(at, at + 7)), "the length's check sum is wrong")
    local body = bytes:sub(at + 12, at + 11 + length)
    assert(#body == length and ("<I4"):unpack(bytes, at + 12 + length) == masked(body), "a record is damaged")
    events[#events + 1] = event(body)
    at = at + 16 + length
  end
  return events
end

--- What TensorBoard would show of a directory: by tag a list of { step, number }, after what resumed runs drop.
function eventReader.scalars(directory)
  local core = require "densenet.core"
  local byTag = {}
  for _, name in ipairs(core.directory_list(directory)) do
    for _, each in ipairs(eventReader.read(directory .. "/" .. name)) do
      for tag, list in pairs(each.isStart and byTag or {}) do
        byTag[tag] = {}
        for _, pair in ipairs(list) do
          if pair[1] < each.step then table.insert(byTag[tag], pair) end
        end
      end
      for _, value in ipairs(each.values) do
        byTag[value[1]] = byTag[value[1]] or {}
        table.insert(byTag[value[1]], { each.step, value[2] })
      end
    end
  end
  return byTag
end

return eventReader
