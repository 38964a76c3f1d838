--- What a command line says about the images: as options of data.open, and checked against the data set, because an
-- option that a set does not have would change nothing, in silence.
local data = require "densenet.data"
local models = require "densenet.models"

local dataOptions = {}

-- Each option of data.open that a command line has: its name there, and the value that stands for none.
local NAMES = {
  { "imageSize", "imageSize", 0 }, { "scaleSize", "scaleSize", 0 }, { "filter", "filter" },
  { "minArea", "minArea", 0.08 }, { "mirror", "mirror", true },
  { "channels", "inputChannels", 0 }, { "index", "gen" }, { "badImages", "badImages", "error" },
  { "extra", "extra", false }, { "fastDecode", "fastDecode", false },
}

-- The data set's definition; an empty one where there is none, as is said elsewhere.
local function definitionOf(values) return data.find(values.dataset) or {} end

-- With -retrain, -inputChannels is also about the network, whatever the images are.
local function isNetworks(values, name)
  return name == "channels" and values.retrain and not (definitionOf(values).options or {}).channels
end

--- Options for data.open and data.about.
-- @param values options of a command line
-- @param more (optional) table of further options
function dataOptions.of(values, more)
  local chosen = { directory = values.data }
  for _, name in ipairs(NAMES) do
    local value = values[name[2]]
    if value ~= name[3] and not isNetworks(values, name[1]) then chosen[name[1]] = value end
  end
  for name, value in pairs(more or {}) do chosen[name] = value end
  return chosen
end

--- Does a network for the data set tell its classes apart and no more?
function dataOptions.hasOwnClasses(values) return definitionOf(values).hasOwnClasses or false end

--- Has the data set what the options ask of it?
-- @return true, or nil and a sentence
function dataOptions.check(values)
  local definition = definitionOf(values)
  local known, chosen = definition.options or {}, dataOptions.of(values)
  for _, name in ipairs(NAMES) do
    if chosen[name[1]] ~= nil and not known[name[1]] then
      return nil, ("-%s %s: the data set %s has no such option"):format(name[2], tostring(chosen[name[1]]),
        values.dataset)
    end
  end
  if values.tenCrop and definition.family ~= "imagenet" then
    return nil, ("-tenCrop true: images of %s are used whole, no crops are cut out of them"):format(values.dataset)
  end
  if values.split and not values.testOnly then return nil, "-split needs -testOnly true: it says what is tested on" end
  return true
end

--- Gives the network the options that the data set's images want, where they were not given.
-- @param values as parse returns them; changed
-- @param given as parse returns them
function dataOptions.chooseNetwork(values, given)
  local networks = definitionOf(values).networks
  local _, family, preset = models.find(values.netType)
  if not networks or not family or next(preset.options) then return end
  for _, step in ipairs(networks(dataOptions.of(values))[family] or {}) do
    local holds = true
    for name, value in pairs(step.where or {}) do holds = holds and values[name] == value end
    for name, value in pairs(holds and step.set or {}) do
      if not given[name] then values[name] = value end
    end
  end
end

--- A test shows the network images as it knows them: what was not given is as it was in training.
-- @param values as parse returns them; changed
-- @param given as parse returns them
-- @param saved options of the training
function dataOptions.adopt(values, given, saved)
  for _, name in ipairs { "imageSize", "scaleSize", "filter", "inputChannels" } do
    if not given[name] and saved[name] ~= nil and values.dataset == saved.dataset then values[name] = saved[name] end
  end
end

--- A folder's images go through the recipe of the network that is retrained, where the command line says nothing
-- else: sizes and filter, and as many channels.
-- @param values as parse returns them; changed
-- @param given as parse returns them
-- @param recipe densenet.data.recipe, or nil
-- @param channels that the network takes
function dataOptions.adoptRecipe(values, given, recipe, channels)
  if not dataOptions.hasOwnClasses(values) then return end
  if channels == 1 and not given.inputChannels then values.inputChannels = 1 end
  if not recipe then return end
  if not given.filter then values.filter = recipe.filter end
  if not given.imageSize and not given.scaleSize then
    values.imageSize, values.scaleSize = recipe.crop or values.imageSize, recipe.scale or values.scaleSize
  end
end

return dataOptions
