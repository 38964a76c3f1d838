--- Pictures for a network: prepared by its recipe and put into batches.
-- @module densenet.models.pictures

local argument = require "densenet.argument"
local attempt = require "densenet.attempt"
local core = require "densenet.core"
local preprocessing = require "densenet.models.preprocessing"
local recipes = require "densenet.data.recipe"

local pictures = {}

--- Options of a method, checked, with their usual values.
-- @tparam string name the method's
-- @param given what it was called with, or nil
-- @tparam table known by name: the usual value of a number, or true where the option is true or false
-- @treturn table
function pictures.options(name, given, known)
  local options = {}
  if given ~= nil then argument.table(2, name, given, "options") end
  for key, value in pairs(given or {}) do
    if known[key] == nil then
      argument.raise("bad argument #2 to '%s' (options: there is no %s%s)", name, tostring(key),
        argument.nearest(tostring(key), known))
    elseif known[key] == true then
      options[key] = argument.boolean(2, name, value, key)
    else
      options[key] = argument.integer(2, name, value, 1, key)
    end
  end
  for key, usual in pairs(known) do
    if options[key] == nil and usual ~= true then options[key] = usual end
  end
  return options
end

--- The function that prepares a picture for a network; it never raises for what a picture is.
-- @param model the network
-- @tparam[opt] boolean tenCrop
-- @treturn function prepare(picture) → float tensor C,H,W (or 10,C,H,W); or nil, message, code
-- @raise where the network has no recipe
function pictures.preparer(model, tenCrop)
  if not model.recipe then argument.raise("%s", preprocessing.missing(model.file)) end
  local prepare = recipes.transform(model.recipe, { tenCrop = tenCrop or false })
  return function(picture)
    local done, input, message, code = attempt.call(prepare, picture)
    if not done then return nil, (argument.sentence(tostring(input))), "argument" end
    return input, message, code
  end
end

--- Inputs of pictures as one batch, on a network's device and in its type.
-- @param model the network
-- @tparam table inputs a list of float tensors C,H,W, or n,C,H,W, of the same sizes
-- @treturn tensor N,C,H,W
-- @raise where their sizes differ
function pictures.batch(model, inputs)
  if #inputs == 0 then argument.raise("a picture or a list of them expected, got an empty list") end
  local size, nEach = inputs[1]:size(), 1
  if #size == 4 then nEach = table.remove(size, 1) end
  local batch = core.tensor_new("cpu", "float", { #inputs * nEach, table.unpack(size) })
  local parts = nEach == 1 and batch or batch:view(#inputs, nEach, table.unpack(size))
  for i, input in ipairs(inputs) do
    local text = table.concat(input:size(), "x")
    if text ~= table.concat(inputs[1]:size(), "x") then
      argument.raise("pictures of one size expected, as the recipe cuts none out, got %s and %s",
        table.concat(inputs[1]:size(), "x"), text)
    end
    core.copy(parts:select(1, i), input)
  end
  return batch:to(model._device):type(model:activationType())
end

return pictures
