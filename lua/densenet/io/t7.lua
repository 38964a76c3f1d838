--- Torch7's files, .t7: any value, as torch.save wrote it, in binary (with longs of 8 or 4 bytes) or ASCII.
--
-- Nothing in a file is run: functions become placeholders and objects of classes plain tables, with the class's name
-- as `__class` and its version as `__version`. Whole numbers come as integers.
-- @module densenet.io.t7

local argument = require "densenet.argument"
local byteSource = require "densenet.io.byte_source"
local fileKind = require "densenet.io.file_kind"
local newReader = require "densenet.io.t7.reader"
local write = require "densenet.io.t7.writer"

local t7 = {}

local MOST_CODE = 8 -- of Torch7's types
local START = 512

local Placeholder = { __name = "function of a .t7 file", __tostring = function() return "a function, not loaded" end }

--- Is a value that load gave a function's placeholder?
function t7.isFunction(value) return getmetatable(value) == Placeholder end

-- What values become, unless the caller of `read` says otherwise.
local plain = {}

function plain.storage(vector) return vector end

function plain.tensor(tensor) return tensor end

function plain.object(_, class, version) return { __class = class, __version = version } end

function plain.finish(object, class, version)
  object.__class, object.__version = class, version
  return object
end

function plain.placeholder() return setmetatable({}, Placeholder) end

-- Binary or ASCII, by the code of the first value's type.
local function isAscii(source)
  local start = source:peek(START)
  if start:find("^[0-8]\n") then return true end
  if #start >= 4 then
    local code = string.unpack("<i4", start)
    if code >= 0 and code <= MOST_CODE then return false end
    local kind = fileKind.of(start)
    source:refuse("%s", kind and "expected a Torch7 file (.t7), got " .. kind
      or ("unknown type code %d at byte 0; a Torch7 file (.t7) begins with one from 0 to %d"):format(code, MOST_CODE))
  end
  source:refuse("%s", #start == 0 and "expected a Torch7 file (.t7), got an empty file"
    or ("it is cut short or damaged: 4 bytes expected at byte 0, %d are left"):format(#start))
end

local function readForm(source, form, make, without)
  source.at = 0
  local reader = newReader(source, form, make, without)
  local isRead, value = byteSource.try(reader.value, reader)
  if isRead and value == nil then isRead, value = false, "it holds nil, and nothing else" end
  return isRead, value, reader.tokens.hasLongs
end

--- As `load`, with what tables, storages and objects become (densenet.io.t7.reader).
-- @param path the file
-- @param options as for load, or nil
-- @param make functions of densenet.io.t7.reader
function t7.read(path, options, make)
  options = options or {}
  return byteSource.read(path, function(source)
    local form = { ascii = options.ascii, longSize = options.longSize or 8 }
    if form.ascii == nil then form.ascii = isAscii(source) end
    local isRead, value, hasLongs = readForm(source, form, make, options.without)
    if not isRead and hasLongs and not options.longSize then
      local short = { ascii = false, longSize = 4 }
      local isShort, other = readForm(source, short, make, options.without)
      -- Numbers that are cut in the wrong place may look right for a while, and not to the end.
      if isShort and source:left() == 0 then return other, short end
    end
    if not isRead then source:refuse("%s", value) end
    return value, form
  end)
end

--- The value in a file.
-- @tparam string path the file
-- @tparam[opt] table options
--
--    longSize  8 or 4: bytes of a long; found out when left out
--    ascii     true or false; found out when left out
--    without   set of names of fields that are left out, such as {gradWeight = true}, and take no memory
--
-- @return the value: tables, strings, numbers, booleans; tensors on the CPU, which share memory as they did, with
-- integers of 8, 16 and 32 bits as long (bytes as byte) and types of CUDA as the CPU's; storages as vectors;
-- objects of other classes as tables {__class = "nn.Linear", __version = 1, …}; functions as placeholders
-- @treturn table form: {longSize =, ascii =}. Or nil, message, code: "io" or "format"
function t7.load(path, options)
  argument.string(1, "t7.load", path, "path")
  if options ~= nil then argument.table(2, "t7.load", options, "options") end
  local longSize = options and options.longSize
  if longSize ~= nil and longSize ~= 8 and longSize ~= 4 then
    argument.refuse(2, "t7.load", longSize, "8 or 4", "longSize")
  end
  return t7.read(path, options, plain)
end

--- Writes a value as Torch7 does, replacing the file whole or not at all.
-- @tparam string path the file
-- @param value made of what load gives; tables with a field `__class` are objects of that class, and lists of whole
-- numbers with `__class` "torch.LongStorage" such storages
-- @tparam[opt] table options {ascii = true}: as text
-- @return true; or nil, message, "io"
-- @raise for what the format cannot hold, and where it stands
function t7.save(path, value, options)
  argument.string(1, "t7.save", path, "path")
  return write(path, value, options)
end

return t7
