--- What network a state (table name → tensor) is of, from its names and shapes alone: for messages
-- about one that does not fit.
-- @module densenet.models.densenet_likeness

local core = require "densenet.core"
local options = require "densenet.models.densenet_options"
local presets = require "densenet.models.presets"

local MOST_DIGITS = 8 -- of a block's and a layer's number: a file may hold any name

-- What a state shows: layers in each block, and the shapes of the convolutions that tell the rest. Names
-- may have a prefix (`module.`), and dots as torchvision's had before 2018 (conv.1 for conv1).
local function read(state)
  local seen = { blocks = {}, transitions = {} }
  for name, tensor in pairs(state) do
    if type(name) == "string" and core.is_tensor(tensor) then
      local size = tensor:size()
      local block, layer, rest = name:match("denseblock(%d+)%.denselayer(%d+)%.(.+)")
      if block and #block + #layer > MOST_DIGITS then block = nil end
      local transition = #size == 4 and name:match("transition(%d+)%.conv%.weight$")
      if block then
        block, layer = tonumber(block), tonumber(layer)
        seen.blocks[block] = math.max(seen.blocks[block] or 0, layer)
        local conv = #size == 4 and block == 1 and layer == 1 and rest:match("^conv%.?([12])%.weight$")
        if conv then seen["conv" .. conv] = size end
      elseif transition then
        seen.transitions[tonumber(transition)] = size
      elseif #size == 4 and name:find("conv0%.weight$") then
        seen.conv0 = size
      elseif #size == 2 and name:find("classifier%.weight$") then
        seen.nClasses = size[1]
      end
      seen.hasStatistics = seen.hasStatistics or name:find("running_mean$") ~= nil
    end
  end
  return seen
end

-- The options that show in it, or nil when it is no DenseNet's.
local function optionsOf(seen)
  local blocks, last = seen.blocks, seen.conv2 or seen.conv1
  for block in pairs(blocks) do
    if block > 1 and not blocks[block - 1] then return nil end
  end
  if #blocks == 0 or not last or not seen.conv0 then return nil end
  return { blocks = blocks, growthRate = last[1], bottleneck = seen.conv2 ~= nil, initChannels = seen.conv0[1],
    inputChannels = seen.conv0[2], stem = seen.conv0[3] == 7 and "imagenet" or "cifar", nClasses = seen.nClasses,
    transitions = seen.transitions }
end

local function isPreset(found, preset)
  for _, name in ipairs { "growthRate", "bottleneck", "initChannels", "stem" } do
    if found[name] ~= preset[name] then return false end
  end
  for _, size in pairs(found.transitions) do
    if size[1] ~= math.floor(size[2] * preset.reduction) then return false end
  end
  return table.concat(found.blocks, " ") == table.concat(preset.blocks, " ")
end

-- The name of a published network. Where several differ only in how they are trained it is that of the usual
-- training, the shortest.
local function presetOf(found)
  local best
  for name, preset in pairs(presets) do
    local isBetter = not best or #name < #best
    if preset.family == "densenet" and preset.lrShape == "multistep" and isBetter
      and isPreset(found, options.complete(preset.options)) then
      best = name
    end
  end
  return best
end

local function blocksText(blocks)
  for _, n in ipairs(blocks) do
    if n ~= blocks[1] then return "blocks of " .. table.concat(blocks, ", ") end
  end
  return ("%d block%s of %d"):format(#blocks, #blocks == 1 and "" or "s", blocks[1])
end

local function count(n, what, plural) return n and ("%d %s"):format(n, n == 1 and what or plural) end

--- What a state is of.
-- @tparam table state name → tensor
-- @treturn string "densenet121 (3 input channels, 1000 classes)", or "DenseNet-BC, growth rate 12, 3 blocks of
-- 6 (…)" for what has no name; nil when it is no DenseNet's
return function(state)
  local seen = read(state)
  local found = optionsOf(seen)
  if not found then return nil end
  local name = presetOf(found) or ("DenseNet%s, growth rate %d, %s"):format(found.bottleneck and "-BC" or "",
    found.growthRate, blocksText(found.blocks))
  local ends = { count(found.inputChannels, "input channel", "input channels"),
    count(found.nClasses, "class", "classes") }
  return ("%s%s (%s)"):format(seen.hasStatistics and "" or "an optimizer of ", name, table.concat(ends, ", "))
end
