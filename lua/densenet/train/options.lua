--- The options of main.lua: read from the command line, checked against each other, and joined with
-- those of a run that is resumed. What they are stands in option_list.lua.
local CommandLine = require "densenet.train.command_line"
local device = require "densenet.train.device"
local groups = require "densenet.train.option_list"

local options = {}

local command_line = CommandLine.new(groups)

options.usage = "usage: lua main.lua [-option value ...]      (lua main.lua --help lists the options)"

--- A value as it is written on a command line.
options.text = CommandLine.text

--- What --help prints.
function options.help()
  return "lua main.lua [-option value ...]\n\nTrains a DenseNet and tests it. Defaults stand in brackets.\n"
    .. command_line:help()
end

--- Reads a command line: CommandLine:parse, and options.check.
function options.parse(argv)
  local values, given = command_line:parse(argv)
  if not values or values.help then return values, given end
  local fine, message = options.check(values, given)
  if not fine then return nil, message end
  return values, given
end

local function nearestDepths(depth, step)
  local layers = math.max(1, (depth - 4) // step)
  local low, high = step * layers + 4, step * (layers + 1) + 4
  return depth < low and tostring(low) or ("%d and %d"):format(low, high)
end

local function givenBlocks(values)
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
  local blocks = givenBlocks(values)
  if #blocks > 0 then return blocks end
  local layers = (values.depth - 4) // (values.bottleneck and 6 or 3)
  return { layers, layers, layers }
end

local memoryModes = {
  standard = 0, liveness = 1, ["shared-gradients"] = 2, shared = 3, linear = 4, minimal = 5,
}

-- Sets optMemory, and marks it as given, from whichever of the four options that say it was given.
local function settleMemory(values, given)
  local said = {
    { given = given.optMemory, text = "-optMemory " .. values.optMemory, mode = values.optMemory },
    { given = given.memory, text = "-memory " .. tostring(values.memory), mode = memoryModes[values.memory] },
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

--- Do the options go together? Those that say one thing in several ways are brought to one.
-- @param values as parse returns them; changed
-- @param given the set of names that the user wrote; changed
-- @return true, or nil and a sentence
function options.check(values, given)
  local blocks = givenBlocks(values)
  for i, layers in ipairs(blocks) do
    if layers == 0 then return nil, ("-d%d is missing: -d1 to -d%d need a number each"):format(i, #blocks) end
  end
  if #blocks > 0 and given.depth then return nil, "give either -depth or -d1 to -d4, not both" end
  local step = values.bottleneck and 6 or 3
  if #blocks == 0 and (values.depth < 4 + step or (values.depth - 4) % step ~= 0) then
    return nil, ("-depth %d is not possible with -bottleneck %s: expected %d n + 4 for n layers in each of three "
      .. "blocks; nearest: %s"):format(values.depth, values.bottleneck, step, nearestDepths(values.depth, step))
  end
  local settled, why = settleMemory(values, given)
  if settled then settled, why = device.check(values) end
  if not settled then return nil, why end
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

local usualEpochs = { cifar10 = 164, cifar100 = 164, mnist = 100, ["fashion-mnist"] = 100 }

--- Fills in what depends on other options: -nEpochs 0 becomes the data set's usual number.
function options.complete(values)
  if values.nEpochs == 0 then values.nEpochs = math.max(usualEpochs[values.dataset], values.epochNumber) end
  return values
end

--- The options that make the result what it is (what = "same"), or those that a resumed run takes
-- over unless told otherwise (what = "free").
function options.select(values, what)
  local chosen = {}
  for _, option in ipairs(command_line.inOrder) do
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
  for _, option in ipairs(command_line.inOrder) do
    local name = option.name
    if option.resume and not given[name] then
      if saved[name] ~= nil then values[name] = saved[name] end
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

return options
