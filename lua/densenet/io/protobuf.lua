--- Protocol buffers as bytes: fields by their numbers, of which a format gives the meaning.
--
-- A message is fields one after the other: a number that holds the field's number and its wire type, then the value.
-- Wire type 0 is a varint (7 bits a byte, the lowest first), 1 eight bytes, 2 a length and so many bytes, 5 four bytes.
-- Source: protobuf.dev's encoding guide.

local mixedFile = require "densenet.io.mixed_file"

local protobuf = {}

local VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
local MOST_VARINT = 10 -- bytes

-- ---- Writing ----

local function varint(n)
  local bytes = {}
  while n < 0 or n > 127 do -- what is negative has its highest bit set, as an unsigned number
    bytes[#bytes + 1] = string.char(n & 127 | 128)
    n = n >> 7
  end
  bytes[#bytes + 1] = string.char(n)
  return table.concat(bytes)
end

local Message = {}
Message.__index = Message

local function key(self, field, wire) self.file:text(varint(field << 3 | wire)) end

--- Each adds a field and returns the message: a whole number, also a boolean or an enumeration's;
function Message:int(field, n)
  key(self, field, VARINT)
  self.file:text(varint(n))
  return self
end

--- a float;
function Message:float(field, x)
  key(self, field, FOUR)
  self.file:text(string.pack("<f", x))
  return self
end

--- a double;
function Message:double(field, x)
  key(self, field, EIGHT)
  self.file:text(string.pack("<d", x))
  return self
end

--- a text, or bytes;
function Message:text(field, text)
  key(self, field, BYTES)
  self.file:text(varint(#text))
  self.file:text(text)
  return self
end

--- a message;
function Message:message(field, message)
  key(self, field, BYTES)
  self.file:text(varint(message.file.nBytes))
  self.file:append(message.file)
  return self
end

--- the bytes of a tensor's elements, which is kept until the message is written.
function Message:tensor(field, tensor)
  key(self, field, BYTES)
  self.file:text(varint(tensor:nElement() * tensor:elementSize()))
  self.file:tensor(tensor)
  return self
end

--- How many bytes it has.
function Message:size() return self.file.nBytes end

--- Writes it as a file.
-- @return true; or nil, message, "io"
function Message:write(path) return self.file:write(path) end

--- An empty message.
function protobuf.message() return setmetatable({ file = mixedFile() }, Message) end

-- ---- Reading ----

--- A varint.
function protobuf.varint(source)
  local n, shift = 0, 0
  for _ = 1, MOST_VARINT do
    local byte = source:number("<I1", 1)
    n = n | (byte & 127) << shift
    if byte < 128 then return n end
    shift = shift + 7
  end
  source:refuse("a number of more than %d bytes before byte %d", MOST_VARINT, source.at)
end

--- The fields of a message, for a loop: number, value. The value is a whole number for wire type 0, and a source of
-- its own for all others (of 8, 4, or as many bytes as it says).
-- @param source densenet.io.byte_source's
function protobuf.fields(source)
  return function()
    if source:left() == 0 then return nil end
    local at = source.at
    local head = protobuf.varint(source)
    local field, wire = head >> 3, head & 7
    if wire == VARINT then return field, protobuf.varint(source) end
    local n = wire == EIGHT and 8 or wire == FOUR and 4 or nil
    if wire == BYTES then n = protobuf.varint(source) end
    if not n or field == 0 then source:refuse("no field of a message at byte %d", at) end
    source:expect(n, 1, "a field")
    local first = source.at
    source:skip(n)
    return field, source:part(first, n)
  end
end

return protobuf
