--- Brightness, Contrast, Saturation(range): blend an image with a dull version of itself.
-- out = a image + (1 - a) dull with a drawn from 1 - range to 1 + range. The dull version is black,
-- an even grey of the image's mean luminance, or the luminance of each pixel.

local core = require "densenet.core"
local compose = require "densenet.data.transforms.compose"
local transform = require "densenet.data.transforms.transform"

local LUMINANCE = { 0.299, 0.587, 0.114 } -- of R, G, B; ITU-R BT.601

local function prepare(self, range)
  transform.checkNumber(self.name, "the range", range, 0, math.huge)
  self.range = range
end

-- 1,H,W from the three channels.
local function luminance(image)
  local out = transform.newImage(image, 1, image:size(2), image:size(3))
  core.binary_scalar(out, image:narrow(1, 1, 1), LUMINANCE[1], "mul")
  core.add_scaled(out, out, image:narrow(1, 2, 1), LUMINANCE[2])
  core.add_scaled(out, out, image:narrow(1, 3, 1), LUMINANCE[3])
  return out
end

-- `dull` repeats where it has size 1; black when nil.
local function blend(image, dull, weight)
  local out = transform.newImage(image, table.unpack(image:size()))
  core.binary_scalar(out, image, weight, "mul")
  if dull then core.add_scaled(out, out, dull, 1 - weight) end
  return out
end

local function draw(self, rng)
  return 1 + rng:uniform(-self.range, self.range)
end

--- Brightness(range): towards black or away from it.
local Brightness = transform.define("Brightness", prepare, function(self, image, rng)
  return blend(image, nil, draw(self, rng))
end)

--- Contrast(range): towards the mean luminance; the mean of all channels when they are not three.
local Contrast = transform.define("Contrast", prepare, function(self, image, rng)
  local mean = transform.newImage(image, 1, 1, 1)
  core.reduce(mean, image:size(1) == 3 and luminance(image) or image, "mean", 0)
  return blend(image, mean, draw(self, rng))
end)

--- Saturation(range): towards grey; three channels only.
local Saturation = transform.define("Saturation", prepare, function(self, image, rng)
  if image:size(1) ~= 3 then
    error(("Saturation: needs the three channels R, G, B, the image has %d"):format(image:size(1)),
      0)
  end
  return blend(image, luminance(image), draw(self, rng))
end)

--- ColorJitter{brightness=, contrast=, saturation=}: those given, each with its range, in random
-- order.
local ColorJitter = transform.define("ColorJitter", function(self, ranges)
  transform.check(type(ranges) == "table", self.name,
    "takes a table {brightness=, contrast=, saturation=}")
  local known = { brightness = Brightness, contrast = Contrast, saturation = Saturation }
  for key in pairs(ranges) do
    transform.check(known[key], self.name, "knows no %s", tostring(key))
  end
  local steps = {}
  for _, key in ipairs { "brightness", "contrast", "saturation" } do
    local range = ranges[key]
    if range and range ~= 0 then steps[#steps + 1] = known[key](range) end
  end
  self.order = compose.RandomOrder(steps)
end, function(self, image, rng, dtype) return self.order(image, rng, dtype) end)

return {
  Brightness = Brightness,
  Contrast = Contrast,
  Saturation = Saturation,
  ColorJitter = ColorJitter,
}
