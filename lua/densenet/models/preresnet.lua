--- Residual networks with pre-activation, for small images as CIFAR's.
--
-- Batch norm and ReLU stand before each convolution, and what a block adds to goes through untouched; the
-- first block of a stage shares its first batch norm and ReLU with the shortcut, a 1x1 convolution where the
-- number of channels or the stride changes. Three stages, of 16, 32 and 64 channels (four times as many with
-- bottlenecks), the second and third of which begin with stride 2. Parameters in stateDict:
--
--    conv1.weight
--    layer1.0.bn1.{weight,bias,running_mean,running_var}   layer1 to layer3, blocks from 0
--    layer1.0.conv1.weight  layer1.0.bn2.*  layer1.0.conv2.weight  (layer1.0.bn3.*  layer1.0.conv3.weight)
--    layer2.0.downsample.weight                            the shortcut's convolution, where there is one
--    bn.*  fc.{weight,bias}
--
-- A family of networks, as densenet.models.family describes them. optMemory 0 to 2; the plan's liveness
-- (1) takes least and costs nothing, so it is the usual one.
-- Source: He et al. 2016, Identity Mappings in Deep Residual Networks (arXiv:1603.05027), figure 4e and
-- section 3; fb.resnet.torch has the same network.
-- @module densenet.models.preresnet

local nn = require "densenet.nn"
local fields = require "densenet.models.fields"
local initialize = require "densenet.models.initialize"

local preresnet = { classifier = "fc" }

local CHANNELS = { 16, 32, 64 } -- of the stages
local EXPANSION = 4 -- of a bottleneck block's output

preresnet.options = {
  { name = "depth", type = "integer", default = 20, min = 1, max = 10000,
    help = "layers: 6 n + 2 for n blocks in each of three stages, 9 n + 2 with bottleneck" },
  { name = "bottleneck", type = "boolean", default = false,
    help = "blocks of 1x1, 3x3, 1x1 convolutions instead of two of 3x3" },
}

--- @tparam table given depth (20), bottleneck (false)
-- @treturn table or nil and a sentence
function preresnet.complete(given)
  local read = fields.reader(given, { "depth", "bottleneck" })
  local depth, hasBottleneck = read:integer("depth", 20, 1), read:boolean("bottleneck", false)
  local step = hasBottleneck and 9 or 6
  local n = (depth - 2) // step
  if n < 1 or (depth - 2) % step ~= 0 then
    read:refuse("depth %d is not possible with bottleneck %s: expected %d n + 2 for n blocks in each of three stages; "
      .. "nearest: %s", depth, hasBottleneck, step,
      n < 1 and 2 + step or ("%d and %d"):format(2 + n * step, 2 + (n + 1) * step))
  end
  return read:result { depth = depth, bottleneck = hasBottleneck }
end

local function addConvolution(to, name, nIn, nOut, kernel, stride)
  local padding = (kernel - 1) // 2
  to:add(nn.SpatialConvolution(nIn, nOut, kernel, kernel, stride, stride, padding, padding):noBias(), name)
end

-- ReLU in place of the batch norm's output, which nothing else reads.
local function addActivation(to, i, nChannels)
  to:add(nn.SpatialBatchNormalization(nChannels), "bn" .. i):add(nn.ReLU(true), "relu" .. i)
end

-- The convolutions of a block: { kernel, output channels, stride } each.
local function convolutionsOf(config, nChannels, stride)
  if config.bottleneck then
    return { { 1, nChannels, 1 }, { 3, nChannels, stride }, { 1, EXPANSION * nChannels, 1 } }
  end
  return { { 3, nChannels, stride }, { 3, nChannels, 1 } }
end

-- A block, and its number of output channels.
local function residualBlock(config, nIn, nChannels, stride, isFirst)
  local block, residual, shortcut = nn.Sequential(), nn.Sequential(), nn.Identity()
  local n = nIn
  for i, convolution in ipairs(convolutionsOf(config, nChannels, stride)) do
    local kernel, nOut, step = table.unpack(convolution)
    addActivation(i == 1 and isFirst and block or residual, i, n)
    addConvolution(residual, "conv" .. i, n, nOut, kernel, step)
    n = nOut
  end
  local isChanged = n ~= nIn or stride ~= 1
  if isChanged then
    shortcut = nn.SpatialConvolution(nIn, n, 1, 1, stride, stride):noBias()
  end
  local branches = nn.ConcatTable():add(residual, ""):add(shortcut, isChanged and "downsample" or "identity")
  return block:add(branches, ""):add(nn.CAddTable(true), "add"), n
end

--- The network, with new weights, for images N,inputChannels,H,W of any size.
-- @tparam table config complete
-- @return the model, in training mode
function preresnet.build(config)
  local model, n = nn.Sequential(), CHANNELS[1]
  addConvolution(model, "conv1", config.inputChannels, n, 3, 1)
  local nBlocks = (config.depth - 2) // (config.bottleneck and 9 or 6)
  for i, nChannels in ipairs(CHANNELS) do
    local stage = nn.Sequential()
    for j = 1, nBlocks do
      local block
      block, n = residualBlock(config, n, nChannels, j == 1 and i > 1 and 2 or 1, j == 1)
      stage:add(block)
    end
    model:add(stage, "layer" .. i)
  end
  model:add(nn.SpatialBatchNormalization(n), "bn"):add(nn.ReLU(true), "relu"):add(nn.GlobalAveragePooling(), "pool")
  return initialize(model:add(nn.Linear(n, config.nClasses), "fc"))
end

function preresnet.describe(config)
  return ("ResNet-%d with pre-activation: %d %s blocks in each of three stages"):format(config.depth,
    (config.depth - 2) // (config.bottleneck and 9 or 6), config.bottleneck and "bottleneck" or "basic")
end

--- Layers with weights.
function preresnet.layers(config) return config.depth end

return preresnet
