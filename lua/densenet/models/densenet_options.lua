--- Options of a DenseNet: those of the command line, and a configuration's defaults and checks, with depth
-- turned into blocks.
-- @module densenet.models.densenet_options

local fields = require "densenet.models.fields"

local options = {}

--- Of the command line.
options.rows = {
  { name = "depth", type = "integer", default = 40, min = 1, max = 10000, field = "blocks",
    help = "layers: 6 n + 4 for n layers in each of three blocks, 3 n + 4 without bottleneck; with -stem imagenet "
      .. "121, 161, 169, 201, 232 or 264" },
  { name = "d1", type = "integer", default = 0, min = 0, max = 1000, field = "blocks",
    help = "layers in block 1; -d1 to -d4 replace -depth" },
  { name = "d2", type = "integer", default = 0, min = 0, max = 1000, field = "blocks", help = "layers in block 2" },
  { name = "d3", type = "integer", default = 0, min = 0, max = 1000, field = "blocks", help = "layers in block 3" },
  { name = "d4", type = "integer", default = 0, min = 0, max = 1000, field = "blocks", help = "layers in block 4" },
  { name = "growthRate", type = "integer", default = 12, min = 1, max = 10000,
    help = "channels that each layer adds" },
  { name = "bottleneck", type = "boolean", default = true,
    help = "a 1x1 convolution before each 3x3 one (DenseNet-B)" },
  { name = "reduction", type = "number", default = 0.5, above = 0, max = 1,
    help = "share of the channels that a transition keeps (DenseNet-C)" },
  { name = "initChannels", type = "integer", default = 0, min = 0, max = 10000,
    help = "channels of the first convolution; 0: twice the growth rate" },
  { name = "stem", type = "word", default = "cifar", choices = { "cifar", "imagenet" },
    help = "first layers. cifar: a 3x3 convolution; imagenet: 7x7 and pooling, which quarter the image" },
  { name = "dropRate", type = "number", default = 0, min = 0, below = 1, isFree = true,
    help = "probability of dropout" },
}

local N_BLOCK_OPTIONS = 4

-- The numbers of -d1 to -d4; empty without them.
local function givenBlocks(values)
  local blocks = {}
  for i = 1, N_BLOCK_OPTIONS do blocks[i] = values["d" .. i] end
  while blocks[#blocks] == 0 do blocks[#blocks] = nil end
  return blocks
end

--- The configuration that a command line asks for.
-- @tparam table values by option
-- @tparam table given set of the names that were written
-- @treturn table or nil and a sentence
function options.config(values, given)
  local blocks = givenBlocks(values)
  for i, nLayers in ipairs(blocks) do
    if nLayers == 0 then return nil, ("d%d is missing: -d1 to -d%d need a number each"):format(i, #blocks) end
  end
  if #blocks > 0 and given.depth then return nil, "depth and -d1 to -d4 say the same thing: give either, not both" end
  return {
    depth = #blocks == 0 and values.depth or nil, blocks = #blocks > 0 and blocks or nil,
    growthRate = values.growthRate, bottleneck = values.bottleneck, reduction = values.reduction,
    initChannels = values.initChannels > 0 and values.initChannels or nil, stem = values.stem,
    dropRate = values.dropRate,
  }
end

local NAMES = { "depth", "blocks", "growthRate", "initChannels", "bottleneck", "reduction", "dropRate", "stem",
  "nClasses" }

-- Layers in each block of the networks for ImageNet, by their published depth.
local IMAGENET_BLOCKS = {
  [121] = { 6, 12, 24, 16 },
  [161] = { 6, 12, 36, 24 },
  [169] = { 6, 12, 32, 32 },
  [201] = { 6, 12, 48, 32 },
  [232] = { 6, 12, 48, 48 },
  [264] = { 6, 12, 64, 48 },
}
local WIDE = { [161] = true, [232] = true } -- growth rate 48

-- Three equal blocks: a first convolution, two transitions and a classifier take four of the layers.
local function cifarBlocks(read, depth, hasBottleneck)
  local step = hasBottleneck and 6 or 3
  local n = (depth - 4) // step
  if n < 1 or (depth - 4) % step ~= 0 then
    local below, above = 4 + n * step, 4 + (n + 1) * step
    read:refuse("depth %d is not possible with bottleneck %s: expected %d n + 4 for n layers in each of three blocks; "
      .. "nearest: %s", depth, hasBottleneck, step, n < 1 and 4 + step or ("%d and %d"):format(below, above))
  end
  return { n, n, n }
end

local function imagenetBlocks(read, depth)
  if IMAGENET_BLOCKS[depth] then return { table.unpack(IMAGENET_BLOCKS[depth]) } end
  local known = {}
  for each in pairs(IMAGENET_BLOCKS) do known[#known + 1] = each end
  table.sort(known, function(a, b)
    local da, db = math.abs(a - depth), math.abs(b - depth)
    return da < db or (da == db and a < b)
  end)
  read:refuse("depth %d is not known with the imagenet stem; nearest: %d and %d; other networks are given by blocks",
    depth, known[1], known[2])
  return {}
end

local function copyOfBlocks(read, blocks)
  if type(blocks) ~= "table" or #blocks == 0 then
    read:refuse("blocks must be a list of layer numbers, such as {6, 12, 24, 16}, got %s", blocks)
    return {}
  end
  local copy = {}
  for i = 1, #blocks do
    local n = type(blocks[i]) == "number" and math.tointeger(blocks[i])
    if not n or n < 1 then
      read:refuse("blocks[%d] must be a number of layers, 1 or more, got %s", i, blocks[i])
    end
    copy[i] = n or 1
  end
  return copy
end

local function blocksOf(read, given, stem, hasBottleneck)
  local depth = read:integer("depth", nil, 1)
  if depth and given.blocks then
    read:refuse("depth and blocks say the same thing; give one of them")
  elseif given.blocks then
    return copyOfBlocks(read, given.blocks)
  elseif not depth then
    read:refuse("depth or blocks is missing")
  elseif stem == "cifar" then
    return cifarBlocks(read, depth, hasBottleneck)
  else
    return imagenetBlocks(read, depth)
  end
end

--- A complete configuration; see densenet.models.densenet for the meaning of its fields.
-- @tparam table given
-- @treturn table every field but depth, which has become blocks; or nil and a sentence
function options.complete(given)
  local read = fields.reader(given, NAMES)
  local stem = read:word("stem", "cifar", { "cifar", "imagenet" })
  local hasBottleneck = read:boolean("bottleneck", true)
  local usualGrowth = stem == "cifar" and 12 or (WIDE[given.depth] and 48 or 32)
  local growthRate = read:integer("growthRate", usualGrowth, 1)
  return read:result {
    blocks = blocksOf(read, given, stem, hasBottleneck),
    growthRate = growthRate,
    initChannels = read:integer("initChannels", 2 * growthRate, 1),
    bottleneck = hasBottleneck,
    reduction = read:number("reduction", 0.5, function(x) return x > 0 and x <= 1 end,
      "a number above 0 and up to 1"),
    dropRate = read:number("dropRate", 0, function(x) return x >= 0 and x < 1 end, "a number from 0 to below 1"),
    stem = stem,
    nClasses = stem == "cifar" and 10 or 1000,
  }
end

return options
