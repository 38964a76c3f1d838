--- Messages of protocol buffers that hold tensors: written without a copy of the tensors' bytes.

local mixedFile = require "densenet.io.mixed_file"
local protobuf = require "densenet.io.protobuf"

local LENGTH = 2 -- wire type: a length and so many bytes

local Message = {}
Message.__index = Message

--- Each adds a field and returns the message: a whole number, also a boolean or an enumeration's;
function Message:int(field, n)
  self.file:text(protobuf.integer(field, n))
  return self
end

--- a float;
function Message:float(field, x)
  self.file:text(protobuf.float(field, x))
  return self
end

--- a text, or bytes;
function Message:text(field, text)
  self.file:text(protobuf.bytes(field, text))
  return self
end

-- The key and the length of a field whose bytes follow.
local function head(self, field, n) self.file:text(protobuf.key(field, LENGTH) .. protobuf.varint(n)) end

--- a message;
function Message:message(field, message)
  head(self, field, message.file.nBytes)
  self.file:append(message.file)
  return self
end

--- the bytes of a tensor's elements, which is kept until the message is written.
function Message:tensor(field, tensor)
  head(self, field, tensor:nElement() * tensor:elementSize())
  self.file:tensor(tensor)
  return self
end

--- How many bytes it has.
function Message:size() return self.file.nBytes end

--- Writes it as a file.
-- @return true; or nil, message, "io"
function Message:write(path) return self.file:write(path) end

--- An empty message.
return function() return setmetatable({ file = mixedFile() }, Message) end
