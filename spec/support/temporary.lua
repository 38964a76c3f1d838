--- Directories that a test may fill and that are gone afterwards.
local core = require "densenet.core"

local temporary = {}

--- A new, empty directory.
function temporary.directory()
  local path = os.tmpname()
  assert(os.remove(path))
  assert(core.directory_make(path))
  return path
end

--- The file or directory goes away, with all that is in it.
function temporary.remove(path)
  if core.file_remove(path) then return end
  for _, name in ipairs(assert(core.directory_list(path))) do temporary.remove(path .. "/" .. name) end
  assert(core.file_remove(path))
end

--- Writes a file, in whatever state the test wants it.
function temporary.write(path, content)
  os.remove(path) -- a file that is cut and written again is flushed at once by some file systems
  local file = assert(io.open(path, "wb"))
  assert(file:write(content))
  assert(file:close())
  return path
end

--- All bytes of a file.
function temporary.read(path)
  local file = assert(io.open(path, "rb"))
  local content = assert(file:read("a"))
  file:close()
  return content
end

local root = io.popen("pwd"):read("l")

--- A path that is good in any directory.
function temporary.absolute(path) return path:find("^/") and path or root .. "/" .. path end

--- The interpreter that runs this, for tests that start another one: a name, or a path from the root.
function temporary.interpreter()
  local first = 0
  while arg and arg[first - 1] do first = first - 1 end
  local name = arg and arg[first] or "lua5.4"
  return name:find("/") and temporary.absolute(name) or name
end

--- What a Lua program prints, to both streams, in a process of its own.
-- @param program its text, in which `dn` and `core` are the module and its core
-- @param environment assignments before the command, such as "OMP_NUM_THREADS=1"; none by default
function temporary.output(program, environment)
  local path = temporary.write(os.tmpname(), ([[
    package.path, package.cpath = %q, %q
    local dn, core = require "densenet", require "densenet.core"
    %s
  ]]):format(package.path, package.cpath, program))
  local pipe = assert(io.popen(("%s %s %s 2>&1"):format(environment or "", temporary.interpreter(), path)))
  local output = pipe:read("a")
  pipe:close()
  os.remove(path)
  return output
end

return temporary
