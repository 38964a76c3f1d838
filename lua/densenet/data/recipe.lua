--- What a network's images go through before it sees them, as data: dn.data.recipe.
--
--    local recipe = dn.data.recipe.named "torchvision"
--    local prepare = dn.data.recipe.transform(recipe)
--    local input, message = prepare("cat.jpg") -- float 3,224,224
--
-- A recipe is a table of plain values, and it is kept with the model that was trained on it:
--
--    scale     pixels that the smaller edge is scaled to, the other in proportion; left out: not scaled
--    filter    "bilinear" or "bicubic", with PIL's numbers, or "torch", Torch7's bicubic; wanted with scale
--    crop      pixels of the square that is cut out of the middle; left out: nothing is cut
--    rounding  where the middle lies between two pixels: "even", as torchvision and timm do, or "up", as
--              fb.resnet.torch does; wanted with crop
--    channels  of the images: 3, red, green and blue, or 1, grey, or more; as many as `mean` has when left out
--    mean, std lists of a number for each channel, which the images are normalised with
--    range     the largest value on the scale of mean and std: 255 or 1
local argument = require "densenet.argument"
local json = require "densenet.io.json"
local sortedNames = require "densenet.sorted_names"

local recipe = {}

-- ---- Checks ----

local FILTERS = { bilinear = true, bicubic = true, torch = true }
local ROUNDINGS = { even = true, up = true }
local FIELDS = { scale = true, filter = true, crop = true, rounding = true, channels = true, mean = true, std = true,
  range = true }
local LARGEST = 1 << 16

local function wrong(field, expected, value)
  return ("%s: %s expected, got %s"):format(field, expected, argument.describe(value))
end

local function isPixels(value)
  local pixels = type(value) == "number" and math.tointeger(value)
  return pixels and pixels >= 1 and pixels <= LARGEST
end

local function numbersComplaint(field, list, channels, least)
  if type(list) ~= "table" or #list == 0 then return wrong(field, "a list of a number for each channel", list) end
  if #list ~= channels then
    return ("%s: %d numbers expected, one for each channel, got %d"):format(field, channels, #list)
  end
  for _, number in ipairs(list) do
    if type(number) ~= "number" or number ~= number or math.abs(number) == math.huge then
      return wrong(field, "numbers", number)
    end
    if least and number <= least then return wrong(field, "numbers above 0", number) end
  end
end

-- What is wrong with a recipe, a sentence, or nil.
local function complaint(given)
  if type(given) ~= "table" then return ("a table expected, got %s"):format(argument.describe(given)) end
  for field in pairs(given) do
    if not FIELDS[field] then
      return ("there is no field %s%s"):format(tostring(field), argument.nearest(tostring(field), FIELDS))
    end
  end
  for _, field in ipairs { "scale", "crop" } do
    local pixels = given[field]
    if pixels ~= nil and not isPixels(pixels) then return wrong(field, "1 to 65536 pixels", pixels) end
  end
  if given.scale then
    if not FILTERS[given.filter] then return wrong("filter", "bilinear, bicubic or torch", given.filter) end
  elseif given.filter ~= nil then
    return wrong("scale", "pixels, because there is a filter,", nil)
  end
  if given.crop then
    if not ROUNDINGS[given.rounding] then return wrong("rounding", "even or up", given.rounding) end
  elseif given.rounding ~= nil then
    return wrong("crop", "pixels, because there is a rounding,", nil)
  end
  if given.scale and given.crop and given.crop > given.scale then
    return ("crop: at most %d pixels expected, which scale leaves of the smaller edge, got %d"):format(given.scale,
      given.crop)
  end
  local channels = given.channels
  if channels ~= nil and not isPixels(channels) then return wrong("channels", "1 or more", channels) end
  channels = channels or type(given.mean) == "table" and #given.mean or 3
  local numbers = numbersComplaint("mean", given.mean, channels) or numbersComplaint("std", given.std, channels, 0)
  if numbers then return numbers end
  if given.range ~= 1 and given.range ~= 255 then return wrong("range", "255 or 1", given.range) end
end

local function copied(list)
  local copy = {}
  for i, number in ipairs(list) do copy[i] = number end
  return copy
end

--- Checks a recipe.
-- @param given a table
-- @return a copy, with whole numbers and `channels`; or nil, a sentence about what is wrong first, "argument"
function recipe.validate(given)
  local what = complaint(given)
  if what then return nil, "recipe: " .. what, "argument" end
  return {
    scale = given.scale and math.tointeger(given.scale), filter = given.filter,
    crop = given.crop and math.tointeger(given.crop), rounding = given.rounding,
    channels = given.channels and math.tointeger(given.channels) or #given.mean,
    mean = copied(given.mean), std = copied(given.std), range = math.tointeger(given.range),
  }
end

local function checked(name, given)
  local valid, message = recipe.validate(given)
  if not valid then argument.raise("bad argument #1 to '%s' (%s)", name, message) end
  return valid
end

-- ---- As text ----

--- A recipe as a line of JSON, for a model's metadata. Raises for one that is wrong.
-- @param given a recipe
function recipe.toJson(given)
  local valid = checked("recipe.toJson", given)
  valid.mean, valid.std = json.array(valid.mean), json.array(valid.std)
  return json.encode(valid)
end

--- The recipe that toJson has written.
-- @param text JSON
-- @return the recipe; or nil, message, "format"
function recipe.fromJson(text)
  local given, message = json.decode(argument.string(1, "recipe.fromJson", text))
  if given == nil then return nil, "recipe: " .. message, "format" end
  local valid
  valid, message = recipe.validate(given)
  if not valid then return nil, message, "format" end
  return valid
end

-- ---- By name ----

local IMAGENET_MEAN, IMAGENET_STD = { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 }

local function imagenet(filter, rounding)
  return { scale = 256, filter = filter, crop = 224, rounding = rounding, channels = 3, mean = IMAGENET_MEAN,
    std = IMAGENET_STD, range = 1 }
end

local NAMED = {
  torchvision = imagenet("bilinear", "even"), -- DenseNet121_Weights.IMAGENET1K_V1.transforms() and its siblings
  timm = imagenet("bicubic", "even"), -- densenet*.tv_in1k: crop_pct 0.875
  torch7 = imagenet("torch", "up"), -- fb.resnet.torch and what was published as .t7
}
NAMED["fb.resnet"] = NAMED.torch7

--- The names of recipes that are known, sorted.
function recipe.names()
  return sortedNames(NAMED)
end

--- A known recipe, all of them of networks for ImageNet: "torchvision", "timm", "torch7" or "fb.resnet".
-- @param name one of names()
-- @return a table of the caller's own; or nil, message, "argument"
function recipe.named(name)
  local known = NAMED[name]
  if known then return recipe.validate(known) end
  return nil, ("recipe: one of %s expected, got %s%s"):format(table.concat(recipe.names(), ", "),
    argument.describe(name), argument.nearest(tostring(name), NAMED)), "argument"
end

--- A recipe with other values in some fields: -scaleSize, -imageSize and -filter of a command line.
-- @param given a recipe
-- @param changes table of fields; a crop that scale would not leave is an error, as in validate. Where a recipe
-- without scale gets one, or one without crop, `filter` or `rounding` has to come with it
-- @return a new recipe; or nil, message, "argument"
function recipe.with(given, changes)
  local changed = checked("recipe.with", given)
  argument.table(2, "recipe.with", changes, "changes")
  for field, value in pairs(changes) do changed[field] = value end
  return recipe.validate(changed)
end

-- ---- At work ----

--- The function that prepares images.
-- @param given a recipe; raises for one that is wrong
-- @param options table (optional): tenCrop, true for ten crops an image: the middle and the corners, then the same of
-- the mirrored image
-- @return prepare(source [, name]) → float tensor channels,H,W, or 10,channels,H,W; or nil, message, code for a file
-- that is bad ("format", "io", "unsupported"). `source` is a file's path; { content = its bytes, name = what messages
-- call it }; or an image, a tensor C,H,W on the CPU: byte, or float from 0 to 1. Grey becomes red, green and blue and
-- the other way round as the recipe's channels want it; raises for other numbers of channels, and for an image that
-- is smaller than the crop where nothing is scaled
function recipe.transform(given, options)
  local valid = checked("recipe.transform", given)
  options = options == nil and {} or argument.table(2, "recipe.transform", options, "options")
  for key, value in pairs(options) do
    if key ~= "tenCrop" then
      argument.raise("bad argument #2 to 'recipe.transform' (options: there is no %s)", tostring(key))
    end
    argument.boolean(2, "recipe.transform", value, "tenCrop")
  end
  return require "densenet.data.prepare"(valid, options.tenCrop or false)
end

return argument.closed(recipe, "dn.data.recipe")
