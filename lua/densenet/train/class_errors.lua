--- Errors of each class in a test: which share of a class's images was taken for another one. Their log is a table
-- like the run's, a row per epoch and a column per class; a class without images has an empty field.
local ClassErrors = {}
ClassErrors.__index = ClassErrors

--- @param classes names by label
function ClassErrors.new(classes)
  local self = setmetatable({ classes = classes, count = {}, wrong = {} }, ClassErrors)
  for class = 1, #classes do self.count[class], self.wrong[class] = 0, 0 end
  return self
end

--- Adds a batch.
-- @param output N,C: a number per class, the largest is the guess
-- @param target N labels
function ClassErrors:add(output, target)
  local _, guesses = output:topk(1, true)
  guesses = guesses:totable()
  for i, label in ipairs(target:totable()) do
    self.count[label] = self.count[label] + 1
    if guesses[i][1] ~= label then self.wrong[label] = self.wrong[label] + 1 end
  end
end

--- Percent of a class's images; nil where there were none.
function ClassErrors:error(class)
  local n = self.count[class]
  return n > 0 and 100 * self.wrong[class] / n or nil
end

--- Names of the log's columns: the classes', without what would break a table, and no name twice.
function ClassErrors.columns(classes)
  local columns, isTaken = {}, { epoch = true }
  for class, name in ipairs(classes) do
    local column = tostring(name):gsub("[\t\r\n]", " ")
    while isTaken[column] do column = ("%s (%d)"):format(column, class) end
    columns[class], isTaken[column] = column, true
  end
  return columns
end

--- The row of the log, errors by column.
function ClassErrors:row()
  local row = {}
  for class, column in ipairs(ClassErrors.columns(self.classes)) do row[column] = self:error(class) end
  return row
end

--- Prints a line per class.
-- @param console densenet.train.console
function ClassErrors:print(console)
  for class, name in ipairs(self.classes) do
    local percent = self:error(class)
    if percent then
      console:print(" |  %7.3f  %s (of %d images)", percent, name, self.count[class])
    else
      console:print(" |        -  %s (no images)", name)
    end
  end
end

return ClassErrors
