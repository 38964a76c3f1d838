--- One of densenet.data.transforms.
-- @module densenet.data.transforms.random_erasing

--- RandomErasing([probability = 0.5]): sometimes a rectangle of the image becomes 0, which after ColorNormalize is the
-- mean colour.
-- Its area is 2 to 33 % of the image's, its height : width 0.3 to 3.3, even in the logarithm; a rectangle that is as
-- high or as wide as the image is drawn again, ten times at most, and then nothing is erased.
-- Source: Zhong et al. 2017 (arXiv:1708.04896), in the form of torchvision's RandomErasing.
-- @function RandomErasing
-- @param probability of an erasure

local core = require "densenet.core"
local transform = require "densenet.data.transforms.transform"

local TRIES = 10
local SMALLEST_AREA, LARGEST_AREA = 0.02, 0.33
local FLATTEST, TALLEST = math.log(0.3), math.log(3.3)

-- height, width, top, left of a rectangle inside the image, or nothing.
local function draw(rng, imageHeight, imageWidth)
  local area = imageHeight * imageWidth * rng:uniform(SMALLEST_AREA, LARGEST_AREA)
  local aspect = math.exp(rng:uniform(FLATTEST, TALLEST))
  local height = math.floor(math.sqrt(area * aspect) + 0.5)
  local width = math.floor(math.sqrt(area / aspect) + 0.5)
  if height < 1 or width < 1 or height >= imageHeight or width >= imageWidth then return nil end
  return height, width, rng:integer(imageHeight - height + 1) - 1, rng:integer(imageWidth - width + 1) - 1
end

return transform.define("RandomErasing", function(self, probability)
  if probability ~= nil then transform.checkNumber(self.name, "the probability", probability, 0, 1) end
  self.probability = probability or 0.5
end, function(self, image, rng)
  if rng:uniform(0, 1) >= self.probability then return image end
  for _ = 1, TRIES do
    local height, width, top, left = draw(rng, image:size(2), image:size(3))
    if height then
      local out = transform.newImage(image, table.unpack(image:size()))
      core.copy(out, image)
      core.fill(out:narrow(2, top + 1, height):narrow(3, left + 1, width), 0)
      return out
    end
  end
  return image
end)
