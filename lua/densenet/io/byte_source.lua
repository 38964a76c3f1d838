--- A file that is read piece by piece from its beginning, and whose damage ends the reading at once.
--
-- Readers of foreign formats are functions that take bytes and call `refuse` at the first thing that is not
-- as the format has it; `byteSource.read` turns that into nil, message, code. Nothing is taken from beyond
-- the file's end and nothing is allocated for bytes that are not there. Positions count from 0.

local core = require "densenet.core"
local dtypeBytes = require "densenet.dtype_bytes"
require "densenet.tensor" -- what is read has Torch's methods

local byteSource = {}

local WINDOW = 1 << 16 -- bytes that are read at once, where no more are asked for
local PIECE = 1 << 10 -- numbers that are converted at once

local Source = {}
Source.__index = Source

local Refusal = { __name = "refusal" }

--- Ends the reading with a sentence about the file.
function Source:refuse(format, ...) -- luacheck: no self
  error(setmetatable({ reason = core.format(format, ...) }, Refusal))
end

--- How many bytes there are from here to the end.
function Source:left() return self.past - self.at end

-- Makes `n` bytes from here stand in the window.
local function fill(self, n)
  if n < 0 or n > self:left() then
    self:refuse("it is cut short or damaged: %d bytes expected at byte %d, %d are left", n, self.at, self:left())
  end
  local content, message, code = core.file_read(self.file, self.at, math.min(math.max(n, WINDOW), self:left()))
  if not content then error(setmetatable({ message = message, code = code }, Refusal)) end
  self.window, self.first = content, self.at
end

-- The place in the window where the next n bytes stand, from 1.
local function place(self, n)
  local before = self.at - self.first
  if n < 0 or n > self.past - self.at or before < 0 or before + n > #self.window then
    fill(self, n)
    before = 0
  end
  return before + 1
end

--- The next n bytes, as a string.
function Source:take(n)
  local from = place(self, n)
  self.at = self.at + n
  return self.window:sub(from, from + n - 1)
end

--- The same without going on; fewer where the file ends before.
function Source:peek(n)
  n = math.min(n, self:left())
  local from = place(self, n)
  return self.window:sub(from, from + n - 1)
end

--- A number.
-- @param format of string.unpack, "<i4"
-- @param n its bytes
function Source:number(format, n)
  local from = place(self, n)
  self.at = self.at + n
  return (string.unpack(format, self.window, from))
end

function Source:skip(n)
  if n < 0 or n > self:left() then place(self, n) end
  self.at = self.at + n
end

--- Refuses where `count` elements of n bytes are not there.
function Source:expect(count, n, what)
  if count < 0 or count > self:left() // n then
    self:refuse("%s of %d %s at byte %d, where %d bytes are left: cut short or damaged", what, count,
      n == 1 and "bytes" or "elements", self.at, self:left())
  end
end

-- Numbers of a type that tensors have not, as long.
local function convert(self, format, n, count)
  local vector = core.tensor_new("cpu", "long", { count })
  for first = 1, count, PIECE do
    local nHere = math.min(PIECE, count - first + 1)
    local numbers = { string.unpack("<" .. (format .. n):rep(nHere), self:take(nHere * n)) }
    numbers[#numbers] = nil
    core.copy(vector:narrow(1, first, nHere), core.tensor_from("cpu", "long", numbers))
  end
  return vector
end

--- The next elements as a vector, read from the file into its memory.
-- @param kind {dtype =} of an element type, or {integer = "i" or "I", bytes = n} for what becomes long
-- @param count how many
function Source:vector(kind, count)
  local n = kind.bytes or dtypeBytes[kind.dtype]
  self:expect(count, n, "a vector")
  if kind.integer then return convert(self, kind.integer, n, count) end
  local vector = core.tensor_new("cpu", kind.dtype, { count })
  if count > 0 then
    local ok, message, code = core.file_read_into(self.file, self.at, vector)
    if not ok then error(setmetatable({ message = message, code = code }, Refusal)) end
  end
  self.at = self.at + count * n
  return vector
end

--- A part of the file as a source of its own, which begins with what has been read already.
-- @param first its first byte
-- @param n its length
function Source:part(first, n)
  if first < 0 or n < 0 or first > self.past or n > self.past - first then
    self:refuse("%d bytes expected at byte %d, and the file has %d", n, first, self.past)
  end
  return setmetatable({ file = self.file, path = self.path, size = self.size, at = first, past = first + n,
    window = self.window, first = self.first }, Source)
end

--- Reads a file.
-- @param path the file
-- @param read function(source) → what it makes of it, not nil, and a second value
-- @return those; or nil, message (which begins with the path), code: "io" or "format"
function byteSource.read(path, read)
  local file <close>, message, code = core.file_open(path)
  if not file then return nil, message, code end
  local size = core.file_size(file)
  local source = setmetatable({ file = file, path = path, size = size, at = 0, past = size, window = "", first = 0 },
    Source)
  local isRead, value, more = pcall(read, source)
  if isRead then return value, more end
  if getmetatable(value) ~= Refusal then error(value, 0) end
  if value.message then return nil, value.message, value.code end
  return nil, ("%s: %s"):format(path, value.reason), "format"
end

--- Calls a reader of part of a file, for one that can go on when it is refused.
-- @return true and what it gives; or false and the reason
function byteSource.try(read, ...)
  local isRead, value, more = pcall(read, ...)
  if isRead then return true, value, more end
  if getmetatable(value) ~= Refusal or not value.reason then error(value, 0) end
  return false, value.reason
end

return byteSource
