--- Which recipe (densenet.data.recipe) a network's images go through: the caller's word counts over the file's, and
-- single fields over the whole. Where nobody says anything there is none, and nothing is guessed.
-- @module densenet.models.preprocessing

local recipes = require "densenet.data.recipe"

local preprocessing = {}

--- Fields of a recipe that a caller may give by themselves.
preprocessing.FIELDS = { "mean", "std", "scale", "crop", "filter", "rounding", "range" }

--- The names of recipes that are known.
preprocessing.names = recipes.names

local function named(given)
  if type(given) == "string" then return recipes.named(given) end
  return recipes.validate(given)
end

-- The caller's fields, or nil.
local function changesOf(options)
  local changes
  for _, field in ipairs(preprocessing.FIELDS) do
    if options[field] ~= nil then
      changes = changes or {}
      changes[field] = options[field]
    end
  end
  return changes
end

local function mean(list)
  local sum = 0
  for _, number in ipairs(list) do sum = sum + number end
  return sum / #list
end

-- Mean and deviation of each channel for another number of channels.
local function spread(list, wanted)
  local new = {}
  for c = 1, wanted do new[c] = wanted == 1 and mean(list) or list[(c - 1) % #list + 1] end
  return new
end

-- The recipe for a network whose first convolution was changed to other channels.
local function forChannels(recipe, channels, notes)
  notes[#notes + 1] = ("mean and std of %d channel%s are %s the %d of the recipe"):format(channels,
    channels == 1 and "" or "s", channels == 1 and "the means of" or "repeated from", recipe.channels)
  return recipes.with(recipe, { channels = channels, mean = spread(recipe.mean, channels),
    std = spread(recipe.std, channels) })
end

--- The recipe of a network.
-- @tparam table content of densenet.models.formats; a note is added where something is assumed
-- @tparam table options preprocess, a recipe or its name, and fields by themselves
-- @tparam integer channels that the network takes
-- @treturn table a recipe; nil alone where nobody says any; or nil, message, code
function preprocessing.choose(content, options, channels)
  local given, where = options.preprocess, "preprocess: "
  if given == nil then given, where = content.preprocess, content.file .. ": " end
  local changes = changesOf(options)
  if given == nil and not changes then return nil end
  local recipe, message, code
  if given ~= nil then
    recipe, message, code = named(given)
    if not recipe then return nil, where .. message, options.preprocess == nil and "format" or code end
    if options.preprocess == nil and type(given) == "string" then
      content.notes[#content.notes + 1] = ("the file does not say what images go through; %s's recipe is taken, as "
        .. "for all files of its kind"):format(given)
    end
    if recipe.channels ~= channels and not (changes and changes.mean) and content.adaptedFrom == recipe.channels then
      recipe = forChannels(recipe, channels, content.notes)
    end
  end
  if changes then
    changes.channels = changes.mean and type(changes.mean) == "table" and #changes.mean or nil
    if recipe then recipe, message, code = recipes.with(recipe, changes)
    else recipe, message, code = recipes.validate(changes) end
    if not recipe then return nil, message, code end
  end
  if recipe.channels ~= channels then
    return nil, ("recipe: mean and std of %d channel%s expected, as the network takes, got %d"):format(channels,
      channels == 1 and "" or "s", recipe.channels), "argument"
  end
  return recipe
end

--- The sentence for a network without a recipe.
-- @param file that it is from, or nil
function preprocessing.missing(file)
  return ("%s does not say what images go through before the network sees them: preprocess = %s, or a recipe (mean, "
    .. "std, range, scale, filter, crop, rounding)"):format(file or "the model", table.concat(recipes.names(), ", "))
end

return preprocessing
