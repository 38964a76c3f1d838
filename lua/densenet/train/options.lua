--- The options of main.lua: read from the command line, checked against each other, and joined with
-- those of a run that is resumed. What they are stands in option_list.lua.
local CommandLine = require "densenet.train.command_line"
local data = require "densenet.data"
local dataOptions = require "densenet.train.data_options"
local device = require "densenet.train.device"
local generation = require "densenet.train.generation"
local memoryModes = require "densenet.nn.memory_modes"
local memorySize = require "densenet.train.memory_size"
local models = require "densenet.models"
local optimizer = require "densenet.train.optimizer"
local optionList = require "densenet.train.option_list"

local options = {}

options.usage = "usage: lua main.lua [-option value ...]      (lua main.lua --help lists the options)"

--- A value as it is written on a command line.
options.text = CommandLine.text

local readers = {} -- by -netType

-- The reader for a network's command line; or nil, message, code.
local function readerFor(netType)
  if not readers[netType] then
    local groups, message, code = optionList.groups(netType)
    if not groups then return nil, message, code end
    readers[netType] = CommandLine.new(groups)
  end
  return readers[netType]
end

--- What --help prints.
-- @param values as parse returns them: the options are those of values.netType
function options.help(values)
  return "lua main.lua [-option value ...]\n\nTrains a network that tells images apart, and tests it. Defaults stand "
    .. "in brackets.\n" .. readerFor(values.netType):help()
end

--- Reads a command line: CommandLine:parse, with the options of the network that -netType names, and
-- options.check.
-- @return values, given; or nil and a sentence. With --help values has `help` and netType only, with --version
-- `version` only
function options.parse(argv)
  if argv[1] == "--version" or argv[1] == "-version" then return { version = true }, {} end
  -- A name that cannot be found is refused when the reader comes to it.
  local netType = CommandLine.textOf(argv, "netType") or optionList.netType.default
  if not models.find(netType) then netType = optionList.netType.default end
  local reader, message = readerFor(netType)
  if not reader then return nil, message end
  local values, given = reader:parse(argv)
  if not values then return nil, given end
  if values.help then
    values.netType = netType
    return values, given
  end
  dataOptions.chooseNetwork(values, given)
  local fine
  fine, message = options.check(values, given)
  if not fine then return nil, message end
  return values, given
end

-- Sets optMemory, and marks it as given, from whichever of the four options that say it was given.
local function settleMemory(values, given)
  values.memoryLimit = memorySize.bytes(values.memory)
  local said = {
    { given = given.optMemory, text = "-optMemory " .. values.optMemory, mode = values.optMemory },
    { given = given.memory and not values.memoryLimit, text = "-memory " .. tostring(values.memory),
      mode = memoryModes.number(values.memory) },
    { given = values.shareGradInput, text = "-shareGradInput true", mode = 2 },
    { given = values.optnet, text = "-optnet true", mode = 1 },
  }
  local first
  for _, one in ipairs(said) do
    if one.given and first and one.mode ~= first.mode then
      return nil, ("%s and %s contradict each other: -optMemory %d and -optMemory %d"):format(first.text, one.text,
        first.mode, one.mode)
    elseif one.given then
      first = first or one
    end
  end
  if first then values.optMemory, given.optMemory = first.mode, true end
  return true
end

-- A family's sentence, which begins with the name of an option.
local function refusal(message) return nil, "-" .. message end

--- The network's own part of a configuration, as the options ask for it.
-- @param values as parse returns them
-- @param given as parse returns them
-- @param images (optional) channels, height, width
-- @return a complete table; or nil and a sentence
function options.networkConfig(values, given, images)
  local family, familyName = models.family(values.netType)
  if not family then return nil, familyName end
  local config, message
  if family.config then
    config, message = family.config(values, given, images)
    if not config then return refusal(message) end
  else
    config = {}
    for _, option in ipairs(family.options) do config[option.field or option.name] = values[option.name] end
  end
  config, message = family.complete(config)
  if not config then return refusal(message) end
  config.family = familyName
  return config
end

--- Does the network's family have the mode of values.optMemory?
-- @return true, or nil and a sentence
function options.checkMode(values)
  local family, message = models.family(values.netType)
  if not family then return nil, message end
  local wrong = models.modeComplaint(values.netType, values.optMemory)
  if wrong then return refusal(wrong) end
  return true
end

--- Do the options go together? Those that say one thing in several ways are brought to one. What the
-- network is, is not looked at where a file says it.
-- @param values as parse returns them; changed
-- @param given the set of names that the user wrote; changed
-- @return true, or nil and a sentence
function options.check(values, given)
  local settled, why = settleMemory(values, given)
  if settled then settled, why = device.check(values) end
  if settled then settled, why = generation.check(values, given) end
  if settled then settled, why = optimizer.settle(values, given) end
  -- Which data set is tested, a file says where the command line does not.
  if settled and (given.dataset or not (values.retrain or values.resume)) then
    settled, why = dataOptions.check(values)
  end
  if not settled then return nil, why end
  if not (values.retrain or values.resume) then
    settled, why = options.networkConfig(values, given)
    if settled then settled, why = options.checkMode(values) end
    if not settled then return nil, why end
  end
  if values.resetClassifier and not (values.retrain or values.resume) then
    return nil, "-resetClassifier true needs -retrain FILE: without it every layer is new"
  end
  if values.resetClassifier and values.nClasses == 0 and not dataOptions.hasOwnClasses(values) then
    return nil, "-resetClassifier true needs -nClasses N"
  end
  if values.preprocess and not (values.retrain or values.resume) then
    return nil, "-preprocess NAME needs -retrain FILE: it says what that file's network was trained with"
  end
  if values.freeze and not (values.retrain or values.resume) then
    return nil, "-freeze PATTERN needs -retrain FILE: without it what is frozen has weights that nobody trained"
  end
  if values.batchSize == "auto" and values.resume then
    return nil, "-batchSize auto cannot go with -resume: a resumed run has a batch size; give a number"
  end
  if values.testOnly and not (values.retrain or values.resume) then
    return nil, "-testOnly true needs a trained network: -retrain FILE or -resume DIRECTORY"
  end
  if values.confusion and not values.testOnly then
    return nil, "-confusion is written by a test: it needs -testOnly true"
  end
  if values.nEpochs > 0 and values.epochNumber > values.nEpochs then
    return nil, ("-epochNumber %d is past the last epoch, -nEpochs %d"):format(values.epochNumber, values.nEpochs)
  end
  return true
end

--- Fills in what depends on other options: -nEpochs 0 becomes the data set's usual number.
-- @param values as parse returns them; changed
-- @param classes (optional) names of the classes that a network knows which is only tested
-- @return values; or nil, message, code where there is no such data set, or it has other classes than -nClasses
function options.complete(values, classes)
  local set, message, code = data.about(values.dataset, dataOptions.of(values, { classes = classes }))
  if not set then return nil, message, code end
  if set.hasOwnClasses and not values.data and not values.plan then
    return nil, ("-dataset %s needs -data DIR, with the images in DIR/train/<class> and DIR/val/<class>"):format(
      values.dataset), "usage"
  end
  if set.hasOwnClasses and values.data and values.nClasses > 0 and values.nClasses ~= set.nClasses then
    return nil, ("-nClasses %d: %s has %d classes"):format(values.nClasses, values.data, set.nClasses), "usage"
  end
  if values.nEpochs == 0 then values.nEpochs = math.max(set.epochs, values.epochNumber) end
  return values
end

--- The options that make the result what it is (what = "same": those that may change, too), or those that
-- a resumed run takes over unless told otherwise (what = "free").
function options.select(values, what)
  local chosen = {}
  for _, option in ipairs(readerFor(values.netType).inOrder) do
    local kind = option.resume == "change" and "same" or option.resume
    if kind == what then chosen[option.name] = values[option.name] end
  end
  return chosen
end

--- May a resumed run change the option called `name`, from where it stands on?
function options.mayChange(name)
  local option = readerFor(optionList.netType.default).byName[name]
  return option ~= nil and option.resume == "change"
end

--- What is wrong with options that a file holds: "PLACE-NAME: expected …, got …"; nil when nothing is.
-- Names that are no options' are left out.
function options.complaint(saved, place)
  local netType = saved.netType or optionList.netType.default
  if type(netType) ~= "string" then return ("%snetType: expected a name, got a %s"):format(place, type(netType)) end
  local reader, message = readerFor(netType)
  if not reader then return ("%snetType: %s"):format(place, message) end
  for _, option in ipairs(reader.inOrder) do
    local value = saved[option.name]
    local expected = value ~= nil and reader:complaint(option.name, value)
    if expected then
      local got = type(value) == "table" and "a table" or options.text(value):sub(1, 60)
      return ("%s%s: %s, got %s"):format(place, option.name, expected, got)
    end
  end
end

--- Makes the options those of another network's family, which a file says the network to be of: what was not
-- given has its usual value there.
-- @param values as parse returns them; changed
-- @param given as parse returns them
-- @param netType the family's name
-- @return true; or nil, message, code: there is no such family, or it has no such option
function options.adopt(values, given, netType)
  local reader, message, code = readerFor(netType)
  if not reader then return nil, message, code end
  for name in pairs(given) do
    if not reader.byName[name] then
      return nil, ("-%s %s: a network of the family %s has no such option"):format(name, options.text(values[name]),
        netType), "usage"
    end
  end
  for name in pairs(values) do
    if not given[name] then values[name] = nil end
  end
  for _, option in ipairs(reader.inOrder) do
    if not given[option.name] then values[option.name] = option.default end
  end
  values.netType = netType
  return optimizer.settle(values, given)
end

-- A batch's number in its epoch means other images with another -batchSize.
local function mayChangeNow(name, position)
  return name ~= "batchSize" or position.finished or position.iteration == 0
end

--- Joins this command line with the options of the run it resumes. What was not given is as it was.
-- @param values as parse returns them; changed
-- @param given as parse returns them
-- @param saved options of the checkpoint by name
-- @param position (optional) where it stands: epoch, iteration, finished; without it nothing may change
-- @return values, and a list of what changes, { option=, from=, to= } each; or nil and a sentence that names
-- every conflict with both values
function options.merge(values, given, saved, position)
  local conflicts, changes = {}, {}
  if not given.netType and saved.netType then
    local adopted, message = options.adopt(values, given, saved.netType)
    if not adopted then return nil, message end
  end
  local function conflict(option, word)
    conflicts[#conflicts + 1] = ("-%s %s (the checkpoint has %s%s)"):format(option.name,
      options.text(values[option.name]), saved[option.name] == nil and "none" or options.text(saved[option.name]), word)
  end
  for _, option in ipairs(readerFor(values.netType).inOrder) do
    local name = option.name
    if option.resume and not given[name] then
      if saved[name] ~= nil then values[name] = saved[name] end
    elseif option.resume == "change" and values[name] ~= saved[name] and position then
      if mayChangeNow(name, position) then
        changes[#changes + 1] = { option = name, from = saved[name], to = values[name] }
      else
        conflict(option, (", and stands after batch %d of epoch %d: it may change between epochs"):format(
          position.iteration, position.epoch))
      end
    elseif (option.resume == "same" or option.resume == "change") and values[name] ~= saved[name] then
      conflict(option, "")
    elseif name == "nEpochs" and saved.nEpochs and values.nEpochs ~= 0 and values.nEpochs < saved.nEpochs then
      conflict(option, " and may only grow")
    end
  end
  if #conflicts > 0 then
    return nil, "a resumed run cannot change " .. table.concat(conflicts, ", ")
  end
  if values.nEpochs == 0 then values.nEpochs = saved.nEpochs or 0 end
  return values, changes
end

return options
