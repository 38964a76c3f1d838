-- A recipe at work (densenet.data.recipe): from a file or an image to a network's input.
--
-- A byte image stays one until it is normalised, so the numbers are PIL's, and of the scaled image only what is
-- cut out is computed.
local argument = require "densenet.argument"
local core = require "densenet.core"
local geometry = require "densenet.data.geometry"
local image = require "densenet.image"
local oneThread = require "densenet.one_thread"
require "densenet.tensor"

local BYTE_RANGE = 255
local BRIGHTEST = 2 -- a float image of 0 to 1 that was resized may overshoot a little, one of 0 to 255 is far beyond

-- ---- Sources ----

local function refuse(value, expected) argument.refuse(1, "prepare", value, expected, "source") end

local function fromContent(source, channels)
  if type(source.content) ~= "string" then refuse(source, "{ content = a file's bytes, name = its name }") end
  return image.decode(source.content, { channels = channels, name = source.name })
end

local function greyOf(picture)
  if picture:dtype() == "byte" then
    local wide = picture:type("long")
    local sum = wide:select(1, 1) * 19595 + wide:select(1, 2) * 38470 + wide:select(1, 3) * 7471 + 32768
    return (sum // 65536):type("byte"):view(1, picture:size(2), picture:size(3))
  end
  local sum = picture:narrow(1, 1, 1) * 0.299
  return sum:add(0.587, picture:narrow(1, 2, 1)):add(0.114, picture:narrow(1, 3, 1))
end

local function inChannels(picture, wanted)
  local channels = picture:size(1)
  if channels == wanted then return picture:isContiguous() and picture or picture:contiguous() end
  if channels == 1 then return picture:expand({ wanted, picture:size(2), picture:size(3) }):contiguous() end
  if channels == 3 and wanted == 1 then return greyOf(picture:contiguous()) end
  return refuse(picture, ("an image of %d channels"):format(wanted))
end

local function fromTensor(picture, channels)
  local dtype = picture:dtype()
  if picture:dim() ~= 3 or dtype ~= "byte" and dtype ~= "float" or picture:device() ~= "cpu" then
    refuse(picture, "a byte or float tensor C,H,W on cpu")
  end
  if dtype == "float" then
    local brightest = picture:max()
    if brightest > BRIGHTEST then
      argument.raise("bad argument #1 to 'prepare' (source: a float image has values from 0 to 1, got %s)", brightest)
    end
  end
  return inChannels(picture, channels)
end

local function read(source, channels)
  if core.is_tensor(source) then return fromTensor(source, channels) end
  if channels ~= 1 and channels ~= 3 then
    refuse(source, ("a tensor, because no file has %d channels,"):format(channels))
  end
  if type(source) == "string" then return image.load(source, { channels = channels }) end
  if type(source) == "table" then return fromContent(source, channels) end
  return refuse(source, "a path, { content =, name = } or a tensor")
end

-- ---- Places ----

-- Rows and columns, from 0, of the squares that are cut out of an image, the first of them in the middle.
local function places(recipe, height, width, tenCrop)
  local crop = recipe.crop
  local rounding = recipe.rounding
  local list = { { geometry.middle(height, crop, rounding), geometry.middle(width, crop, rounding) } }
  if tenCrop then
    local bottom, right = height - crop, width - crop
    for _, corner in ipairs { { 0, 0 }, { 0, right }, { bottom, 0 }, { bottom, right } } do list[#list + 1] = corner end
  end
  return list
end

-- ---- Numbers ----

-- A new image: the window of `size` that begins at (top, left) of the scaled picture.
local function window(picture, filter, scaled, size, top, left)
  local dtype = filter == "torch" and "float" or picture:dtype()
  local out = core.tensor_new("cpu", dtype, { picture:size(1), size[1], size[2] })
  if filter then
    core.image_resample(out, picture, filter, scaled[1], scaled[2], top, left)
  else
    core.image_crop(out, picture, top, left)
  end
  return out
end

-- How images are prepared by a recipe.
-- @param recipe a checked one
-- @param tenCrop true or false
-- @return prepare(source), as recipe.transform tells
return function(recipe, tenCrop)
  local ofBytes, ofFloats = { mean = {}, std = {} }, { mean = {}, std = {} } -- on the scales 0 to 255 and 0 to 1
  for c = 1, recipe.channels do
    for _, name in ipairs { "mean", "std" } do
      local share = recipe[name][c] / recipe.range
      ofBytes[name][c], ofFloats[name][c] = recipe.range == BYTE_RANGE and recipe[name][c] or share * BYTE_RANGE, share
    end
  end
  if tenCrop and not recipe.crop then
    argument.raise("bad argument #2 to 'recipe.transform' (tenCrop: a recipe with crop expected)")
  end

  local function normalize(out, picture, isByte)
    local figures = isByte and ofBytes or ofFloats
    core.image_normalize(out, picture, figures.mean, figures.std)
  end

  local function checkFits(height, width)
    if recipe.crop and (height < recipe.crop or width < recipe.crop) then
      argument.raise("prepare: a square of %d pixels does not fit an image of %dx%d", recipe.crop, height, width)
    end
  end

  return function(source)
    local alone <close> = oneThread() -- luacheck: ignore 211
    local picture, message, code = read(source, recipe.channels)
    if not picture then return nil, message, code end
    local isByte = picture:dtype() == "byte"
    local height, width = picture:size(2), picture:size(3)
    if recipe.scale then height, width = geometry.scaled(recipe.scale, height, width) end
    checkFits(height, width)
    local size = recipe.crop and { recipe.crop, recipe.crop } or { height, width }
    local cuts = recipe.crop and places(recipe, height, width, tenCrop) or { { 0, 0 } }
    if not tenCrop then
      local out = core.tensor_new("cpu", "float", { recipe.channels, size[1], size[2] })
      normalize(out, window(picture, recipe.filter, { height, width }, size, cuts[1][1], cuts[1][2]), isByte)
      return out
    end
    local scaled = window(picture, recipe.filter, { height, width }, { height, width }, 0, 0)
    local mirrored = core.tensor_new("cpu", scaled:dtype(), scaled:size())
    core.image_flip(mirrored, scaled)
    local out = core.tensor_new("cpu", "float", { 2 * #cuts, recipe.channels, size[1], size[2] })
    for i, place in ipairs(cuts) do
      normalize(out:select(1, i), window(scaled, nil, nil, size, place[1], place[2]), isByte)
      normalize(out:select(1, #cuts + i), window(mirrored, nil, nil, size, place[1], place[2]), isByte)
    end
    return out
  end
end
