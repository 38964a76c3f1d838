--- Copies of tables that share what they hold.

--- @tparam table original
-- @treturn table with its fields, and without metatable
return function(original)
  local copy = {}
  for name, value in pairs(original) do copy[name] = value end
  return copy
end
