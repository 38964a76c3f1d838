--- The usual chain, ColorNormalize then HorizontalFlip then RandomCrop (the last two if wanted), for
-- a whole batch of byte images in one pass of C.
--
-- It draws the same numbers from the same generators as the chain does image by image, and gives
-- the same bits; a spec compares the two.

local core = require "densenet.core"
local Compose = require "densenet.data.transforms".Compose
local ColorNormalize = require "densenet.data.transforms.color_normalize"
local HorizontalFlip = require "densenet.data.transforms.horizontal_flip"
local RandomCrop = require "densenet.data.transforms".RandomCrop
local transform = require "densenet.data.transforms.transform"

-- normalize, flip or nil, crop or nil; nothing when the chain is another one.
local function recognize(chain)
  local steps = transform.is(chain, Compose) and chain.steps or { chain }
  local normalize = transform.is(steps[1], ColorNormalize) and steps[1]
  if not normalize then return nil end
  local nextStep = 2
  local flip, crop
  if transform.is(steps[nextStep], HorizontalFlip) then
    flip, nextStep = steps[nextStep], nextStep + 1
  end
  if transform.is(steps[nextStep], RandomCrop) then
    crop, nextStep = steps[nextStep], nextStep + 1
  end
  if steps[nextStep] ~= nil then return nil end
  return normalize, flip, crop
end

--- How to make batches with this transform in one pass.
-- @param chain a transform, or nil
-- @param images byte N,C,H,W
-- @return augment(out, order, first, seed, stream) and height and width of an output image; nothing
-- when the transform is no such chain. `augment` fills out n,C,height,width (float or double) with
-- images order[first], order[first + 1], ...; image i draws from random.generator(seed, stream + i)
local function batch_augment(chain, images)
  local normalize, flip, crop = recognize(chain)
  if not normalize then return nil end
  local height, width = images:size(3), images:size(4)
  if crop then height, width = crop.size, crop.size end
  local function augment(out, order, first, seed, stream)
    core.image_augment_batch(out, images, order, first, normalize.mean, normalize.std, seed, stream,
      flip and flip.probability, crop and crop.padding)
  end
  return augment, height, width
end

return batch_augment
