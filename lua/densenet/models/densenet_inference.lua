--- The configuration of a DenseNet from the names and shapes of its tensors, for files that do not say it.
--
-- Names are torchvision's (densenet.models.names). Only what shapes tell is believed: what the configuration
-- leaves open (a shape that its network would not have) is found when the tensors are compared with it.
-- @module densenet.models.densenet_inference

local core = require "densenet.core"

local MOST_DIGITS = 6 -- of a block's and a layer's number: a file may hold any name

local function shapeText(tensor) return table.concat(tensor:size(), "x") end

-- The layers of each block: a list, without holes; or nil and a sentence. Nil alone: no name is a dense layer's.
local function blocksOf(tensors)
  local seen, nBlocks = {}, 0
  for name in pairs(tensors) do
    local block, layer = tostring(name):match("^features%.denseblock(%d+)%.denselayer(%d+)%.")
    if block and #block <= MOST_DIGITS and #layer <= MOST_DIGITS then
      block, layer = tonumber(block), tonumber(layer)
      seen[block] = seen[block] or { last = 0 }
      seen[block][layer], seen[block].last = true, math.max(seen[block].last, layer)
      nBlocks = math.max(nBlocks, block)
    end
  end
  if nBlocks == 0 then return nil end
  local blocks = {}
  for b = 1, nBlocks do
    if not seen[b] then return nil, ("features.denseblock%d is missing, and block %d is there"):format(b, nBlocks) end
    for layer = 1, seen[b].last do
      if not seen[b][layer] then
        return nil, ("features.denseblock%d.denselayer%d is missing, and layer %d is there"):format(b, layer,
          seen[b].last)
      end
    end
    blocks[b] = seen[b].last
  end
  return blocks
end

-- The tensor of a name, of nDims dimensions; or nil and a sentence with the shape that was expected.
local function find(tensors, name, nDims, expected)
  local tensor = rawget(tensors, name)
  if not core.is_tensor(tensor) then return nil, ("%s (%s) is missing"):format(name, expected) end
  if tensor:dim() ~= nDims then
    return nil, ("%s: expected %s, got %s"):format(name, expected, shapeText(tensor))
  end
  return tensor
end

-- Shares that people write first, so that the configuration says 0.5 and not 0.5009.
local function roundShares()
  local shares = { 0.5, 1 }
  for _, steps in ipairs { 10, 20, 100, 1000 } do
    for i = 1, steps do shares[#shares + 1] = i / steps end
  end
  return shares
end

-- The share of the channels that the transitions keep: rounding down must give each one's shape.
local function reductionOf(tensors, nBlocks)
  local shapes = {}
  for t = 1, nBlocks - 1 do
    local name = ("features.transition%d.conv.weight"):format(t)
    local conv, wrong = find(tensors, name, 4, "outputs x inputs x 1 x 1")
    if not conv then return nil, wrong end
    shapes[t] = { name = name, kept = conv:size(1), from = conv:size(2) }
  end
  local function isShareOfAll(share)
    for _, shape in ipairs(shapes) do
      if math.max(1, math.floor(shape.from * share)) ~= shape.kept then return false, shape end
    end
    return true
  end
  for _, share in ipairs(roundShares()) do
    if isShareOfAll(share) then return share end
  end
  local low, high = 0.0, math.huge
  for _, shape in ipairs(shapes) do
    low, high = math.max(low, shape.kept / shape.from), math.min(high, (shape.kept + 1) / shape.from)
  end
  local middle = (low + high) / 2
  if low < high and middle <= 1 and isShareOfAll(middle) then return middle end
  local first = shapes[1].kept / shapes[1].from
  local _, misfit = isShareOfAll(first)
  misfit = misfit or shapes[1]
  return nil, ("%s keeps %d of %d channels, and %s keeps %d of %d: no one share gives both"):format(shapes[1].name,
    shapes[1].kept, shapes[1].from, misfit.name, misfit.kept, misfit.from)
end

local function stemOf(tensors, conv0)
  local kernel, hasNorm = conv0:size(3), rawget(tensors, "features.norm0.weight") ~= nil
  if kernel == 7 and hasNorm then return "imagenet" end
  if kernel == 3 and not hasNorm then return "cifar" end
  return nil, ("features.conv0.weight: expected 7x7 with features.norm0, or 3x3 without, got %s %s features.norm0")
    :format(shapeText(conv0), hasNorm and "with" or "without")
end

--- @tparam table tensors name → tensor
-- @treturn table the configuration's fields that shapes tell; or nil and a sentence; nil alone where it is no
-- DenseNet's
return function(tensors)
  local blocks, wrong = blocksOf(tensors)
  if not blocks then return nil, wrong end
  local conv0, classifier, conv1, stem, reduction
  conv0, wrong = find(tensors, "features.conv0.weight", 4, "outputs x inputs x height x width")
  if not conv0 then return nil, wrong end
  conv1, wrong = find(tensors, "features.denseblock1.denselayer1.conv1.weight", 4, "outputs x inputs x height x width")
  if not conv1 then return nil, wrong end
  stem, wrong = stemOf(tensors, conv0)
  if not stem then return nil, wrong end
  reduction, wrong = reductionOf(tensors, #blocks)
  if not reduction then return nil, wrong end
  classifier, wrong = find(tensors, "classifier.weight", 2, "classes x channels")
  if not classifier then return nil, wrong end
  local conv2 = rawget(tensors, "features.denseblock1.denselayer1.conv2.weight")
  if conv2 and conv2:dim() ~= 4 then
    return nil, ("features.denseblock1.denselayer1.conv2.weight: expected outputs x inputs x 3 x 3, got %s"):format(
      shapeText(conv2))
  end
  return { blocks = blocks, growthRate = (conv2 or conv1):size(1), bottleneck = conv2 ~= nil,
    reduction = reduction, initChannels = conv0:size(1), stem = stem, inputChannels = conv0:size(2),
    nClasses = classifier:size(1) }
end
