--- A file of texts and tensors' bytes in turn, written whole or not at all, without a copy of the tensors.

local core = require "densenet.core"
local bytes = require "densenet.io.bytes"

local MixedFile = {}
MixedFile.__index = MixedFile

--- Adds a text.
function MixedFile:text(text)
  self.nBytes = self.nBytes + #text
  self.pending[#self.pending + 1] = text
end

local function flush(self)
  if #self.pending == 0 then return end
  self.parts[#self.parts + 1] = table.concat(self.pending)
  self.pending = {}
end

--- Adds a tensor's elements, row by row; it is kept, and read when the file is written.
function MixedFile:tensor(tensor)
  if tensor:nElement() == 0 then return end
  flush(self)
  self.nBytes = self.nBytes + tensor:nElement() * tensor:elementSize()
  self.parts[#self.parts + 1] = tensor
end

--- Adds what another one holds.
function MixedFile:append(other)
  flush(other)
  for _, part in ipairs(other.parts) do
    if core.is_tensor(part) then self:tensor(part) else self:text(part) end
  end
end

--- Writes it.
-- @return true; or nil, message, "io"
function MixedFile:write(path)
  flush(self)
  local list = {}
  for i, part in ipairs(self.parts) do
    list[i] = core.is_tensor(part) and part:to("cpu") or bytes.toTensor(part)
  end
  return core.file_write(path, "", list)
end

--- An empty one; `nBytes` is its length so far.
return function() return setmetatable({ parts = {}, pending = {}, nBytes = 0 }, MixedFile) end
