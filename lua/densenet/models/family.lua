--- Families of networks, and presets, by name: `-netType` on a command line, `config.family` in a file.
--
-- A family is a table. One of your own stands in a module, and its name is the module's (examples/lenet.lua):
--
--    options     rows of the command line (densenet.train.command_line), with two fields more: `field`, the
--                field of the configuration that the option decides, where it has another name; `isFree`,
--                true where trained weights do not tie it, as dropout
--    config      function(values, given, images) → the configuration that a command line asks for, not complete;
--                or nil and a sentence. values by option; given: names that were written; images: channels,
--                height, width. By default each option's value under its field
--    complete    function(config) → every field of the family's, checked; or nil and a sentence that begins with
--                the field's name. densenet.models.fields does it. May say nClasses, for nobody else's default
--    build       function(config) → a module with new weights in float; N,inputChannels,H,W to N,nClasses scores
--    describe    function(config) → "LeNet: 6 and 16 channels"
--    layers      (optional) function(config) → a number that the network's tensors are no fewer than: what a
--                file's metadata may claim is limited by the tensors in it
--    likeness    (optional) function(state) → a few words on the network that a state (table name → tensor) is of,
--                from names and shapes alone; nil when it is of another family
--    infer       (optional) function(state) → a configuration from names and shapes alone, with inputChannels and
--                nClasses; or nil and a sentence; nil alone when it is of another family
--    freezing    (optional) function(config, word) → list of patterns for model:freeze that a word of -freeze stands
--                for; nil where it is none; or nil and a sentence
--    leastSize   (optional) function(config) → height and width that images need at least
--    classifier  (optional) name of the last module, an nn.Linear: "classifier"
--    memory      (optional) { default=, least=, builds=, help= }: the optMemory unless told otherwise, the one
--                that takes least, and a word for each mode that there is (densenet.nn.memory_modes): modes with
--                the same word are built alike. By default 0 to 2, which are the plan's alone
--
-- `config` and `build` see the fields that every network has besides: family, inputChannels, nClasses,
-- optMemory, precision. `complete` does not.
--
-- A preset is a table too: { family =, options = values of the family's options other than the usual ones,
-- lrShape = "multistep" or "cosine", optional }.
-- @module densenet.models.family

local OpenList = require "densenet.open_list"
local densenet = require "densenet.models.densenet"
local preresnet = require "densenet.models.preresnet"
local presets = require "densenet.models.presets"

local family = {}

family.known = { densenet = densenet, preresnet = preresnet }

local FAMILY_FIELDS = {
  { "options", "table", "a list of options of the command line" },
  { "complete", "function", "a function that completes a configuration" },
  { "build", "function", "a function that builds the network of a configuration" },
  { "describe", "function", "a function that gives a line on a configuration" },
  { "config", "function", "a function that makes a configuration of options", isOptional = true },
  { "layers", "function", "a function that counts a configuration's layers", isOptional = true },
  { "likeness", "function", "a function that describes a state", isOptional = true },
  { "infer", "function", "a function that makes a configuration of a state", isOptional = true },
  { "freezing", "function", "a function that gives patterns for a word", isOptional = true },
  { "leastSize", "function", "a function that gives the least height and width", isOptional = true },
  { "classifier", "string", "the name of the last module", isOptional = true },
  { "memory", "table", "a table { default=, least=, builds= }", isOptional = true },
}
local OPTION_FIELDS = {
  { "name", "string", "the option's name" }, { "type", "string", "the option's type" },
  { "help", "string", "a sentence on the option" },
}
local MEMORY_FIELDS = {
  { "default", "integer", "an optMemory" }, { "least", "integer", "an optMemory" },
  { "builds", "table", "a word for each optMemory that there is" },
}
local PRESET_FIELDS = {
  { "family", "string", "the name of a family" }, { "options", "table", "a table of options" },
  { "lrShape", "string", "the name of a schedule", isOptional = true },
}

-- What is wrong with a table that should define a family or a preset, or nil.
local function complaint(definition)
  if definition.family ~= nil then return OpenList.fieldComplaint(definition, PRESET_FIELDS) end
  local wrong = OpenList.fieldComplaint(definition, FAMILY_FIELDS)
  if wrong then return wrong end
  for i, option in ipairs(definition.options) do
    wrong = type(option) ~= "table" and ("expected an option, got %s"):format(type(option))
      or OpenList.fieldComplaint(option, OPTION_FIELDS)
    if wrong then return ("options[%d]: %s"):format(i, wrong) end
  end
  wrong = definition.memory and OpenList.fieldComplaint(definition.memory, MEMORY_FIELDS)
  return wrong and "memory." .. wrong
end

family.complaint = complaint

local known = {}
for name, definition in pairs(family.known) do known[name] = definition end
for name, preset in pairs(presets) do known[name] = preset end
local list = OpenList.new("network", known, complaint)

--- Names of the families and presets that come with densenet, sorted.
function family.names() return list:names() end

-- Modes of plain modules, which need no building: what a family without `memory` has.
local PLAIN_MEMORY = { default = 1, least = 1, builds = { [0] = "plain", "plain", "plain" } }

--- What the modes of a family are: its `memory`, or the plain modes.
function family.memoryOf(definition) return definition.memory or PLAIN_MEMORY end

--- A family and what a name adds to it.
-- @tparam string name of a family, a preset, or a module that defines one
-- @treturn table the family; or nil, message, code
-- @treturn string the family's own name
-- @treturn table the preset: options and lrShape; { options = {} } for a family's name
function family.find(name)
  local definition, message, code = list:find(name)
  if not definition then return nil, message, code end
  if definition.family == nil then return definition, name, { options = {} } end
  local preset = definition
  definition, message, code = list:find(preset.family)
  if not definition then return nil, message, code end
  if definition.family ~= nil then
    return nil, ("preset %s: family: expected a family's name, got '%s', another preset"):format(name,
      preset.family), "argument"
  end
  return definition, preset.family, preset
end

return family
