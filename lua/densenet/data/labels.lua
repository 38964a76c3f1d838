--- The labels of all images of a data set, without an image being read.
local core = require "densenet.core"

--- @param set a data set
-- @return long vector; nil where the set does not say its labels beforehand
return function(set)
  if core.is_tensor(set.labels) then return set.labels end
  return set.labelVector and set:labelVector() or nil
end
