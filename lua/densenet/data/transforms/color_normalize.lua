--- One of densenet.data.transforms.
-- @module densenet.data.transforms.color_normalize

--- ColorNormalize{mean=, std=}: (image - mean) / std, a number a channel in each list.
-- The numbers are on the scale of the image's values: 0 to 255 for the data sets here.
-- @function ColorNormalize
-- @param statistics { mean =, std = }

local core = require "densenet.core"
local transform = require "densenet.data.transforms.transform"

local function prepare(self, statistics)
  transform.check(type(statistics) == "table", self.name, "takes a table {mean=, std=}")
  transform.checkNumbers(self.name, "mean", statistics.mean)
  transform.checkNumbers(self.name, "std", statistics.std, #statistics.mean)
  for _, deviation in ipairs(statistics.std) do
    transform.check(deviation > 0, self.name, "std must be above 0, not %g", deviation)
  end
  self.mean = { table.unpack(statistics.mean) }
  self.std = { table.unpack(statistics.std) }
end

return transform.define("ColorNormalize", prepare, function(self, image, _, dtype)
  local real = image:dtype() == "byte" and (dtype or "float") or nil
  local channels, height, width = table.unpack(image:size())
  local out = transform.newImage(image, channels, height, width, real)
  core.image_normalize(out, image, self.mean, self.std)
  return out
end, true)
