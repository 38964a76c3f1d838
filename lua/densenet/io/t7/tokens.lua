--- What .t7 files are made of, numbers and characters, in both their forms.
--
-- Binary: little-endian, `int` of 4 bytes, `long` of 8 (or of 4, where Torch7 ran on 32 bits), double of 8. ASCII:
-- the same as text, numbers apart by a space or a newline, characters as they are with a newline behind them, and
-- nothing at all for none of either.

local core = require "densenet.core"
local dtypeBytes = require "densenet.dtype_bytes"

local tokens = {}

local LONGEST_WORD = 64 -- of a number in ASCII
local PIECE = 1 << 10

--- Element types by Torch7's word for them. Tensors here have fewer types of whole numbers: the rest become long.
tokens.kinds = {
  Byte = { dtype = "byte" }, Char = { integer = "i", bytes = 1 }, Short = { integer = "i", bytes = 2 },
  Int = { integer = "i", bytes = 4 }, Long = { dtype = "long" }, Float = { dtype = "float" },
  Double = { dtype = "double" }, Half = { dtype = "half" },
}
local SHORT_LONG = { integer = "i", bytes = 4 }

-- ---- Binary ----

local Binary = {}
Binary.__index = Binary

function Binary:int() return self.source:number("<i4", 4) end

function Binary:long()
  self.hasLongs = true
  if self.longSize == 8 then return self.source:number("<i8", 8) end
  return self.source:number("<i4", 4)
end

function Binary:double() return self.source:number("<d", 8) end

function Binary:characters(n) return self.source:take(n) end

--- n elements of a type, as a vector.
function Binary:vector(word, n)
  local isShort = word == "Long" and self.longSize == 4
  return self.source:vector(isShort and SHORT_LONG or tokens.kinds[word], n)
end

function Binary:skipVector(word, n)
  local kind = tokens.kinds[word]
  local size = word == "Long" and self.longSize or kind.bytes or dtypeBytes[kind.dtype]
  self.source:expect(n, size, "a vector")
  self.source:skip(n * size)
end

-- ---- ASCII ----

local Ascii = {}
Ascii.__index = Ascii

local SPECIAL = { nan = 0 / 0, ["-nan"] = 0 / 0, inf = math.huge, ["-inf"] = -math.huge }

local function word(self)
  local source = self.source
  local spaces, text, behind = source:peek(LONGEST_WORD):match("^(%s*)([^%s]*)(%s?)")
  local number = SPECIAL[text:lower()] or tonumber(text)
  if not number or text:find("[xX]") then
    source:refuse("a number expected at byte %d, got %q", source.at + #spaces, text)
  end
  source:skip(#spaces + #text + #behind)
  return number
end

function Ascii:int()
  local number = math.tointeger(word(self))
  if not number then self.source:refuse("a whole number expected before byte %d", self.source.at) end
  return number
end

Ascii.long = Ascii.int

function Ascii:double() return word(self) + 0.0 end

local function skipNewline(source)
  if source:left() > 0 and source:peek(1) == "\n" then source:skip(1) end
end

function Ascii:characters(n)
  if n == 0 then return "" end
  local text = self.source:take(n)
  skipNewline(self.source)
  return text
end

function Ascii:vector(kindWord, n)
  local source, kind = self.source, tokens.kinds[kindWord]
  if kindWord == "Byte" or kindWord == "Char" then
    local vector = source:vector(kind, n)
    if n > 0 then skipNewline(source) end
    return vector
  end
  source:expect(n, 2, "a vector") -- a digit and a space each
  local dtype = kind.dtype or "long"
  local vector = core.tensor_new("cpu", dtype, { n })
  for first = 1, n, PIECE do
    local numbers = {}
    for i = 1, math.min(PIECE, n - first + 1) do numbers[i] = dtype == "long" and self:int() or word(self) end
    core.copy(vector:narrow(1, first, #numbers), core.tensor_from("cpu", dtype, numbers))
  end
  return vector
end

-- Where numbers of no fixed length end is known when they have been read.
function Ascii:skipVector(kindWord, n) self:vector(kindWord, n) end

--- Tokens of a source.
-- @param source densenet.io.byte_source's
-- @param form {ascii =, longSize =}
function tokens.of(source, form)
  return setmetatable({ source = source, longSize = form.longSize }, form.ascii and Ascii or Binary)
end

return tokens
