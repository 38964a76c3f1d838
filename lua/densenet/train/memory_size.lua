--- Sizes of memory as a command line says them: 512MB, 4GB, 1.5GiB. MB are 2^20 bytes, GB 2^30.
local core = require "densenet.core"

local memorySize = {}

memorySize.pattern = "^%d+%.?%d*[MGT]i?B$"

local UNITS = { M = 20, G = 30, T = 40 }

--- Bytes of a size; nil for a text that is none, and for nil.
function memorySize.bytes(text)
  if not text or not text:find(memorySize.pattern) then return nil end
  local number, unit = text:match("^([%d.]+)(%u)")
  return math.floor(core.number(number) * 2 ^ UNITS[unit])
end

return memorySize
