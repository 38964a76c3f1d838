--- What a network of dn.models can do with pictures besides forward, once it has a recipe and names of classes
-- (models.load gives both, or set model.recipe and model.classes). These are methods of the model.
--
-- A picture is a file's path, a table { content = the file's bytes, name = what messages call it }, or an image: a
-- tensor C,H,W on the CPU, byte, or float from 0 to 1.
-- @module densenet.models.methods

local activationMap = require "densenet.models.activation_map"
local argument = require "densenet.argument"
local classifier = require "densenet.models.classifier"
local layers = require "densenet.models.layers"
local pictures = require "densenet.models.pictures"

local methods = {}

-- Is it a list of pictures, and no picture?
local function isList(value) return type(value) == "table" and value.content == nil end

local function needs(position, name, value)
  if value == nil then argument.refuse(position, name, value, "a picture or a list of them", "picture") end
  return value
end

--- The network's input for pictures, by its recipe.
-- @param model the network
-- @param picture one, or a list of them
-- @tparam[opt] table options tenCrop: true for ten crops of each picture, one after the other
-- @treturn tensor N,C,H,W on the network's device; or nil, message, code for a picture that is bad
function methods.preprocess(model, picture, options)
  needs(1, "preprocess", picture)
  options = pictures.options("preprocess", options, { tenCrop = true })
  local prepare, inputs = pictures.preparer(model, options.tenCrop), {}
  for i, each in ipairs(isList(picture) and picture or { picture }) do
    local input, message, code = prepare(each)
    if not input then return nil, message, code end
    inputs[i] = input
  end
  return pictures.batch(model, inputs)
end

--- What a network takes pictures for. It computes in evaluation mode, and is left in the mode of before. With
-- tenCrop the outputs of a picture's crops are summed, and the probabilities are those of their mean.
-- @param model the network
-- @param picture one, or a list of them
-- @tparam[opt] table options
--
--    topK       how many guesses, 5; fewer where there are fewer classes
--    tenCrop    false
--    batchSize  pictures (with tenCrop: crops) that are computed at once, 16
--
-- @treturn table the likeliest classes first, { class = name, probability =, index = from 1 } each; or nil, message,
-- code for a picture that is bad. For a list of pictures a list of such tables; of a bad picture there is
-- { error = message, code = code } instead, and the others are done
function methods.classify(model, picture, options)
  needs(1, "classify", picture)
  options = pictures.options("classify", options, { topK = 5, tenCrop = true, batchSize = 16 })
  local results = classifier.classify(model, isList(picture) and picture or { picture }, options)
  if isList(picture) then return results end
  if results[1].error then return nil, results[1].error, results[1].code end
  return results[1]
end

--- Where in a picture a network sees a class: its class activation map, the last feature map (rectified) weighted
-- with the classifier's row of the class. It is exact, because a DenseNet ends in a mean of each plane: its mean
-- plus the classifier's bias is the class's output. Values below 0 speak against the class and stay.
-- Source: Zhou et al. 2016 (arXiv:1512.04150).
-- @param model the network
-- @param picture one
-- @tparam[opt] string|integer class its name or number; by default the likeliest one
-- @treturn table map: float h,w, as the network computes it; picture: byte 3,H,W, the square of the picture that it
-- sees; large: float H,W, the map scaled to it; class, index, probability, output (before the soft maximum); or nil,
-- message, code for a picture that is bad
function methods.cam(model, picture, class)
  needs(1, "cam", picture)
  return activationMap.of(model, picture, class)
end

--- Outputs of an inner layer for pictures.
-- @param model the network
-- @param picture one, or a list of them
-- @tparam[opt] string layer one of model:layerNames(); by default "pool5", the classifier's input
-- @treturn tensor N,channels or N,channels,h,w; or nil, message, code for a picture that is bad
function methods.features(model, picture, layer)
  local input, message, code = methods.preprocess(model, picture)
  if not input then return nil, message, code end
  return layers.output(model, input, layer or layers.POOLED)
end

--- The names of the layers whose outputs `features` gives.
methods.layerNames = layers.names

return methods
