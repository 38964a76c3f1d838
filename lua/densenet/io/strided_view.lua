--- A view of a vector, as files of Torch and PyTorch describe tensors: sizes, strides and an offset, of which
-- nothing is believed.

local core = require "densenet.core"

local MAX_DIM = 8

--- The view.
-- @param source for refusals (densenet.io.byte_source)
-- @param vector the elements that there are
-- @param first the place of its first element, from 1
-- @param sizes list
-- @param strides list of as many numbers
return function(source, vector, first, sizes, strides)
  if #sizes > MAX_DIM then source:refuse("a tensor of %d dimensions; %d are read", #sizes, MAX_DIM) end
  local count, available, last, isEmpty = 1, vector:nElement(), first, false
  for d, size in ipairs(sizes) do
    if size < 0 or strides[d] < 0 then source:refuse("a tensor of size %d and stride %d", size, strides[d]) end
    isEmpty = isEmpty or size == 0
  end
  for d, size in ipairs(sizes) do
    local stride = strides[d]
    -- A stride of 0 repeats elements without a limit; what is larger than the file is none that somebody saved.
    if size > 0 and count > math.max(source.size, 1) // size then
      source:refuse("a tensor of size %s is larger than the file", table.concat(sizes, "x"))
    end
    count = count * math.max(size, 1)
    if not isEmpty and size > 1 and stride > 0 and size - 1 > (available - last) // stride then
      source:refuse("a tensor of size %s, strides %s and offset %d is not inside its storage of %d elements",
        table.concat(sizes, "x"), table.concat(strides, ","), first, available)
    end
    if not isEmpty then last = last + (size - 1) * stride end
  end
  if isEmpty then return core.tensor_new("cpu", vector:dtype(), sizes) end
  if first < 1 or last > available then
    source:refuse("a tensor of size %s at offset %d is not inside its storage of %d elements",
      table.concat(sizes, "x"), first, available)
  end
  return core.storage_view(vector, first, sizes, strides)
end
