--- Commands that go on from a run that has ended, as its user can type them where it was started.
local nextSteps = {}

-- A word for a shell.
local function quoted(word)
  if word:find("^[%w_./:=+,@%%-]+$") then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- An option with a text, which may begin with a dash.
local function option(name, text)
  return "-" .. name .. (text:find("^%-") and "=" or " ") .. quoted(text)
end

--- How a script was started, from the interpreter on.
-- @param argv the script's `arg`; argv.program, a list of words, where another program started it
function nextSteps.program(argv)
  local words, first = {}, 0
  while argv[first - 1] do first = first - 1 end
  for _, word in ipairs(argv.program or table.move(argv, first, 0, 1, {})) do words[#words + 1] = quoted(word) end
  return table.concat(words, " ")
end

--- Lines that say how to test a run's best model, and how to train for longer.
-- @param values options of the run; values.device its device
-- @param given the set of names that its command line had
-- @param bestPath the best model's file
-- @param program what the commands begin with
function nextSteps.describe(values, given, bestPath, program)
  local device = (given.device or given.nGPU) and { option("device", values.device) } or {}
  local function command(words) return ("  %s %s"):format(program, table.concat(words, " ")) end
  local test = { option("retrain", bestPath), "-testOnly true", table.unpack(device) }
  if values.data then test[#test + 1] = option("data", values.data) end
  local longer = { option("resume", values.save), ("-nEpochs %d"):format(2 * values.nEpochs), table.unpack(device) }
  return {
    "To test it:", command(test),
    "To train for longer, such as twice the epochs:", command(longer),
  }
end

return nextSteps
