--- IDX, the file format of MNIST and its relatives: a magic number (0, 0, element type, number of
-- dimensions), the sizes as big-endian 32-bit numbers, then the elements, row-major.
local core = require "densenet.core"
require "densenet.tensor" -- loaded tensors have Torch's methods

local idx = {}

local BYTES = 0x08
local TYPE_NAMES = {
  [0x08] = "bytes", [0x09] = "signed bytes", [0x0B] = "16-bit integers", [0x0C] = "32-bit integers",
  [0x0D] = "floats", [0x0E] = "doubles",
}

-- The whole file, unpacked when it is gzip by its content: some browsers unpack while they
-- download and leave the name alone.
local function readBytes(path)
  local size, message, code = core.file_size(path)
  if not size then return nil, message, code end
  if size == 0 then return nil, ("%s: is empty; expected an IDX file"):format(path), "format" end
  local start
  start, message, code = core.file_read(path, 0, math.min(size, 2))
  if not start then return nil, message, code end
  if start == "\x1f\x8b" then return core.file_gunzip(path) end
  local bytes = core.tensor_new("cpu", "byte", { size })
  local ok
  ok, message, code = core.file_read_into(path, 0, bytes)
  if not ok then return nil, message, code end
  return bytes
end

local function describeMagic(magic)
  local kind, nDim = magic >> 8, magic & 0xFF
  local name = TYPE_NAMES[kind]
  if not name then return ("0x%08x"):format(magic) end
  return ("0x%08x (%s, %d dimension%s)"):format(magic, name, nDim, nDim == 1 and "" or "s")
end

-- One big-endian 32-bit number of a byte vector, at `first` from 1.
local function number(bytes, first)
  local b = bytes:narrow(1, first, 4):totable()
  return b[1] << 24 | b[2] << 16 | b[3] << 8 | b[4]
end

--- Loads an IDX file of bytes, packed with gzip or not.
-- @param path the file
-- @param nDim how many dimensions it must have (3 for images, 1 for labels)
-- @return a byte tensor; or nil, message (file, expected, came), code: "io" or "format"
function idx.load(path, nDim)
  local bytes, message, code = readBytes(path)
  if not bytes then return nil, message, code end
  local nBytes, headerBytes = bytes:nElement(), 4 + 4 * nDim
  local expected = BYTES << 8 | nDim
  if nBytes >= 4 and number(bytes, 1) ~= expected then
    return nil, ("%s: magic number: expected %s, came %s"):format(
      path, describeMagic(expected), describeMagic(number(bytes, 1))), "format"
  end
  if nBytes < headerBytes then
    return nil, ("%s: expected a header of %d bytes, came %d bytes in all"):format(path, headerBytes, nBytes), "format"
  end
  -- At most four sizes below 2^32 that have to give the file's length: a float does not wrap.
  local sizes, nElement = {}, 1.0
  for d = 1, nDim do
    sizes[d] = number(bytes, 1 + 4 * d)
    nElement = nElement * sizes[d]
  end
  if headerBytes + nElement ~= nBytes then
    return nil, ("%s: expected %.0f bytes for %s, came %d"):format(
      path, headerBytes + nElement, table.concat(sizes, "x"), nBytes), "format"
  end
  return bytes:narrow(1, headerBytes + 1, nBytes - headerBytes):view(sizes)
end

return idx
