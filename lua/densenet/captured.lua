--- A training step as one call of the GPU.
--
-- A small network's step takes thousands of calls, and a GPU waits for them longer than it computes. A captured
-- step is given to the GPU once, as a graph, and then launched.
--
--    local step = dn.captured(function()
--      local output = model:forward(input)
--      local loss = criterion:forward(output, target)
--      model:zeroGradParameters()
--      model:backward(input, criterion:backward(output, target))
--      optimizer:step()
--      return loss
--    end, { device = "cuda:0", uses = { model, optimizer } })
--
--    for _, batch in feed:run(epoch) do
--      input:copy(batch.input)
--      target:copy(batch.target)
--      step()
--      print(step:results(1)) -- the loss of the step before: nobody waits
--    end
--
-- The first call with a key runs the function plainly, the second captures and launches it, and later ones launch it.
-- So the function is no longer called: everything it does has to be an operation on tensors that stay, `input` and
-- `target` above among them. It must not wait for the GPU (item, totable, a copy to the CPU) nor make tensors; what it
-- returns, tensors, is read by `results`; a criterion's loss is one in such a step. On the CPU the function always runs
-- plainly, and a loss is a number as ever.
-- @classmod densenet.captured

local argument = require "densenet.argument"
local capture = require "densenet.capture"
local core = require "densenet.core"
local random = require "densenet.random"

local MOST_GRAPHS, MOST_RESULTS = 8, 64

local Captured = {}
Captured.__index = Captured

-- ---- What makes a captured step stale ----

-- Notes owner[key] as it is now, of everything that a graph has taken over as it was.
local function watch(self)
  local owners, keys, values, n = { random.default }, { "seed" }, { random.default.seed }, 1
  local function note(owner, key)
    n = n + 1
    owners[n], keys[n], values[n] = owner, key, owner[key]
  end
  for _, used in ipairs(self.uses) do used:noteState(note) end
  self.watched = { owners = owners, keys = keys, values = values, n = n }
end

local function isStale(self)
  local watched = self.watched
  local owners, keys, values = watched.owners, watched.keys, watched.values
  for i = 1, watched.n do
    if owners[i][keys[i]] ~= values[i] then return true end
  end
  return false
end

-- ---- Results ----

-- How many numbers the values are that the function returned.
local function count(returned)
  local n = 0
  for i = 1, returned.n do
    local value = returned[i]
    if type(value) ~= "number" and not core.is_tensor(value) then
      argument.raise("bad step: result %d is %s; expected a tensor or a number", i, argument.describe(value))
    end
    n = n + (core.is_tensor(value) and value:nElement() or 1)
  end
  if n > MOST_RESULTS then argument.raise("bad step: it returned %d numbers; expected %d at most", n, MOST_RESULTS) end
  return n
end

-- The values as a list of numbers, for which this waits.
local function listed(returned)
  local list = {}
  for i = 1, returned.n do
    local value = returned[i]
    local flat = core.is_tensor(value) and value:contiguous():view(value:nElement()):totable() or { value }
    table.move(flat, 1, #flat, #list + 1, list)
  end
  return list
end

-- The numbers of one call, which a graph may still have on their way.
local function numbersOf(result)
  if not result.numbers then
    result.numbers = { core.graph_read(result.graph, result.place, result.n) }
  end
  return result.numbers
end

local function remember(self, result)
  self.before, self.latest = self.latest, result
end

-- ---- Capturing ----

-- Behind what the function returned: all of it in one tensor of doubles, which is sent to the host after each launch;
-- nil where it returned nothing.
local function gather(self, entry, returned)
  if returned.n == 0 then return nil end
  for i = 1, returned.n do
    if not core.is_tensor(returned[i]) then
      argument.raise("bad step: result %d is %s, which would be the same at each step; return the tensor", i,
        argument.describe(returned[i]))
    end
  end
  local only = returned[1]
  if returned.n == 1 and only:dtype() == "double" and only:isContiguous() then return only end
  entry.gathered = entry.gathered or core.tensor_new(self.device, "double", { entry.n })
  local first = 1
  for i = 1, returned.n do
    local n = returned[i]:nElement()
    core.copy(entry.gathered:narrow(1, first, n):view(returned[i]:size()), returned[i])
    first = first + n
  end
  return entry.gathered
end

local function freeGraph(self, entry)
  for _, result in ipairs { self.before or false, self.latest or false } do
    if result and result.graph == entry.record.graph then numbersOf(result) end
  end
  core.graph_free(entry.record.graph)
  entry.record = nil
end

local function drop(self)
  for _, key in ipairs(self.order) do
    local entry = self.entries[key]
    if entry.record then freeGraph(self, entry) end
  end
  self.entries, self.order = {}, {}
end

-- Room for one more graph: the oldest one goes.
local function makeRoom(self)
  local nGraphs, oldest = 0, nil -- its index in order
  for i, key in ipairs(self.order) do
    if self.entries[key].record then
      nGraphs, oldest = nGraphs + 1, oldest or i
    end
  end
  if nGraphs < MOST_GRAPHS then return end
  local key = table.remove(self.order, oldest)
  freeGraph(self, self.entries[key])
  self.entries[key] = nil
end

local function runPlainly(self)
  local returned = table.pack(self.action())
  count(returned)
  remember(self, { numbers = listed(returned) })
end

-- The first call with a key: makes all that the captured one will use.
local function rehearse(self, key)
  local entry = {}
  local returned = table.pack(capture.rehearse(self.action))
  entry.n = count(returned)
  gather(self, entry, returned)
  remember(self, { numbers = listed(returned) })
  self.entries[key], self.order[#self.order + 1] = entry, key
  watch(self)
end

local function captureStep(self, entry)
  makeRoom(self)
  local start = random.default.position
  local record = { graph = core.graph_begin(self.device), start = start }
  local isDone, message = capture.run(record, function()
    local returned = table.pack(self.action())
    local n = count(returned)
    if n ~= entry.n then
      argument.raise("bad step: it returned %d numbers, and %d the time before", n, entry.n)
    end
    entry.fetched = gather(self, entry, returned)
  end)
  if isDone then isDone, message = pcall(core.graph_end, record.graph, true) end
  if not isDone then
    core.graph_free(record.graph) -- which ends it
    random.default.position = start
    error(message, 0)
  end
  record.reserved = random.default.position - start
  entry.record = record
  watch(self)
end

local function launch(self, entry)
  local record, readers, values = entry.record, entry.record.readers, self.values
  for i = 1, #readers do values[i] = readers[i]() end
  core.graph_numbers(record.graph, table.unpack(values, 1, #readers))
  core.graph_launch(record.graph)
  random.default.position = record.start + record.reserved
  if entry.fetched then
    remember(self, { graph = record.graph, place = core.graph_fetch(record.graph, entry.fetched), n = entry.n })
  else
    remember(self, { numbers = {} })
  end
end

--- Runs the step, or launches it.
-- @raise what the function raises; while it is captured also `bad step: ...` for what cannot be captured
function Captured:__call()
  if self.isFreed then argument.raise("bad step: it has been freed") end
  if not self.captures then
    runPlainly(self)
    return
  end
  local key = self.key and self.key() or ""
  if type(key) == "table" then key = table.concat(key, "x") end
  if self.watched and isStale(self) then drop(self) end
  local entry = self.entries[key]
  if not entry then return rehearse(self, key) end
  if entry.record then
    entry.record.start = random.default.position
  else
    captureStep(self, entry)
  end
  launch(self, entry)
end

--- What the function returned, as numbers, tensors element by element.
-- @tparam[opt=0] integer back 0: at the last call, whose work this waits for; 1: at the one before, which is over or
-- nearly so
-- @return numbers; none before there was such a call
-- @raise what the GPU found wrong meanwhile
function Captured:results(back)
  back = argument.integer(2, "results", back or 0, 0)
  if back > 1 then argument.refuse(2, "results", back, "0 or 1") end
  local result
  if back == 0 then result = self.latest else result = self.before end
  if not result then return end
  return table.unpack(numbersOf(result))
end

--- Graphs that there are, and the operations of the GPU in them.
-- @treturn integer
-- @treturn integer
function Captured:graphs()
  local n, nodes = 0, 0
  for _, entry in pairs(self.entries) do
    if entry.record then n, nodes = n + 1, nodes + core.graph_nodes(entry.record.graph) end
  end
  return n, nodes
end

--- Gives all graphs back, and the memory that they keep; also `<close>`. The step cannot be called any more.
function Captured:free()
  if self.isFreed then return end
  self.before, self.latest = nil, nil -- so that nothing waits for them
  drop(self)
  self.isFreed = true
end

Captured.__close = Captured.free

function Captured:__tostring()
  local n, nodes = self:graphs()
  return ("step on %s: %d graph%s, %d operations"):format(self.device, n, n == 1 and "" or "s", nodes)
end

local OPTIONS = { device = true, key = true, uses = true }

--- Makes a step of a function.
-- @tparam function action the step; what it returns is read by `results`: numbers, tensors, 64 elements in all at most
-- @tparam table options
--
--    device  "cuda:0": where it computes; on "cpu" it runs plainly
--    key     (optional) function() → string, or list such as input:size(): steps with another key are captured by
--            themselves, 8 of them at most, and then the oldest goes
--    uses    (optional) list of modules, optimizers and loss scales: when one's tensors or settings change, as by
--            loading, type, clearState or evaluate, the step runs plainly once and is captured anew. Learning rates
--            change without
-- @return a step: step(), step:results(), step:graphs(), step:free()
return function(action, options)
  if type(action) ~= "function" then argument.refuse(1, "captured", action, "a function") end
  argument.table(2, "captured", options, "options")
  for name in pairs(options) do
    if not OPTIONS[name] then
      argument.raise("bad argument #2 to 'captured' (there is no option '%s'; there are device, key, uses)",
        tostring(name))
    end
  end
  local device = argument.string(2, "captured", options.device, "device")
  if options.key ~= nil and type(options.key) ~= "function" then
    argument.refuse(2, "captured", options.key, "a function", "key")
  end
  local uses = options.uses == nil and {} or argument.table(2, "captured", options.uses, "uses")
  for i, used in ipairs(uses) do
    if type(used) ~= "table" or not used.noteState then
      argument.refuse(2, "captured", used, "a module, an optimizer or a loss scale", ("uses[%d]"):format(i))
    end
  end
  return setmetatable({
    action = action, device = device, key = options.key, uses = uses, captures = core.graph_possible(device),
    entries = {}, order = {}, values = {},
  }, Captured)
end
