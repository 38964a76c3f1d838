--- Where a data set's files lie: the directory that was asked for, else the one that an environment
-- variable names, else the set's usual one; and what to do when they are not there.
--
-- A definition has name, remedy (what to tell somebody who lacks the files) and, optionally,
-- variable and directory.
local core = require "densenet.core"

local location = {}

--- The directory of a data set.
-- @param definition the data set's
-- @param given the directory asked for, or nil
-- @return a path; or nil, message, "argument" when there is nothing to go by
function location.directory(definition, given)
  local fromEnvironment = definition.variable and core.environment(definition.variable)
  if fromEnvironment == "" then fromEnvironment = nil end
  local directory = given or fromEnvironment or definition.directory
  if directory then return directory end
  return nil, ("%s: no directory given; %s"):format(definition.name, definition.remedy), "argument"
end

--- The first of some paths that is there. A directory of that name, as an archive unpacked into its own
-- leaves one, counts only where there is no file.
-- @param definition the data set's
-- @param candidates paths
-- @return a path; or nil, message with all of them and the remedy, "io"
function location.firstOf(definition, candidates)
  local other
  for _, path in ipairs(candidates) do
    if core.file_size(path) then return path end
    if not other and core.file_exists(path) then other = path end
  end
  if other then return other end
  return nil, ("%s: there is no %s; %s"):format(
    definition.name, table.concat(candidates, " and no "), definition.remedy), "io"
end

return location
