--- A data set that lies in memory: all images in one byte tensor, all labels in one long tensor. An
-- image is then a view, a batch an index, and a part of the set two views.
--
-- Fields (read only):
--   name, split        "cifar10", "train" or "test"
--   images             byte, N,C,H,W
--   labels             long, N, from 1
--   classes, nClasses  names by label, and how many
--   channels, height, width
--   mean, std          of each channel over the training set, on the scale of the bytes, 0–255
--   directory          where it was read from
local core = require "densenet.core"
require "densenet.tensor" -- images and labels have Torch's methods

local ImageSet = {}
ImageSet.__index = ImageSet
ImageSet.__name = "densenet.ImageSet"

--- Makes a data set of tensors.
-- @param fields images, labels, classes, name, split, mean, std, directory, as above; the rest
-- follows from them
function ImageSet.new(fields)
  local set = setmetatable({}, ImageSet)
  for name, value in pairs(fields) do set[name] = value end
  set.nClasses = #set.classes
  local _, channels, height, width = table.unpack(set.images:size())
  set.channels, set.height, set.width = channels, height, width
  set.first, set.whole = 1, set.images:size(1)
  return set
end

--- How many images.
function ImageSet:size()
  return self.images:size(1)
end

--- One image and its label.
-- @param i from 1 to size(); raises outside
-- @return {input = byte tensor C,H,W (a view: leave it as it is), target = label from 1}
function ImageSet:get(i)
  return { input = self.images:select(1, i), target = self.labels:at(i) }
end

--- A part of the set, sharing its memory: `n` images, in the order of the files, after the first
-- `offset`. The statistics stay those of the whole training set.
function ImageSet:subset(offset, n)
  local part = setmetatable({}, ImageSet)
  for name, value in pairs(self) do part[name] = value end
  part.images = self.images:narrow(1, offset + 1, n)
  part.labels = self.labels:narrow(1, offset + 1, n)
  part.first = self.first + offset
  return part
end

--- One line for people: how many images of what size, and where from.
function ImageSet:describe()
  local n = self:size()
  local part = n == self.whole and "" or (" (%d to %d of %d)"):format(self.first, self.first + n - 1, self.whole)
  return ("%s %s: %d images%s of %dx%dx%d in %d classes, from %s"):format(
    self.name, self.split, n, part, self.channels, self.height, self.width, self.nClasses, self.directory)
end

--- Labels as files have them (bytes from 0) become labels as Lua has them (long, from 1).
-- @param bytes byte vector, any stride
-- @param nClasses labels 0 to nClasses-1 are right
-- @param path the file, for the message
-- @return a long vector; or nil, message, "format"
function ImageSet.labelsFromBytes(bytes, nClasses, path)
  local n = bytes:size(1)
  local largest = core.tensor_new("cpu", "byte", { 1 })
  local where = core.tensor_new("cpu", "long", { 1 })
  core.arg_reduce(largest, where, bytes, 1, true)
  if largest:item() >= nClasses then
    return nil, ("%s: label of image %d: expected 0 to %d, got %d"):format(
      path, where:item(), nClasses - 1, largest:item()), "format"
  end
  local labels = core.tensor_new("cpu", "long", { n })
  core.copy(labels, bytes)
  core.binary_scalar(labels, labels, 1, "add")
  return labels
end

--- Mean and standard deviation (of the population) of each channel, from exact sums.
-- @param images byte N,C,H,W with at least one pixel
-- @return two tables of C numbers
function ImageSet.statistics(images)
  local sums, squares = core.image_moments(images)
  local count = images:nElement() // images:size(2)
  local mean, std = {}, {}
  for c, sum in ipairs(sums) do
    mean[c] = sum / count
    std[c] = math.sqrt(math.max(0, squares[c] / count - mean[c] ^ 2)) -- rounding may pass below 0
  end
  return mean, std
end

return ImageSet
