--- The parameters that a module trains: the one list that optimizers, updateParameters, getParameters,
-- plans and counts are made from.
--
-- It is what module:parameters() lists. That may be less than the module holds and stateDict saves: what
-- is frozen is left out, and so is what somebody takes out by overriding `parameters`, Torch's idiom.
-- Parameters that share memory are one parameter: it is stepped once and counted once. Their gradients
-- have to share memory in the same way.
-- @module densenet.nn.trained

local argument = require "densenet.argument"
local core = require "densenet.core"
local stateDict = require "densenet.nn.state_dict"
local views = require "densenet.nn.views"

local trained = {}

local function refuseOverlap(a, b)
  argument.raise("%s and %s overlap in part: they can be neither one parameter nor two", a.name, b.name)
end

local function checkGradients(leader, other)
  local a, b = leader.gradient, other.gradient
  if not a and not b then
    return
  elseif not (a and b) or not (leader.tensor:isSameView(other.tensor) and a:isSameView(b))
    and not views.correspond(leader.tensor, other.tensor, a, b) then
    argument.raise("%s and %s share their memory, and their gradients do not share theirs in the same way",
      leader.name, other.name)
  end
end

--- Parameters that share memory made one.
-- @tparam table parameters list of { name=, tensor=, gradient=, … }
-- @treturn table list of those that stand for all; `others` of each are the parameters that it stands for
-- @raise by name, where two overlap in part, or their gradients do not share what they share
function trained.merge(parameters)
  local list = {}
  for i, group in ipairs(views.groups(parameters, refuseOverlap)) do
    for _, other in ipairs(group.others) do
      checkGradients(group.leader, other)
    end
    group.leader.others = group.others
    list[i] = group.leader
  end
  return list
end

-- What module:parameters() lists, with names; the names are those of stateDict.
local function named(module, weights, gradients)
  local known = {} -- tensor → its entries
  for _, entry in ipairs(stateDict.entries(module)) do
    local tensor = stateDict.tensor(entry)
    known[tensor] = known[tensor] or {}
    table.insert(known[tensor], entry)
  end
  local list, nUsed = {}, {}
  for i, weight in ipairs(weights) do
    local entries, n = known[weight] or {}, (nUsed[weight] or 0) + 1
    local entry = entries[math.min(n, #entries)] or { name = "parameter" .. i }
    nUsed[weight] = n
    if not (entry.owner and entry.owner.frozen) then
      list[#list + 1] = { name = entry.name, owner = entry.owner, tensor = weight, gradient = gradients[i] }
    end
  end
  return list
end

-- Are the first n the same?
local function isSame(a, b, n)
  for i = 1, n do
    if a[i] ~= b[i] then
      return false
    end
  end
  return true
end

local lists = setmetatable({}, { __mode = "k" }) -- module → the list of last time, and what it was made from

--- The parameters of a module, as they are now.
-- @param module any
-- @treturn table list of { name=, owner= (the module that holds it), tensor=, gradient=, others= as in
-- trained.merge }
-- @raise as trained.merge
function trained.of(module)
  local weights, gradients = module:parameters()
  weights, gradients = weights or {}, gradients or {}
  local last = lists[module]
  local n = #weights
  if not (last and #last.weights == n and isSame(last.weights, weights, n)
    and isSame(last.gradients, gradients, n)) then
    last = { weights = weights, gradients = gradients, list = trained.merge(named(module, weights, gradients)) }
    lists[module] = last
  end
  return last.list
end

--- Forgets every list, and the tensors in them.
function trained.forget()
  lists = setmetatable({}, { __mode = "k" })
end

--- How many numbers a module trains.
function trained.count(module)
  local count = 0
  for _, parameter in ipairs(trained.of(module)) do
    count = count + parameter.tensor:nElement()
  end
  return count
end

--- The gradient of a parameter.
-- @raise by name, where it has none
function trained.gradient(parameter)
  if not core.is_tensor(parameter.gradient) then
    argument.raise("%s is a parameter without a gradient", parameter.name)
  end
  return parameter.gradient
end

return trained
