--- Opens a Collection again in a thread of a loader, as its `worker` field says.
local data = require "densenet.data"

--- @param argument { name=, options=, offset=, size= }: which set, and which of its images
-- @raise what data.open says
return function(argument)
  local set, message = data.open(argument.name, argument.options)
  if not set then error(message, 0) end
  return set:subset(argument.offset, argument.size)
end
