--- The command line: `-name value` pairs, as Torch's scripts take them, read strictly. A word that
-- is not understood is refused with what was expected and what came, because a training run that
-- quietly does something else costs its user a night.
local groups = require "densenet.train.option_list"

local options = {}

options.usage = "usage: lua main.lua [-option value ...]      (lua main.lua --help lists the options)"

local by_name, in_order = {}, {}
for _, group in ipairs(groups) do
  for _, option in ipairs(group) do
    by_name[option.name] = option
    in_order[#in_order + 1] = option
  end
end

-- Levenshtein's distance, for suggestions.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and diagonal or diagonal + 1
      diagonal = row[j]
      row[j] = math.min(cost, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

local function nearest(word, candidates)
  local best, best_distance
  for _, candidate in ipairs(candidates) do
    local d = distance(word:lower(), candidate:lower())
    if not best or d < best_distance then best, best_distance = candidate, d end
  end
  return best and best_distance <= math.max(1, #word // 2) and best or nil
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
function options.text(value)
  if math.type(value) == "float" then return (("%.10g"):format(value)) end
  return tostring(value)
end

-- "an integer of at least 1", "a number above 0 and at most 1"
local function expectation(option)
  if option.type == "boolean" then return "true or false" end
  if option.choices then return "one of " .. join(option.choices) end
  if option.type == "text" then return "a text" end
  local bounds = {}
  local function bound(words, value)
    if value then bounds[#bounds + 1] = words .. " " .. options.text(value) end
  end
  bound("of at least", option.min)
  bound("above", option.above)
  bound("of at most", option.max)
  bound("below", option.below)
  return (option.type == "integer" and "an integer " or "a number ") .. table.concat(bounds, " and ")
end

-- The value that `text` stands for, or nil.
local function read(option, text)
  if option.type == "boolean" then
    if text == "true" then return true elseif text == "false" then return false end
    return nil
  end
  if option.type == "word" or option.type == "text" then
    if text == "" or option.choices and not contains(option.choices, text) then return nil end
    return text
  end
  local value
  if option.type == "integer" then
    value = text:find("^[+-]?%d+$") and math.tointeger(tonumber(text)) or nil
  else
    value = text:find("^[+-]?[%d.]") and not text:find("[xX]") and tonumber(text) or nil
    value = value and value + 0.0
    if value and (value ~= value or math.abs(value) == math.huge) then return nil end
  end
  if not value or option.min and value < option.min or option.max and value > option.max
    or option.above and value <= option.above or option.below and value >= option.below then
    return nil
  end
  return value
end

local function unavailable(option, text)
  local what = #option.available > 0 and ("; available: " .. join(option.available)) or ""
  local why = option.because and (": " .. option.because) or ""
  return ("-%s %s is not available in this version%s%s"):format(option.name, text, why, what)
end

-- The option that an argument names, or nil and why not.
local function find(argument)
  local option = by_name[argument:match("^%-(.+)$")]
  if option then return option end
  if argument:sub(1, 1) ~= "-" then
    return nil, ("unexpected argument '%s': options are -name value"):format(argument)
  end
  local name = argument:gsub("^%-+", ""):gsub("=.*$", "")
  local names = {}
  for i, each in ipairs(in_order) do names[i] = each.name end
  local suggestion = nearest(name, names)
  return nil, ("unknown option '%s'%s"):format(argument, suggestion and ("; did you mean -" .. suggestion .. "?") or "")
end

local function looks_like_option(argument) return argument:find("^%-%-?%a") ~= nil end

--- Reads a command line.
-- @param argv list of arguments, the script's name not among them
-- @return table of values by name, defaults included, and the set of names that were given;
-- `{ help = true }` when help was asked for; or nil and a sentence that says what was wrong
function options.parse(argv)
  for _, argument in ipairs(argv) do
    if argument == "-help" or argument == "--help" or argument == "-h" then return { help = true }, {} end
  end
  local values, given = {}, {}
  local i = 1
  while i <= #argv do
    local option, why = find(argv[i])
    if not option then return nil, why end
    local text = argv[i + 1]
    if not text or looks_like_option(text) then
      return nil, ("-%s needs a value: %s"):format(option.name, expectation(option))
    end
    if given[option.name] then return nil, ("-%s is given twice"):format(option.name) end
    local value = read(option, text)
    if value == nil then
      local suggestion = option.choices and nearest(text, option.choices)
      return nil, ("-%s %s: expected %s, got '%s'%s"):format(option.name, text, expectation(option), text,
        suggestion and ("; did you mean " .. suggestion .. "?") or "")
    end
    if option.available and not contains(option.available, value) then return nil, unavailable(option, text) end
    values[option.name], given[option.name] = value, true
    i = i + 2
  end
  for _, option in ipairs(in_order) do
    if values[option.name] == nil then values[option.name] = option.default end
  end
  local fine, message = options.check(values, given)
  if not fine then return nil, message end
  return values, given
end

local function nearest_depths(depth, step)
  local layers = math.max(1, (depth - 4) // step)
  local low, high = step * layers + 4, step * (layers + 1) + 4
  return depth < low and tostring(low) or ("%d and %d"):format(low, high)
end

local function given_blocks(values)
  local blocks = { values.d1, values.d2, values.d3, values.d4 }
  local n = #blocks
  while n > 0 and blocks[n] == 0 do
    blocks[n] = nil
    n = n - 1
  end
  return blocks
end

--- The number of layers in each dense block, from -d1 … -d4 or -depth.
function options.blocks(values)
  local blocks = given_blocks(values)
  if #blocks > 0 then return blocks end
  local layers = (values.depth - 4) // (values.bottleneck and 6 or 3)
  return { layers, layers, layers }
end

--- Do the options go together?
-- @param values as parse returns them
-- @param given the set of names that the user wrote
-- @return true, or nil and a sentence
function options.check(values, given)
  local blocks = given_blocks(values)
  for i, layers in ipairs(blocks) do
    if layers == 0 then return nil, ("-d%d is missing: -d1 to -d%d need a number each"):format(i, #blocks) end
  end
  if #blocks > 0 and given.depth then return nil, "give either -depth or -d1 to -d4, not both" end
  local step = values.bottleneck and 6 or 3
  if #blocks == 0 and (values.depth < 4 + step or (values.depth - 4) % step ~= 0) then
    return nil, ("-depth %d is not possible with -bottleneck %s: expected %d n + 4 for n layers in each of three "
      .. "blocks; nearest: %s"):format(values.depth, values.bottleneck, step, nearest_depths(values.depth, step))
  end
  if values.resetClassifier and not (values.retrain or values.resume) then
    return nil, "-resetClassifier true needs -retrain FILE: without it every layer is new"
  end
  if values.resetClassifier and values.nClasses == 0 then
    return nil, "-resetClassifier true needs -nClasses N"
  end
  if values.testOnly and not (values.retrain or values.resume) then
    return nil, "-testOnly true needs a trained network: -retrain FILE or -resume DIRECTORY"
  end
  if values.nEpochs > 0 and values.epochNumber > values.nEpochs then
    return nil, ("-epochNumber %d is past the last epoch, -nEpochs %d"):format(values.epochNumber, values.nEpochs)
  end
  return true
end

local usual_epochs = { cifar10 = 164, cifar100 = 164, mnist = 100, ["fashion-mnist"] = 100 }

--- Fills in what depends on other options: -nEpochs 0 becomes the data set's usual number.
function options.complete(values)
  if values.nEpochs == 0 then values.nEpochs = math.max(usual_epochs[values.dataset], values.epochNumber) end
  return values
end

--- The options that make the result what it is (what = "same"), or those that a resumed run takes
-- over unless told otherwise (what = "free").
function options.select(values, what)
  local chosen = {}
  for _, option in ipairs(in_order) do
    if option.resume == what then chosen[option.name] = values[option.name] end
  end
  return chosen
end

--- Joins this command line with the options of the run it resumes. What was not given is as it was.
-- @param values, given as parse returns them; values is changed
-- @param saved options of the checkpoint by name
-- @return values, or nil and a sentence that names every conflict with both values
function options.merge(values, given, saved)
  local conflicts = {}
  local function conflict(option, word)
    conflicts[#conflicts + 1] = ("-%s %s (the checkpoint has %s%s)"):format(option.name,
      options.text(values[option.name]), saved[option.name] == nil and "none" or options.text(saved[option.name]), word)
  end
  for _, option in ipairs(in_order) do
    local name = option.name
    if option.resume and not given[name] then
      values[name] = saved[name]
    elseif option.resume == "same" and values[name] ~= saved[name] then
      conflict(option, "")
    elseif name == "nEpochs" and values.nEpochs ~= 0 and values.nEpochs < saved.nEpochs then
      conflict(option, " and may only grow")
    end
  end
  if #conflicts > 0 then
    return nil, "a resumed run cannot change " .. table.concat(conflicts, ", ")
  end
  if values.nEpochs == 0 then values.nEpochs = saved.nEpochs end
  return values
end

-- Breaks text into lines of at most `width` characters at spaces.
local function wrap(text, width)
  local lines, line = {}, ""
  for word in text:gmatch("%S+") do
    if #line > 0 and #line + 1 + #word > width then
      lines[#lines + 1], line = line, word
    else
      line = #line > 0 and line .. " " .. word or word
    end
  end
  lines[#lines + 1] = line
  return lines
end

local type_words = { integer = "N", number = "X", boolean = "true|false", text = "PATH" }

--- What --help prints: every option in its group, with type, default and what this version can do.
function options.help()
  local out = { "lua main.lua [-option value ...]", "", "Trains a DenseNet and tests it. Defaults stand in brackets." }
  for _, group in ipairs(groups) do
    out[#out + 1] = ""
    out[#out + 1] = group.title
    for _, option in ipairs(group) do
      local shown = option.shown or options.text(option.default)
      local text = ("%s [%s]"):format(option.help, shown)
      if option.available then
        text = text .. (#option.available == 0 and " (not in this version)"
          or (" (in this version: %s)"):format(join(option.available)))
      end
      local head = ("  -%s %s"):format(option.name, type_words[option.type] or table.concat(option.choices, "|"))
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

return options
