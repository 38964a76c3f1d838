--- The table of a training run: tab-separated values, a header and one row per epoch.
--
-- A row is written by replacing the whole file, after dropping rows of the same or later epochs.
-- So a run that was killed between its row and its checkpoint, and trains the epoch again, leaves
-- one row for it; and a run never loses a row, because the row is on the disk before the
-- checkpoint that says the epoch is done. What was not measured is an empty field.
local core = require "densenet.core"
local tsv = require "densenet.train.tsv"

local Log = {}
Log.__index = Log

local function header(columns) return "epoch\t" .. table.concat(columns, "\t") end

-- Where each of the columns stands in a log with this header, or nil when it is not ours: it may lack
-- columns that were added since.
local function placesOf(firstLine, columns)
  local names, place = tsv.split(firstLine), {}
  for i, name in ipairs(names) do place[name] = i end
  local nKnown = place.epoch == 1 and 1 or 0
  for _, column in ipairs(columns) do nKnown = nKnown + (place[column] and 1 or 0) end
  return nKnown > 1 and nKnown == #names and place or nil
end

-- The rows in `text` as { epoch, line }; nil when the text is no such log.
local function rowsOf(text, columns)
  local lines = {}
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
  if not lines[1] then return {} end
  local place, rows = placesOf(lines[1], columns), {}
  if not place then return nil end
  for i = 2, #lines do
    local cells = tsv.split(lines[i])
    local epoch = (cells[1] or ""):find("^%d+$") and math.tointeger(tonumber(cells[1]))
    if not epoch then return nil end
    local row = { cells[1] }
    for c, column in ipairs(columns) do row[c + 1] = cells[place[column]] or "" end
    rows[#rows + 1] = { epoch = epoch, line = table.concat(row, "\t") }
  end
  return rows
end

local function write(self)
  local lines = { header(self.columns) }
  for _, row in ipairs(self.rows) do lines[#lines + 1] = row.line end
  return core.file_write(self.path, table.concat(lines, "\n") .. "\n", {})
end

local function dropFrom(self, epoch)
  local kept = {}
  for _, row in ipairs(self.rows) do
    if row.epoch < epoch then kept[#kept + 1] = row end
  end
  self.rows = kept
end

--- Does a file hold rows of this program's log?
function Log.hasRows(path, columns)
  local text = core.file_exists(path) and core.file_read(path)
  local rows = text and rowsOf(text, columns)
  return rows ~= nil and rows ~= false and #rows > 0
end

--- Opens the log and writes it, so that a place that cannot be written is known at once.
-- @param path file; a file that is not such a log is refused, not overwritten. It may lack some of the
-- columns. A symbolic link of one's own is followed, so a log may lie on another disk; another user's
-- link, a device or a pipe is refused
-- @param columns names after "epoch"
-- @param nextEpoch rows of this and later epochs are dropped (1: a new run)
-- @return log, or nil, message, code
function Log.open(path, columns, nextEpoch)
  local target, refusal, refusalCode = core.file_target(path)
  if not target then return nil, refusal, refusalCode end
  local self = setmetatable({ path = target, columns = columns, rows = {} }, Log)
  if core.file_exists(target) then
    local text, message, code = core.file_read(target)
    if not text then return nil, message, code end
    local rows = rowsOf(text, columns)
    if not rows then
      return nil, ("%s exists and is not a log of this program: expected the header '%s'"):format(path,
        (header(columns):gsub("\t", " "))), "format"
    end
    self.rows = rows
    dropFrom(self, nextEpoch)
  end
  local written, message, code = write(self)
  if not written then return nil, message, code end
  return self
end

-- %.10g, not %.17g: for reading; the checkpoint is what a run continues from.
local function cell(value)
  if value == nil then return "" end
  if value ~= value then return "nan" end -- without the sign that some C libraries print
  if math.type(value) == "integer" then return tostring(value) end
  return (core.format("%.10g", value))
end

--- Adds the row of an epoch.
-- @param epoch its number
-- @param values numbers by column
-- @return true, or nil, message, code
function Log:add(epoch, values)
  dropFrom(self, epoch)
  local cells = { tostring(epoch) }
  for i, column in ipairs(self.columns) do cells[i + 1] = cell(values[column]) end
  self.rows[#self.rows + 1] = { epoch = epoch, line = table.concat(cells, "\t") }
  return write(self)
end

return Log
