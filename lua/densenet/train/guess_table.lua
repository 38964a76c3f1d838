--- Guesses about pictures as they are printed, in text, TSV or JSON, and counted where the pictures' classes are known.
local core = require "densenet.core"
local json = require "densenet.io.json"
local tsv = require "densenet.train.tsv"

local cell = tsv.cell

local GuessTable = {}
GuessTable.__index = GuessTable

local TOP = 5

--- @param files list of { path =, target = number of the true class, or nil }
-- @param classes names by number
-- @param values options: topK, format ("text", "tsv" or "json"), output and confusion (paths, or nil)
function GuessTable.new(files, classes, values)
  local self = setmetatable({ isSingle = #files == 1, classes = classes, values = values, out = {}, nBad = 0,
    count = 0, wrong1 = 0, wrong5 = 0, confusion = {}, images = {} }, GuessTable)
  if values.format == "tsv" then self:write("file\trank\tprobability\tclass\tlabel") end
  return self
end

-- A line, now or into -output in the end.
function GuessTable:write(line)
  if self.values.output then
    self.out[#self.out + 1] = line
  else
    io.stdout:write(line, "\n")
  end
end

local writers = {}

function writers.text(self, file, result)
  if result.error then return self:write(cell(result.error)) end
  if not self.isSingle then self:write(cell(file.path)) end
  for rank = 1, math.min(self.values.topK, #result) do
    self:write(("%s\t%s"):format(core.format("%.6f", result[rank].probability), cell(result[rank].class)))
  end
end

function writers.tsv(self, file, result)
  if result.error then return self:write(("%s\terror\t\t\t%s"):format(cell(file.path), cell(result.error))) end
  for rank = 1, math.min(self.values.topK, #result) do
    local guess = result[rank]
    self:write(("%s\t%d\t%s\t%d\t%s"):format(cell(file.path), rank, core.format("%.9g", guess.probability), guess.index,
      cell(guess.class)))
  end
end

function writers.json(self, file, result)
  local entry = { file = file.path, error = result.error }
  if not result.error then
    entry.guesses = json.array(table.move(result, 1, math.min(self.values.topK, #result), 1, {}))
    entry.target = file.target and self.classes[file.target]
  end
  self.images[#self.images + 1] = entry
end

-- Is the target among the first guesses?
local function isAmong(result, target, n)
  for rank = 1, math.min(n, #result) do
    if result[rank].index == target then return true end
  end
  return false
end

local function count(self, target, result)
  self.count = self.count + 1
  if not isAmong(result, target, 1) then self.wrong1 = self.wrong1 + 1 end
  if not isAmong(result, target, TOP) then self.wrong5 = self.wrong5 + 1 end
  local row = self.confusion[target] or {}
  self.confusion[target] = row
  row[result[1].index] = (row[result[1].index] or 0) + 1
end

--- Adds a picture.
-- @param file one of the list
-- @param result guesses, five or more where there are as many classes; or { error = }
-- @return true
function GuessTable:add(file, result)
  if result.error then self.nBad = self.nBad + 1
  elseif file.target then count(self, file.target, result) end
  writers[self.values.format](self, file, result)
  return true
end

-- Error rates in percent, of the pictures whose class is known; or nil.
local function errors(self)
  if self.count == 0 then return nil end
  return { top1 = 100 * self.wrong1 / self.count, top5 = 100 * self.wrong5 / self.count, count = self.count }
end

--- Ends the output: error rates, and the files that were asked for.
-- @return true; or nil, message, code
function GuessTable:finish()
  local rates, values = errors(self), self.values
  if values.format == "json" then
    self:write(json.encode({ images = json.array(self.images), errors = rates, bad = self.nBad }))
  elseif rates then
    local line = core.format("error rates of %d pictures: top1 %.3f %%, top5 %.3f %%", rates.count, rates.top1,
      rates.top5)
    if values.format == "text" and not values.output then self:write(line) else io.stderr:write(line, "\n") end
  end
  local done, message, code = true, nil, nil
  if values.output then
    done, message, code = core.file_write(values.output, table.concat(self.out, "\n") .. "\n", {})
  end
  if done and values.confusion then
    done, message, code = core.file_write(values.confusion, tsv.confusion(self.confusion, self.classes), {})
  end
  return done, message, code
end

return GuessTable
