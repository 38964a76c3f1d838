--- Square cut-outs: from the middle, from anywhere, and the ten of ten-crop testing.

local core = require "densenet.core"
local geometry = require "densenet.data.geometry"
local transform = require "densenet.data.transforms.transform"

local function crop(image, size, top, left)
  local out = transform.newImage(image, image:size(1), size, size)
  core.image_crop(out, image, top, left)
  return out
end

-- Raises unless a square of `size` fits into the image with `padding` pixels on each side.
local function checkFits(name, size, padding, height, width)
  if height + 2 * padding < size or width + 2 * padding < size then
    error(("%s: a square of %d pixels does not fit an image of %dx%d%s"):format(name, size, height,
      width, padding > 0 and (" padded by %d"):format(padding) or ""), 0)
  end
end

local function centre(self, height, width)
  return geometry.middle(height, self.size, self.rounding), geometry.middle(width, self.size, self.rounding)
end

local ROUNDINGS = { up = true, even = true }

local function prepareCentre(self, size, options)
  transform.checkInteger(self.name, "size", size, 1)
  transform.check(options == nil or type(options) == "table", self.name, "takes a table of options behind the size")
  for key in pairs(options or {}) do
    transform.check(key == "rounding", self.name, "knows no option %s", tostring(key))
  end
  local rounding = options and options.rounding or "up"
  transform.check(ROUNDINGS[rounding], self.name, "the rounding must be up or even, not %s", tostring(rounding))
  self.size, self.rounding = size, rounding
end

--- CenterCrop(size [, { rounding = "up" }]): the square of size x size pixels in the middle. Where that lies
-- between two pixels it is rounded "up", as fb.resnet.torch does, or half to "even", as torchvision and timm do.
local CenterCrop = transform.define("CenterCrop", prepareCentre, function(self, image)
  local height, width = image:size(2), image:size(3)
  checkFits(self.name, self.size, 0, height, width)
  return crop(image, self.size, centre(self, height, width))
end, true)

--- RandomCrop(size [, padding = 0]): a square from anywhere in the image after `padding` zeros were
-- added on each side. After ColorNormalize zero is the mean colour.
local RandomCrop = transform.define("RandomCrop", function(self, size, padding)
  transform.checkInteger(self.name, "size", size, 1)
  if padding ~= nil then transform.checkInteger(self.name, "padding", padding, 0) end
  self.size, self.padding = size, padding or 0
end, function(self, image, rng)
  local size, padding = self.size, self.padding
  local height, width = image:size(2), image:size(3)
  checkFits(self.name, size, padding, height, width)
  local left = rng:integer(width + 2 * padding - size + 1) - 1 - padding
  local top = rng:integer(height + 2 * padding - size + 1) - 1 - padding
  return crop(image, size, top, left)
end, true)

--- TenCrop(size [, { rounding = "up" }]): 10,C,size,size: the middle, as CenterCrop finds it, and the corners
-- (top left, top right, bottom left, bottom right), then the same five of the mirrored image. Sum the outputs
-- over the ten.
local TenCrop = transform.define("TenCrop", prepareCentre, function(self, image)
  local size = self.size
  local channels, height, width = table.unpack(image:size())
  checkFits(self.name, size, 0, height, width)
  local top, left = centre(self, height, width)
  local places = {
    { top, left }, { 0, 0 }, { 0, width - size }, { height - size, 0 },
    { height - size, width - size },
  }
  local mirrored = transform.newImage(image, channels, height, width)
  core.image_flip(mirrored, image)
  local crops = core.tensor_new("cpu", image:dtype(), { 10, channels, size, size })
  for i, place in ipairs(places) do
    core.image_crop(crops:select(1, i), image, place[1], place[2])
    core.image_crop(crops:select(1, 5 + i), mirrored, place[1], place[2])
  end
  return crops
end, true)

return { CenterCrop = CenterCrop, RandomCrop = RandomCrop, TenCrop = TenCrop }
