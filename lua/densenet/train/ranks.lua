--- A run's other processes: what a training run does differently where it is one of several ranks (densenet.dist).
--
-- Rank 0 prints, logs and saves. All ranks compute their share of every batch, add up what is counted, and agree, with
-- every batch, on whether to stop and on where they stand; after every epoch, on all parameters. So what one rank
-- decides from is what all decide from, and ranks that have drifted apart are an error at once.
local core = require "densenet.core"
local dist = require "densenet.dist"
local json = require "densenet.io.json"
local options = require "densenet.train.options"
local program = require "densenet.train.program"
local ranksFound = require "densenet.dist.ranks"
local sortedNames = require "densenet.sorted_names"

local Ranks = {}
Ranks.__index = Ranks

-- ---- The beginning ----

-- What must be alike on all ranks beside what decides the result.
local ALSO_ALIKE = { "precision", "nEpochs", "saveEvery", "optMemory", "testOnly", "resume", "retrain",
  "tensorboard" }

local function alike(values)
  local all = options.select(values, "same")
  for _, name in ipairs(ALSO_ALIKE) do all[name] = values[name] end
  return all
end

-- Options as lines, in one order, for ranks that meet before they can compare (densenet.dist.rendezvous).
local function linesOf(all)
  local lines = {}
  for i, name in ipairs(sortedNames(all)) do lines[i] = ("%s %s\n"):format(name, options.text(all[name])) end
  return table.concat(lines)
end

-- Where the options say that a rank computes; "auto" where they leave it open.
local function deviceOf(values)
  return values.device or values.nGPU == 0 and "cpu" or values.nGPU and "cuda" or "auto"
end

local function said(name, value)
  return value == nil and "without -" .. name or ("with -%s %s"):format(name, options.text(value))
end

-- "rank 3 trains with -LR 0.2, rank 0 with -LR 0.1", or nil.
local function differenceOf(comm, theirs, own)
  local names = {}
  for name in pairs(theirs) do names[#names + 1] = name end
  for name in pairs(own) do
    if theirs[name] == nil then names[#names + 1] = name end
  end
  table.sort(names, core.before)
  for _, name in ipairs(names) do
    if theirs[name] ~= own[name] then
      return ("rank %d trains %s, rank 0 %s"):format(comm.rank, said(name, own[name]), said(name, theirs[name]))
    end
  end
end

-- The sentence of the first rank that has one, on all ranks; nil where none has.
local function firstSentence(comm, sentence)
  local number = comm:reduceIntegers({ sentence and comm.size - comm.rank or 0 }, "max")[1]
  if number == 0 then return nil end
  return comm:broadcastText(sentence, comm.size - number)
end

-- The end of the program. Others that wait for a rank that has failed hear why.
local function leave(self, failure)
  if not failure then return self.comm:close() end
  self.comm:abort((failure:match "^[^\n]*"))
end

--- Joins the ranks, where this process is one of several; settles where it computes (values.device).
-- @param values options as options.parse returns them; changed
-- @return ranks; nil where this process is the only one; or nil, message, code
function Ranks.open(values)
  local place, message, code = ranksFound.find(values)
  if not place then return nil, message, code end
  if place.size == 1 or values.plan then return nil end
  if values.confusion then
    return nil, "-confusion is told by one process, which sees all images: leave out what starts several", "usage"
  end
  local comm
  local all = alike(values)
  comm, message, code = dist.open { device = deviceOf(values), rank = values.rank, size = values.size,
    timeout = values.commTimeout, agree = linesOf(all) }
  if not comm then return nil, message, code end
  values.device = comm.device
  local self = setmetatable({ comm = comm, size = comm.size, rank = comm.rank }, Ranks)
  program.atEnd(function(failure) leave(self, failure) end)
  local text = json.encode(all)
  local theirs = json.decode(comm:broadcastText(text))
  message = firstSentence(comm, differenceOf(comm, theirs, json.decode(text)))
  if message then return self:outcome(nil, message, "usage") end
  self.optionsNumber = core.checksum(core.tensor_from("cpu", "long", { text:byte(1, -1) }))
  return self
end

--- Attaches a model: its state and the optimizer's become rank 0's, gradients are added up from here on.
-- @param model in its place, after optim.LossScale
-- @param optimizer
-- @tparam boolean syncBN norms take the statistics of the whole batch
function Ranks:attach(model, optimizer, syncBN)
  self.model = model
  self.sync = dist.attach(model, self.comm, { syncBN = syncBN })
  dist.Sync.broadcastState(self.comm, optimizer:state(), "optimizers' states")
end

--- function(line) for what prints; nil on rank 0, which prints as ever.
function Ranks:writer()
  return self.rank > 0 and function() end or nil
end

-- ---- What one does for all ----

--- A failure that all ranks have found alike is told by rank 0; the others leave with its exit status.
-- @param value of a call, nil where it failed
-- @param message of a failure
-- @param code of a failure
-- @param status (optional) of a failure: the exit status
-- @return as the call's; or on ranks from 1 on nil, message, "agreed", exit status
function Ranks:outcome(value, message, code, status)
  if value or self.rank == 0 then return value, message, code, status end
  return nil, message, "agreed", status or code == "usage" and 2 or 1
end

--- Lets rank 0 do something with files, while the others wait for how it ends.
-- @param action function() → true, or nil, message, code
-- @return the same on all ranks
function Ranks:first(action)
  local done, message, code = true, "", ""
  if self.rank == 0 then done, message, code = action() end
  local text = self.comm:broadcastText(self.rank == 0 and (done and "" or ("%s\n%s"):format(code or "", message))
    or nil)
  if text == "" then return done end
  code, message = text:match "^([^\n]*)\n(.*)$"
  return nil, message, code
end

--- Running statistics of all ranks' images: before they are used or saved.
function Ranks:averageStatistics() self.sync:averageStatistics() end

--- Sums of whole numbers over the ranks, which all call it.
-- @tparam table numbers a list
-- @treturn table list
function Ranks:total(numbers) return self.comm:reduceIntegers(numbers) end

--- The least of the ranks' whole numbers.
function Ranks:least(number) return -self.comm:reduceIntegers({ -number }, "max")[1] end

-- ---- With every batch ----

local SIGNALS = { 2, 15, 1 } -- SIGINT, SIGTERM, SIGHUP, as core.interrupted gives them
local HASHES = 1 << 20 -- sums of their squares are exact in double

-- A number that differs, most likely, where ranks stand elsewhere or have other options.
local function positionNumber(self, position)
  local number = self.optionsNumber
  for _, part in ipairs(position) do number = (31 * number + part) % 0x7fffffff end
  return number % HASHES
end

--- Begins to add up numbers over the ranks, and to agree on whether to stop.
-- @tparam table numbers a list of numbers
-- @tparam table position whole numbers that say where this rank stands, such as epoch and batch
function Ranks:startSum(numbers, position)
  local list = table.move(numbers, 1, #numbers, 1, {})
  local _, signal = core.interrupted()
  for _, each in ipairs(SIGNALS) do list[#list + 1] = signal == each and 1 or 0 end
  local number = positionNumber(self, position)
  list[#list + 1], list[#list + 2] = number, number * number
  self.number, self.sums = number, core.tensor_from("cpu", "double", list):to(self.comm.device)
  self.comm:allReduceStart(self.sums)
end

--- Ends what startSum began, after sync:wait or comm:join.
-- @treturn table the sums
-- @raise where the ranks do not stand at one place
function Ranks:sum()
  local list = self.sums:totable()
  local n = #list - #SIGNALS - 2
  for i, signal in ipairs(SIGNALS) do
    if list[n + i] > 0 then self.signal = self.signal or signal end
  end
  local size, number = self.size, self.number
  if list[#list - 1] ~= size * number or list[#list] ~= size * number * number then
    local sentence = "rank %d of %d: the ranks have drifted apart: they are not at the same batch of the same run"
    error(sentence:format(self.rank, size), 0)
  end
  return table.move(list, 1, n, 1, {})
end

--- As core.interrupted: what all ranks have agreed on with the last batch.
-- @return 0; or 1 and the signal
function Ranks:interrupted()
  if self.signal then return 1, self.signal end
  return 0
end

-- ---- After an epoch ----

--- Have all ranks the same model, to the bit?
-- @tparam integer epoch for the sentence
-- @return true; or nil, message, code
function Ranks:checkSame(epoch)
  local state, sum = self.model:stateDict(), 0
  for _, name in ipairs(sortedNames(state)) do
    sum = core.checksum(state[name]:to("cpu"):contiguous(), sum)
  end
  local sums = self.comm:allGather(core.tensor_from("cpu", "long", { sum }):to(self.comm.device))
  local list = sums:view(self.size):totable()
  for r = 2, self.size do
    if list[r] ~= list[1] then
      local sentence = "after epoch %d rank %d has other parameters than rank 0: the ranks have drifted apart"
      return nil, sentence:format(epoch, r - 1), "drift"
    end
  end
  return true
end

return Ranks
