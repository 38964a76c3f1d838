--- Data sets by name: data.open("fashion-mnist", {split = "train"}); your own by their modules'
-- names (densenet.data.definitions).
--
-- A data set answers size(), get(i) → {input = byte tensor C,H,W, target = label from 1} and
-- describe(), and has the fields of densenet.data.image_set. What turns one into batches is here
-- too, read when first asked for: data.transforms, data.preprocess, data.recipe, data.Loader.
local argument = require "densenet.argument"
local core = require "densenet.core"
local Collection = require "densenet.data.collection"
local definitions = require "densenet.data.definitions"

local folder = require "densenet.data.folder"

local data = { names = definitions.names, find = definitions.find, about = definitions.about,
  epochs = definitions.epochs, folder = folder.open }

local OPTIONS = { split = true, directory = true, size = true, offset = true, mean = true, std = true }

local function isCount(value, least)
  return math.type(value) == "integer" and value >= least
end

-- What is wrong with the options, or nil.
local function complaint(definition, name, options)
  for key in pairs(options) do
    if not OPTIONS[key] and not (definition.options and definition.options[key]) then
      return ("unknown option %s of the data set %s"):format(tostring(key), tostring(name))
    end
  end
  local splits = definition.splits
  local isSplit = options.split == "train" or options.split == "test" or splits and options.split == "val"
  if not isSplit then
    return ("split: expected train or test, got %s"):format(tostring(options.split))
  end
  if options.size ~= nil and not isCount(options.size, 1) then
    return ("size: expected a whole number from 1, got %s"):format(core.format("%s", options.size))
  end
  if options.offset ~= nil and not isCount(options.offset, 0) then
    return ("offset: expected a whole number from 0, got %s"):format(core.format("%s", options.offset))
  end
end

--- Opens a data set, or the first images of it.
-- @param name one of data.names(), or a module's that defines a set (densenet.data.definitions)
-- @param options table (optional):
--   split      "train" (the default) or "test"
--   directory  where the files are; by default what FASHION_MNIST_DIR (MNIST_DIR, CIFAR10_DIR,
--              CIFAR100_DIR) says, else where Debian's package puts them
--   size       how many images: the FIRST `size` after `offset`, in the order of the files;
--              all by default
--   offset     how many to pass over, 0 by default
--   mean, std  tables by channel, 0–255, for sets whose figures are computed (the MNISTs): spares
--              the test split reading the training images for them
--   others     what a set takes besides: `extra` (true) of svhn; of imagenet, where directory has to be given, split
--              may also be "val", and imageSize, scaleSize, filter, channels, badImages, index and report are as
--              data.folder has them
-- @return an ImageSet, a FolderSet for imagenet, or a Collection where the set is not in memory; or nil, message (file,
-- expected, got), code: "argument", "io" or "format"
function data.open(name, options)
  if options ~= nil then argument.table(2, "data.open", options, "options") end
  local chosen = { split = "train" }
  for key, value in pairs(options or {}) do chosen[key] = value end
  local definition, message, code = definitions.settled(name, chosen)
  if not definition then return nil, message, code end
  local wrong = complaint(definition, name, chosen)
  if wrong then return nil, wrong, "argument" end
  local set
  set, message, code = definition.open(definition, chosen)
  if not set then return nil, message, code end
  local isComplete = type(set) == "table" and set.isComplete
  if not isComplete then
    set, message, code = definitions.completed(definition, set, name, chosen)
    if not set then return nil, message, code end
  end
  if not set.images and not isComplete then set = Collection.new(set, name, chosen) end
  if not chosen.size and not chosen.offset then return set end
  local offset = chosen.offset or 0
  local size = chosen.size or set:size() - offset
  if offset >= set:size() or size > set:size() - offset then
    return nil, ("%s %s: expected at most %d images, got %d after the first %d"):format(
      name, chosen.split, set:size(), math.max(size, 0), offset), "argument"
  end
  return set:subset(offset, size)
end

local PARTS = {
  transforms = "densenet.data.transforms",
  preprocess = "densenet.data.preprocess",
  recipe = "densenet.data.recipe",
  Loader = "densenet.data.loader",
}

return argument.closed(data, "dn.data", function(name) return PARTS[name] and require(PARTS[name]) end, PARTS)
