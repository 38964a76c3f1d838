--- The usual transform of a data set: what its images go through in training and in testing.
--
-- As in the Torch code, images are normalised first and padded with zeros afterwards, so the padding
-- has the mean colour.
--
--    family      training                                                   testing
--    cifar       ColorNormalize, HorizontalFlip(0.5), RandomCrop(size, 4)   ColorNormalize
--    mnist       ColorNormalize, RandomCrop(size, 4)                        ColorNormalize
--    plain       ColorNormalize                                             ColorNormalize
--    imagenet    RandomSizedCrop(224), ColorJitter 0.4, Lighting(0.1),      Scale(256), ColorNormalize,
--                ColorNormalize, HorizontalFlip(0.5)                        CenterCrop or TenCrop(224)
--
-- The sizes of imagenet, and the filter of its scaling, are the data set's where it says them (imageSize, scaleSize,
-- filter), else 224, 256 and bicubic; it may also say that what is cut out has another least share of the image
-- (minArea, 0.08), and that nothing is mirrored (mirror = false). Images of one channel have no colours: of ColorJitter
-- and Lighting, brightness and contrast are left.

local definitions = require "densenet.data.definitions"
local transforms = require "densenet.data.transforms"

local PADDING = 4
local IMAGENET_CROP, IMAGENET_SCALE = 224, 256
local JITTER, LIGHTING = 0.4, 0.1
local RANGE = 255 -- of the values; the lighting's axes are told for values from 0 to 1
local LIGHTING_EIGENVALUES = { 0.2175 * RANGE, 0.0188 * RANGE, 0.0045 * RANGE }

-- Steps of training and of testing, by family.
local training, testing = {}, {}

function training.plain(normalize) return { normalize } end

function training.mnist(normalize, info)
  return { normalize, transforms.RandomCrop(info.height, PADDING) }
end

function training.cifar(normalize, info)
  return { normalize, transforms.HorizontalFlip(0.5), transforms.RandomCrop(info.height, PADDING) }
end

local function scaling(make, size, filter)
  if filter then return make(size, filter) end
  return make(size)
end

function training.imagenet(normalize, info)
  local size = info.imageSize or IMAGENET_CROP
  local crop = info.minArea and transforms.RandomSizedCrop(size, info.filter or "bicubic", info.minArea)
    or scaling(transforms.RandomSizedCrop, size, info.filter)
  local flip = info.mirror ~= false and transforms.HorizontalFlip(0.5) or nil
  if info.channels == 1 then
    return { crop, transforms.ColorJitter { brightness = JITTER, contrast = JITTER }, normalize, flip }
  end
  return {
    crop, transforms.ColorJitter { brightness = JITTER, contrast = JITTER, saturation = JITTER },
    transforms.Lighting(LIGHTING, LIGHTING_EIGENVALUES), normalize, flip,
  }
end

function testing.plain(normalize) return { normalize } end
testing.mnist, testing.cifar = testing.plain, testing.plain

function testing.imagenet(normalize, info, options)
  local crop = options.tenCrop and transforms.TenCrop or transforms.CenterCrop
  local rounding = info.rounding and { rounding = info.rounding } or nil
  return { scaling(transforms.Scale, info.scaleSize or IMAGENET_SCALE, info.filter), normalize,
    crop(info.imageSize or IMAGENET_CROP, rounding) }
end

--- The transform for a data set.
-- @param info a data set or a table with mean and std (a list each, on the scale of the images'
-- values, 0 to 255), height and width, and family, one of the table above; or the name of a data set
-- that comes with densenet, whose family it then is
-- @param split "train" for the training recipe; "val" or "test" for the other
-- @param options (optional) tenCrop = true: ten crops a test image, imagenet only; randomErasing: the probability
-- of RandomErasing after the training recipe
-- @return a transform for float or double images C,H,W
local function preprocess(info, split, options)
  options = options or {}
  local definition = definitions.known[info.name]
  local family = info.family or definition and definition.family
  if not training[family] then
    error(("no recipe for data set %s: give it a family (cifar, mnist, plain, imagenet)"):format(
      tostring(info.family or info.name)), 2)
  end
  if split ~= "train" and split ~= "val" and split ~= "test" then
    error(("split must be train, val or test, not %s"):format(tostring(split)), 2)
  end
  if options.tenCrop and family ~= "imagenet" then
    error("ten crops are for imagenet's large images: these are used whole", 2)
  end
  local cutsSquares = split == "train" and (family == "cifar" or family == "mnist")
  if cutsSquares and info.height ~= info.width then
    error(("random crops are square, the images are %sx%s"):format(info.height, info.width), 2)
  end
  local normalize = transforms.ColorNormalize { mean = info.mean, std = info.std }
  local recipe = split == "train" and training or testing
  local steps = recipe[family](normalize, info, options)
  if split == "train" and options.randomErasing and options.randomErasing > 0 then
    steps[#steps + 1] = transforms.RandomErasing(options.randomErasing)
  end
  return transforms.Compose(steps)
end

return preprocess
