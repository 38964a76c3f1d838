--- The two functions of LuaJIT's ffi that Torch7's scripts use for strings in tensors, on what t:data() returns.

local argument = require "densenet.argument"
local core = require "densenet.core"
local bytes = require "densenet.io.bytes"

local ffi = {}

local Pointer = { __name = "t:data()" }

--- Stands for the address of a contiguous byte tensor's elements: what ffi.string and ffi.copy take.
function core.tensor_methods:data()
  if self:dtype() ~= "byte" or not self:isContiguous() or self:device() ~= "cpu" then
    argument.raise("t:data() is there for contiguous byte tensors on the CPU (ffi.string, ffi.copy), not for a %s",
      core.tensor_describe(self))
  end
  return setmetatable({ vector = self:view(self:nElement()) }, Pointer)
end

local function vectorOf(position, name, pointer)
  if getmetatable(pointer) ~= Pointer then argument.refuse(position, name, pointer, "what t:data() returns") end
  return pointer.vector
end

--- The bytes up to the first 0, or the first `n`.
function ffi.string(pointer, n)
  local text = bytes.toString(vectorOf(1, "ffi.string", pointer))
  if n == nil then return text:match("^[^\0]*") end
  return text:sub(1, argument.integer(2, "ffi.string", n, 0, "n"))
end

--- Writes a string and a 0 behind it, or n bytes of the string, from the first element on.
function ffi.copy(pointer, text, n)
  local vector = vectorOf(1, "ffi.copy", pointer)
  argument.string(2, "ffi.copy", text, "text")
  local content = n == nil and text .. "\0" or text:sub(1, argument.integer(3, "ffi.copy", n, 0, "n"))
  if #content > vector:nElement() then
    argument.raise("ffi.copy: %d bytes for a tensor of %d", #content, vector:nElement())
  end
  if #content > 0 then core.copy(vector:narrow(1, 1, #content), bytes.toTensor(content)) end
end

return argument.closed(ffi, "ffi")
