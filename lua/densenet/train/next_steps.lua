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

-- A command with the device, and how many of them, at its end, where the run's command line said it: without, a
-- command takes the machine's best.
local function command(values, given, words)
  if given.nGPU and values.nGPU > 1 then
    words[#words + 1] = option("nGPU", tostring(values.nGPU))
    return table.concat(words, " ")
  end
  if given.nProcesses and values.nProcesses > 1 then
    words[#words + 1] = option("nProcesses", tostring(values.nProcesses))
  end
  if given.device or given.nGPU then words[#words + 1] = option("device", values.device) end
  return table.concat(words, " ")
end

--- The command that goes on with a run.
-- @param values options of the run; values.device its device
-- @param given the set of names that its command line had
-- @param program what the command begins with
-- @param more (optional) a further option
function nextSteps.resume(values, given, program, more)
  return command(values, given, { program, option("resume", values.save), more })
end

--- The command that tests a run's best model.
-- @param values as for resume
-- @param given as for resume
-- @param program as for resume
-- @param bestPath the model's file
function nextSteps.test(values, given, program, bestPath)
  return command(values, given, { program, option("retrain", bestPath), "-testOnly true",
    values.data and option("data", values.data) })
end

return nextSteps
