--- A network as the tree that Torch7 loads: tables that dn.io.t7.save writes as objects of nn's classes.
--
-- Fused stages are written as the plain modules that they stand for: a layer is a Concat of an Identity and its own
-- path, as the DenseNet authors' Torch7 code has it. Gradients and buffers are left out: the tree is for evaluation.
-- @module densenet.models.torch7_export

local argument = require "densenet.argument"

local NORM_VERSION = 2 -- with running_var

local KINDS = { float = "torch.FloatTensor", double = "torch.DoubleTensor" }

local function object(class, fields, version)
  fields.__class, fields.__version, fields.train = "nn." .. class, version or 1, false
  return fields
end

local write = {}

local function child(container, i, place)
  local module, name = container.modules[i], container:childName(i)
  local inside = name == "" and place or place == "" and name or place .. "." .. name
  local writeOne = write[tostring(module.__typename):match "^%w+%.(%w+)$" or ""]
  if not writeOne then
    argument.raise("toTorch7: %s '%s' has no form in Torch7's files", tostring(module.__typename), inside)
  end
  return writeOne(module, inside)
end

local function children(container, place)
  local list = {}
  for i = 1, #container.modules do list[i] = child(container, i, place) end
  return list
end

-- Copies of fields, under Torch7's names for them.
local function fieldsOf(module, names)
  local fields = {}
  for _, name in ipairs(names) do fields[name] = module[name] end
  return fields
end

function write.Sequential(module, place) return object("Sequential", { modules = children(module, place) }) end

function write.Concat(module, place)
  return object("Concat", { modules = children(module, place), dimension = module.dimension })
end

function write.ConcatTable(module, place) return object("ConcatTable", { modules = children(module, place) }) end

function write.CAddTable(module) return object("CAddTable", { inplace = module.inplace }) end

function write.JoinTable(module) return object("JoinTable", fieldsOf(module, { "dimension", "nInputDims" })) end

function write.Identity() return object("Identity", {}) end

function write.SpatialConvolution(module, place)
  if module.groups ~= 1 then
    argument.raise("toTorch7: nn.SpatialConvolution '%s' has groups, which Torch7's has not", place)
  end
  return object("SpatialConvolution", fieldsOf(module, { "nInputPlane", "nOutputPlane", "kW", "kH", "dW", "dH", "padW",
    "padH", "weight", "bias" }))
end

function write.SpatialBatchNormalization(module)
  local fields = fieldsOf(module, { "weight", "bias", "running_mean", "running_var", "eps", "momentum", "affine" })
  fields.nDim = 4
  return object("SpatialBatchNormalization", fields, NORM_VERSION)
end

function write.ReLU() return object("ReLU", { threshold = 0, val = 0, inplace = true }) end

function write.Dropout(module) return object("Dropout", { p = module.p, v2 = true, inplace = false }) end

local function pooling(class)
  return function(module)
    local fields = fieldsOf(module, { "kW", "kH", "dW", "dH", "padW", "padH" })
    fields.ceil_mode, fields.count_include_pad, fields.divide = module.ceilMode, module.countPadding, true
    return object(class, fields)
  end
end

write.SpatialMaxPooling, write.SpatialAveragePooling = pooling "SpatialMaxPooling", pooling "SpatialAveragePooling"

local function flattened(nChannels)
  return object("View", { size = { __class = "torch.LongStorage", nChannels }, numElements = nChannels,
    numInputDims = 3 })
end

-- Means of whole planes, of any size, as N,C.
local function globalPooling(nChannels)
  return object("SpatialAdaptiveAveragePooling", { W = 1, H = 1 }), flattened(nChannels)
end

function write.GlobalAveragePooling() return object("SpatialAdaptiveAveragePooling", { W = 1, H = 1 }) end

function write.Linear(module) return object("Linear", fieldsOf(module, { "weight", "bias" })) end

function write.LogSoftMax() return object("LogSoftMax", {}) end

function write.SoftMax() return object("SoftMax", {}) end

-- ---- Fused stages ----

-- norm, ReLU, convolution and dropout of step i ("" for a transition's).
local function addStep(list, stage, i, place)
  local drop = stage:get("drop" .. i)
  list[#list + 1] = write.SpatialBatchNormalization(stage:get("norm" .. i))
  list[#list + 1] = write.ReLU()
  list[#list + 1] = write.SpatialConvolution(stage:get("conv" .. i), place)
  if drop then list[#list + 1] = write.Dropout(drop) end
end

function write.DenseLayer(module, place)
  local list = {}
  addStep(list, module, 1, place)
  if module.nBottleneck then addStep(list, module, 2, place) end
  local path = object("Sequential", { modules = list })
  return object("Concat", { dimension = 2, modules = { write.Identity(), path } })
end

write.DenseBlock = write.Sequential

function write.Transition(module, place)
  local list = {}
  addStep(list, module, "", place)
  list[#list + 1] = object("SpatialAveragePooling", { kW = 2, kH = 2, dW = 2, dH = 2, padW = 0, padH = 0,
    ceil_mode = false, count_include_pad = true, divide = true })
  return object("Sequential", { modules = list })
end

function write.NormReLUPool(module)
  local norm = module:norm()
  return object("Sequential", { modules = { write.SpatialBatchNormalization(norm), write.ReLU(),
    globalPooling(norm.nChannels) } })
end

-- Behind a pooling of whole planes Torch7 has 1x1 planes left, which the classifier does not read.
local function flattenBeforeLinear(tree, nInputs)
  for i, module in ipairs(tree.modules) do
    local before = tree.modules[i - 1]
    if module.__class == "nn.Linear" and before and before.__class == "nn.SpatialAdaptiveAveragePooling" then
      table.insert(tree.modules, i, flattened(nInputs))
      return
    end
  end
end

local function setTypes(tree, kind)
  if tree.__class then tree._type = kind end
  for _, each in ipairs(tree.modules or {}) do setTypes(each, kind) end
end

--- The tree of a network: see models.toTorch7.
-- @param model a network of dn.models
return function(model)
  local tree = write.Sequential(model, "")
  local classifier = model.modules[#model.modules]
  if classifier.nInputs then flattenBeforeLinear(tree, classifier.nInputs) end
  setTypes(tree, KINDS[model._type])
  return tree
end
