--- Event files, which TensorBoard shows: numbers by tag and step, one record each.
--
-- A record is its length (8 bytes), the masked CRC of those, the bytes, and their masked CRC; the bytes are a
-- protocol buffer "Event". The file begins with an event that says its version. One that goes on with an
-- earlier file's run says so with the step it goes on from: TensorBoard then drops what earlier files have of
-- that step and later ones. A record is flushed as soon as it is written, so that a kill costs at most a torn
-- last record, which readers leave out.
--
-- Source: the format of TensorFlow's TFRecord files and event.proto.
-- @module densenet.io.event_file

local core = require "densenet.core"
local crc32c = require "densenet.io.crc32c"
local protobuf = require "densenet.io.protobuf"

local EventFile = {}
EventFile.__index = EventFile

-- Field numbers of event.proto and summary.proto.
local EVENT = { wallTime = 1, step = 2, fileVersion = 3, summary = 5, sessionLog = 7 }
local SUMMARY, VALUE, SESSION_LOG = { value = 1 }, { tag = 1, simpleValue = 2 }, { status = 1 }
local START = 1 -- SessionLog.SessionStatus

local function masked(bytes)
  local crc = crc32c(bytes)
  return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
end

local function recordOf(bytes)
  local length = ("<I8"):pack(#bytes)
  return length .. ("<I4"):pack(masked(length)) .. bytes .. ("<I4"):pack(masked(bytes))
end

local function write(self, ...)
  local event = protobuf.double(EVENT.wallTime, self.now()) .. table.concat { ... }
  local done, message = self.file:write(recordOf(event))
  if done then done, message = self.file:flush() end
  if not done then return nil, ("cannot write to %s: %s"):format(self.path, message), "io" end
  return true
end

local function hostName()
  local file = io.open("/etc/hostname")
  local name = file and file:read "l"
  if file then file:close() end
  return (name or ""):match("^[%w_.-]+$") or "localhost"
end

-- A name that no other file of the directory has.
local function nameFor(directory, seconds)
  local name = ("%s/events.out.tfevents.%010d.%s"):format(directory, seconds, hostName())
  local path, n = name .. ".densenet", 1
  while core.file_exists(path) do
    path, n = ("%s.densenet.%d"):format(name, n), n + 1
  end
  return path
end

--- Begins an event file in a directory, which is made where it is missing.
-- @tparam string directory
-- @tparam[opt] integer from the first step to come, of a run that begins or goes on
-- @tparam[opt] function now → seconds since 1970; the clock's when left out
-- @return the file; or nil, message, code
function EventFile.open(directory, from, now)
  local made, message, code = core.directory_make(directory)
  if not made then return nil, message, code end
  local base = os.time() - core.clock()
  now = now or function() return base + core.clock() end
  local self = setmetatable({ path = nameFor(directory, math.floor(now())), now = now }, EventFile)
  self.file, message = io.open(self.path, "wb")
  if not self.file then return nil, "cannot write the events: " .. message, "io" end
  local done
  done, message, code = write(self, protobuf.bytes(EVENT.fileVersion, "brain.Event:2"))
  if done and from then
    done, message, code = write(self, protobuf.integer(EVENT.step, from),
      protobuf.bytes(EVENT.sessionLog, protobuf.integer(SESSION_LOG.status, START)))
  end
  if not done then return nil, message, code end
  return self
end

--- Adds numbers of a step.
-- @tparam integer step
-- @tparam table values lists { tag, number }, written in this order in single precision; NaN is written as NaN
-- @return true; or nil, message, code
function EventFile:add(step, values)
  local parts = {}
  for i, each in ipairs(values) do
    parts[i] = protobuf.bytes(SUMMARY.value, protobuf.bytes(VALUE.tag, each[1])
      .. protobuf.float(VALUE.simpleValue, each[2]))
  end
  return write(self, protobuf.integer(EVENT.step, step), protobuf.bytes(EVENT.summary, table.concat(parts)))
end

--- Closes the file; done with it twice, nothing happens.
function EventFile:close()
  if self.file then self.file:close() end
  self.file = nil
end

return EventFile
