-- Python's pickles, of protocols 0 to 5, read without Python: a machine with a stack that makes the values of
-- densenet.io.pth.values and runs nothing. A name is a name until it is called, and what may be called is a closed list
-- (densenet.io.pth.names); objects of all other classes are tables that keep what they were given.
-- Source: Python's documentation of pickletools.

local core = require "densenet.core"
local names = require "densenet.io.pth.names"
local values = require "densenet.io.pth.values"

local MOST_BYTES = 64 << 20 -- of a pickle: names, sizes and settings; weights stand elsewhere
local LONGEST_LINE = 1 << 16

local MARK = {}

local Machine = {}
Machine.__index = Machine

local function damaged(self, what)
  self.source:refuse("its pickle is damaged: %s before byte %d", what, self.source.at)
end

local function push(self, value)
  self.top = self.top + 1
  self.stack[self.top] = value
end

local function pop(self)
  local value = self.stack[self.top]
  if value == nil or value == MARK then damaged(self, "nothing to take from the stack") end
  self.stack[self.top] = nil
  self.top = self.top - 1
  return value
end

local function peek(self)
  local value = self.stack[self.top]
  if value == nil or value == MARK then damaged(self, "the stack is empty") end
  return value
end

local function mark(self)
  self.marks[#self.marks + 1] = self.top
  push(self, MARK)
end

-- What lies above the last mark, as a list; the mark goes.
local function popMark(self)
  local at = table.remove(self.marks)
  if not at or self.stack[at + 1] ~= MARK then damaged(self, "no mark") end
  local items = table.move(self.stack, at + 2, self.top, 1, {})
  for i = self.top, at + 1, -1 do self.stack[i] = nil end
  self.top = at
  return items
end

local function line(self)
  local source, text = self.source, ""
  repeat
    local piece = source:peek(256)
    if piece == "" or #text > LONGEST_LINE then damaged(self, "a line without an end") end
    local past = piece:find("\n", 1, true)
    piece = piece:sub(1, past or -1)
    source:skip(#piece)
    text = text .. piece
  until past
  return (text:sub(1, -2):gsub("\r$", ""))
end

local function remember(self, key, value) self.memo[key] = value end

local function recall(self, key)
  local value = self.memo[key]
  if value == nil then damaged(self, core.format("memo %s, which is not there,", key)) end
  push(self, value)
end

-- A number of n bytes in two's complement, little-endian; a float where 64 bits are too few.
local function long(self, bytes)
  if bytes == "" then return 0 end
  if #bytes <= 8 then return (string.unpack("<i" .. #bytes, bytes)) end
  local number = 0.0
  for i = #bytes, 1, -1 do number = number * 256 + bytes:byte(i) end
  if bytes:byte(-1) >= 128 then number = number - 256.0 ^ #bytes end
  self.nLarge = self.nLarge + 1
  return number
end

local function decimal(self, text)
  text = text:gsub("L$", "")
  if not text:find "^[+-]?%d+$" then damaged(self, "a number that is none") end
  local number = tonumber(text)
  if math.type(number) == "float" then self.nLarge = self.nLarge + 1 end
  return number
end

-- ---- Names, objects and calls ----

local function global(self, module, name) push(self, { kind = "name", name = module .. "." .. name }) end

local function refuseName(self, name)
  self.source:refuse("names %s, which no weights need; nothing was executed", name)
end

local function call(self)
  local arguments, callee = pop(self), pop(self)
  if not values.is(callee, "name") or not values.is(arguments, "list") then
    damaged(self, "a call of nothing")
  end
  local meaning = names.meanings[callee.name]
  if not meaning then refuseName(self, callee.name) end
  push(self, meaning(self.source, arguments.items, callee.name))
end

-- cls.__new__(cls, *arguments): an object that does nothing, whatever the class.
local function object(self)
  local arguments, class = pop(self), pop(self)
  if not values.is(class, "name") or not values.is(arguments, "list") then
    damaged(self, "an object without a class")
  end
  local meaning = names.meanings[class.name]
  push(self, meaning and meaning(self.source, arguments.items, class.name)
    or { kind = "object", class = class.name, arguments = arguments.items })
end

-- Objects keep their state; a dictionary's or a tensor's says nothing of weights.
local function build(self)
  local state = pop(self)
  local built = peek(self)
  if values.is(built, "object") then built.state = state end
end

local function persistent(self)
  local id = pop(self)
  local items = values.is(id, "list") and id.items or {}
  -- A module's class, with the source of it.
  if items[1] == "module" and values.is(items[2], "name") then return push(self, items[2]) end
  local kind = values.is(items[2], "name") and names.storages[items[2].name]
  if items[1] ~= "storage" or not kind then
    self.source:refuse("it stores something else than tensors' elements: %s",
      values.is(items[2], "name") and items[2].name or tostring(items[1]))
  end
  local key, count, view = items[3], items[5], items[6]
  if type(key) == "number" then key = core.format("%s", key) end
  if type(key) ~= "string" or math.type(count) ~= "integer" or count < 0 then
    damaged(self, "a storage without a size")
  end
  local storage = { kind = "storage", elements = kind, key = key, count = count, first = 0 }
  if values.is(view, "list") then -- (key, offset, size) of a part of it
    local first, n = view.items[2], view.items[3]
    if math.type(first) ~= "integer" or math.type(n) ~= "integer" or first < 0 or n < 0 or first > count
      or n > count - first then
      damaged(self, "a part of a storage that is not in it")
    end
    storage.first, storage.nOwn = first, n
  end
  self.storages[key] = kind
  push(self, storage)
end

local function setItems(self, items)
  local into = peek(self)
  if values.is(into, "object") then -- a subclass of dict
    into.items = into.items or values.dict()
    into = into.items
  end
  if not values.is(into, "dict") or #items % 2 ~= 0 then damaged(self, "entries of no dictionary") end
  for i = 1, #items, 2 do
    if not values.set(into, items[i], items[i + 1]) then damaged(self, "a key that is none") end
  end
end

local function append(self, items)
  local into = peek(self)
  if values.is(into, "object") then
    into.list = into.list or values.list {}
    into = into.list
  end
  if not values.is(into, "list") then damaged(self, "items of no list") end
  table.move(items, 1, #items, #into.items + 1, into.items)
end

local function dictOf(self, items)
  push(self, values.dict())
  setItems(self, items)
end

-- A text in Python's quotes, of protocol 0.
local ESCAPES = { n = "\n", t = "\t", r = "\r", ["\\"] = "\\", ["'"] = "'", ['"'] = '"', a = "\a", b = "\b", f = "\f",
  v = "\v" }

local function quoted(self)
  local text = line(self):match "^(['\"].*['\"])$"
  if not text or #text < 2 then damaged(self, "a text without quotes") end
  return (text:sub(2, -2):gsub("\\(x?)(%x?%x?)([^x]?)", function(isHex, digits, other)
    if isHex == "x" and #digits == 2 then return string.char(tonumber(digits, 16)) .. other end
    if digits ~= "" then return (ESCAPES[digits:sub(1, 1)] or "\\" .. digits:sub(1, 1)) .. digits:sub(2) .. other end
    return ESCAPES[other] or "\\" .. other
  end))
end

-- ---- Operations by their bytes ----

local run = {}

local function take(format, n)
  return function(self) return self.source:number(format, n) end
end

local u1, u2, u4, i4, u8 = take("<I1", 1), take("<I2", 2), take("<I4", 4), take("<i4", 4), take("<i8", 8)

-- Bytes whose number stands before them.
local function counted(length)
  return function(self)
    local n = length(self)
    self.source:expect(n, 1, "a text")
    return self.source:take(n)
  end
end

local function pushing(read)
  return function(self) push(self, read(self)) end
end

local function constant(value)
  return function(self) push(self, value) end
end

local SPECIAL = { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge }

local NAMED = {
  ["\x80"] = function(self) -- PROTO
    local version = u1(self)
    if version > 5 then self.source:refuse("its pickle is of protocol %d; up to 5 are read", version) end
  end,
  ["\x95"] = function(self) u8(self) end, -- FRAME: only says how much to read at once
  ["("] = mark, -- MARK
  ["0"] = function(self) -- POP
    if self.stack[self.top] == MARK then popMark(self) else pop(self) end
  end,
  ["1"] = popMark, -- POP_MARK
  ["2"] = function(self) push(self, peek(self)) end, -- DUP
  N = constant(values.none), ["\x88"] = constant(true), ["\x89"] = constant(false),
  I = function(self) -- INT, also protocol 0's booleans
    local text = line(self)
    if text == "01" then return push(self, true) end
    if text == "00" then return push(self, false) end
    push(self, decimal(self, text))
  end,
  L = function(self) push(self, decimal(self, line(self))) end, -- LONG
  J = pushing(i4), K = pushing(u1), M = pushing(u2), -- BININT, 1, 2
  ["\x8a"] = function(self) push(self, long(self, counted(u1)(self))) end, -- LONG1
  ["\x8b"] = function(self) push(self, long(self, counted(i4)(self))) end, -- LONG4
  F = function(self) -- FLOAT
    local text = line(self)
    local number = SPECIAL[text] or tonumber(text)
    push(self, number and number + 0.0 or damaged(self, "a number that is none"))
  end,
  G = pushing(take(">d", 8)), -- BINFLOAT
  S = pushing(quoted), V = pushing(line), -- STRING, UNICODE
  T = pushing(counted(i4)), U = pushing(counted(u1)), -- BINSTRING, SHORT_BINSTRING
  X = pushing(counted(u4)), ["\x8c"] = pushing(counted(u1)), ["\x8d"] = pushing(counted(u8)), -- texts
  B = pushing(counted(u4)), C = pushing(counted(u1)), ["\x8e"] = pushing(counted(u8)), -- bytes
  ["\x96"] = pushing(counted(u8)), -- BYTEARRAY8
  ["]"] = pushing(function() return values.list {} end), -- EMPTY_LIST
  [")"] = pushing(function() return values.list {} end), -- EMPTY_TUPLE
  ["\x8f"] = pushing(function() return values.list {} end), -- EMPTY_SET
  ["}"] = pushing(values.dict), -- EMPTY_DICT
  l = function(self) push(self, values.list(popMark(self))) end, -- LIST
  t = function(self) push(self, values.list(popMark(self))) end, -- TUPLE
  ["\x91"] = function(self) push(self, values.list(popMark(self))) end, -- FROZENSET
  d = function(self) dictOf(self, popMark(self)) end, -- DICT
  a = function(self) append(self, { pop(self) }) end, -- APPEND
  e = function(self) append(self, popMark(self)) end, -- APPENDS
  ["\x90"] = function(self) append(self, popMark(self)) end, -- ADDITEMS
  s = function(self) -- SETITEM
    local value = pop(self)
    setItems(self, { pop(self), value })
  end,
  u = function(self) setItems(self, popMark(self)) end, -- SETITEMS
  p = function(self) remember(self, decimal(self, line(self)), peek(self)) end, -- PUT
  q = function(self) remember(self, u1(self), peek(self)) end, -- BINPUT
  r = function(self) remember(self, u4(self), peek(self)) end, -- LONG_BINPUT
  ["\x94"] = function(self) -- MEMOIZE
    remember(self, self.nMemoized, peek(self))
    self.nMemoized = self.nMemoized + 1
  end,
  g = function(self) recall(self, decimal(self, line(self))) end, -- GET
  h = function(self) recall(self, u1(self)) end, -- BINGET
  j = function(self) recall(self, u4(self)) end, -- LONG_BINGET
  c = function(self) -- GLOBAL
    local module = line(self)
    global(self, module, line(self))
  end,
  ["\x93"] = function(self) -- STACK_GLOBAL
    local name, module = pop(self), pop(self)
    if type(name) ~= "string" or type(module) ~= "string" then damaged(self, "a name that is none") end
    global(self, module, name)
  end,
  R = call, ["\x81"] = object, b = build, Q = persistent, -- REDUCE, NEWOBJ, BUILD, BINPERSID
}
for n, byte in ipairs { "\x85", "\x86", "\x87" } do -- TUPLE1 to TUPLE3
  NAMED[byte] = function(self)
    local items = {}
    for i = n, 1, -1 do items[i] = pop(self) end
    push(self, values.list(items))
  end
end
for name, byte in pairs { INST = "i", OBJ = "o", NEWOBJ_EX = "\x92", PERSID = "P", EXT1 = "\x82", EXT2 = "\x83",
  EXT4 = "\x84", NEXT_BUFFER = "\x97", READONLY_BUFFER = "\x98" } do
  NAMED[byte] = function(self)
    self.source:refuse("its pickle has the operation %s, which no weights need; nothing was executed", name)
  end
end
for byte, operation in pairs(NAMED) do run[byte:byte()] = operation end

local STOP = ("."):byte()

-- The value of the pickle that begins where the source stands, which then stands behind it.
-- @param source densenet.io.byte_source's
-- @return the value (densenet.io.pth.values)
-- @return how many whole numbers were too large, and are floats
-- @return the element kinds of the storages that it names, by their keys
return function(source)
  local self = setmetatable({ source = source, stack = {}, top = 0, marks = {}, memo = {}, nMemoized = 0,
    nLarge = 0, storages = {} }, Machine)
  local first = source.at
  while true do
    if source:left() == 0 then damaged(self, "it ends without STOP") end
    local code = u1(self)
    if code == STOP then return pop(self), self.nLarge, self.storages end
    local operation = run[code]
    if not operation then damaged(self, ("there is no operation %d"):format(code)) end
    operation(self)
    if source.at - first > MOST_BYTES then source:refuse("its pickle has more than %d bytes", MOST_BYTES) end
  end
end
