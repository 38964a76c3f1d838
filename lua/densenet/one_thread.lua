-- Images are small: to wake the threads that compute takes longer than the work on one, on a busy machine a hundred
-- times as long. So what works on a single image does so alone:
--
--    local alone <close> = oneThread()
--
-- Operations called from here use one thread until the variable's scope ends, in whatever way.
local core = require "densenet.core"

local Restore = { __close = function(self) core.threads(self.nThreads) end }

return function()
  local nThreads = core.threads()
  if nThreads == 1 then return nil end
  core.threads(1)
  return setmetatable({ nThreads = nThreads }, Restore)
end
