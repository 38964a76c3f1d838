--- Names for pictures: outputs of a network as probabilities, the largest first.
-- @module densenet.models.classifier

local argument = require "densenet.argument"
local classNames = require "densenet.models.class_names"
local evaluating = require "densenet.models.evaluating"
local pictures = require "densenet.models.pictures"

local classifier = {}

local CROPS = 10

--- The names of a network's classes.
-- @raise where it has none, or too few
function classifier.classesOf(model)
  if not model.classes then
    argument.raise("%s does not say what its %d classes are called: classes = a list of their names, or a text file "
      .. "with one a line", model.file or "the model", model.config.nClasses)
  end
  local list, wrong = classNames.checked(model.classes, model.config.nClasses, "model.classes")
  if not list then argument.raise("%s", wrong) end
  return list
end

--- The soft maximum of a list of numbers, in double precision.
function classifier.probabilities(scores)
  local largest, sum, list = -math.huge, 0.0, {}
  for _, score in ipairs(scores) do largest = math.max(largest, score) end
  for i, score in ipairs(scores) do
    list[i] = math.exp(score - largest)
    sum = sum + list[i]
  end
  for i = 1, #list do list[i] = list[i] / sum end
  return list
end

-- The topK likeliest classes of a row of outputs; equal ones in the order of their numbers.
local function guesses(scores, names, topK)
  local probabilities, order = classifier.probabilities(scores), {}
  for i = 1, #scores do order[i] = i end
  table.sort(order, function(a, b)
    if scores[a] ~= scores[b] then return scores[a] > scores[b] end
    return a < b
  end)
  local list = {}
  for rank = 1, math.min(topK, #order) do
    local i = order[rank]
    list[rank] = { class = names[i], probability = probabilities[i], index = i }
  end
  return list
end

-- Is every number of a row one that can be compared?
local function isFinite(scores)
  for _, score in ipairs(scores) do
    if score - score ~= 0 then return false end
  end
  return true
end

-- The mean outputs of `nCrops` rows each: a list of rows, in double precision.
local function scoresOf(output, nCrops)
  local rows, list = output:to("cpu"):type("double"), {}
  local nRows, nClasses = rows:size(1), rows:size(2)
  if nCrops > 1 then rows = rows:view(nRows // nCrops, nCrops, nClasses):mean(2):view(nRows // nCrops, nClasses) end
  for i, row in ipairs(rows:totable()) do list[i] = row end
  return list
end

--- See methods.classify.
-- @param model the network
-- @tparam table list of pictures
-- @tparam table options topK, tenCrop, batchSize
-- @treturn table list of results
function classifier.classify(model, list, options)
  local names, prepare = classifier.classesOf(model), pictures.preparer(model, options.tenCrop)
  local nCrops, results = options.tenCrop and CROPS or 1, {}
  local most = math.max(1, options.batchSize // nCrops)
  local inputs, places = {}, {}
  local function compute()
    if #inputs == 0 then return end
    local scores = scoresOf(model:forward(pictures.batch(model, inputs)), nCrops)
    for i, place in ipairs(places) do
      results[place] = isFinite(scores[i]) and guesses(scores[i], names, options.topK)
        or { error = "the network's outputs are not all finite numbers", code = "diverged" }
    end
    inputs, places = {}, {}
  end
  evaluating(model, function()
    for i, picture in ipairs(list) do
      local input, message, code = prepare(picture)
      if input then
        if inputs[1] and table.concat(inputs[1]:size(), "x") ~= table.concat(input:size(), "x") then compute() end
        inputs[#inputs + 1], places[#places + 1] = input, i
      else
        results[i] = { error = message, code = code }
      end
      if #inputs == most then compute() end
    end
    compute()
  end)
  return results
end

return classifier
