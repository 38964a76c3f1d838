--- Fashion-MNIST and MNIST: the same four IDX files with different pictures in them.
local ImageSet = require "densenet.data.image_set"
local idx = require "densenet.data.idx"
local location = require "densenet.data.location"

local mnist = {}

local FILES = {
  train = { images = "train-images-idx3-ubyte", labels = "train-labels-idx1-ubyte" },
  test = { images = "t10k-images-idx3-ubyte", labels = "t10k-labels-idx1-ubyte" },
}

mnist.FASHION = {
  name = "fashion-mnist",
  family = "cifar",
  epochs = 100,
  variable = "FASHION_MNIST_DIR",
  directory = "/usr/share/datasets/fashion-mnist",
  remedy = "install it (apt install dataset-fashion-mnist) or name its directory (-data, or FASHION_MNIST_DIR)",
  classes = {
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
  },
  count = { train = 60000, test = 10000 },
  channels = 1,
  height = 28,
  width = 28,
}

mnist.DIGITS = {
  name = "mnist",
  family = "mnist", -- a mirrored digit is none
  epochs = 100,
  variable = "MNIST_DIR",
  remedy = "name the directory with the four IDX files, packed or not (-data, or MNIST_DIR)",
  classes = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" },
  count = { train = 60000, test = 10000 },
  channels = 1,
  height = 28,
  width = 28,
}

-- A file of the set, packed or not, under its own name or with a dot for its last dash but one, as some
-- archives have it: the path, or nil, message, code.
local function find(definition, directory, base)
  local path, dotted = directory .. "/" .. base, directory .. "/" .. base:gsub("%-idx", ".idx")
  return location.firstOf(definition, { path, path .. ".gz", dotted, dotted .. ".gz" })
end

-- Images of one split as N,1,H,W, and their file.
local function loadImages(definition, directory, split)
  local path, message, code = find(definition, directory, FILES[split].images)
  if not path then return nil, message, code end
  local count = definition.count[split]
  local function check(sizes)
    local n, height, width = table.unpack(sizes)
    if n ~= count or height ~= definition.height or width ~= definition.width then
      return ("expected %d images of %dx%d for %s, got %d of %dx%d"):format(
        count, definition.height, definition.width, split, n, height, width)
    end
  end
  local images
  images, message, code = idx.load(path, 3, check)
  if not images then return nil, message, code end
  return images:view(count, 1, definition.height, definition.width), path
end

local function loadLabels(definition, directory, split, nImages, imagesPath)
  local path, message, code = find(definition, directory, FILES[split].labels)
  if not path then return nil, message, code end
  local function check(sizes)
    if sizes[1] ~= nImages then
      return ("expected %d labels, as many as images in %s, got %d"):format(nImages, imagesPath, sizes[1])
    end
  end
  local bytes
  bytes, message, code = idx.load(path, 1, check)
  if not bytes then return nil, message, code end
  return ImageSet.labelsFromBytes(bytes, #definition.classes, path)
end

-- Mean and std come from the training images whichever split is opened; for the test split they
-- are read only if the caller has no figures of his own, from a checkpoint say.
local function statistics(definition, directory, options, images)
  if options.mean and options.std then return options.mean, options.std end
  if options.split == "train" then return ImageSet.statistics(images) end
  local training, message, code = loadImages(definition, directory, "train")
  if not training then return nil, message, code end
  local mean, std = ImageSet.statistics(training)
  training:free()
  return mean, std
end

--- Opens a data set of this family.
-- @param definition mnist.FASHION, mnist.DIGITS or a table like them
-- @param options split ("train" or "test"); directory, mean, std (optional)
-- @return an ImageSet; or nil, message, code
function mnist.open(definition, options)
  local directory, message, code = location.directory(definition, options.directory)
  if not directory then return nil, message, code end
  local images, path, labels, mean, std
  images, path, code = loadImages(definition, directory, options.split)
  if not images then return nil, path, code end
  labels, message, code = loadLabels(definition, directory, options.split, images:size(1), path)
  if not labels then return nil, message, code end
  mean, std, code = statistics(definition, directory, options, images)
  if not mean then return nil, std, code end
  return ImageSet.new({
    name = definition.name, split = options.split, images = images, labels = labels,
    classes = definition.classes, mean = mean, std = std, directory = directory,
  })
end

mnist.FASHION.open, mnist.DIGITS.open = mnist.open, mnist.open

return mnist
