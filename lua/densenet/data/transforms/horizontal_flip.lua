--- One of densenet.data.transforms.
-- @module densenet.data.transforms.horizontal_flip

--- HorizontalFlip([probability = 0.5]): mirrors left and right, sometimes.
-- @function HorizontalFlip
-- @param probability of a flip

local core = require "densenet.core"
local transform = require "densenet.data.transforms.transform"

return transform.define("HorizontalFlip", function(self, probability)
  if probability ~= nil then
    transform.checkNumber(self.name, "the probability", probability, 0, 1)
  end
  self.probability = probability or 0.5
end, function(self, image, rng)
  if rng:uniform(0, 1) >= self.probability then return image end
  local out = transform.newImage(image, table.unpack(image:size()))
  core.image_flip(out, image)
  return out
end, true)
