--- Strings as byte tensors, and back.

local core = require "densenet.core"

local bytes = {}

local PIECE = 4096 -- arguments that one call may well have

--- The bytes of a string: a vector.
function bytes.toTensor(text)
  local result = core.tensor_new("cpu", "byte", { #text })
  for first = 1, #text, PIECE do
    local last = math.min(first + PIECE - 1, #text)
    core.copy(result:narrow(1, first, last - first + 1), core.tensor_from("cpu", "byte", { text:byte(first, last) }))
  end
  return result
end

--- A string of a byte vector's elements.
function bytes.toString(vector)
  local parts = {}
  for first = 1, vector:nElement(), PIECE do
    local piece = vector:narrow(1, first, math.min(PIECE, vector:nElement() - first + 1)):totable()
    parts[#parts + 1] = string.char(table.unpack(piece))
  end
  return table.concat(parts)
end

return bytes
