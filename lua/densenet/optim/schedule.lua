--- Learning rates as functions of training time.
--
-- A schedule is called with the epoch (from 1), the iteration in it (from 1) and the number of
-- iterations in an epoch, and answers the learning rate of that step:
--
--    local rate = schedule.cosine{ learningRate = 0.1, nEpochs = 100 }
--    optimizer.learningRate = rate(epoch, iteration, count)
--
-- `rate:learningRate(epoch, iteration, count)` is the same.
-- @module densenet.optim.schedule

local argument = require "densenet.argument"

local schedule = {}

local Schedule = {}
Schedule.__index = Schedule
Schedule.__call = function(self, ...) return self:learningRate(...) end

local function checkNumber(options, name, isGood, expected)
  if type(options) ~= "table" then
    argument.raise("schedule: a table of options, such as { %s = ... }, expected, got %s", name,
      argument.describe(options))
  end
  local value = options[name]
  if type(value) ~= "number" or not isGood(value) then
    argument.raise("schedule: %s must be %s, got %s", name, expected, value)
  end
  return value
end

local function isPositive(value) return value > 0 end

local function isCount(value) return value >= 1 and value % 1 == 0 end

local function checkMilestones(milestones)
  if type(milestones) ~= "table" then
    argument.raise("schedule: milestones must be a list of numbers, got %s", argument.describe(milestones))
  end
  for i, milestone in ipairs(milestones) do
    if type(milestone) ~= "number" then
      argument.raise("schedule: milestones[%d] must be a number, got %s", i, argument.describe(milestone))
    end
  end
end

--- Divides the rate by 10 at each milestone.
-- @tparam table options learningRate; then one of: nEpochs (milestones at 50 % and 75 % of them, as for
-- CIFAR), every (a milestone every so many epochs, as 30 for ImageNet), milestones (a list). A milestone
-- is the number of epochs that are over: with nEpochs 300 epoch 151 is the first at a tenth. `factor`
-- (0.1) is what each one multiplies by.
function schedule.multistep(options)
  local base = checkNumber(options, "learningRate", isPositive, "a number above 0")
  local factor = options.factor == nil and 0.1 or checkNumber(options, "factor", isPositive, "a number above 0")
  local isPast
  if options.every then
    local every = checkNumber(options, "every", isCount, "a number of epochs")
    isPast = function(over) return over // every end
  else
    local milestones = options.milestones
    if milestones ~= nil then checkMilestones(milestones) end
    if not milestones then
      local nEpochs = checkNumber(options, "nEpochs", isCount, "a number of epochs")
      milestones = { 0.5 * nEpochs, 0.75 * nEpochs }
    end
    isPast = function(over)
      local n = 0
      for _, milestone in ipairs(milestones) do
        n = n + (over >= milestone and 1 or 0)
      end
      return n
    end
  end
  return setmetatable({
    learningRate = function(_, epoch) return base * factor ^ isPast(epoch - 1) end,
  }, Schedule)
end

--- Half a cosine from the base rate to 0 over all iterations of all epochs.
-- Source: Loshchilov & Hutter 2017 (arXiv:1608.03983), without restarts.
-- @tparam table options learningRate, nEpochs; iterations in an epoch, where calls do not say
function schedule.cosine(options)
  local base = checkNumber(options, "learningRate", isPositive, "a number above 0")
  local nEpochs = checkNumber(options, "nEpochs", isCount, "a number of epochs")
  return setmetatable({
    learningRate = function(_, epoch, iteration, count)
      count = count or options.iterations or 1
      local part = ((epoch - 1) * count + (iteration or 1) - 1) / (nEpochs * count)
      return base * 0.5 * (1 + math.cos(math.pi * math.min(part, 1)))
    end,
  }, Schedule)
end

--- One rate throughout.
function schedule.constant(options)
  local base = checkNumber(options, "learningRate", isPositive, "a number above 0")
  return setmetatable({ learningRate = function() return base end }, Schedule)
end

return argument.closed(schedule, "dn.optim.schedule")
