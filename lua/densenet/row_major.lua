--- How tensors lie whose elements follow each other row after row.

--- @tparam table sizes list
-- @treturn table list of as many strides, in elements
return function(sizes)
  local strides, step = {}, 1
  for d = #sizes, 1, -1 do
    strides[d], step = step, step * sizes[d]
  end
  return strides
end
