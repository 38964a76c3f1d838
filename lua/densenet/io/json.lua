--- JSON (RFC 8259), strictly: what this module accepts, every other reader accepts too.
--
-- Values: objects are tables with string keys, arrays are sequences, null is json.null. Integers
-- stay integers, other numbers floats. An array keeps a mark (its metatable), so that an empty one
-- is written back as [] and not as {}; json.array marks a table of one's own.
local argument = require "densenet.argument"
local core = require "densenet.core"
local utf8 = core.utf8 -- a host may not have opened Lua's own

local json = {}

--- The value that stands for null.
json.null = setmetatable({}, { __name = "json.null", __tostring = function() return "null" end })

--- Tables nested deeper than this are refused, in both directions.
local MAX_DEPTH = 200

local ARRAY = { __name = "json.array" }

--- Marks `t` as an array and returns it.
function json.array(t)
  return setmetatable(argument.table(1, "array", t), ARRAY)
end

--- Was `t` read as an array, or marked as one?
function json.isArray(t)
  return getmetatable(t) == ARRAY
end

-- ---- Reading ----

-- Inside the decoder a failure is raised as a table, to be told apart from a mistake in this file.
local function refuse(position, format, ...)
  error({ position = position, reason = format:format(...) })
end

local ESCAPED = {
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}

local function clip(name) return #name > 100 and name:sub(1, 97) .. "..." or name end

local function skipSpace(text, position)
  return text:find("[^ \t\r\n]", position) or #text + 1
end

local function describe(text, position)
  if position > #text then return "the end of the text" end
  return ("%q"):format(text:match("^" .. utf8.charpattern, position))
end

-- The code point of \uXXXX at `position` (a high surrogate takes its partner), and what follows.
local function codePoint(text, position)
  local high = tonumber(text:match("^\\u(%x%x%x%x)", position) or refuse(position, "\\u without four digits"), 16)
  if high < 0xD800 or high > 0xDFFF then return high, position + 6 end
  local low = tonumber(text:match("^\\u(%x%x%x%x)", position + 6) or "0", 16)
  if high > 0xDBFF or low < 0xDC00 or low > 0xDFFF then refuse(position, "half of a surrogate pair") end
  return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), position + 12
end

-- Every reader takes the position of its value's first character and returns the value and the
-- position behind it.
local function readString(text, position)
  local parts, from = {}, position + 1
  while true do
    local stop = text:find('["\\%c]', from)
    local character = stop and text:sub(stop, stop)
    if not stop then refuse(position, "a string that does not end") end
    if character == '"' then
      if #parts == 0 then return text:sub(from, stop - 1), stop + 1 end
      parts[#parts + 1] = text:sub(from, stop - 1)
      return table.concat(parts), stop + 1
    end
    parts[#parts + 1] = text:sub(from, stop - 1)
    local letter = text:sub(stop + 1, stop + 1)
    if character == "\127" then
      parts[#parts + 1], from = character, stop + 1
    elseif character ~= "\\" then
      refuse(stop, "control character %d in a string", character:byte())
    elseif letter == "u" then
      local code
      code, from = codePoint(text, stop)
      parts[#parts + 1] = utf8.char(code)
    else
      parts[#parts + 1] = ESCAPED[letter] or refuse(stop, "unknown escape \\%s", letter)
      from = stop + 2
    end
  end
end

local function readNumber(text, position)
  local stop = select(2, text:find("^-?%d+", position))
  if not stop or text:find("^-?0%d", position) then refuse(position, "not a number") end
  local afterFraction = select(2, text:find("^%.%d+", stop + 1)) or stop
  local last = select(2, text:find("^[eE][+-]?%d+", afterFraction + 1)) or afterFraction
  -- An integer too large for Lua's becomes a float here, as everywhere in Lua.
  local number = core.number(text:sub(position, last))
  if number == math.huge or number == -math.huge then refuse(position, "a number beyond what a double holds") end
  return number, last + 1
end

local readValue

local function readArray(text, position, depth)
  local array = json.array({})
  local at = skipSpace(text, position + 1)
  if text:sub(at, at) == "]" then return array, at + 1 end
  while true do
    array[#array + 1], at = readValue(text, at, depth + 1)
    at = skipSpace(text, at)
    local mark = text:sub(at, at)
    if mark == "]" then return array, at + 1 end
    if mark ~= "," then refuse(at, "expected , or ], got %s", describe(text, at)) end
    at = skipSpace(text, at + 1)
  end
end

-- With `visit`, members go there one by one and the object only remembers which names it had.
local function readObject(text, position, depth, visit)
  local object = {}
  local at = skipSpace(text, position + 1)
  if text:sub(at, at) == "}" then return object, at + 1 end
  while true do
    if text:sub(at, at) ~= '"' then refuse(at, "expected a name in quotes, got %s", describe(text, at)) end
    local name, stop = readString(text, at)
    if object[name] ~= nil then refuse(at, "the name %q stands twice in one object", clip(name)) end
    at = skipSpace(text, stop)
    if text:sub(at, at) ~= ":" then refuse(at, "expected :, got %s", describe(text, at)) end
    local value
    value, at = readValue(text, skipSpace(text, at + 1), depth + 1)
    if visit then visit(name, value) end
    object[name] = visit and true or value
    at = skipSpace(text, at)
    local mark = text:sub(at, at)
    if mark == "}" then return object, at + 1 end
    if mark ~= "," then refuse(at, "expected , or }, got %s", describe(text, at)) end
    at = skipSpace(text, at + 1)
  end
end

local WORDS = { t = { "true", true }, f = { "false", false }, n = { "null", json.null } }

function readValue(text, position, depth)
  if depth > MAX_DEPTH then refuse(position, "nested deeper than %d", MAX_DEPTH) end
  local first = text:sub(position, position)
  if first == '"' then return readString(text, position) end
  if first == "{" then return readObject(text, position, depth) end
  if first == "[" then return readArray(text, position, depth) end
  local word = WORDS[first]
  if word and text:sub(position, position + #word[1] - 1) == word[1] then
    return word[2], position + #word[1]
  end
  if first:find("^[%d-]") then return readNumber(text, position) end
  return refuse(position, "expected a value, got %s", describe(text, position))
end

local function readText(text, visit)
  local _, badByte = utf8.len(text)
  if badByte then refuse(badByte, "not UTF-8") end
  local start = skipSpace(text, 1)
  if visit and text:sub(start, start) ~= "{" then refuse(start, "expected {, got %s", describe(text, start)) end
  local value, at = (visit and readObject or readValue)(text, start, 1, visit)
  at = skipSpace(text, at)
  if at <= #text then refuse(at, "%s after the end", describe(text, at)) end
  return value
end

local function decode(text, visit)
  local ok, value = pcall(readText, text, visit)
  if ok then return value end
  if type(value) ~= "table" or not value.reason then error(value, 0) end
  if not value.position then return nil, value.reason, "format" end
  local before = text:sub(1, value.position - 1)
  local line = select(2, before:gsub("\n", "\n")) + 1
  local column = #before:match("[^\n]*$") + 1
  return nil, ("JSON, line %d, column %d: %s"):format(line, column, value.reason), "format"
end

--- Reads one JSON text.
-- @param text a string
-- @return the value (false is a value; nil never is), or nil, message with line and column, "format"
function json.decode(text) return decode(argument.string(1, "decode", text)) end

--- Reads one JSON object member by member, so that a large one needs no more room than what is kept of
-- it, and one that is refused is read no further.
-- @param text a string
-- @param visit function(name, value): returns what is wrong with the member, a sentence, or nothing
-- @return true; or nil, message, "format"
function json.eachMember(text, visit)
  argument.string(1, "eachMember", text)
  argument.callable(2, "eachMember", visit)
  local object, message, code = decode(text, function(name, value)
    local wrong = visit(name, value)
    if wrong then error({ reason = wrong }) end
  end)
  return object and true or nil, message, code
end

-- ---- Writing ----

local SHORT = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
}

local function writeString(text, place)
  if not utf8.len(text) then error(("cannot write %s as JSON: not UTF-8"):format(place), 0) end
  return '"' .. text:gsub('["\\%c]', function(c)
    return SHORT[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local function writeNumber(number, place)
  if math.type(number) == "integer" then return ("%d"):format(number) end
  if number ~= number or number == math.huge or number == -math.huge then
    error(("cannot write %s as JSON: it is %s"):format(place, core.format("%s", number)), 0)
  end
  local text
  for digits = 15, 17 do -- the fewest that give the same number back
    text = core.format("%." .. digits .. "g", number)
    if core.number(text) == number then break end
  end
  return text:find("[.e]") and text or text .. ".0"
end

local writeValue

-- `margin` is the white space before a member on a line of its own, or nil for one line.
local function enclose(open, parts, close, margin, step)
  if #parts == 0 then return open .. close end
  if not margin then return open .. table.concat(parts, ",") .. close end
  return open .. "\n" .. margin .. step .. table.concat(parts, ",\n" .. margin .. step) .. "\n" .. margin .. close
end

local function writeTable(value, place, depth, margin, step)
  local parts = {}
  local inner = margin and margin .. step
  if json.isArray(value) or #value > 0 then
    for i = 1, #value do
      parts[i] = writeValue(value[i], ("%s[%d]"):format(place, i), depth + 1, inner, step)
    end
    for key in pairs(value) do
      if math.type(key) ~= "integer" or key < 1 or key > #value then
        error(("cannot write %s as JSON: an array with the key %q"):format(place, tostring(key)), 0)
      end
    end
    return enclose("[", parts, "]", margin, step)
  end
  local names = {}
  for key in pairs(value) do
    if type(key) ~= "string" then
      error(("cannot write %s as JSON: an object with the key %s"):format(place, tostring(key)), 0)
    end
    names[#names + 1] = key
  end
  table.sort(names, core.before)
  for i, name in ipairs(names) do
    local text = writeValue(value[name], place .. "." .. name, depth + 1, inner, step)
    parts[i] = writeString(name, place .. "'s key") .. (margin and ": " or ":") .. text
  end
  return enclose("{", parts, "}", margin, step)
end

function writeValue(value, place, depth, margin, step)
  if depth > MAX_DEPTH then
    error(("cannot write %s as JSON: nested deeper than %d, or in a circle"):format(place:sub(1, 80), MAX_DEPTH), 0)
  end
  if value == json.null then return "null" end
  local kind = type(value)
  if kind == "table" then return writeTable(value, place, depth, margin, step) end
  if kind == "string" then return writeString(value, place) end
  if kind == "number" then return writeNumber(value, place) end
  if kind == "boolean" then return tostring(value) end
  error(("cannot write %s as JSON: it is a %s"):format(place, kind), 0)
end

--- Writes a value as JSON, names sorted, so the same value gives the same bytes.
-- A table with elements 1..n, or marked by json.array, is an array; any other is an object.
-- Raises, naming the place, for what JSON cannot hold: NaN and infinities, strings that are not
-- UTF-8, functions and the like, keys that are no strings, circles.
-- @param value a table, string, number, boolean or json.null
-- @param indent (optional) white space for each level; without it everything stands on one line
-- @return the text, without a newline at its end
function json.encode(value, indent)
  if indent ~= nil then argument.string(2, "encode", indent, "indent") end
  return writeValue(value, "value", 1, indent and "", indent)
end

return json
