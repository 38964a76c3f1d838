--- Where a run's images come from: its training, validation and test sets, opened, and a loader for
-- each. Only training is shuffled and augmented. The validation images are the data set's own where it has both
-- val and test, else the last of the training images, always the same ones.
local data = require "densenet.data"
local dataOptions = require "densenet.train.data_options"
local Loader = require "densenet.data.loader"
local preprocess = require "densenet.data.preprocess"

local sources = {}

local CROPS = 10 -- of each image in a test with -tenCrop

local function count(n) return n > 0 and n or nil end

local function report(line)
  print(line)
  io.stdout:flush()
end

-- A split of the data set, or the first `size` images of it.
-- @param known what is known of the images from elsewhere: mean, std, classes; or nil
local function open(values, split, size, known)
  local chosen = dataOptions.of(values, { split = split, size = count(size), mean = known and known.mean,
    std = known and known.std })
  if dataOptions.hasOwnClasses(values) then chosen.classes, chosen.report = known and known.classes, report end
  return data.open(values.dataset, chosen)
end

local function loader(values, set, split)
  local isTraining = split == "train"
  local tenCrop = values.tenCrop and not isTraining
  return Loader {
    set = set, batchSize = tenCrop and math.max(1, values.batchSize // CROPS) or values.batchSize,
    nThreads = values.nThreads, seed = values.manualSeed, shuffle = isTraining,
    sampling = isTraining and values.sampling or nil,
    transform = preprocess(set, split, { tenCrop = tenCrop, randomErasing = values.randomErasing }),
    precision = values.precision == "double" and "double" or "float",
    pinFor = values.device ~= "cpu" and values.device or nil,
  }
end

-- What is tested and nothing else.
local function openTest(values, splits, about)
  local split = values.split or (splits.test or not splits.val) and "test" or "val"
  local test, message, code = open(values, split, values.testSize, about)
  if not test then return nil, message, code end
  -- Also where the set has figures of its own: the network knows images as it was shown them.
  test.mean, test.std = about and about.mean or test.mean, about and about.std or test.std
  return { test = test }
end

-- Images held out of the training set, in sets.validation, or in sets.test where there are no others.
local function holdOut(values, sets, name)
  local n, heldOut = sets.train:size(), values.valSize
  if heldOut >= n then
    return nil, ("-valSize %d: expected fewer than the %d training images"):format(heldOut, n), "argument"
  end
  sets[name] = sets.train:subset(n - heldOut, heldOut)
  sets.train = sets.train:subset(0, n - heldOut)
  return true
end

-- The sets of a training.
local function openAll(values, splits, about)
  local sets, message, code = {}
  if splits.val and splits.test and values.valSize > 0 then
    return nil, ("-valSize %d: %s has val, which chooses the best model"):format(values.valSize, values.data), "usage"
  end
  if not splits.val and not splits.test and values.valSize == 0 then
    return nil, ("%s: there is no val to test on: expected %s/val/<class>/<image>, or -valSize N, which holds N "
      .. "training images out"):format(values.data, values.data), "usage"
  end
  sets.train, message, code = open(values, "train", values.trainSize, about)
  if not sets.train then return nil, message, code end
  local test = splits.test and "test" or splits.val and "val"
  if test then
    sets.test, message, code = open(values, test, values.testSize, sets.train)
    if not sets.test then return nil, message, code end
  end
  if splits.val and splits.test then
    sets.validation, message, code = open(values, "val", 0, sets.train)
    if not sets.validation then return nil, message, code end
  end
  if values.valSize > 0 then
    local done
    done, message, code = holdOut(values, sets, test and "validation" or "test")
    if not done then return nil, message, code end
  end
  return sets
end

-- A recipe's mean and std on the scale of bytes.
local function figuresOf(recipe)
  local figures = { mean = {}, std = {} }
  for c = 1, #recipe.mean do
    for _, name in ipairs { "mean", "std" } do
      figures[name][c] = recipe.range == 255 and recipe[name][c] or 255 * recipe[name][c]
    end
  end
  return figures
end

--- Opens the sets that a run needs.
-- @param values options: dataset, data, trainSize, valSize, testSize, testOnly, batchSize, …
-- @param about what the file that is tested, resumed or retrained says of itself, or nil: in a test its mean and std
-- count, and in a run that goes on with a folder of images
-- @param recipe (optional) what the images of the network that a run starts from went through: a folder's are
-- normalised as it says
-- @return sets and loaders, two tables with train, validation (both absent with testOnly;
-- validation also without -valSize) and test; or nil, message, code
function sources.open(values, about, recipe)
  local isOwn = dataOptions.hasOwnClasses(values)
  local known = (values.testOnly or values.resume and isOwn) and about or isOwn and recipe and figuresOf(recipe) or nil
  local facts, message, code = data.about(values.dataset, dataOptions.of(values, {
    classes = isOwn and known and known.classes or nil }))
  if not facts then return nil, message, code end
  local sets
  sets, message, code = (values.testOnly and openTest or openAll)(values, facts.splits, known)
  if not sets then return nil, message, code end
  local loaders = {}
  for name, set in pairs(sets) do
    if isOwn and recipe then set.rounding = recipe.rounding end
    loaders[name] = loader(values, set, name == "train" and "train" or "test")
  end
  return sets, loaders
end

--- A name and a sentence for people on each set: a list of { "train:", text }.
function sources.describe(sets)
  local lines = {}
  for _, name in ipairs { "train", "validation", "test" } do
    local set = sets[name]
    if set then
      lines[#lines + 1] = { name .. ":", set:describe() }
      for _, note in ipairs(set.notes or {}) do lines[#lines + 1] = { "", note } end
    end
  end
  return lines
end

return sources
