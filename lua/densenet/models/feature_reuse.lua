--- How strongly each layer of a dense block uses the features of each layer before it: the mean |weight| between
-- them, as in figure 5 of Huang et al. 2017 (arXiv:1608.06993).
--
-- A dense layer's first convolution, the transition behind the block, and behind the last block the classifier
-- read the block's input and the output of every layer before. Weights alone are looked at, as in the paper: what
-- the norm in front of a convolution multiplies its input by is not in them.
-- @module densenet.models.feature_reuse

local featureReuse = {}

local layerName = "^features%.denseblock(%d+)%.denselayer(%d+)%.conv1%.weight$"

-- Layers of each block, in order: { { { first=, last= weights }, … }, … }
local function blocksOf(tensors)
  local blocks = {}
  for name, weight in pairs(tensors) do
    local block, layer = name:match(layerName)
    if block then
      block, layer = math.tointeger(block), math.tointeger(layer)
      blocks[block] = blocks[block] or {}
      blocks[block][layer] = { first = weight, last = tensors[name:gsub("conv1", "conv2")] or weight }
    end
  end
  return blocks
end

-- The mean |weight| of each input channel of a weight out,in(,kH,kW), as a list.
local function meansOfChannels(weight)
  local size = weight:size()
  local nOut, nIn, nTaps = size[1], size[2], (size[3] or 1) * (size[4] or 1)
  local sizes = weight:to("cpu"):type("double"):abs():view(nOut, nIn, nTaps)
  return sizes:mean(3):view(nOut, nIn):mean(1):view(nIn):totable()
end

local function meanOf(list, first, count)
  local sum = 0.0
  for i = first, first + count - 1 do sum = sum + list[i] end
  return sum / count
end

-- A list of mean |weight| by source, for a target that reads nInput channels and then nNew of each of nLayers layers.
local function bySource(weight, nInput, nNew, nLayers)
  local means, list = meansOfChannels(weight), {}
  if #means ~= nInput + nNew * nLayers then return nil end
  list[1] = meanOf(means, 1, nInput)
  for i = 1, nLayers do list[i + 1] = meanOf(means, nInput + (i - 1) * nNew + 1, nNew) end
  return list
end

local function mapOf(tensors, number, layers)
  local last = tensors[("features.transition%d.conv.weight"):format(number)]
  local targets, values = {}, {}
  local nInput, nNew = layers[1].first:size(2), layers[1].last:size(1)
  local function add(name, weight, nLayers)
    local list = weight and bySource(weight, nInput, nNew, nLayers)
    if list then targets[#targets + 1], values[#values + 1] = name, list end
  end
  for i, layer in ipairs(layers) do add("layer " .. i, layer.first, i - 1) end
  add(last and "transition" or "classifier", last or tensors["classifier.weight"], #layers)
  local sources = { "input" }
  for i = 1, #layers do sources[i + 1] = "layer " .. i end
  return { sources = sources, targets = targets, values = values }
end

--- Computes the maps of a network.
-- @tparam table tensors by torchvision's names (model:stateDict(), or a model file's)
-- @return a list, one of each block: { sources = names, targets = names, values = by target and source }; a target
-- has no values for sources behind it. Empty for a network without dense blocks
function featureReuse.of(tensors)
  local maps = {}
  for number, layers in ipairs(blocksOf(tensors)) do
    if layers[1] then maps[number] = mapOf(tensors, number, layers) end
  end
  return maps
end

return featureReuse
