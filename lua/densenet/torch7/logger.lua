--- optim.Logger: rows of numbers in a text file, separated by tabs, under a line of names.

local argument = require "densenet.argument"
local core = require "densenet.core"
local nn = require "densenet.nn"
local sortedNames = require "densenet.sorted_names"

local Logger = nn.class("optim.Logger")

--- @param path the file, which is written anew; nothing is written without one
function Logger:__init(path)
  if path == nil then return end
  local file, message = io.open(argument.string(1, "optim.Logger", path, "path"), "w")
  if not file then argument.raise("optim.Logger: %s", message) end
  self.file = file
end

local function write(self, words)
  if not self.file then return end
  self.file:write(table.concat(words, "\t"), "\n")
  self.file:flush()
end

--- The names of the columns.
function Logger:setNames(names)
  self.names = argument.table(1, "setNames", names, "names")
  write(self, names)
  return self
end

--- A row: a list in the order of the names, or a table by names, which are then the columns' names, sorted.
function Logger:add(row)
  argument.table(1, "add", row, "row")
  if #row == 0 then
    if not self.names then self:setNames(sortedNames(row)) end
    local list = {}
    for i, name in ipairs(self.names) do
      list[i] = row[name] or argument.raise("optim.Logger: no '%s' in a row", name)
    end
    row = list
  end
  local words = {}
  for i, value in ipairs(row) do words[i] = core.format(type(value) == "number" and "%.6g" or "%s", value) end
  write(self, words)
  return self
end

function Logger:style() return self end

function Logger.plot() argument.raise("optim.Logger draws nothing; plot the file that it writes") end

return Logger
