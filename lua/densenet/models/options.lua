--- Options of a DenseNet: defaults, checks, and depth turned into blocks.
-- What comes out is complete and holds plain values only, so it can be stored beside the weights and
-- builds the same network again.
-- @module densenet.models.options

local precision = require "densenet.models.precision"

local STEMS = { cifar = true, imagenet = true }
local LINEAR_MEMORY, LAST_MEMORY_MODE = 4, 5

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

local NAMES = {
  "depth", "blocks", "growthRate", "initChannels", "bottleneck", "reduction", "dropRate", "stem", "inputChannels",
  "nClasses", "optMemory", "precision",
}

local function refuse(pattern, ...)
  error("models.densenet: " .. pattern:format(...), 0)
end

local function integer(options, name, default, least)
  local value = options[name]
  if value == nil then
    return default
  end
  local whole = math.tointeger(value)
  if type(value) ~= "number" or not whole or whole < least then
    refuse("%s must be an integer of %d or more, got %s", name, least, tostring(value))
  end
  return whole
end

local function number(options, name, default, isGood, expected)
  local value = options[name]
  if value == nil then
    return default
  end
  if type(value) ~= "number" or not isGood(value) then
    refuse("%s must be %s, got %s", name, expected, tostring(value))
  end
  return value
end

local function word(options, name, default, known)
  local value = options[name]
  if value == nil then
    return default
  end
  if not known[value] then
    local words = {}
    for each in pairs(known) do
      words[#words + 1] = each
    end
    table.sort(words)
    refuse("%s must be %s, got %s", name, table.concat(words, " or "), tostring(value))
  end
  return value
end

local function boolean(options, name, default)
  local value = options[name]
  if value == nil then
    return default
  end
  if type(value) ~= "boolean" then
    refuse("%s must be true or false, got %s", name, tostring(value))
  end
  return value
end

-- Three equal blocks: a first convolution, two transitions and a classifier take four of the layers.
local function cifarBlocks(depth, hasBottleneck)
  local step = hasBottleneck and 6 or 3
  local n = (depth - 4) // step
  if depth < 4 + step or (depth - 4) % step ~= 0 then
    local below, above = 4 + n * step, 4 + (n + 1) * step
    local nearest = below < 4 + step and ("the nearest is %d"):format(4 + step)
      or ("the nearest are %d and %d"):format(below, above)
    refuse("depth %d is not possible %s bottleneck layers (depth - 4 must be a multiple of %d); %s", depth,
      hasBottleneck and "with" or "without", step, nearest)
  end
  return { n, n, n }
end

local function imagenetBlocks(depth)
  if IMAGENET_BLOCKS[depth] then
    return { table.unpack(IMAGENET_BLOCKS[depth]) }
  end
  local known = {}
  for each in pairs(IMAGENET_BLOCKS) do
    known[#known + 1] = each
  end
  table.sort(known, function(a, b)
    local da, db = math.abs(a - depth), math.abs(b - depth)
    return da < db or (da == db and a < b)
  end)
  refuse("depth %d is not known with the imagenet stem; the nearest are %d and %d; other networks are given by blocks",
    depth, known[1], known[2])
end

local function givenBlocks(blocks)
  if type(blocks) ~= "table" or #blocks == 0 then
    refuse("blocks must be a list of layer numbers, such as {6, 12, 24, 16}, got %s", tostring(blocks))
  end
  local copy = {}
  for i = 1, #blocks do
    local n = math.tointeger(blocks[i])
    if type(blocks[i]) ~= "number" or not n or n < 1 then
      refuse("blocks[%d] must be a number of layers, 1 or more, got %s", i, tostring(blocks[i]))
    end
    copy[i] = n
  end
  return copy
end

local function checkNames(options)
  if type(options) ~= "table" then
    refuse("a table of options expected, got %s", type(options))
  end
  local known = {}
  for _, name in ipairs(NAMES) do
    known[name] = true
  end
  for name in pairs(options) do
    if not known[name] then
      refuse("there is no option '%s'; there are %s", tostring(name), table.concat(NAMES, ", "))
    end
  end
end

--- Complete options from given ones; see densenet.models.densenet for their meaning.
-- @tparam table options
-- @treturn table every option but depth, which has become blocks
-- @raise a sentence that names the option, what is expected and what came
return function(options)
  checkNames(options)
  local stem = word(options, "stem", "cifar", STEMS)
  local hasBottleneck = boolean(options, "bottleneck", true)
  local depth = integer(options, "depth", nil, 1)
  local blocks
  if depth and options.blocks then
    refuse("depth and blocks say the same thing; give one of them")
  elseif options.blocks then
    blocks = givenBlocks(options.blocks)
  elseif not depth then
    refuse("depth or blocks is missing")
  else
    blocks = stem == "cifar" and cifarBlocks(depth, hasBottleneck) or imagenetBlocks(depth)
  end
  local growthRate = integer(options, "growthRate", stem == "cifar" and 12 or (WIDE[depth] and 48 or 32), 1)
  local optMemory = integer(options, "optMemory", LINEAR_MEMORY, 0)
  if optMemory > LAST_MEMORY_MODE then
    refuse("optMemory must be an integer from 0 to %d, got %d", LAST_MEMORY_MODE, optMemory)
  end
  return {
    blocks = blocks,
    growthRate = growthRate,
    initChannels = integer(options, "initChannels", hasBottleneck and 2 * growthRate or 16, 1),
    bottleneck = hasBottleneck,
    reduction = number(options, "reduction", 0.5, function(x) return x > 0 and x <= 1 end,
      "a number above 0 and up to 1"),
    dropRate = number(options, "dropRate", 0, function(x) return x >= 0 and x < 1 end, "a number from 0 to below 1"),
    stem = stem,
    inputChannels = integer(options, "inputChannels", 3, 1),
    nClasses = integer(options, "nClasses", stem == "cifar" and 10 or 1000, 1),
    optMemory = optMemory,
    precision = word(options, "precision", "single", precision),
  }
end
