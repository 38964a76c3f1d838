--- A run's claim to the directory that it saves in: no other process works there meanwhile, and what an
-- earlier run has left there is not overwritten but moved aside, whole, in one step.
--
-- The lock is the system's and ends with the process. A process that is killed leaves its file, run.lock,
-- and nothing that would be in anybody's way; one killed right after moving the earlier run aside leaves that
-- run complete under its new name.
local core = require "densenet.core"
local checkpoint = require "densenet.train.checkpoint"

local claim = {}

local Claim = {}
Claim.__index = Claim

--- Renames a file or directory to the next free of path.1, path.2, …
-- @return the new path; or nil, message, code
function claim.moveAside(path)
  local number = 0
  while true do
    number = number + 1
    local to = ("%s.%d"):format(path, number)
    if not core.file_exists(to) then
      local moved, message, code = core.file_rename(path, to)
      if moved then return to end
      -- Another process may have taken the name in between.
      if not core.file_exists(to) then return nil, message, code end
    end
  end
end

local function refusal(directory, message, code)
  return nil, ("cannot save in '%s': %s"):format(directory, message), code
end

--- Takes a directory, making it where it is missing.
-- @param directory its path
-- @param isNew true: a new run, before which what is there is moved aside
-- @return claim, its movedTo being the path that an earlier run has now, or nil; or nil, message, code, where
-- another process works there or nothing can be written
function claim.take(directory, isNew)
  local self = setmetatable({}, Claim)
  local done, message, code = core.directory_make(directory)
  if not done then return refusal(directory, message, code) end
  self.lock, message, code = core.directory_lock(directory)
  if not self.lock then return refusal(directory, message, code) end
  if not isNew or not checkpoint.holdsRun(directory) then return self end
  local _ <close> = self.lock -- goes with the directory
  local real
  real, message, code = core.directory_real(directory) -- a link to it stays and leads to the new one
  if not real then return refusal(directory, message, code) end
  self.movedTo, message, code = claim.moveAside(real)
  if not self.movedTo then
    return nil, ("'%s' holds an earlier run, which cannot be moved aside: %s; name another -save"):format(directory,
      message), code
  end
  done, message, code = core.directory_make(real)
  if done then self.lock, message, code = core.directory_lock(directory) end
  if not done or not self.lock then return refusal(directory, message, code) end
  return self
end

--- Lets other processes in. Once is enough; also done by the end of the process.
function Claim:release()
  self.lock:release()
end

return claim
