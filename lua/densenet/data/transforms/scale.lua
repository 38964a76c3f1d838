--- Resizing with the proportions kept: the smaller edge gets the size asked for.

local core = require "densenet.core"
local transform = require "densenet.data.transforms.transform"

local function scale(image, size, filter)
  local channels, height, width = table.unpack(image:size())
  if math.min(height, width) == size then return image end
  local newHeight, newWidth = size, size
  if width < height then
    newHeight = height * size // width
  else
    newWidth = width * size // height
  end
  local out = transform.newImage(image, channels, newHeight, newWidth)
  core.image_resize(out, image, filter)
  return out
end

--- Scale(size [, filter = "bicubic"]): the smaller edge becomes `size` pixels.
local Scale = transform.define("Scale", function(self, size, filter)
  transform.checkInteger(self.name, "size", size, 1)
  transform.check(filter == nil or filter == "bicubic" or filter == "bilinear", self.name,
    "the filter must be bicubic or bilinear, not %s", tostring(filter))
  self.size, self.filter = size, filter or "bicubic"
end, function(self, image) return scale(image, self.size, self.filter) end)

--- RandomScale(smallest, largest): the smaller edge becomes a random number of pixels, both ends
-- included; bicubic.
local RandomScale = transform.define("RandomScale", function(self, smallest, largest)
  transform.checkInteger(self.name, "the smallest size", smallest, 1)
  transform.checkInteger(self.name, "the largest size", largest, smallest)
  self.smallest, self.largest = smallest, largest
end, function(self, image, rng)
  return scale(image, self.smallest - 1 + rng:integer(self.largest - self.smallest + 1), "bicubic")
end)

return { Scale = Scale, RandomScale = RandomScale }
