--- Street View House Numbers: photographs of 32×32 pixels, one digit in the middle, in MATLAB's files
-- (src/dn_mat.h). With `extra` the training set has the 531,131 easier images of a third file as well,
-- after its own.
--
-- Source: Netzer et al. 2011, "Reading Digits in Natural Images with Unsupervised Feature Learning".
local core = require "densenet.core"
local ImageSet = require "densenet.data.image_set"
local location = require "densenet.data.location"

local svhn = {}

local FILES = { train = { "train_32x32.mat" }, test = { "test_32x32.mat" } }
local EXTRA = "extra_32x32.mat"

svhn.DIGITS = {
  name = "svhn",
  family = "plain", -- a mirrored digit is none, and the usual training varies nothing
  epochs = 40,
  channels = 3,
  height = 32,
  width = 32,
  options = { extra = true },
  variable = "SVHN_DIR",
  remedy = "name the directory with train_32x32.mat and test_32x32.mat (-data, or SVHN_DIR)",
  classes = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" },
  -- Values go from 0 to 1, as in the usual training.
  mean = { 0, 0, 0 },
  std = { 255, 255, 255 },
}

-- The files' images and labels, one after the other; or nil, message, code. Each file leaves room for those
-- before it, so that no image is held twice for longer than it takes to copy it.
local function loadFiles(paths)
  local images, labels
  for _, path in ipairs(paths) do
    local n = images and images:size(1) or 0
    local more, moreLabels, code = core.mat_read_digits(path, n)
    if not more then return nil, moreLabels, code end
    if images then
      core.copy(more:narrow(1, 1, n), images)
      images:free()
      local all = core.tensor_new("cpu", "long", { n + moreLabels:size(1) })
      core.copy(all:narrow(1, 1, n), labels)
      core.copy(all:narrow(1, n + 1, moreLabels:size(1)), moreLabels)
      moreLabels = all
    end
    images, labels = more, moreLabels
  end
  return images, labels
end

--- Opens it.
-- @param definition svhn.DIGITS or a table like it
-- @param options split ("train" or "test"); directory (optional); extra (optional) true: the training
-- images of both files
-- @return an ImageSet; or nil, message, code
function svhn.open(definition, options)
  local directory, message, code = location.directory(definition, options.directory)
  if not directory then return nil, message, code end
  local names = table.move(FILES[options.split], 1, 1, 1, {})
  if options.extra and options.split == "train" then names[2] = EXTRA end
  local paths = {}
  for i, name in ipairs(names) do
    paths[i], message, code = location.firstOf(definition, { directory .. "/" .. name })
    if not paths[i] then return nil, message, code end
  end
  local images, labels
  images, labels, code = loadFiles(paths)
  if not images then return nil, labels, code end
  return ImageSet.new {
    name = definition.name, split = options.split, images = images, labels = labels, classes = definition.classes,
    mean = definition.mean, std = definition.std, directory = directory,
  }
end

svhn.DIGITS.open = svhn.open

return svhn
