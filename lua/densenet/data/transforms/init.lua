-- The transforms by name; transform.lua tells what a transform is.
--
--    local t = require "densenet.data.transforms"
--    local augment = t.Compose { t.ColorNormalize { mean = { 73 }, std = { 90 } },
--      t.HorizontalFlip(0.5), t.RandomCrop(28, 4) }
--    local image = augment(original, random.generator(seed, stream))

local color_jitter = require "densenet.data.transforms.color_jitter"
local compose = require "densenet.data.transforms.compose"
local crop = require "densenet.data.transforms.crop"
local scale = require "densenet.data.transforms.scale"
local transform = require "densenet.data.transforms.transform"

return {
  Brightness = color_jitter.Brightness,
  CenterCrop = crop.CenterCrop,
  ColorJitter = color_jitter.ColorJitter,
  ColorNormalize = require "densenet.data.transforms.color_normalize",
  Compose = compose.Compose,
  Contrast = color_jitter.Contrast,
  FromModule = require "densenet.data.transforms.from_module",
  HorizontalFlip = require "densenet.data.transforms.horizontal_flip",
  Lighting = require "densenet.data.transforms.lighting",
  RandomCrop = crop.RandomCrop,
  RandomErasing = require "densenet.data.transforms.random_erasing",
  RandomOrder = compose.RandomOrder,
  RandomScale = scale.RandomScale,
  RandomSizedCrop = require "densenet.data.transforms.random_sized_crop",
  Rotation = require "densenet.data.transforms.rotation",
  Saturation = color_jitter.Saturation,
  Scale = scale.Scale,
  TenCrop = crop.TenCrop,

  build = transform.build,
  describe = transform.describe,
  define = transform.define,
}
