--- IDX, the file format of MNIST and its relatives: a magic number (0, 0, element type, number of
-- dimensions), the sizes as big-endian 32-bit numbers, then the elements, row-major.
local core = require "densenet.core"
local fileKind = require "densenet.io.file_kind"
require "densenet.tensor" -- loaded tensors have Torch's methods

local idx = {}

local BYTES = 0x08
local START_BYTES = 512 -- enough to recognize what else a file may be
local DEFLATE_RATIO = 1032 -- the most that deflate achieves
local TYPE_NAMES = {
  [0x08] = "bytes", [0x09] = "signed bytes", [0x0B] = "16-bit integers", [0x0C] = "32-bit integers",
  [0x0D] = "floats", [0x0E] = "doubles",
}

local function describeMagic(magic)
  local kind, nDim = magic >> 8, magic & 0xFF
  local name = TYPE_NAMES[kind]
  if not name then return ("0x%08x"):format(magic) end
  return ("0x%08x (%s, %d dimension%s)"):format(magic, name, nDim, nDim == 1 and "" or "s")
end

-- The sizes that a header gives, and how long that makes the unpacked file; or nil, what is wrong.
local function readHeader(header, nDim)
  local expected = BYTES << 8 | nDim
  local magic = #header >= 4 and string.unpack(">I4", header)
  if magic and magic ~= expected then
    return nil, ("magic number: expected %s, got %s"):format(describeMagic(expected), describeMagic(magic))
  end
  if #header < 4 + 4 * nDim then
    return nil, ("expected a header of %d bytes, got %d bytes in all"):format(4 + 4 * nDim, #header)
  end
  -- At most four sizes below 2^32 that have to give the file's length: a float does not wrap.
  local sizes, nBytes = {}, 1.0
  for d = 1, nDim do
    sizes[d] = string.unpack(">I4", header, 1 + 4 * d)
    nBytes = nBytes * sizes[d]
  end
  return sizes, 4 + 4 * nDim + nBytes
end

-- The first bytes, unpacked, and whether the file is packed. Its content tells, not its name: some
-- browsers unpack while they download and leave the name alone.
local function readStart(file)
  local start, message, code = core.file_read(file, 0, math.min(core.file_size(file), START_BYTES))
  if not start then return nil, message, code end
  if start:sub(1, 2) ~= "\x1f\x8b" then return start, false end
  start, message, code = core.file_gunzip_start(file, START_BYTES)
  if not start then return nil, message, code end
  return start, true
end

-- All bytes of the unpacked file, which has to have nBytes of them.
local function readAll(file, isPacked, nBytes)
  if isPacked then return core.file_gunzip(file, nBytes) end
  local bytes = core.tensor_new("cpu", "byte", { nBytes })
  local ok, message, code = core.file_read_into(file, 0, bytes)
  if not ok then return nil, message, code end
  return bytes
end

--- Loads an IDX file of bytes, packed with gzip or not. Its header is read first and says how much
-- there is to unpack, so that a small file that unpacks to a huge one is refused before it does.
-- @param path the file
-- @param nDim how many dimensions it must have (3 for images, 1 for labels)
-- @param check (optional) function(sizes): what is wrong with the sizes in the header, a sentence, or
-- nothing; asked before there is room for the content
-- @return a byte tensor; or nil, message (file, expected, got), code: "io" or "format"
function idx.load(path, nDim, check)
  local file <close>, unopened, ioCode = core.file_open(path)
  if not file then return nil, unopened, ioCode end
  local start, isPacked, unread = readStart(file)
  if not start then return nil, isPacked, unread end
  local fileBytes, headerBytes = core.file_size(file), 4 + 4 * nDim
  local sizes, nBytes = readHeader(start:sub(1, headerBytes), nDim)
  if not sizes then
    local isOther = start:find("^\0\0") and not start:find("^\0+$")
    return nil, isOther and ("%s: %s"):format(path, nBytes)
      or fileKind.explain(path, "an IDX file", nBytes, start), "format"
  end
  local wrong = check and check(sizes)
  if wrong then return nil, ("%s: %s"):format(path, wrong), "format" end
  local function wrongLength(got)
    return nil, ("%s: expected %.0f bytes for %s, got %d"):format(path, nBytes, table.concat(sizes, "x"), got), "format"
  end
  if not isPacked and nBytes ~= fileBytes then return wrongLength(fileBytes) end
  if isPacked and nBytes > fileBytes * DEFLATE_RATIO then
    return nil, ("%s: expected %.0f bytes for %s, more than %d bytes of gzip data can hold"):format(
      path, nBytes, table.concat(sizes, "x"), fileBytes), "format"
  end
  nBytes = math.tointeger(nBytes)
  local bytes, message, code = readAll(file, isPacked, nBytes)
  if not bytes then return nil, message, code end
  if bytes:nElement() ~= nBytes then return wrongLength(bytes:nElement()) end
  return bytes:narrow(1, headerBytes + 1, nBytes - headerBytes):view(sizes)
end

return idx
