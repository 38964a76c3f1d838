--- The names of a table in one order, whatever the locale.
local core = require "densenet.core"

--- @tparam table named tensors or anything by name
-- @treturn table list of its names, in the order of their bytes
return function(named)
  local names = {}
  for name in pairs(named) do names[#names + 1] = name end
  table.sort(names, core.before)
  return names
end
