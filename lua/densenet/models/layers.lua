--- Outputs of a network's inner layers, by their names in stateDict: features, and the maps that tell where in an
-- image a class was seen.
--
-- A network is walked through as its containers hold it, down to blocks and single layers:
-- features.conv0, features.denseblock1, …, features.norm5, and pool5, the classifier's input.
-- @module densenet.models.layers

local argument = require "densenet.argument"
local core = require "densenet.core"
local evaluating = require "densenet.models.evaluating"
local nn = require "densenet.nn"

local layers = {}

--- The name of the classifier's input.
layers.POOLED = "pool5"

-- Modules in the order in which they compute: { name=, module= }. A Sequential stands for its children, apart
-- from one whose children are layers of a block.
local function list(model)
  local found = {}
  local function visit(module, prefix)
    for i, child in ipairs(module.modules) do
      local name = prefix .. module:childName(i)
      local isStage = name:find("denseblock%d+$") or name:find("transition%d+$")
      if child.__typename == "nn.Sequential" and not isStage then
        visit(child, name .. ".")
      else
        found[#found + 1] = { name = name, module = child }
      end
    end
  end
  visit(model, "")
  return found
end

local NORM = "features.norm5"

--- The names of the layers whose outputs can be had, in order.
function layers.names(model)
  local names, isThere = {}, false
  for _, each in ipairs(list(model)) do
    if each.name ~= "relu5" then names[#names + 1] = each.name end -- norm5 is shown rectified
    isThere = isThere or each.name == layers.POOLED
  end
  if not isThere then table.insert(names, #names, layers.POOLED) end
  return names
end

-- The module whose output a name means.
local function find(model, name)
  local all = list(model)
  for i, each in ipairs(all) do
    if each.name == name or name == layers.POOLED and all[i + 1] and i + 1 == #all then return each.module end
  end
end

-- relu(norm5(x)) of the last feature map, which fused networks make the mean of at once.
local function lastMap(model)
  local features = model:get("features")
  local norm = features and features:get("norm5")
  if norm and norm.__typename == "nn.NormReLUPool" then
    local x = features.modules[#features.modules - 1].output
    local map = core.tensor_new(x:device(), x:dtype(), x:size())
    core.norm_relu_pool_forward(map, x, norm:norm().scratch.normTable, 1, 1)
    return map
  end
  local relu = norm and model:get("relu5")
  return relu and relu.output:clone()
end

-- Runs action() on a network in evaluation mode whose modules keep their outputs.
local function withOutputs(model, action)
  return evaluating(model, function()
    local before = model.keepsOutputs
    local _ <close> = setmetatable({}, { __close = function() model.keepsOutputs = before end })
    model.keepsOutputs = true
    model:clearState() -- of training, whose buffers share their memory
    local first, second = action()
    model:clearState()
    return first, second
  end)
end

--- The last feature map, rectified: N,C,h,w, whose mean over h and w is the classifier's input.
-- @param model a DenseNet of dn.models
-- @tparam tensor input N,C,H,W on the network's device
-- @treturn tensor new
-- @treturn tensor N,nClasses, the network's output for the input; new
function layers.lastMap(model, input)
  return withOutputs(model, function()
    local output = model:forward(input):clone()
    local map = lastMap(model)
    if not map then
      argument.raise("a class activation map needs a network that ends in norm5, a rectification and a mean of each "
        .. "plane before its classifier, as a DenseNet does; this one is of the family %s",
        tostring(model.config and model.config.family))
    end
    return map, output
  end)
end

--- The output of a layer for a batch, of a network in evaluation mode; a rectification that follows a norm is
-- included.
-- @param model a network of dn.models
-- @tparam tensor input N,C,H,W on the network's device
-- @tparam string name one of layers.names(model)
-- @treturn tensor new
function layers.output(model, input, name)
  if name == NORM and model:get("features") then return (layers.lastMap(model, input)) end
  local module = find(model, name)
  if not module then
    argument.raise("no layer is called '%s'; there are %s", tostring(name), table.concat(layers.names(model), ", "))
  end
  local last = #model.modules
  if module == model.modules[last - 1] then -- the classifier's input is what the network gives without it
    return evaluating(model, function()
      local classifier = model.modules[last]
      local _ <close> = setmetatable({}, { __close = function() model.modules[last] = classifier end })
      model.modules[last] = nn.Identity():to(model._device):evaluate()
      return model:forward(input):clone()
    end)
  end
  return withOutputs(model, function()
    model:forward(input)
    return module.output:clone()
  end)
end

return layers
