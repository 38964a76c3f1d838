--- Fields of protocol buffers, written: the wire format's four kinds. A message is its fields one after the
-- other; a message within a message is a field of bytes.
-- Source: protobuf.dev, "Encoding".
-- @module densenet.io.protobuf

local protobuf = {}

local VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5

--- A whole number, 7 bits a byte.
-- @tparam integer n
-- @treturn string
function protobuf.varint(n)
  local bytes = {}
  while n < 0 or n > 0x7F do -- negative: as 64 bits without a sign
    bytes[#bytes + 1] = string.char(n & 0x7F | 0x80)
    n = n >> 7
  end
  bytes[#bytes + 1] = string.char(n)
  return table.concat(bytes)
end

local varint = protobuf.varint

--- What stands before a value: the field's number and its wire type, which is 2 for a length and so many bytes.
-- @tparam integer field number of the field
-- @tparam integer kind wire type
-- @treturn string
function protobuf.key(field, kind) return varint(field << 3 | kind) end

local key = protobuf.key

--- int32, int64, uint64, bool, enum.
-- @tparam integer field number of the field
-- @tparam integer value
-- @treturn string
function protobuf.integer(field, value) return key(field, VARINT) .. varint(value) end

--- double.
-- @tparam integer field number of the field
-- @tparam number value
-- @treturn string
function protobuf.double(field, value) return key(field, EIGHT_BYTES) .. ("<d"):pack(value) end

--- float.
-- @tparam integer field number of the field
-- @tparam number value
-- @treturn string
function protobuf.float(field, value) return key(field, FOUR_BYTES) .. ("<f"):pack(value) end

--- bytes, string, a message.
-- @tparam integer field number of the field
-- @tparam string value
-- @treturn string
function protobuf.bytes(field, value) return key(field, LENGTH) .. varint(#value) .. value end

return protobuf
