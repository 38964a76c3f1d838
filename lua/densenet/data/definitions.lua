--- Data sets by name: `-dataset` on a command line, and data.open.
--
-- A definition is a table. One of your own stands in a module, and its name is the module's
-- (examples/spirals.lua):
--
--    classes    names of the classes, by label
--    channels, height, width   of every image
--    family     what its images go through, in training and in testing: "cifar", "mnist", "plain" or "imagenet"
--               (densenet.data.preprocess)
--    epochs     (optional) the usual number of a training, 100 when left out
--    mean, std  (optional) lists of a number for each channel, over the training images; an opened set may say
--               its own
--    open       function(definition, options) → a data set; or nil, message, code ("argument", "io", "format").
--               options: split, "train" or "test"; directory, the -data of a command line, or nil; mean and std,
--               or nil: figures that are known already
--
--    options    (optional) set of further names that `open` takes beside these, as data.open does
--    settled    (optional) function(definition, options) → the definition with what depends on the options, such as
--               classes that are found in a directory; or nil, message, code. classes may be left out then
--    networks   (optional) function(options) → table by family of networks: a list of { set = options that they have
--               unless told otherwise, where = (optional) only where these options are so }
--
-- What `open` gives is an ImageSet, with all images in memory, or any table with size() and get(i) →
-- { input = byte tensor C,H,W, target = label from 1 }: each thread that loads data then opens it for itself.
local core = require "densenet.core"
local OpenList = require "densenet.open_list"
local cifar = require "densenet.data.cifar"
local folder = require "densenet.data.folder"
local mnist = require "densenet.data.mnist"
local svhn = require "densenet.data.svhn"

local definitions = {}

definitions.known = {
  ["fashion-mnist"] = mnist.FASHION,
  ["mnist"] = mnist.DIGITS,
  ["cifar10"] = cifar.TEN,
  ["cifar100"] = cifar.HUNDRED,
  ["svhn"] = svhn.DIGITS,
  ["imagenet"] = folder.IMAGENET,
}

local USUAL_EPOCHS = 100

local FIELDS = {
  { "classes", "table", "a list of the classes' names" },
  { "channels", "integer", "a whole number of channels" },
  { "height", "integer", "the images' height" },
  { "width", "integer", "the images' width" },
  { "family", "string", "cifar, mnist, plain or imagenet" },
  { "epochs", "integer", "a whole number of epochs", isOptional = true },
  { "mean", "table", "a list of a number for each channel", isOptional = true },
  { "std", "table", "a list of a number for each channel", isOptional = true },
  { "open", "function", "a function that opens the set" },
}
local FAMILIES = { cifar = true, mnist = true, plain = true, imagenet = true }

-- What is wrong with a table that should define a data set, or nil.
function definitions.complaint(definition)
  local wrong = OpenList.fieldComplaint(definition, FIELDS)
  if wrong then return wrong end
  for _, name in ipairs { "channels", "height", "width", "epochs" } do
    if definition[name] and definition[name] < 1 then
      return ("%s: expected 1 or more, got %d"):format(name, definition[name])
    end
  end
  if #definition.classes == 0 then return "classes: expected a list of the classes' names, got an empty one" end
  if not FAMILIES[definition.family] then
    return ("family: expected cifar, mnist, plain or imagenet, got %s"):format(definition.family)
  end
  local cutsSquares = definition.family == "cifar" or definition.family == "mnist"
  if cutsSquares and definition.height ~= definition.width then
    return ("family: %s cuts squares out of images, and these are %dx%d; plain does not"):format(definition.family,
      definition.height, definition.width)
  end
  for _, name in ipairs { "mean", "std" } do
    local n = definition[name] and #definition[name]
    if n and n ~= definition.channels then
      return ("%s: expected %d numbers, one for each channel, got %d"):format(name, definition.channels, n)
    end
  end
end

local list = OpenList.new("data set", definitions.known, definitions.complaint)

--- The names that come with densenet, sorted.
function definitions.names() return list:names() end

--- A data set's definition.
-- @param name one of names(), or a module's
-- @return the table; or nil, message, "argument"
function definitions.find(name) return list:find(name) end

--- A data set's definition, with what depends on options settled.
-- @param name one of names(), or a module's
-- @param options those that data.open takes
-- @return the table; or nil, message, code
function definitions.settled(name, options)
  local definition, message, code = list:find(name)
  if not definition then return nil, message, code end
  if not definition.settled then return definition end
  return definition.settled(definition, options)
end

--- The usual number of epochs.
function definitions.epochs(name) return definitions.find(name).epochs or USUAL_EPOCHS end

--- What is known of a data set before it is opened.
-- @param name one of names(), or a module's
-- @param options (optional) those that it would be opened with
-- @return { name=, channels=, height=, width=, nClasses=, epochs=, splits=, hasOwnClasses= }; splits: the set of those
-- that there are, hasOwnClasses: a network for it tells its classes apart and no more; or nil, message, code
function definitions.about(name, options)
  local definition, message, code = definitions.settled(name, options or {})
  if not definition then return nil, message, code end
  return { name = name, channels = definition.channels, height = definition.height, width = definition.width,
    nClasses = #definition.classes, epochs = definition.epochs or USUAL_EPOCHS,
    splits = definition.splits or { train = true, test = true }, hasOwnClasses = definition.hasOwnClasses or false }
end

local function isListOf(value, n)
  if type(value) ~= "table" or #value ~= n then return false end
  for i = 1, n do
    if type(value[i]) ~= "number" then return false end
  end
  return true
end

-- What is wrong with a set's images, as the first one shows, or nil.
local function imageComplaint(definition, set)
  if set:size() < 1 then return "expected images, got none" end
  if set.images then return nil end -- an ImageSet is asked for its sizes
  local sample = set:get(1)
  local image = type(sample) == "table" and sample.input
  if not core.is_tensor(image) or math.type(sample.target) ~= "integer" then
    return "get(1): expected { input = byte tensor C,H,W, target = label from 1 }"
  end
  local expected = ("%dx%dx%d"):format(definition.channels, definition.height, definition.width)
  local got = table.concat(image:size(), "x")
  return got ~= expected and ("get(1): expected an image of %s, as it is defined, got %s"):format(expected, got) or nil
end

--- An opened set with what its definition says of it where it says nothing itself.
-- @param definition of the set
-- @param set what its open gave
-- @param name of the set
-- @param options as opened
-- @return the set; or nil, message, code where it is none, or without mean and std
function definitions.completed(definition, set, name, options)
  local function wrong(what) return nil, ("data set %s: %s"):format(name, what), "argument" end
  if type(set) ~= "table" or type(set.size) ~= "function" or not set.images and type(set.get) ~= "function" then
    return wrong("open should give a data set, a table with size() and get(i)")
  end
  set.name, set.split, set.family = set.name or name, set.split or options.split, set.family or definition.family
  set.classes = set.classes or definition.classes
  set.nClasses = #set.classes
  for _, field in ipairs { "channels", "height", "width" } do
    set[field] = set[field] or definition[field]
    if set[field] ~= definition[field] then
      return wrong(("%s: expected %d, as it is defined, got %s"):format(field, definition[field],
        tostring(set[field])))
    end
  end
  for _, field in ipairs { "mean", "std" } do
    set[field] = set[field] or definition[field]
    if not isListOf(set[field], set.channels) then
      return wrong(("%s: expected a list of %d numbers, from its definition or from open"):format(field, set.channels))
    end
  end
  local complaint = imageComplaint(definition, set)
  if complaint then return wrong(complaint) end
  set.directory = set.directory or options.directory or "module " .. name
  return set
end

return definitions
