--- Tensors compared with golden ones, bit for bit.
local core = require "densenet.core"

local function bits(tensor) return tensor:contiguous():view(-1):totable() end

--- What differs, a sentence; or nil.
-- @param expected a tensor
-- @param value what was read
return function(expected, value)
  if not core.is_tensor(value) then return "no tensor but " .. tostring(value) end
  if value:dtype() ~= expected:dtype() then return ("%s, not %s"):format(value:dtype(), expected:dtype()) end
  local sizes, wanted = table.concat(value:size(), "x"), table.concat(expected:size(), "x")
  if sizes ~= wanted then return ("of size %s, not %s"):format(sizes, wanted) end
  if expected:nElement() == 0 then return nil end
  local a, b = bits(value), bits(expected)
  for i = 1, #b do
    if a[i] ~= b[i] then return ("element %d is %s, not %s"):format(i, a[i], b[i]) end
  end
end
