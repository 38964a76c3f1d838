--- Codes of a few bits as bytes: one after the other, the least significant bit first; a code may straddle bytes, and
-- the last byte's spare bits are 0.
-- @module densenet.mlg.bits

local bits = {}

--- Bytes that n codes take.
function bits.size(n, width) return (n * width + 7) // 8 end

--- Adds codes to a list of bytes.
-- @tparam table bytes [out] numbers from 0 to 255, appended to
-- @tparam table codes integers from 0 to 2^width − 1
-- @tparam integer width bits of a code, 1 to 16
function bits.pack(bytes, codes, width)
  local held, nHeld, n = 0, 0, #bytes
  for i = 1, #codes do
    held, nHeld = held | codes[i] << nHeld, nHeld + width
    while nHeld >= 8 do
      n = n + 1
      bytes[n] = held & 255
      held, nHeld = held >> 8, nHeld - 8
    end
  end
  if nHeld > 0 then bytes[n + 1] = held end
end

--- The codes again.
-- @tparam table bytes numbers from 0 to 255
-- @tparam integer first where they begin, from 1; the bytes are there
-- @tparam integer n how many codes
-- @tparam integer width bits of a code
-- @treturn table codes; nil where a spare bit is not 0
function bits.unpack(bytes, first, n, width)
  local codes, held, nHeld, at, mask = {}, 0, 0, first, (1 << width) - 1
  for i = 1, n do
    while nHeld < width do
      held, nHeld, at = held | bytes[at] << nHeld, nHeld + 8, at + 1
    end
    codes[i] = held & mask
    held, nHeld = held >> width, nHeld - width
  end
  if held ~= 0 then return nil end
  return codes
end

return bits
