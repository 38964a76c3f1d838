--- Reads a network's configuration, field by field, and keeps the first complaint about it: what an API's
-- caller, a command line or the metadata of a file says may be anything.
--
--    local read = fields.reader(options, { "depth", "dropRate" })
--    local config = { depth = read:integer("depth", 20, 1), dropRate = read:number("dropRate", 0, ...) }
--    return read:result(config)          -- config; or nil and "depth must be an integer of 1 or more, got x"
--
-- A complaint begins with the name of the field, which is that of the option on a command line.
-- @module densenet.models.fields

local core = require "densenet.core"

local fields = {}

local Reader = {}
Reader.__index = Reader

-- No sensible size is larger, and products of a few such sizes are integers still.
fields.MOST = 1000000

--- @tparam table options what is read; fields not in `names` are complained of
-- @tparam table names list
function fields.reader(options, names)
  local self = setmetatable({ options = options, complaint = nil }, Reader)
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  local unknown = {}
  for name in pairs(options) do
    if not known[name] then unknown[#unknown + 1] = tostring(name) end
  end
  table.sort(unknown, core.before)
  if unknown[1] then self:refuse("there is no option '%s'; there are %s", unknown[1], table.concat(names, ", ")) end
  return self
end

--- Notes a complaint, unless there is one already.
function Reader:refuse(pattern, ...)
  self.complaint = self.complaint or core.format(pattern, ...)
end

--- @return the configuration; or nil and the complaint
function Reader:result(config)
  if self.complaint then return nil, self.complaint end
  return config
end

--- An integer from `least` to `most` (by default fields.MOST); a float without fraction counts as one.
function Reader:integer(name, default, least, most)
  local value = self.options[name]
  if value == nil then return default end
  most = most or fields.MOST
  local whole = type(value) == "number" and math.tointeger(value)
  if not whole or whole < least or whole > most then
    local bounds = whole and whole > most and ("from %d to %d"):format(least, most) or ("of %d or more"):format(least)
    self:refuse("%s must be an integer %s, got %s", name, bounds, value)
    return default
  end
  return whole
end

--- A number that isGood(value) likes; `expected` says which: "a number from 0 to below 1".
function Reader:number(name, default, isGood, expected)
  local value = self.options[name]
  if value == nil then return default end
  if type(value) ~= "number" or not isGood(value) then
    self:refuse("%s must be %s, got %s", name, expected, value)
    return default
  end
  return value
end

--- One of a list of words.
function Reader:word(name, default, words)
  local value = self.options[name]
  if value == nil then return default end
  for _, each in ipairs(words) do
    if value == each then return value end
  end
  self:refuse("%s must be %s, got %s", name, table.concat(words, " or "), value)
  return default
end

function Reader:boolean(name, default)
  local value = self.options[name]
  if value == nil then return default end
  if type(value) ~= "boolean" then
    self:refuse("%s must be true or false, got %s", name, value)
    return default
  end
  return value
end

return fields
