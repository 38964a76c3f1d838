--- What an optimizer steps at once: parameters that lie side by side, as do their gradients (nn.flat_parameters), and
-- that have the same settings. What is carried from step to step lies side by side in the same way; all else about a
-- step is done number by number, so the bits are those of a step of every parameter by itself.
-- @module densenet.optim.runs

local core = require "densenet.core"
local flat = require "densenet.nn.flat_parameters"

local runs = {}

-- visit(a, b) for the parts of first..last that begin where goesOn(i) is false.
local function cut(first, last, goesOn, visit)
  local from = first
  for i = first + 1, last + 1 do
    if i > last or not goesOn(i) then
      visit(from, i - 1)
      from = i
    end
  end
end

-- What is carried for parameters first..last, in one vector that is shaped like theirs, 0 where nothing was. The
-- tensors of each, under its name, become views of it.
local function carriedTogether(optimizer, ending, parameters, first, last)
  local tensors, weights = optimizer.states[ending], flat.span(parameters[first].tensor, parameters[last].tensor)
  local vector = core.tensor_new(weights:device(), weights:dtype(), { weights:nElement() })
  core.fill(vector, 0)
  for i = first, last do
    local name, weight = parameters[i].name, parameters[i].tensor
    local part = vector:narrow(1, weight:storageOffset() - weights:storageOffset() + 1, weight:nElement())
    local view = part:view(weight:size())
    if tensors[name] then core.copy(view, tensors[name]) end
    tensors[name] = view
  end
  return vector
end

-- The same of one parameter by itself, in its shape.
local function carriedAlone(optimizer, ending, parameters, first)
  local parameter = parameters[first]
  local tensor, isNew = optimizer:carried(ending, parameter, parameter.tensor)
  if isNew then core.fill(tensor, 0) end
  return tensor
end

--- The runs of parameters.
-- @param optimizer with `states` and `kept` (densenet.optim.Optimizer)
-- @tparam table parameters entries of nn.trained
-- @tparam function isAlike(i) has parameter i the settings of the one before it?
-- @tparam boolean isCarried does a step carry anything?
-- @treturn table list of { weight=, gradient=, entry= its first parameter, carried= table ending → tensor, isFresh=
-- nothing had been carried before, and what is there now is 0 }
function runs.of(optimizer, parameters, isAlike, isCarried)
  local list = {}
  local function goesOn(i)
    local one, before = parameters[i], parameters[i - 1]
    return flat.follows(one.tensor, before.tensor) and flat.follows(one.gradient, before.gradient)
  end
  cut(1, #parameters, goesOn, function(first, last)
    local isFresh, whole = {}, {}
    for i = first, last do isFresh[i] = optimizer.states[optimizer.kept[1]][parameters[i].name] == nil end
    for _, ending in ipairs(isCarried and optimizer.kept or {}) do
      local carry = first == last and carriedAlone or carriedTogether
      whole[ending] = carry(optimizer, ending, parameters, first, last)
    end
    cut(first, last, function(i) return isAlike(i) and isFresh[i] == isFresh[i - 1] end, function(a, b)
      local run = { weight = flat.span(parameters[a].tensor, parameters[b].tensor), carried = {},
        gradient = flat.span(parameters[a].gradient, parameters[b].gradient), entry = parameters[a],
        isFresh = isFresh[a] }
      local start = run.weight:storageOffset() - parameters[first].tensor:storageOffset() + 1
      for ending, vector in pairs(whole) do
        run.carried[ending] = a == b and optimizer.states[ending][run.entry.name] -- in the parameter's shape
          or vector:narrow(1, start, run.weight:nElement())
      end
      list[#list + 1] = run
    end)
  end)
  return list
end

return runs
