--- torch.DiskFile for reading binary files: bytes and numbers in the machine's order, one or many. As in Torch7 a
-- file is one of text until binary() is called; of such a file bytes are read, and numbers are refused.

local argument = require "densenet.argument"
local core = require "densenet.core"
local nn = require "densenet.nn"
local bytes = require "densenet.io.bytes"
local storage = require "densenet.torch7.storage"

local DiskFile = nn.class("torch.DiskFile")

--- @param path the file
-- @param mode "r"; writing is refused
function DiskFile:__init(path, mode)
  argument.string(1, "torch.DiskFile", path, "path")
  if mode ~= nil and mode ~= "r" then
    argument.refuse(2, "torch.DiskFile", mode, "'r' (io.open writes files)", "mode")
  end
  local file, message = io.open(path, "rb")
  if not file then argument.raise("torch.DiskFile: %s", message) end
  self.file, self.path = file, path
end

function DiskFile:binary()
  self.isBinary = true
  return self
end

function DiskFile:ascii()
  self.isBinary = false
  return self
end

function DiskFile:close() self.file:close() end

--- The place of the next byte, from 1.
function DiskFile:position() return self.file:seek("cur") + 1 end

function DiskFile:seek(position)
  self.file:seek("set", argument.integer(1, "seek", position, 1, "position") - 1)
  return self
end

function DiskFile:seekEnd()
  self.file:seek("end")
  return self
end

-- Format for string.unpack, and the element type of many.
local KINDS = {
  Byte = { "B", "byte" }, Char = { "b", "long" }, Short = { "h", "long" }, Int = { "i4", "long" },
  Long = { "i8", "long" }, Float = { "f", "float" }, Double = { "d", "double" },
}

for word, kind in pairs(KINDS) do
  local format, dtype = kind[1], kind[2]
  local size = string.packsize("=" .. format)
  --- file:readInt(): a number; file:readInt(n): a storage of n of them.
  DiskFile["read" .. word] = function(self, n)
    local count = argument.optional("integer", 1, 1, "read" .. word, n, 1, "n")
    if size > 1 and not self.isBinary then
      argument.raise("torch.DiskFile: %s is open as text, whose numbers are not read; call binary(), or use io.open",
        self.path)
    end
    local text = self.file:read(count * size)
    if not text or #text < count * size then
      argument.raise("torch.DiskFile: %s ends inside %d numbers of %d bytes", self.path, count, size)
    end
    if n == nil then return (string.unpack("=" .. format, text)) end
    if dtype == "byte" then return storage.of(bytes.toTensor(text)) end
    local numbers = {}
    for i = 1, count do numbers[i] = string.unpack("=" .. format, text, (i - 1) * size + 1) end
    return storage.of(core.tensor_from("cpu", dtype, numbers))
  end
end

return DiskFile
