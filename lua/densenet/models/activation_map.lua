--- Class activation maps: which parts of a picture speak for a class.
-- @module densenet.models.activation_map

local argument = require "densenet.argument"
local classifier = require "densenet.models.classifier"
local constructors = require "densenet.constructors"
local core = require "densenet.core"
local family = require "densenet.models.family"
local layers = require "densenet.models.layers"
local pictures = require "densenet.models.pictures"

local activationMap = {}

-- A class's number, from its name or number; the likeliest one's where none is given.
local function indexOf(class, names, scores)
  if class == nil then
    local best = 1
    for i, score in ipairs(scores) do
      if score > scores[best] then best = i end
    end
    return best
  end
  for i, name in ipairs(names) do
    if name == class or i == class then return i end
  end
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  argument.raise("bad argument #2 to 'cam' (class: a name of one of the network's %d classes or its number expected, "
    .. "got %s%s)", #names, argument.describe(class), argument.nearest(tostring(class), known))
end

-- The picture as the network sees it, in bytes: its input with the normalisation taken back.
local function seen(input, recipe)
  local bytes = core.tensor_new("cpu", "float", input:size())
  for c = 1, input:size(1) do
    local plane = bytes:select(1, c)
    core.copy(plane, input:select(1, c))
    plane:mul(recipe.std[c] * 255 / recipe.range):add(recipe.mean[c] * 255 / recipe.range)
  end
  return bytes:round():clamp(0, 255):type("byte")
end

local function inColour(picture)
  local channels = picture:size(1)
  if channels == 3 then return picture end
  return picture:narrow(1, 1, 1):expand({ 3, picture:size(2), picture:size(3) }):contiguous()
end

local function upsampled(map, height, width)
  local large = core.tensor_new("cpu", "float", { 1, height, width })
  core.image_resize(large, map:view(1, map:size(1), map:size(2)), "bilinear")
  return large:view(height, width)
end

--- See methods.cam.
function activationMap.of(model, picture, class)
  local names = classifier.classesOf(model)
  local input, message, code = pictures.preparer(model)(picture)
  if not input then return nil, message, code end
  local features, output = layers.lastMap(model, pictures.batch(model, { input }))
  local scores = output:to("cpu"):type("double"):select(1, 1):totable()
  local index = indexOf(class, names, scores)
  local weight = model:get(family.find(model.config.family).classifier or "classifier").weight
  local nChannels, height, width = features:size(2), features:size(3), features:size(4)
  local planes = features:to("cpu"):type("double"):view(nChannels, height * width)
  local row = weight:to("cpu"):type("double"):narrow(1, index, 1)
  local map = row:contiguous():mm(planes):view(height, width):type("float")
  return { map = map, large = upsampled(map, input:size(2), input:size(3)),
    picture = inColour(seen(input, model.recipe)), class = names[index], index = index,
    probability = classifier.probabilities(scores)[index], output = scores[index] }
end

-- Blue over green to red, for 0 to 1.
local function colour(value)
  local function ramp(centre) return math.max(0, math.min(1, 1.5 - math.abs(4 * value - centre))) end
  return ramp(3), ramp(2), ramp(1)
end

--- A map over its picture, as bytes 3,H,W: half the picture, half the map in colours from blue (0 and less) to red
-- (its largest value).
-- @tparam table cam what of() returned
function activationMap.overlay(cam)
  local large, picture = cam.large, cam.picture:type("float")
  local height, width = large:size(1), large:size(2)
  local most, rows, planes = math.max(large:max(), 1e-12), large:totable(), { {}, {}, {} }
  for y = 1, height do
    for c = 1, 3 do planes[c][y] = {} end
    for x = 1, width do
      local red, green, blue = colour(math.max(0, rows[y][x]) / most)
      planes[1][y][x], planes[2][y][x], planes[3][y][x] = 255 * red, 255 * green, 255 * blue
    end
  end
  return constructors.tensor(planes, "float"):add(picture):mul(0.5):round():clamp(0, 255):type("byte")
end

return activationMap
