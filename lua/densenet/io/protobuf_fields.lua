--- Fields of protocol buffers, read: a message is its fields one after the other, each with its number and its wire
-- type. Wire type 0 is a varint (7 bits a byte, the lowest first), 1 eight bytes, 2 a length and so many bytes, 5 four.
-- Source: protobuf.dev, "Encoding".

local protobufFields = {}

local VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
local MOST_VARINT = 10 -- bytes

--- A varint.
function protobufFields.varint(source)
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
function protobufFields.fields(source)
  return function()
    if source:left() == 0 then return nil end
    local at = source.at
    local head = protobufFields.varint(source)
    local field, wire = head >> 3, head & 7
    if wire == VARINT then return field, protobufFields.varint(source) end
    local n = wire == EIGHT and 8 or wire == FOUR and 4 or nil
    if wire == BYTES then n = protobufFields.varint(source) end
    if not n or field == 0 then source:refuse("no field of a message at byte %d", at) end
    source:expect(n, 1, "a field")
    local first = source.at
    source:skip(n)
    return field, source:part(first, n)
  end
end

return protobufFields
