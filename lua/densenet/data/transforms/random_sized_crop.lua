--- One of densenet.data.transforms.
-- @module densenet.data.transforms.random_sized_crop

--- RandomSizedCrop(size [, filter = "bicubic" [, smallestArea = 0.08]]): a rectangle of random area and proportions,
-- resized to size x size. The area is smallestArea (8 %) to 100 % of the image's, width : height is 3:4 to 4:3, either
-- way round. After ten rectangles that do not fit the image it is Scale(size), CenterCrop(size).
-- This is the paper's definition. fb.resnet.torch's code squares the proportions by mistake, and torchvision
-- draws their logarithm; no effect on accuracy is known.
-- Source: Szegedy et al. 2015 (arXiv:1409.4842).
-- @function RandomSizedCrop
-- @param size pixels
-- @param filter as Scale's
-- @param smallestArea share of the image, above 0 and at most 1

local core = require "densenet.core"
local crop = require "densenet.data.transforms.crop"
local scale = require "densenet.data.transforms.scale"
local transform = require "densenet.data.transforms.transform"

local TRIES = 10
local SMALLEST_AREA, LARGEST_AREA = 0.08, 1
local NARROWEST, WIDEST = 3 / 4, 4 / 3

-- height, width, top, left of a rectangle inside the image, or nothing.
local function draw(rng, smallestArea, imageHeight, imageWidth)
  local area = imageHeight * imageWidth * rng:uniform(smallestArea, LARGEST_AREA)
  local aspect = rng:uniform(NARROWEST, WIDEST)
  local width = math.floor(math.sqrt(area * aspect) + 0.5)
  local height = math.floor(math.sqrt(area / aspect) + 0.5)
  if rng:uniform(0, 1) < 0.5 then width, height = height, width end
  if height < 1 or width < 1 or height > imageHeight or width > imageWidth then return nil end
  local top = rng:integer(imageHeight - height + 1) - 1
  local left = rng:integer(imageWidth - width + 1) - 1
  return height, width, top, left
end

return transform.define("RandomSizedCrop", function(self, size, filter, smallestArea)
  transform.checkInteger(self.name, "size", size, 1)
  if smallestArea ~= nil then
    transform.checkNumber(self.name, "the smallest area", smallestArea, 0, 1)
    transform.check(smallestArea > 0, self.name, "the smallest area must be above 0")
  end
  self.smallestArea = smallestArea or SMALLEST_AREA
  self.size, self.filter = size, scale.checkFilter(self.name, filter)
  self.scale, self.crop = scale.Scale(size, self.filter), crop.CenterCrop(size)
end, function(self, image, rng, dtype)
  local channels = image:size(1)
  for _ = 1, TRIES do
    local height, width, top, left = draw(rng, self.smallestArea, image:size(2), image:size(3))
    if height then
      local part = transform.newImage(image, channels, height, width)
      core.image_crop(part, image, top, left)
      local real = self.filter == "torch" and image:dtype() == "byte" and (dtype or "float") or nil
      local out = transform.newImage(image, channels, self.size, self.size, real)
      core.image_resize(out, part, self.filter)
      return out
    end
  end
  return self.crop(self.scale(image, rng, dtype))
end, true)
