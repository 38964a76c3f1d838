--- Where a run's images come from: its training, validation and test sets, opened, and a loader for
-- each. Only training is shuffled and augmented. The validation images are the last of the training
-- images, always the same ones.
local data = require "densenet.data"
local Loader = require "densenet.data.loader"
local preprocess = require "densenet.data.preprocess"

local sources = {}

local function count(n) return n > 0 and n or nil end

local function open(values, split, size, statistics)
  return data.open(values.dataset, {
    split = split, directory = values.data, size = count(size), mean = statistics and statistics.mean,
    std = statistics and statistics.std,
  })
end

local function loader(values, set, split, comm)
  local isTraining = split == "train"
  return Loader {
    set = set, batchSize = values.batchSize, nThreads = values.nThreads, seed = values.manualSeed,
    shuffle = isTraining, transform = preprocess(set, split),
    precision = values.precision == "double" and "double" or "float",
    pinFor = values.device ~= "cpu" and values.device or nil, shard = comm,
  }
end

--- Opens the sets that a run needs.
-- @param values options: dataset, data, trainSize, valSize, testSize, testOnly, batchSize, …
-- @param about what the file that is tested says of itself, or nil: its mean and std then count
-- @param comm (optional) densenet.dist.Comm of ranks that share every batch
-- @return sets and loaders, two tables with train, validation (both absent with testOnly;
-- validation also without -valSize) and test; or nil, message, code
function sources.open(values, about, comm)
  local sets, message, code = {}
  if values.testOnly then
    sets.test, message, code = open(values, "test", values.testSize, about)
    if not sets.test then return nil, message, code end
    -- Also where the set has figures of its own: the network knows images as it was shown them.
    sets.test.mean, sets.test.std = about and about.mean or sets.test.mean, about and about.std or sets.test.std
  else
    sets.train, message, code = open(values, "train", values.trainSize)
    if not sets.train then return nil, message, code end
    local n, heldOut = sets.train:size(), values.valSize
    if heldOut >= n then
      return nil, ("-valSize %d: expected fewer than the %d training images"):format(heldOut, n), "argument"
    end
    sets.test, message, code = open(values, "test", values.testSize, sets.train)
    if not sets.test then return nil, message, code end
    if heldOut > 0 then
      sets.validation = sets.train:subset(n - heldOut, heldOut)
      sets.train = sets.train:subset(0, n - heldOut)
    end
  end
  local loaders = {}
  for name, set in pairs(sets) do
    loaders[name] = loader(values, set, name == "train" and "train" or "test", comm)
  end
  return sets, loaders
end

--- A name and a sentence for people on each set: a list of { "train:", text }.
function sources.describe(sets)
  local lines = {}
  for _, name in ipairs { "train", "validation", "test" } do
    if sets[name] then lines[#lines + 1] = { name .. ":", sets[name]:describe() } end
  end
  return lines
end

return sources
