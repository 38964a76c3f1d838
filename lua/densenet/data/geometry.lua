-- Where images are cut and how large they become, the same for transforms, recipes and the one call in C.
local geometry = {}

--- Height and width when the smaller edge becomes `size` pixels, the other in proportion, rounded down.
function geometry.scaled(size, height, width)
  if width < height then return height * size // width, size end
  return size, width * size // height
end

--- The first of `part` pixels, from 0, in the middle of `whole`.
-- @param whole pixels
-- @param part pixels, at most `whole`
-- @param rounding where the middle lies between two pixels: "up", fb.resnet.torch's, or "even", torchvision's,
-- which is half to even
function geometry.middle(whole, part, rounding)
  local rest = whole - part
  local half = rest // 2
  if rest % 2 == 0 or rounding == "even" and half % 2 == 0 then return half end
  return half + 1
end

return geometry
