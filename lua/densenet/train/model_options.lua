--- The options of programs that use a trained network on pictures: which network, what its file does not say, and
-- the pictures.
local core = require "densenet.core"
local models = require "densenet.models"
local precision = require "densenet.models.precision"
local recipes = require "densenet.data.recipe"

local modelOptions = {}

--- A group for CommandLine.
modelOptions.group = { title = "Network",
  { name = "classes", type = "text", shown = "the file's", help = "text file with the classes' names, one a line" },
  { name = "preprocess", type = "word", shown = "the file's", choices = recipes.names(),
    help = "what pictures go through, by the name of what the network was trained with" },
  { name = "mean", type = "text", shown = "the recipe's", help = "numbers with commas between, one a channel" },
  { name = "std", type = "text", shown = "the recipe's", help = "numbers with commas between, one a channel" },
  { name = "range", type = "integer", shown = "the recipe's", min = 1, max = 255,
    help = "1 or 255: the largest value on the scale of mean and std" },
  { name = "scaleSize", type = "integer", shown = "the recipe's", min = 1, max = 65536,
    help = "pixels that the smaller edge is scaled to" },
  { name = "imageSize", type = "integer", shown = "the recipe's", min = 1, max = 65536,
    help = "pixels of the square cut out of the middle" },
  { name = "filter", type = "word", shown = "the recipe's", choices = { "bilinear", "bicubic", "torch" },
    help = "how pictures are scaled" },
  { name = "rounding", type = "word", shown = "the recipe's", choices = { "even", "up" },
    help = "where the middle lies between two pixels" },
  { name = "inputChannels", type = "integer", shown = "the file's", min = 1, max = 1000000,
    help = "change the first layer for images of N channels" },
  { name = "device", type = "word", default = "cpu", choices = { "cpu", "cuda", "cuda:N" }, pattern = "^cuda:%d+$",
    help = "where to compute" },
  { name = "precision", type = "word", shown = "the file's", choices = precision.words, help = "numbers" },
  { name = "nCores", type = "integer", shown = "all there are", min = 1, max = 1024, help = "compute threads" },
}

-- "0.5,0.25" as a list; or nil and a sentence.
local function numbersOf(name, text)
  if not text then return nil end
  local list = {}
  for word in (text .. ","):gmatch("([^,]*),") do
    local number = word:find("^[+-]?[%d.]") and not word:find("[xX]") and core.number(word)
    if not number then
      return nil, ("-%s %s: numbers with commas between expected, got '%s'"):format(name, text, word)
    end
    list[#list + 1] = number
  end
  return list
end

-- What a model does not say and its user has to, or nil.
local function missing(model, needsClasses)
  local wanted = {}
  if not model.recipe then
    wanted[1] = ("what pictures go through before the network sees them (-preprocess %s; or -mean, -std and -range, "
      .. "-scaleSize and -filter, -imageSize and -rounding)"):format(table.concat(recipes.names(), "|"))
  end
  if needsClasses and not model.classes then
    wanted[#wanted + 1] = ("what its %d classes are called (-classes FILE, a name a line)"):format(
      model.config.nClasses)
  end
  return wanted[1] and ("%s does not say %s"):format(model.file, table.concat(wanted, ", nor "))
end

--- The network that a command line asks for, with a recipe.
-- @param path its file
-- @param values of the options above
-- @param needsClasses true: with names of its classes, too
-- @return the model; or nil, message, code
function modelOptions.load(path, values, needsClasses)
  local mean, std, wrong
  mean, wrong = numbersOf("mean", values.mean)
  if wrong then return nil, wrong, "usage" end
  std, wrong = numbersOf("std", values.std)
  if wrong then return nil, wrong, "usage" end
  local model, message, code = models.load(path, { classes = values.classes, preprocess = values.preprocess,
    mean = mean, std = std, range = values.range, scale = values.scaleSize, crop = values.imageSize,
    filter = values.filter, rounding = values.rounding, inputChannels = values.inputChannels,
    device = values.device, precision = values.precision })
  if not model then return nil, message, code end
  wrong = missing(model, needsClasses)
  if wrong then return nil, wrong, "argument" end
  return model
end

return modelOptions
