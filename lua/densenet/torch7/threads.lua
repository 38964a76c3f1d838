--- The threads package, without threads: the jobs of a pool run in this Lua state, one after the other, each when
-- its result is asked for (dojob, synchronize). A worker is a set of global variables and a random generator of its
-- own, so jobs find what their worker's first functions have set, and two pools do not disturb each other. Values are
-- not copied on their way to a job: what a job changes of its arguments and upvalues, its caller sees changed.

local argument = require "densenet.argument"
local core = require "densenet.core"
local nn = require "densenet.nn"
local random = require "densenet.random"

local Threads = nn.class("threads.Threads")

local nWorkers = 0 -- of all pools: each has a stream of random numbers of its own
local FIRST_STREAM = 1 << 32

local function newWorker(id)
  nWorkers = nWorkers + 1
  return { id = id, globals = { __threadid = id }, generator = random.generator(0, FIRST_STREAM + nWorkers) }
end

local function globalsNow()
  local copy = {}
  for name, value in next, _G do copy[name] = value end
  return copy
end

-- Calls a function with the worker's globals and generator in place; puts back what was there.
-- @return as pcall, packed
local function inside(worker, work, ...)
  local before, generator = globalsNow(), random.default
  for name, value in pairs(worker.globals) do rawset(_G, name, value) end
  random.default = worker.generator
  local results = table.pack(xpcall(work, core.traceback, ...))
  random.default = generator
  for name, value in pairs(globalsNow()) do
    if not rawequal(before[name], value) or worker.globals[name] ~= nil then worker.globals[name] = value end
    if before[name] == nil then rawset(_G, name, nil) end
  end
  for name, value in pairs(before) do rawset(_G, name, value) end
  return results
end

--- Threads(n, first, second, ...): n workers, in each of which the functions are called with its number.
-- @return the pool, and a list with a list for each worker: what the last function returned
function Threads:__init(n, ...)
  n = argument.integer(1, "Threads", n, 0, "n")
  self.workers, self.queue, self.results = {}, {}, {}
  self.capacity, self.nAdded = 2 * math.max(n, 1), 0
  for id = 1, math.max(n, 1) do
    local worker, returned = newWorker(id), table.pack(true)
    self.workers[id] = worker
    for i = 1, select("#", ...) do
      returned = inside(worker, argument.callable(i + 1, "Threads", (select(i, ...))), id)
      if not returned[1] then argument.raise("in worker %d: %s", id, tostring(returned[2])) end
    end
    self.results[id] = table.pack(table.unpack(returned, 2, returned.n))
  end
end

--- Whether jobs name their worker.
function Threads:specific(isSpecific)
  if isSpecific ~= nil then self.isSpecific = isSpecific end
  return self.isSpecific or false
end

--- Is there room for another job?
function Threads:acceptsjob() return #self.queue < self.capacity end

--- pool:addjob(job, done, ...): job(...) is called by a worker, and done here with what it returns. A full pool
-- first takes a result.
function Threads:addjob(...)
  local given = table.pack(...)
  local id = self.nAdded % #self.workers + 1
  if self.isSpecific then
    id = argument.integer(1, "addjob", table.remove(given, 1), 1, "worker")
    given.n = given.n - 1
  end
  local worker = self.workers[id] or argument.refuse(1, "addjob", id, ("1 to %d"):format(#self.workers), "worker")
  argument.callable(1, "addjob", given[1], "job")
  if given[2] ~= nil then argument.callable(2, "addjob", given[2], "done") end
  if not self:acceptsjob() then self:dojob() end
  self.nAdded = self.nAdded + 1
  self.queue[#self.queue + 1] = { worker = worker, job = given[1], done = given[2], given = given }
end

--- Are there results to take?
function Threads:hasjob() return #self.queue > 0 end

--- Runs the oldest job and gives what it returns to its second function. What a job raises is kept for haserror
-- and synchronize.
function Threads:dojob()
  local entry = table.remove(self.queue, 1)
  if not entry then return end
  local results = inside(entry.worker, entry.job, table.unpack(entry.given, 3, entry.given.n))
  if not results[1] then
    self.failure = self.failure or tostring(results[2])
  elseif entry.done then
    entry.done(table.unpack(results, 2, results.n))
  end
end

--- Has a job raised an error that synchronize has not told?
function Threads:haserror() return self.failure ~= nil end

--- Runs all jobs; raises the first error of one.
function Threads:synchronize()
  while self:hasjob() do self:dojob() end
  local failure = self.failure
  self.failure = nil
  if failure then argument.raise("in a job: %s", failure) end
end

function Threads:terminate() self:synchronize() end

--- Nothing: values are not copied.
local function serialization() end

local threads = setmetatable({ serialization = serialization }, {
  __call = function(_, ...)
    local pool = Threads(...)
    return pool, pool.results
  end,
})
threads.Threads = threads

return threads
