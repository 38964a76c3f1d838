--- The paths package: names of files, and what is there.

local argument = require "densenet.argument"
local core = require "densenet.core"

local paths = {}

--- The directory that the program runs in.
function paths.cwd() return assert(core.directory_real(".")) end

-- A path from the root on, without "." and "..".
local function cleaned(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return "/" .. table.concat(parts, "/")
end

--- The path of the names one inside the other, from the root on; a name that begins with / starts anew.
function paths.concat(...)
  local path = paths.cwd()
  for i = 1, select("#", ...) do
    local name = argument.string(i, "paths.concat", (select(i, ...)))
    path = name:find("^/") and name or path .. "/" .. name
  end
  return cleaned(path)
end

--- Is there a directory of that name?
function paths.dirp(path)
  local inside = io.open(argument.string(1, "paths.dirp", path) .. "/.", "r")
  return inside ~= nil and inside:close()
end

--- Is there a file of that name, and no directory?
function paths.filep(path)
  local file = io.open(argument.string(1, "paths.filep", path), "r")
  return file ~= nil and file:close() and not paths.dirp(path)
end

--- Makes a directory, and those that it is in. @return true where it is there afterwards, else nil and why not
function paths.mkdir(path)
  if paths.dirp(path) then return true end
  return core.directory_make(path)
end

--- The names in a directory, "." and ".." among them; nil where there is no directory.
function paths.dir(path)
  local names = core.directory_list(argument.string(1, "paths.dir", path))
  return names and { ".", "..", table.unpack(names) }
end

--- The names in a directory, one after the other.
-- @param accept Lua pattern of names, or function(name) → boolean; all by default
function paths.files(path, accept)
  local names, i = paths.dir(path), 0
  if not names then argument.raise("paths.files: there is no directory %s", path) end
  return function()
    repeat
      i = i + 1
      local name = names[i]
      if name == nil then return nil end
      local isWanted = accept == nil or (type(accept) == "function" and accept(name))
        or (type(accept) == "string" and name:find(accept) ~= nil)
      if isWanted then return name end
    until false
  end
end

local function iterate(path, isWanted)
  return paths.files(path, function(name)
    return name ~= "." and name ~= ".." and isWanted(path .. "/" .. name)
  end)
end

function paths.iterfiles(path) return iterate(path, paths.filep) end

function paths.iterdirs(path) return iterate(path, paths.dirp) end

--- The last part of a path, without an ending that is given.
function paths.basename(path, ending)
  local name = argument.string(1, "paths.basename", path):match("([^/]*)/*$")
  ending = ending and (ending:find("^%.") and ending or "." .. ending)
  if ending and #name > #ending and name:sub(-#ending) == ending then name = name:sub(1, -#ending - 1) end
  return name
end

--- What is before the last part.
function paths.dirname(path)
  local before = argument.string(1, "paths.dirname", path):gsub("/+$", ""):match("^(.*)/[^/]*$")
  if before == nil then return "." end
  return before == "" and "/" or before
end

--- The ending after the last point, or nil.
function paths.extname(path) return paths.basename(path):match("^.+%.([^.]+)$") end

function paths.tmpname() return os.tmpname() end

--- The directory of the file that called the function which calls this; nil where it is none.
function paths.ofCaller(level)
  local source = debug.getinfo(level + 1, "S").source
  return source:match("^@(.*)/[^/]*$") or source:find("^@") and "." or nil
end

--- The path of the file that this is called from; with a name, of that file in the same directory.
function paths.thisfile(name)
  if name then return paths.concat(paths.ofCaller(2) or ".", name) end
  local source = debug.getinfo(2, "S").source
  return source:find("^@") and paths.concat(source:sub(2)) or nil
end

--- Runs a Lua file that lies beside the one that this is called from.
function paths.dofile(name)
  argument.string(1, "paths.dofile", name)
  local directory = not name:find("^/") and paths.ofCaller(2)
  return dofile(directory and directory .. "/" .. name or name)
end

return argument.closed(paths, "paths")
