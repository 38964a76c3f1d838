--- The tensors of a pickle's value: which of its dictionaries holds the weights, and under which names.
-- @module densenet.io.pth.weights

local values = require "densenet.io.pth.values"

local weights = {}

local MOST_DEPTH, MOST_MODULES = 60, 100000 -- a module that stands in two places counts twice
local LISTS = { "state_dict", "model_state_dict", "model", "net", "network" } -- fields of checkpoints
local PARTS = { "_parameters", "_buffers" }

-- The dictionary of an object's attributes, or of its entries.
local function attributes(value)
  if values.is(value, "object") then return values.is(value.state, "dict") and value.state or value.items end
  return values.is(value, "dict") and value or nil
end

local function isModule(value)
  local fields = values.is(value, "object") and attributes(value)
  return fields and values.is(fields.of._modules, "dict") and values.is(fields.of._parameters, "dict")
end

local function holdsTensors(dict)
  for _, key in ipairs(dict.keys) do
    if type(key) == "string" and values.is(dict.of[key], "tensor") then return true end
  end
  return false
end

-- A module's parameters and buffers by the names that its state_dict would give them.
local function walk(source, module, prefix, found, depth)
  if depth > MOST_DEPTH then source:refuse("its modules are nested more than %d deep", MOST_DEPTH) end
  found.nModules = found.nModules + 1
  if found.nModules > MOST_MODULES then source:refuse("it has more than %d modules", MOST_MODULES) end
  local fields = attributes(module).of
  for _, part in ipairs(PARTS) do
    local dict = fields[part]
    for _, key in ipairs(values.is(dict, "dict") and dict.keys or {}) do
      if values.is(dict.of[key], "tensor") then
        found[#found + 1] = { name = prefix .. tostring(key), tensor = dict.of[key] }
      end
    end
  end
  for _, key in ipairs(fields._modules.keys) do
    local child = fields._modules.of[key]
    if isModule(child) then walk(source, child, prefix .. tostring(key) .. ".", found, depth + 1) end
  end
end

-- The value that holds the weights: a module, or a dictionary with tensors; and the way to it.
local function search(value, way)
  if isModule(value) then return value, way end
  local dict = attributes(value)
  if not dict then return nil end
  for _, name in ipairs(LISTS) do
    local inner = dict.of[name]
    if inner and #way < #LISTS then
      local found, innerWay = search(inner, { name, table.unpack(way) })
      if found then return found, innerWay end
    end
  end
  if holdsTensors(dict) then return dict, way end
end

local function describe(value)
  if values.is(value, "object") then return "an object of " .. value.class end
  if values.is(value, "dict") then
    local keys = {}
    for i = 1, math.min(5, #value.keys) do keys[i] = ("%q"):format(tostring(value.keys[i]):sub(1, 40)) end
    return ("a dictionary of %d entries (%s)"):format(#value.keys, table.concat(keys, ", "))
  end
  if values.is(value, "tensor") then return "a tensor without a name" end
  return "a " .. (type(value) == "table" and tostring(value.kind or value) or type(value))
end

--- Finds them.
-- @param source for refusals
-- @param value of a pickle
-- @treturn table list of {name =, tensor =} in their order
-- @treturn table list of sentences for people
function weights.find(source, value)
  local holder, way = search(value, {})
  if not holder then source:refuse("no tensors by name are in it, but %s", describe(value)) end
  local list, notes = {}, {}
  if isModule(holder) then
    notes[1] = ("it is a whole module, %s; its parameters were read, and no code"):format(holder.class)
    list.nModules = 0
    walk(source, holder, "", list, 1)
  else
    for _, key in ipairs(holder.keys) do
      local tensor = holder.of[key]
      if values.is(tensor, "tensor") then list[#list + 1] = { name = tostring(key), tensor = tensor } end
    end
  end
  if #way > 0 then notes[#notes + 1] = ("the weights are its entry '%s'"):format(way[1]) end
  return list, notes
end

return weights
