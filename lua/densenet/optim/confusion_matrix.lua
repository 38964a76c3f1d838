--- How often each class was taken for each other one, as Torch's optim.ConfusionMatrix: row t, column p counts the
-- samples of class t for which p was predicted.
--
--    local confusion = optim.ConfusionMatrix { "cat", "dog" }
--    confusion:batchAdd(output, target)
--    confusion:updateValids()
--    print(confusion, confusion.totalValid)
--
-- Fields: mat, a long tensor of classes by classes; after updateValids valids (the share of each row on the
-- diagonal, NaN for a class without samples), unionvalids (the diagonal over row and column together), and their
-- means over the classes that have samples, averageValid and averageUnionValid; totalValid, the share of samples
-- on the diagonal. All are shares of 1; those of nothing are NaN.
-- @classmod densenet.optim.ConfusionMatrix

local argument = require "densenet.argument"
local core = require "densenet.core"
local class = require "densenet.nn.class"

local ConfusionMatrix = class("optim.ConfusionMatrix")

local NAN = 0 / 0

--- @param nclasses how many classes, or the list of their names
-- @tparam[opt] table classes their names
function ConfusionMatrix:__init(nclasses, classes)
  if type(nclasses) == "table" then
    nclasses, classes = #nclasses, nclasses
  end
  self.nclasses = argument.integer(1, "optim.ConfusionMatrix", nclasses, 1, "classes")
  if classes ~= nil then argument.table(2, "optim.ConfusionMatrix", classes, "names") end
  self.classes = {}
  for i = 1, self.nclasses do
    local name = classes and classes[i]
    self.classes[i] = tostring(name == nil and i or name)
  end
  self.mat = core.tensor_new("cpu", "long", { self.nclasses, self.nclasses })
  self:zero()
end

--- Forgets all samples.
function ConfusionMatrix:zero()
  core.fill(self.mat, 0)
  self.valids, self.unionvalids = {}, {}
  for i = 1, self.nclasses do self.valids[i], self.unionvalids[i] = NAN, NAN end
  self.averageValid, self.averageUnionValid, self.totalValid = NAN, NAN, NAN
  return self
end

local function checkLabel(self, label, what)
  local whole = math.tointeger(label)
  if not whole or whole < 1 or whole > self.nclasses then
    argument.raise("%s of optim.ConfusionMatrix is %s; a class from 1 to %d expected", what, tostring(label),
      self.nclasses)
  end
  return whole
end

-- The list of labels that a tensor of labels, or of rows of scores, stands for.
local function labelsOf(self, value, what)
  if type(value) == "table" then return value end
  if not core.is_tensor(value) then
    argument.raise("a tensor or a list expected as %s of optim.ConfusionMatrix, got %s", what,
      argument.describe(value))
  end
  if value:dim() == 2 and value:size(2) == self.nclasses and value:size(1) > 0 then
    return value:argmax(2):view(value:size(1)):totable()
  elseif value:dim() == 1 or value:dim() == 2 and value:size(2) == 1 then
    return value:contiguous():view(value:nElement()):totable()
  end
  argument.raise("labels N, or scores N,%d, expected as %s of optim.ConfusionMatrix, got %s", self.nclasses, what,
    argument.describe(value))
end

--- Adds samples.
-- @param predictions scores N,classes, or labels (a tensor N, or a list)
-- @param targets likewise
function ConfusionMatrix:batchAdd(predictions, targets)
  local given, right = labelsOf(self, predictions, "predictions"), labelsOf(self, targets, "targets")
  if #given ~= #right then
    argument.raise("%d predictions and %d targets of optim.ConfusionMatrix", #given, #right)
  end
  local counts, n = {}, self.nclasses
  for i = 1, #given do
    local place = (checkLabel(self, right[i], "a target") - 1) * n + checkLabel(self, given[i], "a prediction")
    counts[place] = (counts[place] or 0) + 1
  end
  local flat = self.mat:view(n * n)
  for place, count in pairs(counts) do flat:put(flat:at(place) + count, place) end
  return self
end

-- A label as it is, or the position of the largest score of a vector.
local function labelOf(self, value, what)
  if core.is_tensor(value) and value:dim() == 1 and value:size(1) == self.nclasses then
    return value:argmax(1):item()
  end
  return type(value) == "number" and value or argument.raise("a class, or scores of %d, expected as %s of "
    .. "optim.ConfusionMatrix, got %s", self.nclasses, what, argument.describe(value))
end

--- Adds one sample.
-- @param prediction a label, or a vector of scores
-- @param target likewise
function ConfusionMatrix:add(prediction, target)
  return self:batchAdd({ labelOf(self, prediction, "prediction") }, { labelOf(self, target, "target") })
end

-- The mean of a list's entries that are numbers; NaN where there are none.
local function meanOf(list)
  local sum, n = 0, 0
  for _, value in ipairs(list) do
    if value == value then sum, n = sum + value, n + 1 end
  end
  return n > 0 and sum / n or NAN
end

--- Computes the shares from the counts.
function ConfusionMatrix:updateValids()
  local rows, columns, right, total = {}, {}, 0, 0
  local counts = self.mat:totable()
  for t = 1, self.nclasses do
    for p = 1, self.nclasses do
      rows[t], columns[p] = (rows[t] or 0) + counts[t][p], (columns[p] or 0) + counts[t][p]
    end
  end
  for t = 1, self.nclasses do
    local onDiagonal = counts[t][t]
    local union = rows[t] + columns[t] - onDiagonal
    self.valids[t] = rows[t] > 0 and onDiagonal / rows[t] or NAN
    self.unionvalids[t] = union > 0 and onDiagonal / union or NAN
    right, total = right + onDiagonal, total + rows[t]
  end
  self.averageValid, self.averageUnionValid = meanOf(self.valids), meanOf(self.unionvalids)
  self.totalValid = total > 0 and right / total or NAN
  return self
end

local function percent(share) return share == share and core.format("%.3f%%", 100 * share) or "none" end

--- The counts, a line a class with its share, and the shares of all.
function ConfusionMatrix:__tostring__()
  self:updateValids()
  local counts, width = self.mat:totable(), 1
  for t = 1, self.nclasses do
    for p = 1, self.nclasses do width = math.max(width, #tostring(counts[t][p])) end
  end
  local lines = { "ConfusionMatrix:" }
  for t = 1, self.nclasses do
    local cells = {}
    for p = 1, self.nclasses do cells[p] = ("%" .. width .. "d"):format(counts[t][p]) end
    lines[#lines + 1] = ("[%s]  %9s  %s"):format(table.concat(cells, " "), percent(self.valids[t]), self.classes[t])
  end
  lines[#lines + 1] = " + average row correct: " .. percent(self.averageValid)
  lines[#lines + 1] = " + average rowUcol correct (VOC measure): " .. percent(self.averageUnionValid)
  lines[#lines + 1] = " + global correct: " .. percent(self.totalValid)
  return table.concat(lines, "\n")
end

--- Torch's name of tostring.
function ConfusionMatrix:tostring() return self:__tostring__() end

return ConfusionMatrix
