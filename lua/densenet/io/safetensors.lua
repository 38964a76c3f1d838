--- safetensors: our file format for weights, and everybody's (huggingface/safetensors).
--
-- A file is an 8-byte little-endian length, that many bytes of JSON, then the tensors' bytes,
-- row-major and without holes. Each entry of the JSON says dtype, shape and the range of bytes.
-- Nothing in a file is believed before it has been checked against everything else, so loading a
-- damaged or hostile one gives a message and reads no more memory than the file has bytes. A tensor of
-- a dtype that this library does not have (BOOL, say) does not spoil the others: it is refused, by
-- name, when it is asked for.
local core = require "densenet.core"
local dtypeBytes = require "densenet.dtype_bytes"
local fileKind = require "densenet.io.file_kind"
local argument = require "densenet.argument"
local json = require "densenet.io.json"
require "densenet.tensor" -- loaded tensors have Torch's methods

local utf8 = core.utf8 -- a host may not have opened Lua's own

local safetensors = {}

local MAX_HEADER = 100 * 1000 * 1000 -- the format's own limit
local MAX_DIM = 8
local LENGTH_BYTES = 8
local METADATA = "__metadata__"

local TYPES = {
  F64 = { dtype = "double" },
  F32 = { dtype = "float" },
  F16 = { dtype = "half" },
  BF16 = { dtype = "bfloat16" },
  I64 = { dtype = "long" },
  U8 = { dtype = "byte" },
}

local SUPPORTED = "F64, F32, F16, BF16, I64 and U8 are"

-- Bits of an element of the format's other dtypes.
local OTHER_BITS = {
  I32 = 32, I16 = 16, I8 = 8, U64 = 64, U32 = 32, U16 = 16, BOOL = 8, C64 = 64, F8_E4M3 = 8, F8_E5M2 = 8,
  F8_E8M0 = 8, F8_E4M3FNUZ = 8, F8_E5M2FNUZ = 8, F6_E2M3 = 6, F6_E3M2 = 6, F4 = 4,
}

local TYPE_OF = {}
for word, kind in pairs(TYPES) do
  kind.bytes = dtypeBytes[kind.dtype]
  TYPE_OF[kind.dtype] = { word = word, bytes = kind.bytes }
end

-- ---- Checking: each check returns what it read, or nil and what is wrong ----

local FIELDS = { dtype = true, shape = true, data_offsets = true }

-- Names come from the file; a message shows them in quotes and not at full length.
local function quote(name)
  return ("%q"):format(#name > 100 and name:sub(1, 97) .. "..." or name)
end

local function show(value)
  if type(value) == "string" then return quote(value) end
  if type(value) ~= "table" then return core.format("%s", value) end
  if json.isArray(value) then return ("an array of %d"):format(#value) end
  return "an object"
end

-- The first sizes of a shape, of which a file may name any number.
local function sizesText(shape, separator)
  local text = table.concat(shape, separator, 1, math.min(#shape, MAX_DIM))
  return #shape > MAX_DIM and text .. separator .. "..." or text
end

local function checkFields(entry)
  if type(entry) ~= "table" or json.isArray(entry) or entry == json.null then
    return nil, ("expected an object with dtype, shape and data_offsets, got %s"):format(show(entry))
  end
  for field in pairs(entry) do
    if not FIELDS[field] then return nil, ("unknown field %s"):format(quote(field)) end
  end
  for _, field in ipairs({ "dtype", "shape", "data_offsets" }) do
    if entry[field] == nil then return nil, ("the field %s is missing"):format(field) end
  end
  return true
end

-- Bits of an element (nil where nobody can know) and this library's dtype, or why it has none.
local function checkType(word)
  local kind = TYPES[word]
  if kind then return kind.bytes * 8, kind.dtype end
  if OTHER_BITS[word] then
    return OTHER_BITS[word], nil, ("dtype %s is not supported; %s"):format(word, SUPPORTED)
  end
  return nil, nil, ("unknown dtype %s; %s supported"):format(show(word), SUPPORTED)
end

-- An array of whole numbers from 0 on; JSON numbers like 2.0 and 1e30 are floats and refused.
local function checkNumbers(value, name)
  if not json.isArray(value) then return nil, ("%s: expected an array, got %s"):format(name, show(value)) end
  for i, number in ipairs(value) do
    if math.type(number) ~= "integer" or number < 0 then
      return nil, ("%s[%d]: expected a whole number from 0 to 2^63-1, got %s"):format(name, i, show(number))
    end
  end
  return value
end

-- Bytes of a tensor; nil when they, or a stride, are more than 2^63-1: a size of 0 makes the
-- count 0 but not the product of the other sizes. Elements of less than a byte are packed.
local function countBytes(shape, elementBits)
  local most = math.maxinteger // elementBits
  local count, isEmpty = 1, false
  for _, size in ipairs(shape) do
    if size == 0 then
      isEmpty = true
    elseif count > most // size then
      return nil
    else
      count = count * size
    end
  end
  return isEmpty and 0 or (count * elementBits + 7) // 8
end

local function checkShape(value, elementBits)
  local shape, reason = checkNumbers(value, "shape")
  if not shape then return nil, reason end
  local bytes = countBytes(shape, elementBits)
  if not bytes then
    return nil, ("shape: %s elements are more than any file holds"):format(sizesText(shape, "x"))
  end
  return shape, bytes
end

-- `bytes` is nil for a dtype whose elements nobody can measure.
local function checkOffsets(value, shape, bytes)
  local offsets, reason = checkNumbers(value, "data_offsets")
  if not offsets then return nil, reason end
  if #offsets ~= 2 then return nil, ("data_offsets: expected 2 numbers, got %d"):format(#offsets) end
  local first, past = offsets[1], offsets[2]
  if past - first ~= (bytes or math.max(past - first, 0)) then
    return nil, ("data_offsets: expected %d bytes for shape [%s], got %d to %d"):format(
      bytes or 0, sizesText(shape, ", "), first, past)
  end
  return first, past
end

-- dtype, or unreadable, which says why there is no tensor to be had, beside what every entry has.
local function checkEntry(name, entry, dataBytes)
  local ok, reason = checkFields(entry)
  if not ok then return nil, reason end
  if type(entry.dtype) ~= "string" then return nil, ("dtype: expected a string, got %s"):format(show(entry.dtype)) end
  local bits, dtype, unreadable = checkType(entry.dtype)
  local shape, bytes = checkShape(entry.shape, bits or 1)
  if not shape then return nil, bytes end
  local first, past = checkOffsets(entry.data_offsets, shape, bits and bytes)
  if not first then return nil, past end
  if past > dataBytes then
    return nil, ("data_offsets: %d to %d, but the file has %d bytes of data (cut short?)"):format(
      first, past, dataBytes)
  end
  if #shape > MAX_DIM then
    unreadable = ("%d dimensions are not supported, %d are"):format(#shape, MAX_DIM)
  end
  return { name = name, dtype = not unreadable and dtype or nil, unreadable = unreadable, shape = shape,
    first = first, past = past }
end

local function checkMetadata(metadata)
  if type(metadata) ~= "table" or json.isArray(metadata) or metadata == json.null then
    return nil, ("%s: expected an object of strings, got %s"):format(METADATA, show(metadata))
  end
  for key, value in pairs(metadata) do
    if type(value) ~= "string" then
      return nil, ("%s: %s: expected a string, got %s"):format(METADATA, quote(key), show(value))
    end
  end
  return metadata
end

local function isBefore(a, b)
  if a.first ~= b.first then return a.first < b.first end
  if a.past ~= b.past then return a.past < b.past end
  return core.before(a.name, b.name)
end

-- In the order of their bytes, which is the order in which most programs write them.
local function sort(entries)
  for i = 2, #entries do
    if isBefore(entries[i], entries[i - 1]) then return table.sort(entries, isBefore) end
  end
end

-- The tensors, in the order of their bytes, have to cover the data exactly once.
local function checkCover(entries, dataBytes)
  sort(entries)
  local covered = 0
  for _, entry in ipairs(entries) do
    if entry.first ~= covered then
      return nil, ("tensor %s: data_offsets: expected to begin at byte %d, got %d (%s)"):format(
        quote(entry.name), covered, entry.first, entry.first > covered and "a hole" or "an overlap")
    end
    covered = entry.past
  end
  if covered ~= dataBytes then
    return nil, ("the tensors take %d bytes, the file has %d bytes of data"):format(covered, dataBytes)
  end
  return true
end

-- All of the header's entries, checked as they are read and then together: a list in the order of
-- their bytes, and the metadata.
local function checkHeader(text, dataBytes)
  local metadata, entries = {}, {}
  local ok, reason = json.eachMember(text, function(name, entry)
    local wrong
    if name == METADATA then
      metadata, wrong = checkMetadata(entry)
      return wrong
    end
    entries[#entries + 1], wrong = checkEntry(name, entry, dataBytes)
    return wrong and ("tensor %s: %s"):format(quote(name), wrong)
  end)
  if not ok then return nil, reason end
  ok, reason = checkCover(entries, dataBytes)
  if not ok then return nil, reason end
  return entries, metadata
end

-- ---- Loading ----

-- The header's text and where the data begins, or nil, what is wrong, code.
local function readHeader(file, path)
  local function refuse(format, ...)
    return nil, fileKind.explain(path, "a safetensors file", format:format(...)), "format"
  end
  local fileBytes = core.file_size(file)
  if fileBytes < LENGTH_BYTES then
    return refuse("has %d bytes; a safetensors file begins with 8 bytes of length", fileBytes)
  end
  local lengthBytes, message, code = core.file_read(file, 0, LENGTH_BYTES)
  if not lengthBytes then return nil, message, code end
  local length = string.unpack("<i8", lengthBytes)
  if length < 0 or length > MAX_HEADER then
    return refuse("header of %s bytes; expected at most %d", length < 0 and "2^63 or more" or length, MAX_HEADER)
  end
  if length > fileBytes - LENGTH_BYTES then
    return refuse("header of %d bytes; after its length the file has %d", length, fileBytes - LENGTH_BYTES)
  end
  local text
  text, message, code = core.file_read(file, LENGTH_BYTES, length)
  if not text then return nil, message, code end
  if text:sub(1, 1) ~= "{" then return refuse("header: expected {, got %s", quote(text:sub(1, 8))) end
  return text, LENGTH_BYTES + length, fileBytes
end

-- A file's header, checked: its entries, metadata and where its data begins; or nil, message, code.
local function readEntries(file, path)
  local text, dataStart, fileBytes = readHeader(file, path)
  if not text then return nil, dataStart, fileBytes end
  local entries, metadata = checkHeader(text, fileBytes - dataStart)
  if not entries then return nil, ("%s: header: %s"):format(path, metadata), "format" end
  return entries, metadata, dataStart
end

-- Asking for a tensor that was left out is answered by the reason.
local function refuseLeftOut(path, leftOut)
  return { __index = function(_, name)
    if leftOut[name] then error(("%s: tensor %s: %s"):format(path, quote(name), leftOut[name]), 0) end
  end }
end

--- Loads the tensors of a file, on the CPU.
-- @param path the file
-- @return table name → tensor; the table of metadata (string → string, empty when there is none);
-- and a table name → reason of the tensors that this library cannot hold (BOOL, I8, more than 8
-- dimensions, …), empty in most files: they are not in the first table, and asking it for one of them
-- raises the reason. Or nil, message (file, tensor, what was expected and got), code: "io" or "format"
function safetensors.load(path)
  local file <close>, unopened, ioCode = core.file_open(path)
  if not file then return nil, unopened, ioCode end
  local entries, metadata, dataStart = readEntries(file, path)
  if not entries then return nil, metadata, dataStart end
  local tensors, leftOut = {}, {}
  for _, entry in ipairs(entries) do
    if entry.unreadable then
      leftOut[entry.name] = entry.unreadable
    else
      local tensor = core.tensor_new("cpu", entry.dtype, entry.shape)
      if entry.past > entry.first then
        local ok, message, code = core.file_read_into(file, dataStart + entry.first, tensor)
        if not ok then return nil, message, code end
      end
      tensors[entry.name] = tensor
    end
  end
  if next(leftOut) then setmetatable(tensors, refuseLeftOut(path, leftOut)) end
  return tensors, metadata, leftOut
end

-- ---- Saving ----

local function checkArguments(tensors, metadata)
  argument.table(2, "save", tensors, "tensors")
  if metadata ~= nil then argument.table(3, "save", metadata, "metadata") end
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
    return core.before(a.name, b.name)
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
    local past = at + countBytes(shape, entry.elementBytes * 8)
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
