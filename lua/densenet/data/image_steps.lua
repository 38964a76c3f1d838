-- The usual chains of transforms for photographs, done by one call of C for an image: RandomSizedCrop, or Scale and
-- CenterCrop; then Brightness, Contrast, Saturation, ColorJitter, Lighting, ColorNormalize and HorizontalFlip in any
-- order; and RandomErasing at the end. It draws the same numbers as the chain does, and a spec compares the two: to the
-- bit where colours are only normalised, and else to the rounding of floats.
local core = require "densenet.core"
local transform = require "densenet.data.transforms.transform"
local transforms = require "densenet.data.transforms"

local function is(step, name) return transform.is(step, transforms[name]) end

-- The steps of a chain, those of chains in it among them.
local function flattened(chain, list)
  if is(chain, "Compose") then
    for _, step in ipairs(chain.steps) do flattened(step, list) end
  else
    list[#list + 1] = chain
  end
  return list
end

-- Descriptions, by the transform's name, of what changes colours and sides.
local describe = {}

for _, name in ipairs { "Brightness", "Contrast", "Saturation" } do
  describe[name] = function(step) return { kind = name:lower(), range = step.range } end
end

function describe.ColorJitter(step)
  local ranges = step.arguments[1]
  return { kind = "jitter", brightness = ranges.brightness or 0, contrast = ranges.contrast or 0,
    saturation = ranges.saturation or 0 }
end

function describe.Lighting(step)
  return { kind = "lighting", deviation = step.deviation, eigenvalues = step.eigenvalues,
    eigenvectors = step.eigenvectors }
end

function describe.ColorNormalize(step) return { kind = "normalize", mean = step.mean, std = step.std } end

function describe.HorizontalFlip(step) return { kind = "flip", probability = step.probability } end

function describe.RandomErasing(step) return { kind = "erase", probability = step.probability } end

local function described(step)
  for name, make in pairs(describe) do
    if is(step, name) then return make(step) end
  end
end

-- Steps for images of any number of channels, and those that grey ones have beside them.
local ANY = { normalize = true, flip = true, erase = true }
local GREY = { brightness = true, contrast = true }

local function takesChannels(step, channels)
  if channels == 3 or ANY[step.kind] then return true end
  return channels == 1 and (GREY[step.kind] or step.kind == "jitter" and step.saturation == 0)
end

-- What is cut out, and the number of steps at the beginning of the list that say so; nothing for other beginnings.
local function cutOf(list, description)
  local first = list[1]
  if first and is(first, "RandomSizedCrop") then
    description.cut, description.crop, description.rounding = "randomSized", first.size, "up"
    description.filter, description.smallestArea = first.filter, first.smallestArea
    return 1
  end
  local taken = 0
  description.cut, description.scale, description.filter = "middle", 0, "bilinear"
  if first and is(first, "Scale") then
    description.scale, description.filter = first.size, first.filter
    taken = 1
  end
  -- A normalisation before the crop is one after it.
  local normalize = list[taken + 1] and is(list[taken + 1], "ColorNormalize") and table.remove(list, taken + 1)
  local crop = list[taken + 1]
  if not (crop and is(crop, "CenterCrop")) then return nil end
  if normalize then table.insert(list, taken + 2, normalize) end
  description.crop, description.rounding = crop.size, crop.rounding
  return taken + 1
end

-- How to make an image with this transform in one call.
-- @param chain a transform, or nil
-- @param channels of the images
-- @param fastDecode true: large JPEGs are decoded at a fraction of their size where RandomSizedCrop leaves them larger
-- than it wants them
-- @return load(out, n, source, seed, stream) and the size of the square that it makes; nothing when the transform is
-- no such chain. `load` fills image n of out N,channels,size,size (float or double) with the image of a file, or a byte
-- tensor, and returns true; or nil, message, code
return function(chain, channels, fastDecode)
  if not transform.is(chain) then return nil end
  local list, description = flattened(chain, {}), { fastDecode = fastDecode or false }
  local taken = cutOf(list, description)
  if not taken or description.filter == "torch" then return nil end
  for i = taken + 1, #list do
    local step = described(list[i])
    if not step or not takesChannels(step, channels) then return nil end
    if step.kind == "erase" and i < #list then return nil end
    if step.mean and #step.mean ~= channels then return nil end
    description[#description + 1] = step
  end
  local steps = core.image_steps(description)
  local function load(out, n, source, seed, stream) return core.image_load(out, n, source, steps, seed, stream) end
  return load, description.crop
end
