--- One of densenet.data.transforms.
-- @module densenet.data.transforms.lighting

--- Lighting(deviation [, eigenvalues, eigenvectors]): AlexNet's shift of the colour of a whole image
-- along the principal axes of the data set's colours, by normal numbers of that deviation.
-- The default axes are ImageNet's for values from 0 to 1; for values from 0 to 255 give the
-- eigenvalues times 255. eigenvectors[c][k]: channel c (R, G, B) of axis k.
-- Source: Krizhevsky, Sutskever, Hinton 2012, section 4.1; numbers as in fb.resnet.torch.
-- @function Lighting
-- @param deviation of the shift
-- @param eigenvalues three numbers
-- @param eigenvectors three lists of three numbers

local core = require "densenet.core"
local transform = require "densenet.data.transforms.transform"

local EIGENVALUES = { 0.2175, 0.0188, 0.0045 }
local EIGENVECTORS = {
  { -0.5675, 0.7192, 0.4009 },
  { -0.5808, -0.0045, -0.8140 },
  { -0.5836, -0.6948, 0.4203 },
}

return transform.define("Lighting", function(self, deviation, eigenvalues, eigenvectors)
  transform.checkNumber(self.name, "the deviation", deviation, 0, math.huge)
  self.deviation = deviation
  self.eigenvalues = eigenvalues or EIGENVALUES
  self.eigenvectors = eigenvectors or EIGENVECTORS
  transform.checkNumbers(self.name, "eigenvalues", self.eigenvalues, 3)
  transform.check(type(self.eigenvectors) == "table" and #self.eigenvectors == 3, self.name,
    "eigenvectors must be three lists of three numbers")
  for _, row in ipairs(self.eigenvectors) do
    transform.checkNumbers(self.name, "a row of the eigenvectors", row, 3)
  end
end, function(self, image, rng)
  if image:size(1) ~= 3 then
    error(("Lighting: needs the three channels R, G, B, the image has %d"):format(image:size(1)), 0)
  end
  if self.deviation == 0 then return image end
  local along = {}
  for k = 1, 3 do along[k] = rng:normal(0, self.deviation) * self.eigenvalues[k] end
  local out = transform.newImage(image, table.unpack(image:size()))
  for c, row in ipairs(self.eigenvectors) do
    local shift = row[1] * along[1] + row[2] * along[2] + row[3] * along[3]
    core.binary_scalar(out:select(1, c), image:select(1, c), shift, "add")
  end
  return out
end)
