--- One of densenet.data.transforms.
-- @module densenet.data.transforms.rotation

--- Rotation(degrees): turns about the middle by a random angle of at most half of `degrees` to
-- either side; bilinear, zeros outside.
-- @function Rotation
-- @param degrees the whole range

local core = require "densenet.core"
local transform = require "densenet.data.transforms.transform"

return transform.define("Rotation", function(self, degrees)
  transform.checkNumber(self.name, "the range in degrees", degrees, 0, 360)
  self.range = math.rad(degrees)
end, function(self, image, rng)
  if self.range == 0 then return image end
  local out = transform.newImage(image, table.unpack(image:size()))
  core.image_rotate(out, image, rng:uniform(-self.range / 2, self.range / 2))
  return out
end)
