--- A FolderSet in a thread of a loader: `get` and `path` over the index that all threads share.
local FolderSet = require "densenet.data.folder_set"

--- @param argument what FolderSet:shared put together
return function(argument) return setmetatable(argument, FolderSet) end
