--- safetensors: our file format for weights, and everybody's (huggingface/safetensors).
--
-- A file is an 8-byte little-endian length, that many bytes of JSON, then the tensors' bytes,
-- row-major and without holes. Each entry of the JSON says dtype, shape and the range of bytes.
-- Nothing in a file is believed before it has been checked against everything else, so loading a
-- damaged or hostile one gives a message and reads no more memory than the file has bytes.
local core = require "densenet.core"
local json = require "densenet.io.json"
require "densenet.tensor" -- loaded tensors have Torch's methods

local safetensors = {}

local MAX_HEADER = 100 * 1000 * 1000 -- the format's own limit
local MAX_DIM = 8
local LENGTH_BYTES = 8
local METADATA = "__metadata__"

local TYPES = {
  F64 = { dtype = "double", bytes = 8 },
  F32 = { dtype = "float", bytes = 4 },
  F16 = { dtype = "half", bytes = 2 },
  BF16 = { dtype = "bfloat16", bytes = 2 },
  I64 = { dtype = "long", bytes = 8 },
  U8 = { dtype = "byte", bytes = 1 },
}

local SUPPORTED = "F64, F32, F16, BF16, I64 and U8 are"
local UNSUPPORTED = {}
for word in ("I32 I16 I8 U64 U32 U16 BOOL C64 F8_E4M3 F8_E5M2 F8_E8M0 F4"):gmatch("%S+") do
  UNSUPPORTED[word] = true
end

local TYPE_OF = {}
for word, kind in pairs(TYPES) do TYPE_OF[kind.dtype] = { word = word, bytes = kind.bytes } end

-- ---- Checking: each check returns what it read, or nil and what is wrong ----

local FIELDS = { dtype = true, shape = true, data_offsets = true }

-- Names come from the file; a message shows them in quotes and not at full length.
local function quote(name)
  return ("%q"):format(#name > 100 and name:sub(1, 97) .. "..." or name)
end

local function show(value)
  if type(value) == "string" then return quote(value) end
  if type(value) ~= "table" then return tostring(value) end
  if json.isArray(value) then return ("an array of %d"):format(#value) end
  return "an object"
end

local function checkFields(entry)
  if type(entry) ~= "table" or json.isArray(entry) or entry == json.null then
    return nil, ("expected an object with dtype, shape and data_offsets, came %s"):format(show(entry))
  end
  for field in pairs(entry) do
    if not FIELDS[field] then return nil, ("unknown field %s"):format(quote(field)) end
  end
  for _, field in ipairs({ "dtype", "shape", "data_offsets" }) do
    if entry[field] == nil then return nil, ("the field %s is missing"):format(field) end
  end
  return true
end

local function checkType(word)
  local kind = TYPES[word]
  if kind then return kind end
  if UNSUPPORTED[word] then return nil, ("dtype %s is not supported; %s"):format(word, SUPPORTED) end
  return nil, ("unknown dtype %s; %s supported"):format(show(word), SUPPORTED)
end

-- An array of whole numbers from 0 on; JSON numbers like 2.0 and 1e30 are floats and refused.
local function checkNumbers(value, name)
  if not json.isArray(value) then return nil, ("%s: expected an array, came %s"):format(name, show(value)) end
  for i, number in ipairs(value) do
    if math.type(number) ~= "integer" or number < 0 then
      return nil, ("%s[%d]: expected a whole number from 0 to 2^63-1, came %s"):format(name, i, show(number))
    end
  end
  return value
end

-- Bytes of a tensor; nil when they, or a stride, are more than 2^63-1: a size of 0 makes the
-- count 0 but not the product of the other sizes.
local function countBytes(shape, elementBytes)
  local bytes, isEmpty = elementBytes, false
  for _, size in ipairs(shape) do
    if size == 0 then
      isEmpty = true
    elseif bytes > math.maxinteger // size then
      return nil
    else
      bytes = bytes * size
    end
  end
  return isEmpty and 0 or bytes
end

local function checkShape(value, elementBytes)
  local shape, reason = checkNumbers(value, "shape")
  if not shape then return nil, reason end
  if #shape > MAX_DIM then
    return nil, ("shape: %d dimensions are not supported, %d are"):format(#shape, MAX_DIM)
  end
  local bytes = countBytes(shape, elementBytes)
  if not bytes then
    return nil, ("shape: %s elements are more than any file holds"):format(table.concat(shape, "x"))
  end
  return shape, bytes
end

local function checkOffsets(value, shape, bytes)
  local offsets, reason = checkNumbers(value, "data_offsets")
  if not offsets then return nil, reason end
  if #offsets ~= 2 then return nil, ("data_offsets: expected 2 numbers, came %d"):format(#offsets) end
  local first, past = offsets[1], offsets[2]
  if past - first ~= bytes then
    return nil, ("data_offsets: expected %d bytes for shape [%s], came %d to %d"):format(
      bytes, table.concat(shape, ", "), first, past)
  end
  return first, past
end

local function checkEntry(name, entry)
  local ok, reason = checkFields(entry)
  if not ok then return nil, reason end
  local kind, shape, bytes, first, past
  kind, reason = checkType(entry.dtype)
  if not kind then return nil, reason end
  shape, bytes = checkShape(entry.shape, kind.bytes)
  if not shape then return nil, bytes end
  first, past = checkOffsets(entry.data_offsets, shape, bytes)
  if not first then return nil, past end
  return { name = name, dtype = kind.dtype, shape = shape, first = first, past = past }
end

local function checkMetadata(metadata)
  if type(metadata) ~= "table" or json.isArray(metadata) or metadata == json.null then
    return nil, ("%s: expected an object of strings, came %s"):format(METADATA, show(metadata))
  end
  for key, value in pairs(metadata) do
    if type(value) ~= "string" then
      return nil, ("%s: %s: expected a string, came %s"):format(METADATA, quote(key), show(value))
    end
  end
  return metadata
end

-- The tensors, in the order of their bytes, have to cover the data exactly once.
local function checkCover(entries, dataBytes)
  table.sort(entries, function(a, b)
    if a.first ~= b.first then return a.first < b.first end
    if a.past ~= b.past then return a.past < b.past end
    return a.name < b.name
  end)
  local covered = 0
  for _, entry in ipairs(entries) do
    if entry.first ~= covered then
      return nil, ("tensor %s: data_offsets: expected to begin at byte %d, came %d (%s)"):format(
        quote(entry.name), covered, entry.first, entry.first > covered and "a hole" or "an overlap")
    end
    covered = entry.past
  end
  if covered ~= dataBytes then
    return nil, ("the tensors take %d bytes, the file has %d bytes of data%s"):format(
      covered, dataBytes, covered > dataBytes and " (cut short?)" or "")
  end
  return true
end

-- All of the header's entries, checked one by one and together.
local function checkHeader(header, dataBytes)
  local metadata, entries = {}, {}
  for name, entry in pairs(header) do
    local reason
    if name == METADATA then
      metadata, reason = checkMetadata(entry)
      if not metadata then return nil, reason end
    else
      entries[#entries + 1], reason = checkEntry(name, entry)
      if reason then return nil, ("tensor %s: %s"):format(quote(name), reason) end
    end
  end
  local ok, reason = checkCover(entries, dataBytes)
  if not ok then return nil, reason end
  return entries, metadata
end

-- ---- Loading ----

-- The header's text and where the data begins, or nil, what is wrong, code.
local function readHeader(path, fileBytes)
  if fileBytes < LENGTH_BYTES then
    return nil, ("%s: has %d bytes; a safetensors file begins with 8 bytes of length"):format(path, fileBytes), "format"
  end
  local lengthBytes, message, code = core.file_read(path, 0, LENGTH_BYTES)
  if not lengthBytes then return nil, message, code end
  local length = string.unpack("<i8", lengthBytes)
  if length < 0 or length > MAX_HEADER then
    return nil, ("%s: header of %s bytes; expected at most %d"):format(
      path, length < 0 and "2^63 or more" or length, MAX_HEADER), "format"
  end
  if length > fileBytes - LENGTH_BYTES then
    return nil, ("%s: header of %d bytes; after its length the file has %d"):format(
      path, length, fileBytes - LENGTH_BYTES), "format"
  end
  local text
  text, message, code = core.file_read(path, LENGTH_BYTES, length)
  return text, message or LENGTH_BYTES + length, code
end

local function decodeHeader(path, text)
  if text:sub(1, 1) ~= "{" then return nil, ("%s: header: expected {, came %s"):format(path, quote(text:sub(1, 8))) end
  local header, message = json.decode(text)
  if header == nil then return nil, ("%s: header: %s"):format(path, message) end
  return header
end

--- Loads every tensor of a file, on the CPU.
-- @param path the file
-- @return table name → tensor, and the table of metadata (string → string, empty when there is
-- none); or nil, message (file, tensor, what was expected and what came), code: "io" or "format"
function safetensors.load(path)
  local fileBytes, message, code = core.file_size(path)
  if not fileBytes then return nil, message, code end
  local text, dataStart
  text, dataStart, code = readHeader(path, fileBytes)
  if not text then return nil, dataStart, code end
  local header
  header, message = decodeHeader(path, text)
  if not header then return nil, message, "format" end
  local entries, metadata = checkHeader(header, fileBytes - dataStart)
  if not entries then return nil, ("%s: %s"):format(path, metadata), "format" end
  local tensors = {}
  for _, entry in ipairs(entries) do
    local tensor = core.tensor_new("cpu", entry.dtype, entry.shape)
    local ok
    ok, message, code = core.file_read_into(path, dataStart + entry.first, tensor)
    if not ok then return nil, message, code end
    tensors[entry.name] = tensor
  end
  return tensors, metadata
end

-- ---- Saving ----

local function checkArguments(tensors, metadata)
  for name, tensor in pairs(tensors) do
    if type(name) ~= "string" or name == METADATA or not utf8.len(name) then
      error(("safetensors.save: a tensor's name is a UTF-8 string other than %s, not %s"):format(
        METADATA, type(name) == "string" and quote(name) or tostring(name)), 3)
    end
    if not core.is_tensor(tensor) then
      error(("safetensors.save: %s is not a tensor but a %s"):format(quote(name), type(tensor)), 3)
    end
  end
  for key, value in pairs(metadata) do
    if type(key) ~= "string" or type(value) ~= "string" or not utf8.len(key) or not utf8.len(value) then
      error(("safetensors.save: metadata takes UTF-8 strings, not %s = %s"):format(tostring(key), tostring(value)), 3)
    end
  end
end

-- Wide elements first, so that every tensor lies aligned to its own elements, then by name: the
-- same tensors give the same bytes.
local function ordered(tensors)
  local entries = {}
  for name, tensor in pairs(tensors) do
    local kind = TYPE_OF[tensor:dtype()]
    entries[#entries + 1] = { name = name, tensor = tensor, word = kind.word, elementBytes = kind.bytes }
  end
  table.sort(entries, function(a, b)
    if a.elementBytes ~= b.elementBytes then return a.elementBytes > b.elementBytes end
    return a.name < b.name
  end)
  return entries
end

--- Saves tensors, replacing the file whole or not at all. Equal tensors and metadata give equal
-- bytes. Raises for names, tensors or metadata that the format cannot hold.
-- @param path the file
-- @param tensors table name → tensor, on any device and of any strides
-- @param metadata (optional) table string → string
-- @return true; or nil, message, "io"
function safetensors.save(path, tensors, metadata)
  checkArguments(tensors, metadata or {})
  local header, list, at = {}, {}, 0
  for i, entry in ipairs(ordered(tensors)) do
    local shape = json.array(entry.tensor:size())
    local past = at + countBytes(shape, entry.elementBytes)
    header[entry.name] = { dtype = entry.word, shape = shape, data_offsets = { at, past } }
    list[i] = entry.tensor:to("cpu") -- what a file takes
    at = past
  end
  if metadata and next(metadata) ~= nil then header[METADATA] = metadata end
  local text = json.encode(header)
  text = text .. (" "):rep(-#text % LENGTH_BYTES) -- so that the data begins aligned
  return core.file_write(path, string.pack("<I8", #text) .. text, list)
end

return safetensors
