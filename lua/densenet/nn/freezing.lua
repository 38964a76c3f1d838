--- Modules whose parameters stay as they are while others are trained.
--
-- A frozen module has no gradients of parameters: no memory for them, no momentum, no step. A frozen batch
-- norm normalises with its running statistics, as in evaluation, and keeps them. All of it is saved and
-- loaded as ever. What stands before the first trained parameter has no backward pass: nothing is kept for
-- it, and `backward` returns nil.
--
-- A frozen module has the field `frozen`, true, and `frozenStatistics`, "batch" where a norm goes on with
-- the batch's statistics. Before each forward of a network, every module learns what its backward is to
-- give (`mark`): `skipsGradInput`, nobody reads its gradInput; `isIdle`, nor does it train anything, so its
-- backward is not called.
-- @module densenet.nn.freezing

local argument = require "densenet.argument"
local attempt = require "densenet.attempt"
local core = require "densenet.core"
local stateDict = require "densenet.nn.state_dict"
local ownMethods = require "densenet.nn.own_methods"
local flatParameters = require "densenet.nn.flat_parameters"
local trained = require "densenet.nn.trained"
local views = require "densenet.nn.views"

local freezing = {}

-- The modules that hold tensors: { module=, path=, parameters= entries, all= entries }.
local function holdersOf(root)
  local holders, byModule = {}, {}
  for _, entry in ipairs(stateDict.entries(root)) do
    local holder = byModule[entry.owner]
    if not holder then
      holder = { module = entry.owner, path = entry.name:match("^(.*)%.[^.]*$") or "", parameters = {}, all = {} }
      holders[#holders + 1], byModule[entry.owner] = holder, holder
    end
    holder.all[#holder.all + 1] = entry
    if not entry.isState then
      holder.parameters[#holder.parameters + 1] = entry
    end
  end
  return holders
end

-- Is a module meant? A pattern that says the module's name, or those of all its parameters, means it.
local function matches(holder, pattern)
  local entries = #holder.parameters > 0 and holder.parameters or holder.all
  if holder.path ~= "" and holder.path:find(pattern) then
    return true
  end
  local found, missed
  for _, entry in ipairs(entries) do
    if entry.name:find(pattern) then
      found = found or entry.name
    else
      missed = missed or entry.name
    end
  end
  if found and missed then
    argument.raise("the pattern '%s' means %s and not %s: a module is frozen as a whole", pattern, found, missed)
  end
  return found ~= nil
end

local function checkPattern(pattern, verb)
  if type(pattern) ~= "string" then
    argument.raise("bad argument #1 to '%s' (a Lua pattern for the names in stateDict expected, got a %s)", verb,
      type(pattern))
  end
  local isPattern, message = attempt.call(string.find, "", pattern)
  if not isPattern then
    argument.raise("bad argument #1 to '%s' ('%s' is not a Lua pattern: %s)", verb, pattern, message)
  end
end

-- The holders that a pattern, or one of a list of patterns, means, in order; and all of them. Each pattern
-- means at least one.
local function chosen(root, patterns, verb)
  patterns = type(patterns) == "table" and patterns or { patterns }
  local holders, isChosen, found = holdersOf(root), {}, {}
  for i = 1, math.max(1, #patterns) do
    local pattern, n = patterns[i], 0
    checkPattern(pattern, verb)
    for _, holder in ipairs(holders) do
      if matches(holder, pattern) then
        isChosen[holder], n = true, n + 1
      end
    end
    if n == 0 then
      argument.raise("%s: no name matches the pattern '%s'; the first name is '%s'", verb, pattern,
        holders[1] and holders[1].all[1].name or "")
    end
  end
  for _, holder in ipairs(holders) do
    if isChosen[holder] then
      found[#found + 1] = holder
    end
  end
  return found, holders
end

-- Parameters of all holders in groups that share memory.
local function groupsOf(holders)
  local items = {}
  for _, holder in ipairs(holders) do
    for _, entry in ipairs(holder.parameters) do
      items[#items + 1] = { name = entry.name, tensor = stateDict.tensor(entry), entry = entry }
    end
  end
  return views.groups(items, function(a, b)
    argument.raise("%s and %s overlap in part", a.name, b.name)
  end)
end

-- Shared parameters are frozen together or not at all.
local function checkShared(groups, isFrozen)
  for _, group in ipairs(groups) do
    local leader = group.leader
    for _, other in ipairs(group.others) do
      if isFrozen(leader.entry.owner) ~= isFrozen(other.entry.owner) then
        argument.raise("%s and %s share their memory: freeze both or neither", leader.name, other.name)
      elseif isFrozen(leader.entry.owner) and not (views.isDense(leader.tensor) and views.isDense(other.tensor)) then
        argument.raise("%s and %s share their memory in a view with gaps, and cannot be frozen", leader.name,
          other.name)
      end
    end
  end
end

local function pathsOf(holders)
  local paths = {}
  for i, holder in ipairs(holders) do
    paths[i] = holder.path
  end
  return paths
end

-- A module whose class computes its gradients in a `backward` of its own goes on needing them.
local function dropGradients(module)
  if ownMethods.of(module, "backward") == module.frozenBackward then
    for _, pair in ipairs(module.parameterFields) do
      module[pair[2]] = nil
    end
  end
end

-- New gradients for parameters that have none; what is shared shares them.
local function makeGradients(groups)
  local function gradientField(entry)
    for _, pair in ipairs(entry.owner.parameterFields) do
      if pair[1] == entry.field and not entry.owner.frozen and not entry.owner[pair[2]] then
        return pair[2]
      end
    end
  end
  for _, group in ipairs(groups) do
    local leader = group.leader
    local field, weight = gradientField(leader.entry), leader.tensor
    if field then
      local flat = core.tensor_new(weight:device(), weight:dtype(), { weight:nElement() })
      core.fill(flat, 0)
      local gradient = views.isDense(weight) and views.moved(weight, weight, flat) or flat:view(weight:size())
      leader.entry.owner[field] = gradient
      for _, other in ipairs(group.others) do
        local owner, otherField = other.entry.owner, gradientField(other.entry)
        if otherField then
          owner[otherField] = other.tensor:isSameView(weight) and gradient or views.moved(other.tensor, weight, flat)
        end
      end
    end
  end
end

-- Another list is trained now.
local function noteChange(root)
  trained.forget()
  flatParameters.regather(root)
end

--- See Module:freeze.
function freezing.freeze(root, pattern, options)
  if options ~= nil then
    argument.table(2, "freeze", options, "options")
  end
  local found, holders = chosen(root, pattern, "freeze")
  for name in pairs(options or {}) do
    if name ~= "batchStatistics" and name ~= "gradInput" then
      argument.raise("bad argument #2 to 'freeze' (there is no option '%s'; there are batchStatistics, gradInput)",
        tostring(name))
    end
  end
  local isChosen = {}
  for _, holder in ipairs(found) do
    isChosen[holder.module] = true
  end
  checkShared(groupsOf(holders), function(module) return isChosen[module] or module.frozen or false end)
  for _, holder in ipairs(found) do
    holder.module.frozen = true
    holder.module.frozenStatistics = options and options.batchStatistics and "batch" or nil
    dropGradients(holder.module)
  end
  root.keepsGradInput = options and options.gradInput or root.keepsGradInput
  noteChange(root)
  freezing.mark(root)
  return pathsOf(found)
end

--- See Module:unfreeze.
function freezing.unfreeze(root, pattern)
  local found, holders = chosen(root, pattern or "", "unfreeze")
  local isChosen = {}
  for _, holder in ipairs(found) do
    isChosen[holder.module] = true
  end
  local groups = groupsOf(holders)
  checkShared(groups, function(module) return not isChosen[module] and module.frozen or false end)
  for _, holder in ipairs(found) do
    holder.module.frozen, holder.module.frozenStatistics = nil, nil
  end
  makeGradients(groups)
  noteChange(root)
  freezing.mark(root)
  return pathsOf(found)
end

--- Freezes in one module what is frozen in another that is built alike.
function freezing.copy(from, to)
  local isFrozen = {}
  for _, holder in ipairs(holdersOf(from)) do
    isFrozen[holder.path] = holder.module.frozen and holder.module
  end
  for _, holder in ipairs(holdersOf(to)) do
    local model = isFrozen[holder.path]
    if model then
      holder.module.frozen, holder.module.frozenStatistics = true, model.frozenStatistics
      dropGradients(holder.module)
    end
  end
  to.keepsGradInput = from.keepsGradInput
  noteChange(to)
end

--- How many numbers of a module are frozen parameters.
function freezing.count(root)
  local count = 0
  for _, group in ipairs(groupsOf(holdersOf(root))) do
    if group.leader.entry.owner.frozen then
      count = count + group.leader.tensor:nElement()
    end
  end
  return count
end

--- Has a module parameters of its own that are trained? (Those of its children are not its own.)
function freezing.trainsOwn(module)
  if module.frozen then
    return false
  end
  for _, pair in ipairs(module.parameterFields) do
    if module[pair[1]] then
      return true
    end
  end
  if module.modules then -- another list than that of the children may have parameters of its own
    return module.parameters ~= module.childrenParameters
  end
  local weights = module:parameters()
  return weights and weights[1] ~= nil or false
end

-- Is the first module with parameters, in the order of the network, a frozen one?
local function beginsFrozen(module)
  if module.frozen then
    return true
  elseif freezing.trainsOwn(module) then
    return false
  end
  for _, child in ipairs(module.modules or {}) do
    local answer = beginsFrozen(child)
    if answer ~= nil then
      return answer
    end
  end
end

--- Tells every module of a network what its backward is to give.
function freezing.mark(root)
  root:apply(function(module) module.skipsGradInput, module.isIdle = nil, nil end)
  if not root.keepsGradInput and beginsFrozen(root) then
    root:markBackward(false)
  end
end

return freezing
