--- Trained networks from files of any kind that densenet.models.formats reads.
-- @module densenet.models.load

local argument = require "densenet.argument"
local attempt = require "densenet.attempt"
local classNames = require "densenet.models.class_names"
local formats = require "densenet.models.formats"
local inputChannels = require "densenet.models.input_channels"
local preprocessing = require "densenet.models.preprocessing"
local random = require "densenet.random"
local stateDict = require "densenet.nn.state_dict"

local OPTIONS = { classes = true, preprocess = true, inputChannels = true, device = true, precision = true,
  optMemory = true }
for _, field in ipairs(preprocessing.FIELDS) do OPTIONS[field] = true end

local function checkOptions(options)
  if options == nil then return {} end
  argument.table(2, "load", options, "options")
  for name in pairs(options) do
    if not OPTIONS[name] then
      argument.raise("bad argument #2 to 'load' (options: there is no %s%s)", tostring(name),
        argument.nearest(tostring(name), OPTIONS))
    end
  end
  if options.inputChannels ~= nil then argument.integer(2, "load", options.inputChannels, 1, "inputChannels") end
  if options.device ~= nil then argument.string(2, "load", options.device, "device") end
  local classes = options.classes
  if classes ~= nil and type(classes) ~= "table" and type(classes) ~= "string" then
    argument.refuse(2, "load", classes, "a list of names, or the name of a file with one a line", "classes")
  end
  return options
end

-- The configuration that the file says, or that shapes tell.
local function configOf(models, content)
  local nTensors = 0
  for _ in pairs(content.tensors) do nTensors = nTensors + 1 end
  local config, wrong
  if content.config ~= nil then
    config, wrong = models.complete(content.config, nTensors)
    wrong = wrong and "its metadata describes no network: " .. wrong
  else
    config, wrong = models.infer(content.tensors)
  end
  if not config then return nil, ("%s: %s"):format(content.file, wrong), "format" end
  return config
end

-- A note where weights lose digits.
local function noteRounding(content, config)
  for _, tensor in pairs(content.tensors) do
    if tensor:dtype() == "double" and config.precision ~= "double" then
      content.notes[#content.notes + 1] = 'its weights are double and are rounded to float; precision = "double" keeps '
        .. "them"
      return
    end
  end
end

-- The names of the classes: the caller's, else the file's; nil alone where nobody gives any.
local function classesOf(content, options, nClasses)
  local given, where = options.classes, "classes"
  if type(given) == "string" then
    local message, code
    where = given
    given, message, code = classNames.read(given)
    if not given then return nil, message, code end
  elseif given == nil and type(content.classes) == "table" and #content.classes < nClasses then
    -- A run may give its network more classes than its images have.
    given = table.move(content.classes, 1, #content.classes, 1, {})
    for i = #given + 1, nClasses do given[i] = ("class %d"):format(i) end
    content.notes[#content.notes + 1] = ("the file names %d of its %d classes"):format(#content.classes, nClasses)
  elseif given == nil then
    given = content.classes
  end
  if given == nil then return nil end
  if where == "classes" and options.classes == nil then where = content.file end
  local list, wrong = classNames.checked(given, nClasses, where)
  if not list then return nil, wrong, options.classes and "argument" or "format" end
  return list
end

-- The network, with the file's weights.
local function build(models, config, content, options)
  local misfit
  local done, message = attempt.call(function()
    misfit = stateDict.mismatch(models.withoutMemory(config), content.tensors)
  end)
  if not done then misfit = argument.sentence(tostring(message)) end
  if misfit then return nil, ("%s: %s"):format(content.file, misfit), "format" end
  local state = random.state() -- new weights are drawn, and then replaced
  local model = models.fromConfig(config)
  random.setState(state)
  model:loadStateDict(content.tensors)
  if options.device then
    done, message = attempt.call(model.to, model, options.device)
    if not done then return nil, (argument.sentence(tostring(message))), "argument" end
  end
  return model:evaluate()
end

--- See models.load.
-- @param models densenet.models
-- @tparam string path
-- @tparam[opt] table options
return function(models, path, options)
  argument.string(1, "load", path, "path")
  options = checkOptions(options)
  local content, message, code = formats.read(path)
  if not content then return nil, message, code end
  local config, classes, recipe, model
  config, message, code = configOf(models, content)
  if not config then return nil, message, code end
  local wanted = options.inputChannels
  if wanted and wanted ~= config.inputChannels then
    local tensors, note = inputChannels.adapt(content.tensors, wanted)
    if not tensors then return nil, ("%s: %s"):format(content.file, note), "argument" end
    content.tensors, content.adaptedFrom, config.inputChannels = tensors, config.inputChannels, wanted
    content.notes[#content.notes + 1] = note
  end
  config.precision = options.precision or config.precision
  config.optMemory = options.optMemory or config.optMemory
  config, message = models.complete(config)
  if not config then return nil, message, "argument" end
  noteRounding(content, config)
  classes, message, code = classesOf(content, options, config.nClasses)
  if message then return nil, message, code end
  recipe, message, code = preprocessing.choose(content, options, config.inputChannels)
  if message then return nil, message, code end
  model, message, code = build(models, config, content, options)
  if not model then return nil, message, code end
  model.classes, model.recipe, model.file, model.notes = classes, recipe, content.file, content.notes
  return model
end
