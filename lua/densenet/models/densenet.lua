--- DenseNet and DenseNet-BC.
--
-- A dense layer joins its input with k new channels made from it, so that every layer of a block
-- reads the outputs of all before it; between blocks a transition halves the planes. There are two
-- ways to build it, with the same parameters and results: of plain modules, each with its own output,
-- or of fused stages, whose memory grows linearly with depth (nn.DenseBlock). The parameters are named
-- as in torchvision either way, so its weights load by name:
--
--    features   conv0 (norm0 relu0 pool0), denseblock1, transition1, denseblock2, ..., norm5
--    (relu5, pool5,) classifier
--
-- Source: Huang et al. 2017 (arXiv:1608.06993).
-- A family of networks, as densenet.models.family describes them.
-- @module densenet.models.densenet

local nn = require "densenet.nn"
local inference = require "densenet.models.densenet_inference"
local initialize = require "densenet.models.initialize"
local likeness = require "densenet.models.densenet_likeness"
local options = require "densenet.models.densenet_options"

local densenet = { options = options.rows, config = options.config, complete = options.complete,
  likeness = likeness, infer = inference }

local BOTTLENECK = 4 -- channels between the 1x1 and the 3x3 convolution, in growth rates

-- What the fused blocks of an optMemory keep for backward.
local FUSED_MEMORY = { [3] = "shared", [4] = "linear", [5] = "minimal" }

densenet.memory = {
  default = 4, least = 5, builds = { [0] = "plain", "plain", "plain", table.unpack(FUSED_MEMORY, 3, 5) },
  help = "3: dense blocks that keep normalised bottlenecks; 4: raw bottlenecks; 5: none, which costs time",
}

-- Rectification in place of a batch norm's output, which nothing else reads: the norm's gradient
-- needs its input only.
local function normAndRelu(stage, nChannels, norm, relu)
  return stage:add(nn.SpatialBatchNormalization(nChannels), norm):add(nn.ReLU(true), relu)
end

local function convolution(stage, nIn, nOut, kernel, name, config)
  local padding = (kernel - 1) // 2
  stage:add(nn.SpatialConvolution(nIn, nOut, kernel, kernel, 1, 1, padding, padding):noBias(), name)
  if config.dropRate > 0 then
    stage:add(nn.Dropout(config.dropRate), "drop" .. name:sub(5))
  end
  return stage
end

-- nChannels to nChannels + growthRate, the input first.
local function denseLayer(nChannels, config)
  local k, new = config.growthRate, nn.Sequential()
  if config.bottleneck then
    normAndRelu(new, nChannels, "norm1", "relu1")
    convolution(new, nChannels, BOTTLENECK * k, 1, "conv1", config)
    normAndRelu(new, BOTTLENECK * k, "norm2", "relu2")
    convolution(new, BOTTLENECK * k, k, 3, "conv2", config)
  else
    normAndRelu(new, nChannels, "norm1", "relu1")
    convolution(new, nChannels, k, 3, "conv1", config)
  end
  return nn.Concat(2):add(nn.Identity(), "identity"):add(new, "")
end

local plain = {}

function plain.denseBlock(nChannels, nLayers, config)
  local block = nn.Sequential()
  for i = 1, nLayers do
    block:add(denseLayer(nChannels + (i - 1) * config.growthRate, config), "denselayer" .. i)
  end
  return block
end

function plain.transition(_, nIn, nOut, config)
  local stage = normAndRelu(nn.Sequential(), nIn, "norm", "relu")
  return convolution(stage, nIn, nOut, 1, "conv", config):add(nn.SpatialAveragePooling(2, 2, 2, 2), "pool")
end

-- norm5 belongs to the features, the rest to the network.
function plain.last(_, nChannels, features)
  features:add(nn.SpatialBatchNormalization(nChannels), "norm5")
  return nn.Sequential():add(features, "features"):add(nn.ReLU(true), "relu5")
    :add(nn.GlobalAveragePooling(), "pool5")
end

local fused = {}

function fused.denseBlock(nChannels, nLayers, config)
  return nn.DenseBlock(nChannels, config.growthRate, nLayers, {
    bottleneck = config.bottleneck, dropRate = config.dropRate, memory = FUSED_MEMORY[config.optMemory],
  })
end

function fused.transition(block, nIn, nOut, config)
  return nn.Transition(nIn, nOut, { dropRate = config.dropRate, memory = FUSED_MEMORY[config.optMemory] })
    :follow(block)
end

function fused.last(block, nChannels, features)
  features:add(nn.NormReLUPool(nChannels):follow(block), "norm5")
  return nn.Sequential():add(features, "features")
end

local function addStem(features, config)
  local n = config.initChannels
  if config.stem == "cifar" then
    return features:add(nn.SpatialConvolution(config.inputChannels, n, 3, 3, 1, 1, 1, 1):noBias(), "conv0")
  end
  features:add(nn.SpatialConvolution(config.inputChannels, n, 7, 7, 2, 2, 3, 3):noBias(), "conv0")
  return normAndRelu(features, n, "norm0", "relu0"):add(nn.SpatialMaxPooling(3, 3, 2, 2, 1, 1), "pool0")
end

--- A DenseNet for images N,inputChannels,H,W of any size its poolings leave something of; its
-- output is N,nClasses scores, for CrossEntropyCriterion. models.densenet(options) builds it:
--
--    depth          as published: cifar 40, 100, ... (three equal blocks); imagenet 121, 161, 169, 201, 232, 264
--    blocks         instead of depth: layers in each block, {6, 12, 24, 16}
--    growthRate     k, channels that a layer adds: 12 (cifar), 32 or, for 161 and 232, 48 (imagenet)
--    initChannels   of the first convolution: 2k, as the authors' code has it (the paper has 16 without bottleneck)
--    bottleneck     true: 1x1 convolution to 4k channels before each 3x3
--    reduction      0.5: share of the channels that a transition keeps
--    dropRate       0: dropout after each convolution but the first
--    stem           "cifar": 3x3; "imagenet": 7x7 with stride 2, batch norm, 3x3 max pooling with stride 2
--    nClasses       10 (cifar), 1000 (imagenet)
--    optMemory      0 standard, 1 liveness, 2 shared-gradients (plain modules); 3 shared, 4 linear (the default),
--                   5 minimal (fused stages)
--
-- and what every network has (models.fromConfig).
-- @tparam table config complete
-- @return the model, in training mode
function densenet.build(config)
  local stages = FUSED_MEMORY[config.optMemory] and fused or plain
  local features, nChannels, block = nn.Sequential(), config.initChannels, nil
  addStem(features, config)
  for i, nLayers in ipairs(config.blocks) do
    block = stages.denseBlock(nChannels, nLayers, config)
    features:add(block, "denseblock" .. i)
    nChannels = nChannels + nLayers * config.growthRate
    if i < #config.blocks then
      local nKept = math.max(1, math.floor(nChannels * config.reduction))
      features:add(stages.transition(block, nChannels, nKept, config), "transition" .. i)
      nChannels = nKept
    end
  end
  return initialize(stages.last(block, nChannels, features):add(nn.Linear(nChannels, config.nClasses), "classifier"))
end

function densenet.describe(config)
  return ("DenseNet%s: blocks of %s layers, growth rate %d"):format(config.bottleneck and "-BC" or "",
    table.concat(config.blocks, ", "), config.growthRate)
end

--- Layers with weights, as a float: what a file claims may be more than an integer holds.
function densenet.layers(config)
  local n = 2.0 -- the first convolution and the classifier
  for _, nLayers in ipairs(config.blocks) do n = n + nLayers end
  return n
end

--- classifier-only: all features are frozen; block2: the stem and all up to the second block, with the transition
-- behind it.
function densenet.freezing(config, word)
  if word == "classifier-only" then return { "^features%." } end
  local last = tonumber(word:match("^block(%d+)$"))
  if not last then return nil end
  if last < 1 or last > #config.blocks then
    return nil, ("the network has the blocks 1 to %d"):format(#config.blocks)
  end
  local patterns = { "^features%.%a+0" }
  for block = 1, last do
    patterns[#patterns + 1] = ("^features%%.denseblock%d%%."):format(block)
    if block < #config.blocks then patterns[#patterns + 1] = ("^features%%.transition%d%%."):format(block) end
  end
  return patterns
end

--- The transitions' poolings halve the images, rounding down, and have to leave a pixel. The imagenet stem
-- quarters them first, rounding up.
function densenet.leastSize(config)
  local least = 2 ^ (#config.blocks - 1)
  return config.stem == "imagenet" and 4 * least - 3 or least
end

return densenet
