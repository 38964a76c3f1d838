--- Names for the tensors of a module tree, as PyTorch gives them.
--
-- An entry is called after the way to it: the names of the children, then the field, joined by dots:
-- `features.denseblock1.denselayer1.norm1.weight`. A child without a name is called by its number,
-- counted from 0; a child named "" adds nothing, so a container can stand between without showing.
-- @module densenet.nn.state_dict

local argument = require "densenet.argument"
local core = require "densenet.core"
local misfit = require "densenet.nn.misfit"

local stateDict = {}

-- The field of `module` that holds `wanted` (the first by name, if several do), or nil.
local function fieldOf(module, wanted)
  local found
  for key, value in pairs(module) do
    if rawequal(value, wanted) and type(key) == "string" and (not found or key < found) then
      found = key
    end
  end
  return found
end

-- What a module's `parameters` lists, and what its class's would where the object has another one:
-- action(number, weight, gradient).
local function eachListed(module, action)
  local function list(weights, gradients)
    for i, weight in ipairs(weights or {}) do
      action(i, weight, gradients and gradients[i])
    end
  end
  list(module:parameters())
  if rawget(module, "parameters") then
    list(getmetatable(module).parameters(module))
  end
end

-- What is saved is what stands in the fields of parameters, whether it is trained or not, and what else
-- `parameters` lists. Parameters in fields are remembered by owner and field, because a conversion puts
-- new tensors there; a parameter kept elsewhere is remembered itself. `seen`: what the modules before
-- hold; what a container lists of it is its children's.
local function addParameters(entries, module, prefix, seen)
  local gradientOf, isHere = {}, {}
  eachListed(module, function(_, weight, gradient) gradientOf[weight] = gradientOf[weight] or gradient end)
  local function add(name, field, weight, gradField)
    isHere[weight] = true
    local gradient = gradientOf[weight] or gradField and module[gradField]
    entries[#entries + 1] = {
      name = prefix .. name, owner = module, field = field, tensor = weight,
      gradField = gradient and fieldOf(module, gradient), gradient = gradient,
    }
  end
  for _, pair in ipairs(module.parameterFields) do
    local weight = module[pair[1]]
    if core.is_tensor(weight) then
      add(pair[1], pair[1], weight, pair[2])
    end
  end
  eachListed(module, function(i, weight)
    if not isHere[weight] and not (module.modules and seen[weight]) then
      local field = fieldOf(module, weight)
      add(field or "parameter" .. i, field, weight)
    end
  end)
  for weight in pairs(isHere) do
    seen[weight] = true
  end
end

local function collect(entries, module, prefix, seen)
  for i, child in ipairs(module.modules or {}) do
    local name = module:childName(i)
    collect(entries, child, name == "" and prefix or prefix .. name .. ".", seen)
  end
  addParameters(entries, module, prefix, seen)
  for _, field in ipairs(module.stateFields) do
    if module[field] then
      entries[#entries + 1] = { name = prefix .. field, owner = module, field = field, isState = true }
    end
  end
  return entries
end

--- Every named tensor in order: { name=, owner=, field=, gradField=, isState= }.
-- @param module any module
-- @treturn table list; stateDict.tensor and stateDict.gradient read an entry
function stateDict.entries(module)
  local entries, seen = collect({}, module, "", {}), {}
  for _, entry in ipairs(entries) do
    if seen[entry.name] then
      argument.raise("two tensors of %s are called '%s'; name the children that hold them",
        module.__typename, entry.name)
    end
    seen[entry.name] = true
  end
  return entries
end

--- The tensor of an entry, as it is now.
function stateDict.tensor(entry)
  return entry.field and entry.owner[entry.field] or entry.tensor
end

--- The gradient of a parameter's entry, as it is now.
function stateDict.gradient(entry)
  return entry.gradField and entry.owner[entry.gradField] or entry.gradient
end

--- Table name → the module's own tensor: parameters and running statistics.
function stateDict.state(module)
  local state = {}
  for _, entry in ipairs(stateDict.entries(module)) do
    state[entry.name] = stateDict.tensor(entry)
  end
  return state
end

--- Every tensor that a conversion has to keep shared where it is: parameters, state and gradients, as
-- { name=, tensor=, isState=, isFrozen=, isGradient= }.
function stateDict.held(module)
  local held = {}
  for _, entry in ipairs(stateDict.entries(module)) do
    held[#held + 1] = { name = entry.name, tensor = stateDict.tensor(entry), isState = entry.isState,
      isFrozen = entry.owner.frozen }
    local gradient = not entry.isState and stateDict.gradient(entry)
    if gradient then
      held[#held + 1] = { name = entry.name .. " gradient", tensor = gradient, isGradient = true }
    end
  end
  return held
end

--- The tensors of a tree that modules make from their parameters (Module.derivedFields), once each, as
-- { name=, tensor= }.
function stateDict.derived(module)
  local found, seen = {}, {}
  local function visit(each, prefix)
    for _, field in ipairs(each.derivedFields or {}) do
      local tensor = each[field]
      if core.is_tensor(tensor) and not seen[tensor] then
        seen[tensor] = true
        found[#found + 1] = { name = prefix .. field, tensor = tensor }
      end
    end
    for i, child in ipairs(each.modules or {}) do
      local name = each.childName and each:childName(i) or tostring(i - 1)
      visit(child, name == "" and prefix or prefix .. name .. ".")
    end
  end
  visit(module, "")
  return found
end

--- Table name → gradient, for the parameters that have one.
function stateDict.gradients(module)
  local gradients = {}
  for _, entry in ipairs(stateDict.entries(module)) do
    if not entry.isState then
      gradients[entry.name] = stateDict.gradient(entry)
    end
  end
  return gradients
end

-- Our name for a name as files carry it: written through a DataParallel wrapper, or before 2018,
-- when torchvision's dense layers had names with dots in them ("norm.1" for today's "norm1").
local function translate(name, known)
  if known[name] then
    return name
  end
  name = name:gsub("^module%.", "")
  if known[name] then
    return name
  end
  return (name:gsub("(denselayer%d+)%.(%a+)%.([12])%.", "%1.%2%3."))
end

-- What the two are, where the module can tell from names and shapes (module.describeState).
local function likeness(module, state)
  local describe = module.describeState
  local own = describe and describe(stateDict.state(module))
  return own and ("  the state is of %s, the model is %s"):format(describe(state) or "no network known here", own)
end

-- Entries of a state by our names, the module's own, and what does not fit, or nil.
local function match(module, state)
  local known, given, wrong = {}, {}, misfit.new()
  for _, entry in ipairs(stateDict.entries(module)) do
    known[entry.name] = stateDict.tensor(entry)
  end
  for key, value in pairs(state) do
    local name = type(key) == "string" and translate(key, known)
    if not name or not known[name] then
      if not (name and name:find("num_batches_tracked$")) then
        wrong.unknown[#wrong.unknown + 1] = tostring(key)
      end
    elseif given[name] then
      wrong.unknown[#wrong.unknown + 1] = key .. " (a second " .. name .. ")"
    else
      given[name] = value
      wrong:check(key, value, known[name])
    end
  end
  for name in pairs(known) do
    -- A file's table that holds a tensor of this name and cannot give it says why, when it is asked.
    if not given[name] and state[name] == nil then
      wrong.missing[#wrong.missing + 1] = name
    end
  end
  local mismatch = wrong:text("the state does not fit the model", function() return likeness(module, state) end)
  return given, known, mismatch
end

--- What keeps a state from being loaded into a module, which may be one without memory.
-- @param module any module
-- @tparam table state name → tensor
-- @treturn ?string the sentence that `load` would raise; nil where it fits
function stateDict.mismatch(module, state)
  return (select(3, match(module, state)))
end

--- Copies a state into a module. Dtypes may differ, sizes may not. A `module.` prefix, names as
-- torchvision's files had them before 2018, and PyTorch's num_batches_tracked are understood.
-- Nothing is copied unless everything fits.
-- @param module any module
-- @tparam table state name → tensor
-- @raise one error that counts the missing and unknown entries and those of a wrong shape, and names the first
-- of each
function stateDict.load(module, state)
  if type(state) ~= "table" then
    argument.refuse(1, "loadStateDict", state, "a table name → tensor")
  end
  local given, known, mismatch = match(module, state)
  if mismatch then argument.raise(mismatch) end
  for name, value in pairs(given) do
    core.copy(known[name], value)
  end
end

return stateDict
