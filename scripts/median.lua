--- The median of numbers, which stay in their order.
-- @param list of one number or more
return function(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local low, high = (#sorted + 1) // 2, #sorted // 2 + 1
  return (sorted[low] + sorted[high]) / 2
end
