--- What a test got wrong (-testOnly true -confusion DIR): the confusion matrix, and the images whose own class was
-- given the least probability.
--
--   DIR/confusion.tsv           a row per true class, a column per class told: how many images
--   DIR/mistakes/mistakes.tsv   truth, told, their probabilities, the image's number in the test set, its file
--   DIR/mistakes/1.png ...      the images, worst first; left out where this build writes no PNG
--
-- Probabilities are the softmax of the network's outputs, in double.
local classifier = require "densenet.models.classifier"
local core = require "densenet.core"
local ConfusionMatrix = require "densenet.optim.confusion_matrix"
local image = require "densenet.image"
local tsv = require "densenet.train.tsv"

local Mistakes = {}
Mistakes.__index = Mistakes

local mostImages = 48

--- @param set the data set that is tested, in order
function Mistakes.new(set)
  return setmetatable({ set = set, matrix = ConfusionMatrix(set.classes), worst = {}, nSeen = 0 }, Mistakes)
end

-- Keeps the worst, in order; of equal ones the first stays first.
local function keep(worst, one)
  local at = #worst + 1
  while at > 1 and worst[at - 1].truthProbability > one.truthProbability do at = at - 1 end
  if at > mostImages then return end
  table.insert(worst, at, one)
  worst[mostImages + 1] = nil
end

--- Adds a batch, the batches in the order of the set.
-- @param output N,C
-- @param target N labels
function Mistakes:add(output, target)
  local rows, labels = output:type("double"):to("cpu"):totable(), target:to("cpu"):totable()
  for i, row in ipairs(rows) do
    local told = 1
    for class, x in ipairs(row) do
      if x > row[told] then told = class end
    end
    self.matrix:add(told, labels[i])
    if told ~= labels[i] then
      local probabilities = classifier.probabilities(row)
      keep(self.worst, { number = self.nSeen + i, truth = labels[i], told = told,
        truthProbability = probabilities[labels[i]], toldProbability = probabilities[told] })
    end
  end
  self.nSeen = self.nSeen + #rows
end

-- Writes the images, and puts their files' names into the list.
local function writeImages(self, directory)
  for i, one in ipairs(self.worst) do
    local pixels = self.set:get(one.number).input
    local name = i .. ".png"
    local saved, message, code
    if core.is_tensor(pixels) and pixels:dtype() == "byte" then
      saved, message, code = image.save(directory .. "/" .. name, pixels)
    end
    if saved then one.file = name elseif code and code ~= "unsupported" then return nil, message, code end
  end
  return true
end

local function mistakesTable(self)
  local lines = { "truth\ttold\ttruth_probability\ttold_probability\timage\tfile" }
  for i, one in ipairs(self.worst) do
    lines[i + 1] = core.format("%s\t%s\t%.6g\t%.6g\t%d\t%s", tsv.cell(self.set.classes[one.truth]),
      tsv.cell(self.set.classes[one.told]), one.truthProbability, one.toldProbability, one.number, one.file or "")
  end
  return table.concat(lines, "\n") .. "\n"
end

--- Writes what was seen.
-- @param directory made where it is missing
-- @return true; or nil, message, code
function Mistakes:write(directory)
  local pictures = directory .. "/mistakes"
  local confusion = tsv.confusion(self.matrix.mat:totable(), self.set.classes)
  local done, message, code = core.directory_make(pictures)
  if done then done, message, code = core.file_write(directory .. "/confusion.tsv", confusion, {}) end
  if done then done, message, code = writeImages(self, pictures) end
  if done then done, message, code = core.file_write(pictures .. "/mistakes.tsv", mistakesTable(self), {}) end
  if not done then return nil, message, code end
  return true
end

return Mistakes
