--- What stands in the directory of a run, read for a report. Nothing is written, and a run at work is not disturbed.
-- @module densenet.report.run_directory

local checkpoint = require "densenet.train.checkpoint"
local core = require "densenet.core"
local safetensors = require "densenet.io.safetensors"
local tsv = require "densenet.train.tsv"

local runDirectory = {}

--- A table of tab-separated values with a header: a list of rows by column, numbers as numbers.
-- @param path file
-- @return rows, names of the columns in order; or nil, message, code
function runDirectory.table(path)
  local text, message, code = core.file_read(path)
  if not text then return nil, message, code end
  local names, rows = nil, {}
  for line in text:gmatch "[^\n]+" do
    local cells = tsv.split(line)
    if not names then
      names = cells
    else
      local row = {}
      for i, name in ipairs(names) do
        local cell = cells[i]
        row[name] = cell and cell ~= "" and (cell == "nan" and 0 / 0 or tonumber(cell) or cell) or nil
      end
      rows[#rows + 1] = row
    end
  end
  if not names then return nil, path .. ": an empty file, a header expected", "format" end
  return rows, names
end

-- Hours from the run's start to each epoch's end.
local function addHours(rows)
  local seconds = 0.0
  for _, row in ipairs(rows) do
    seconds = seconds + (row.train_seconds or 0) + (row.test_seconds or 0)
    row.hours = seconds / 3600
    row.step_seconds = row.train_batches and row.train_seconds and row.train_seconds / row.train_batches
  end
end

-- Options that decide the result and those that do not, as they are now.
local function optionsOf(saved)
  local options = {}
  for _, part in ipairs { saved.state.options, saved.settings } do
    for name, value in pairs(part) do options[name] = value end
  end
  options.precision = saved.state.precision
  for _, change in ipairs(saved.pending) do options[change.option] = change.to end
  options.seconds, options.device, options.events = nil, saved.settings.device, nil
  return options
end

local function logPath(saved)
  local own = saved.settings.log
  return own or saved.directory .. "/log.tsv"
end

--- Reads a run.
-- @param path its directory (or what else checkpoint.load takes)
-- @return { name=, directory=, state=, options=, rows= of its log, tensors= of its best model (of its last, where no
-- epoch is done) }; or nil, message, code
function runDirectory.read(path)
  local saved, message, code = checkpoint.load(path)
  if not saved then return nil, message, code end
  local rows
  rows, message, code = runDirectory.table(logPath(saved))
  if not rows then return nil, message, code end
  if message[1] ~= "epoch" then
    return nil, ("%s is not the log of a run: expected a header that begins with 'epoch'"):format(logPath(saved)),
      "format"
  end
  addHours(rows)
  local best = saved.directory .. "/model_best.safetensors"
  return { name = saved.directory:gsub("^%./", ""), directory = saved.directory, state = saved.state,
    options = optionsOf(saved), rows = rows, changes = saved.state.changes or {},
    tensors = core.file_exists(best) and safetensors.load(best) or saved.model }
end

return runDirectory
