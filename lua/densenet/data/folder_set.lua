--- A data set whose images are files in a folder of folders, read when they are asked for. Its index
-- (densenet.data.folder_index) is three tensors, which all threads of a loader share: none of them holds a
-- string for each file.
--
-- Fields, read only: those of an ImageSet (densenet.data.againset) but images and labels, height and width
-- being what the recipe cuts out; imageSize, scaleSize, filter, which say the recipe (densenet.data.preprocess).
--
-- `get` gives nil, message, code for an image that cannot be read; with badImages = "skip" the next good one of its
-- class instead, so that every other image keeps its place.
local core = require "densenet.core"
local image = require "densenet.image"
local random = require "densenet.random"
require "densenet.tensor"

local FolderSet = {}
FolderSet.__index = FolderSet
FolderSet.__name = "densenet.FolderSet"
FolderSet.isComplete = true -- data.open has nothing to add
FolderSet.hasOwnClasses = true -- a network for it tells its classes apart and no more

local MIXING = 1 -- names the order in which parts of a set are chosen

--- Makes a set of an index.
-- @param index of densenet.data.folder_index
-- @param fields name, split, classes (of the labels), labelOf (label of each class of the index), channels,
-- imageSize, scaleSize, filter, family, badImages ("error" or "skip"), fastDecode, mean, std, directory
function FolderSet.new(index, fields)
  local self = setmetatable({}, FolderSet)
  for name, value in pairs(fields) do self[name] = value end
  self.root, self.names, self.offsets, self.bounds, self.notes = index.root, index.names, index.offsets, index.bounds,
    index.notes
  self.nClasses, self.height, self.width = #self.classes, self.imageSize, self.imageSize
  self.whole = self.offsets:nElement()
  return self:shared()
end

-- The set as threads of a loader open it: plain values and tensors.
function FolderSet:shared()
  local argument = {}
  for _, field in ipairs { "root", "names", "offsets", "bounds", "chosen", "labelOf", "channels", "badImages", "whole",
    "name", "fastDecode" } do
    argument[field] = self[field]
  end
  self.worker = { module = "densenet.data.folder_worker", argument = argument }
  return self
end

--- How many images.
function FolderSet:size() return self.chosen and self.chosen:nElement() or self.whole end

-- The place in the index, from 1, of image i.
local function placeOf(self, i)
  if math.type(i) ~= "integer" or i < 1 or i > self:size() then
    error(("%s: expected an image from 1 to %d, got %s"):format(self.name, self:size(), tostring(i)), 3)
  end
  return self.chosen and self.chosen:at(i) or i
end

-- The class of the index that an image of a place is of, by halving.
local function classOf(self, place)
  local low, high = 1, self.bounds:nElement() - 1
  while low < high do
    local middle = (low + high) // 2
    if place <= self.bounds:at(middle + 1) then high = middle else low = middle + 1 end
  end
  return low
end

local function pathOf(self, place) return self.root .. "/" .. core.text_at(self.names, self.offsets:at(place)) end

--- The file of image i.
function FolderSet:path(i) return pathOf(self, placeOf(self, i)) end

--- The label of image i, from 1.
function FolderSet:label(i) return self.labelOf[classOf(self, placeOf(self, i))] end

-- What `read` makes of the file of a place; or nil, message, code: as image.load tells it, which knows kinds of files.
local function tryWith(self, place, read)
  local path = pathOf(self, place)
  local found, message, code = read(path)
  if found then return found end
  if code == "format" then
    local again, why = image.load(path, { channels = self.channels })
    if not again then message = why end
  end
  return nil, message, code
end

-- The next image of a class that can be read, the bad ones before it noted; or nil, message, code.
local function replacement(self, place, class, bad, read)
  local first, last = self.bounds:at(class) + 1, self.bounds:at(class + 1)
  for step = 1, last - first do
    local other = first + (place - first + step) % (last - first + 1)
    local found, message = tryWith(self, other, read)
    if found then return found end
    bad[#bad + 1] = message
  end
  return nil, ("%s: no image of its class can be read, so that none can take its place"):format(pathOf(self, place)),
    "format"
end

--- What a function makes of the file of one image, and its label.
-- @param i from 1 to size(); raises outside
-- @param read function(path) → what it made, true at least; or nil, message, code for a file that is bad
-- @return what it made; the label from 1; nil or a list of messages, which name the files in whose place the image
-- stands; or nil, message, code
function FolderSet:readWith(i, read)
  local place = placeOf(self, i)
  local class = classOf(self, place)
  local found, message, code = tryWith(self, place, read)
  local bad
  if not found and self.badImages == "skip" then
    bad = { message }
    found, message, code = replacement(self, place, class, bad, read)
  end
  if not found then return nil, message, code end
  return found, self.labelOf[class], bad
end

--- One image and its label.
-- @param i from 1 to size(); raises outside
-- @return { input = byte tensor C,H,W, target = label from 1, bad = a list of messages or nil }; or nil, message, code:
-- as readWith tells
function FolderSet:get(i)
  local found, label, bad = self:readWith(i, function(path) return image.load(path, { channels = self.channels }) end)
  if not found then return nil, label, bad end
  return { input = found, target = label, bad = bad }
end

--- The label of every image, a long vector.
function FolderSet:labelVector()
  local labels = core.tensor_new("cpu", "long", { self.whole })
  for class, label in ipairs(self.labelOf) do
    local first, n = self.bounds:at(class), self.bounds:at(class + 1) - self.bounds:at(class)
    if n > 0 then core.fill(labels:narrow(1, first + 1, n), label) end
  end
  if not self.chosen then return labels end
  local some = core.tensor_new("cpu", "long", { self.chosen:nElement() })
  core.index_select(some, labels, self.chosen)
  return some
end

--- What tells the files of one listing from those of another: how many, and the number and the sum of the bytes of
-- their names. A list of whole numbers.
function FolderSet:signature()
  return { self.whole, self.names:nElement(), self.names:nElement() > 0 and self.names:sum() or 0 }
end

--- A part of the set: `n` images after the first `offset` of an order that is mixed, and always the same. The first
-- images of a folder would be those of its first class.
function FolderSet:subset(offset, n)
  local count = self:size()
  local mixed = core.tensor_new("cpu", "long", { count })
  core.random_permutation(mixed, random.generator(MIXING, count):reserve(count))
  local chosen = mixed:narrow(1, offset + 1, n):contiguous():sort()
  if self.chosen then
    local places = core.tensor_new("cpu", "long", { n })
    core.index_select(places, self.chosen, chosen)
    chosen = places
  end
  local part = setmetatable({}, FolderSet)
  for name, value in pairs(self) do part[name] = value end
  part.chosen = chosen
  return part:shared()
end

--- One line for people: how many images, and where from.
function FolderSet:describe()
  local n = self:size()
  local some = n == self.whole and "" or (" of its %d"):format(self.whole)
  return ("%s %s: %d images%s in %d classes, %dx%dx%d as they are cut, from %s"):format(self.name, self.split, n, some,
    self.nClasses, self.channels, self.height, self.width, self.root)
end

return FolderSet
