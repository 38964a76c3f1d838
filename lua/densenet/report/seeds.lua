--- Runs of the same options but for the seed: means and deviations of what they came to.
-- @module densenet.report.seeds

local json = require "densenet.io.json"
local shallowCopy = require "densenet.shallow_copy"
local sortedNames = require "densenet.sorted_names"

local seeds = {}

-- Options that do not tell runs of one experiment apart.
local ownOptions = { "manualSeed", "save", "log", "tensorboard", "data", "nThreads", "keep", "saveEvery", "resume" }

-- A text that runs of the same options share.
local function keyOf(run)
  local options, words = shallowCopy(run.options), {}
  for _, name in ipairs(ownOptions) do options[name] = nil end
  for i, name in ipairs(sortedNames(options)) do words[i] = name .. "=" .. json.encode(options[name]) end
  return table.concat(words, " ")
end

--- Groups runs by their options.
-- @param runs of run_directory.read
-- @return a list of lists, in the order of their first runs
function seeds.groups(runs)
  local groups, byKey = {}, {}
  for _, run in ipairs(runs) do
    local key = keyOf(run)
    if not byKey[key] then
      byKey[key] = {}
      groups[#groups + 1] = byKey[key]
    end
    table.insert(byKey[key], run)
  end
  return groups
end

--- Mean and standard deviation (over n - 1) of numbers; the deviation of one is nil.
-- @param numbers a list
-- @return mean, deviation; nil of none
function seeds.statistics(numbers)
  if #numbers == 0 then return nil end
  local sum, squares = 0.0, 0.0
  for _, x in ipairs(numbers) do sum = sum + x end
  local mean = sum / #numbers
  for _, x in ipairs(numbers) do squares = squares + (x - mean) ^ 2 end
  return mean, #numbers > 1 and math.sqrt(squares / (#numbers - 1)) or nil
end

--- What a run came to.
-- @return { epochs=, last= test error after the last epoch, best= the least by what the run chose by, hours=,
-- step= median seconds a step }; fields without a figure are nil
function seeds.outcome(run)
  local rows = run.rows
  local last = rows[#rows] or {}
  local steps = {}
  for _, row in ipairs(rows) do steps[#steps + 1] = row.step_seconds end
  table.sort(steps)
  return { epochs = #rows, last = last.test_top1, best = last.best_top1, hours = last.hours,
    step = steps[(#steps + 1) // 2] }
end

return seeds
