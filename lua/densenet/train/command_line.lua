--- A command line of `-name value` pairs, as Torch's scripts take them, read strictly; `--name value` and
-- `-name=value` say the same. A word that is not understood is refused with what was expected and what was
-- given, because a training run that quietly does something else costs its user a night.
--
-- Options are data: a list of groups { title =, option, option, … }, an option being
--   name, help   as on the command line and in the help
--   type         "integer", "number", "boolean" (true or false, nothing else), "word", "text", "name" of
--                something that is looked up, or "flag", which takes no value
--   default      the value when it is not given; nil means none, and `shown` says what happens then
--   min, max     bounds that are allowed themselves; above, below: bounds that are not
--   choices      the words that mean something
--   words        of a number: words that it may be as well
--   isOptional   of a "word": it may be left out, and the value is then true
--   pattern      of further such words, for which one of the choices stands: cuda:N for cuda:1
--   find         of a "name": looks it up, and gives nil and a sentence where there is none
--   available    the values that this version can do, where they are fewer; `because` says why
local core = require "densenet.core"
local nearest = require "densenet.nearest"
local wrap = require "densenet.train.wrap"

local CommandLine = {}
CommandLine.__index = CommandLine

--- A reader for groups of options.
-- @param groups as above
-- @param takesWords (optional) true: arguments that are no options' stand in the list part of the values
function CommandLine.new(groups, takesWords)
  local self = setmetatable({ groups = groups, byName = {}, inOrder = {}, takesWords = takesWords }, CommandLine)
  for _, group in ipairs(groups) do
    for _, option in ipairs(group) do
      self.byName[option.name] = option
      self.inOrder[#self.inOrder + 1] = option
    end
  end
  return self
end

local function contains(list, value)
  for _, item in ipairs(list) do
    if item == value then return true end
  end
  return false
end

local function join(list)
  local words = {}
  for i, item in ipairs(list) do words[i] = tostring(item) end
  return table.concat(words, ", ")
end

--- A value as it is written on a command line: 0.1, not 0.10000000000000001.
function CommandLine.text(value)
  if math.type(value) == "float" then return core.format("%.10g", value) end
  return tostring(value)
end

-- "an integer of at least 1", "a number above 0 and at most 1"
local function expectation(option)
  if option.type == "boolean" then return "true or false" end
  if option.isOptional then return join(option.choices) .. " or nothing" end
  if option.choices then return "one of " .. join(option.choices) end
  if option.type == "text" then return "a text" end
  if option.type == "name" then return "a name, such as " .. option.default end
  local bounds = {}
  local function bound(words, value)
    if value then bounds[#bounds + 1] = words .. " " .. CommandLine.text(value) end
  end
  bound("of at least", option.min)
  bound("above", option.above)
  bound("of at most", option.max)
  bound("below", option.below)
  return (option.type == "integer" and "an integer " or "a number ") .. table.concat(bounds, " and ")
    .. (option.words and ", or " .. join(option.words) or "")
end

-- Is a value of Lua one that the option may have?
local function accepts(option, value)
  if option.type == "boolean" or option.type == "flag" then return type(value) == "boolean" end
  if option.type == "word" or option.type == "text" or option.type == "name" then
    if type(value) ~= "string" or value == "" then return false end
    return not option.choices or contains(option.choices, value)
      or option.pattern ~= nil and value:find(option.pattern) ~= nil
  end
  if option.words and contains(option.words, value) then return true end
  if type(value) ~= "number" or value - value ~= 0 then return false end -- infinite, or not a number
  if option.type == "integer" and math.type(value) ~= "integer" then return false end
  return not (option.min and value < option.min or option.max and value > option.max
    or option.above and value <= option.above or option.below and value >= option.below)
end

local words = { ["true"] = true, ["false"] = false }

-- The value that `text` stands for, or nil.
local function read(option, text)
  local value = text
  if option.type == "boolean" then
    value = words[text]
  elseif option.words and contains(option.words, text) then
    value = text
  elseif option.type == "integer" then
    value = text:find("^[+-]?%d+$") and math.tointeger(tonumber(text)) or nil
  elseif option.type == "number" then
    value = text:find("^[+-]?[%d.]") and not text:find("[xX]") and core.number(text) or nil
    value = value and value + 0.0
  end
  if value ~= nil and accepts(option, value) then return value end
  return nil
end

local function unavailable(option, text)
  local what = #option.available > 0 and ("; available: " .. join(option.available)) or ""
  local why = option.because and (": " .. option.because) or ""
  return ("-%s %s is not available in this version%s%s"):format(option.name, text, why, what)
end

-- The name in an argument, written -name, --name, -name=value or --name=value, and the value in it, or nil.
local function split(argument)
  local name, value = argument:match("^%-%-?([^-=][^=]*)=(.*)$")
  return name or argument:match("^%-%-?([^-].*)$"), value
end

-- The option that an argument names, and the value's text where the argument has it; or nil and why not.
local function find(self, argument)
  local word, value = split(argument)
  local option = self.byName[word]
  if option then return option, value end
  if argument:sub(1, 1) ~= "-" then
    return nil, ("unexpected argument '%s': options are -name value"):format(argument)
  end
  local name = argument:gsub("^%-+", ""):gsub("=.*$", "")
  local names = {}
  for i, each in ipairs(self.inOrder) do names[i] = each.name end
  local suggestion = nearest(name, names)
  return nil, ("unknown option '%s'%s"):format(argument, suggestion and ("; did you mean -" .. suggestion .. "?") or "")
end

-- Is this the next option, rather than a value?
local function isOption(text) return text:find("^%-%-?%a") ~= nil end

-- The value of an option whose text is this, or nil and a sentence.
local function valueOf(option, text)
  local value = read(option, text)
  if value == nil then
    local suggestion = option.choices and nearest(text, option.choices)
    return nil, ("-%s %s: expected %s, got '%s'%s"):format(option.name, text, expectation(option), text,
      suggestion and ("; did you mean " .. suggestion .. "?") or "")
  end
  if option.available and not contains(option.available, value) then return nil, unavailable(option, text) end
  if option.find then
    local found, why = option.find(value)
    if not found then return nil, ("-%s %s: %s"):format(option.name, value, why) end
  end
  return value
end

local helpWords = { ["-help"] = true, ["--help"] = true, ["-h"] = true }

--- The text after an option in a command line that is not read yet; nil where it is not given.
function CommandLine.textOf(argv, name)
  for i, argument in ipairs(argv) do
    local word, value = split(argument)
    if word == name then return value or argv[i + 1] end
  end
end

-- The value of an option, from the argument itself or the one after it.
-- @param text in the argument, or nil
-- @param nextText the argument after it, or nil
-- @return the value, and whether it was the next argument; or nil and a sentence
local function take(option, text, nextText)
  if option.type == "flag" then
    if text then return nil, ("-%s takes no value, got '%s'"):format(option.name, text) end
    return true, false
  end
  local isNext = not text and nextText ~= nil and not isOption(nextText)
  if isNext then text = nextText end
  if not text and option.isOptional then return true, false end
  if not text then return nil, ("-%s needs a value: %s"):format(option.name, expectation(option)) end
  local value, why = valueOf(option, text)
  if value == nil then return nil, why end
  return value, isNext
end

--- Reads a command line.
-- @param argv list of arguments, the script's name not among them
-- @return table of values by name, defaults included, and the set of names that were given;
-- `{ help = true }` when help was asked for; or nil and a sentence that says what was wrong
function CommandLine:parse(argv)
  for _, argument in ipairs(argv) do
    if helpWords[argument] then return { help = true }, {} end
  end
  local values, given = {}, {}
  local i = 1
  while i <= #argv do
    if self.takesWords and argv[i]:sub(1, 1) ~= "-" then
      values[#values + 1] = argv[i]
      i = i + 1
    else
      local option, text = find(self, argv[i])
      if not option then return nil, text end
      if given[option.name] then return nil, ("-%s is given twice"):format(option.name) end
      local value, isNext = take(option, text, argv[i + 1])
      if value == nil then return nil, isNext end
      values[option.name], given[option.name] = value, true
      i = i + (isNext and 2 or 1)
    end
  end
  for _, option in ipairs(self.inOrder) do
    if values[option.name] == nil then values[option.name] = option.default end
  end
  return values, given
end

--- What is wrong with a value that did not come from a command line, but from a file: "expected …"; nil
-- when nothing is, or when no option has this name.
function CommandLine:complaint(name, value)
  local option = self.byName[name]
  if not option or accepts(option, value) and (not option.available or contains(option.available, value)) then
    return nil
  end
  return "expected " .. (option.available and "one of " .. join(option.available) or expectation(option))
end

local typeWords = { integer = " N", number = " X", boolean = " true|false", text = " PATH", name = " NAME", flag = "" }

local function valueWord(option)
  if typeWords[option.type] then
    return typeWords[option.type] .. (option.words and "|" .. table.concat(option.words, "|") or "")
  end
  return (option.isOptional and " [%s]" or " %s"):format(table.concat(option.choices, "|"))
end

--- Every option in its group, with type, default in brackets, and what this version can do.
function CommandLine:help()
  local out = {}
  for _, group in ipairs(self.groups) do
    out[#out + 1] = ""
    out[#out + 1] = group.title
    for _, option in ipairs(group) do
      local text = option.help
      if option.type ~= "flag" and not option.isOptional then
        text = ("%s [%s]"):format(text, option.shown or CommandLine.text(option.default))
      end
      if option.available then
        text = text .. (#option.available == 0 and " (not in this version)"
          or (" (in this version: %s)"):format(join(option.available)))
      end
      local head = "  -" .. option.name .. valueWord(option)
      local lines = wrap(text, 76)
      if #head > 24 then
        out[#out + 1] = head
        head = ""
      end
      for _, line in ipairs(lines) do
        out[#out + 1] = ("%-25s%s"):format(head, line)
        head = ""
      end
    end
  end
  return table.concat(out, "\n")
end

return CommandLine
