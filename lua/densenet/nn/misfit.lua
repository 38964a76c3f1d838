--- What does not fit when a state (table name → tensor) is loaded, told in few lines: how many entries of
-- each kind there are, and the first of them. The weights of another network have hundreds.
-- @module densenet.nn.misfit

local core = require "densenet.core"

local MOST_NAMED, MOST_CHARACTERS = 3, 160

local Misfit = {}
Misfit.__index = Misfit

local misfit = {}

--- An empty collection: the lists missing, unknown and wrongShape take texts, one for each entry.
function misfit.new()
  return setmetatable({ missing = {}, unknown = {}, wrongShape = {} }, Misfit)
end

local function sizeText(tensor)
  return tensor:dim() == 0 and "scalar" or table.concat(tensor:size(), "x")
end

--- Does `value` have the sizes of the tensor `expected`? Notes it under `name` where not.
function Misfit:check(name, value, expected)
  if not core.is_tensor(value) then
    self.wrongShape[#self.wrongShape + 1] = ("%s (expected a tensor of %s, got a %s)"):format(name,
      sizeText(expected), type(value))
  elseif sizeText(value) ~= sizeText(expected) then
    self.wrongShape[#self.wrongShape + 1] = ("%s (expected %s, got %s)"):format(name, sizeText(expected),
      sizeText(value))
  end
end

-- Names come from files: a message shows no control characters of theirs, and none at any length.
local function line(kind, list)
  table.sort(list, core.before)
  local named = {}
  for i = 1, math.min(#list, MOST_NAMED) do
    local text = list[i]:gsub("%c", "?")
    named[i] = #text > MOST_CHARACTERS and text:sub(1, MOST_CHARACTERS - 3) .. "..." or text
  end
  return ("  %s (%d): %s%s"):format(kind, #list, table.concat(named, ", "), #list > MOST_NAMED and ", ..." or "")
end

--- The collection as lines under the sentence `opening`, or nil when everything fits.
-- @param opening "the state does not fit the model"
-- @param last (optional) function: one more line, or nil
function Misfit:text(opening, last)
  local lines = {}
  local function add(kind, list)
    if #list > 0 then lines[#lines + 1] = line(kind, list) end
  end
  add("missing", self.missing)
  add("unknown", self.unknown)
  add("wrong shape", self.wrongShape)
  if #lines == 0 then return nil end
  lines[#lines + 1] = last and last()
  return opening .. ":\n" .. table.concat(lines, "\n")
end

return misfit
