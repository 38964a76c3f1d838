--- CRC-32C (Castagnoli), bytewise by a table: the check sum of TensorFlow's records.
-- @module densenet.io.crc32c

local POLYNOMIAL = 0x82F63B78 -- reflected

local tableOf = {}
for byte = 0, 255 do
  local crc = byte
  for _ = 1, 8 do
    crc = crc & 1 == 1 and crc >> 1 ~ POLYNOMIAL or crc >> 1
  end
  tableOf[byte] = crc
end

--- @tparam string bytes
-- @treturn integer from 0 to 2^32 - 1; of "123456789" it is 0xE3069283
return function(bytes)
  local crc = 0xFFFFFFFF
  for i = 1, #bytes do
    crc = crc >> 8 ~ tableOf[(crc ~ bytes:byte(i)) & 0xFF]
  end
  return crc ~ 0xFFFFFFFF
end
