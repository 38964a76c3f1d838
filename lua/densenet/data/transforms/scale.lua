--- Resizing with the proportions kept: the smaller edge gets the size asked for.

local core = require "densenet.core"
local geometry = require "densenet.data.geometry"
local transform = require "densenet.data.transforms.transform"

local function scale(image, size, filter, dtype)
  local channels, height, width = table.unpack(image:size())
  if math.min(height, width) == size then return image end
  local newHeight, newWidth = geometry.scaled(size, height, width)
  -- Torch7 knew float images only: its filter neither rounds nor clips.
  local real = filter == "torch" and image:dtype() == "byte" and (dtype or "float") or nil
  local out = transform.newImage(image, channels, newHeight, newWidth, real)
  core.image_resize(out, image, filter)
  return out
end

local FILTERS = { bicubic = true, bilinear = true, torch = true }

-- The filter, bicubic when left out.
local function checkFilter(name, filter)
  transform.check(filter == nil or FILTERS[filter], name, "the filter must be bicubic, bilinear or torch, not %s",
    tostring(filter))
  return filter or "bicubic"
end

--- Scale(size [, filter = "bicubic"]): the smaller edge becomes `size` pixels. The filter is "bicubic" or
-- "bilinear", PIL's, whose numbers byte images get exactly, or "torch", Torch7's bicubic, which makes bytes float.
local Scale = transform.define("Scale", function(self, size, filter)
  transform.checkInteger(self.name, "size", size, 1)
  self.size, self.filter = size, checkFilter(self.name, filter)
end, function(self, image, _, dtype) return scale(image, self.size, self.filter, dtype) end, true)

--- RandomScale(smallest, largest): the smaller edge becomes a random number of pixels, both ends
-- included; bicubic.
local RandomScale = transform.define("RandomScale", function(self, smallest, largest)
  transform.checkInteger(self.name, "the smallest size", smallest, 1)
  transform.checkInteger(self.name, "the largest size", largest, smallest)
  self.smallest, self.largest = smallest, largest
end, function(self, image, rng)
  return scale(image, self.smallest - 1 + rng:integer(self.largest - self.smallest + 1), "bicubic")
end, true)

return { Scale = Scale, RandomScale = RandomScale, checkFilter = checkFilter }
