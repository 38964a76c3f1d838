--- The loss of a training, with the weights of classes and the smoothing of labels that options ask for, and that of
-- its tests, which is the plain one: losses of different trainings can then be compared.
local core = require "densenet.core"
local labelsOf = require "densenet.data.labels"
local nn = require "densenet.nn"

-- Images of each class in the training set; or nil and a sentence.
local function countsOf(set, nClasses)
  local labels = labelsOf(set)
  if not labels then
    return nil, ("-classWeights auto: the data set %s does not say its labels beforehand; give numbers or a file")
      :format(set.name)
  end
  local counts = {}
  for class = 1, nClasses do counts[class] = 0 end
  for _, label in ipairs(labels:totable()) do counts[label] = counts[label] + 1 end
  return counts
end

-- Weights with which classes count alike: images / (classes × images of the class); 0 for a class without images.
local function balanced(counts)
  local images, classes, weights = 0, 0, {}
  for _, n in ipairs(counts) do images, classes = images + n, classes + (n > 0 and 1 or 0) end
  for class, n in ipairs(counts) do weights[class] = n > 0 and images / (classes * n) or 0.0 end
  return weights
end

local function fromList(text)
  local weights = {}
  for word in text:gmatch("[^,]+") do weights[#weights + 1] = core.number(word) or false end
  return weights
end

-- Weights in a file, by their place or by the class's name; or nil and a sentence.
local function fromFile(path, classes)
  local text, message = core.file_read(path)
  if not text then return nil, "-classWeights: " .. message end
  local placeOf, weights, n = {}, {}, 0
  for place, name in ipairs(classes) do placeOf[name] = place end
  for line in text:gmatch("[^\r\n]+") do
    n = n + 1
    local name, number = line:match("^(.*)\t([^\t]*)$")
    local place, weight = name and placeOf[name] or not name and n or nil, core.number(number or line)
    if not place then return nil, ("%s: line %d: '%s' is no class of the data set"):format(path, n, name) end
    if not weight then return nil, ("%s: line %d: expected a number, got '%s'"):format(path, n, number or line) end
    if weights[place] then return nil, ("%s: line %d: class %s has a weight already"):format(path, n, name) end
    weights[place] = weight
  end
  for place, name in ipairs(classes) do
    if not weights[place] then return nil, ("%s: no weight for class %s"):format(path, name) end
  end
  return weights
end

-- What is wrong with a list of weights, or nil.
local function complaint(weights, nClasses)
  if #weights ~= nClasses then return ("expected %d numbers, one for each class, got %d"):format(nClasses, #weights) end
  local sum = 0
  for _, weight in ipairs(weights) do
    if not weight or not (weight >= 0 and weight < math.huge) then return "expected numbers of at least 0" end
    sum = sum + weight
  end
  if sum == 0 then return "expected a number above 0 among them" end
end

-- Weights by class; or nil and a sentence.
local function weightsOf(text, set, nClasses)
  if text == "auto" then
    local counts, message = countsOf(set, nClasses)
    if not counts then return nil, message end
    return balanced(counts)
  end
  local isList = text:find("^[%d.eE+,-]+$") and text:find(",", 1, true)
  local weights, message
  if isList then weights = fromList(text) else weights, message = fromFile(text, set.classes) end
  if not weights then return nil, message end
  local wrong = complaint(weights, nClasses)
  if wrong then return nil, ("-classWeights %s: %s"):format(text, wrong) end
  return weights
end

--- Makes both.
-- @param values options: classWeights, labelSmoothing
-- @param sets the run's, as sources.open gives them
-- @param model the network
-- @return the criterion of training and that of tests; or nil, message, "usage"
return function(values, sets, model)
  local test = nn.CrossEntropyCriterion()
  if not sets.train or not values.classWeights and values.labelSmoothing == 0 then return test, test end
  local weights
  if values.classWeights then
    local list, message = weightsOf(values.classWeights, sets.train, model.config.nClasses)
    if not list then return nil, message, "usage" end
    local dtype = model.config.precision == "double" and "double" or "float"
    weights = core.tensor_from("cpu", dtype, list)
  end
  return nn.CrossEntropyCriterion(weights, true, values.labelSmoothing):to(model._device), test
end
