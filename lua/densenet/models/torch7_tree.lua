--- A DenseNet that Torch7 saved, as tensors under torchvision's names.
--
-- What dn.io.t7 gives for a network is a tree of tables with classes' names. The trees of the DenseNet authors'
-- repository and of fb.resnet.torch are known, each with nn's, cudnn's or cunn's modules: layers of Concat and
-- Identity, or of DenseConnectLayerCustom with a JoinTable behind each block; batch norms with running_std in place of
-- running_var, as versions before 2 have them; convolutions as matrices. A module that is none of a DenseNet's is
-- named with its place.
-- @module densenet.models.torch7_tree

local core = require "densenet.core"
local graph = require "densenet.models.graph"
local densenetGraph = require "densenet.models.densenet_graph"

local MOST_DEPTH, MOST_MODULES = 100, 10000

local Tree = {}
Tree.__index = Tree

local function describe(value)
  if core.is_tensor(value) then return "a tensor" end
  return type(value) == "table" and tostring(value.__class or "a table") or core.format("%s", value)
end

-- ---- Fields, of which nothing is believed ----

local function number(module, field, at, default)
  local value = module[field]
  if value == nil then value = default end
  if type(value) ~= "number" then graph.refuse("%s: its %s should be a number, got %s", at, field, describe(value)) end
  return value
end

local function tensor(module, field, at, nDim)
  local value = module[field]
  if not core.is_tensor(value) or value:dim() ~= nDim or value:nElement() == 0 then
    graph.refuse("%s: its %s should be a tensor of %d dimensions, got %s", at, field, nDim, describe(value))
  end
  return value
end

local function optionalTensor(module, field, at)
  local value = module[field]
  if value == nil or core.is_tensor(value) and value:nElement() == 0 then return nil end
  return tensor(module, field, at, 1)
end

local function listed(module, at)
  local modules = module.modules
  if type(modules) ~= "table" then graph.refuse("%s: it has no list of modules", at) end
  return modules
end

-- Kernel, stride and padding of a window.
local function window(module, at)
  return graph.side(number(module, "kH", at), number(module, "kW", at), "window", at),
    graph.side(number(module, "dH", at, 1), number(module, "dW", at, 1), "stride", at),
    graph.side(number(module, "padH", at, 0), number(module, "padW", at, 0), "padding", at)
end

-- ---- Modules by their class: function(tree, module, x, at) → node ----

local known = {}

local function single(x, at)
  if x.op == "list" then graph.refuse("%s: it reads one output, and gets a list of them", at) end
  return x
end

function known.Sequential(self, module, x, at)
  for i, child in ipairs(listed(module, at)) do x = self:visit(child, x, ("%s[%d]"):format(at, i)) end
  return x
end

-- A batch was spread over several GPUs, each with the same module.
function known.DataParallelTable(self, module, x, at) return self:visit(listed(module, at)[1], x, at .. "[1]") end

function known.Concat(self, module, x, at)
  local nodes = {}
  if number(module, "dimension", at) ~= 2 then graph.refuse("%s: it should join channels, dimension 2", at) end
  for i, child in ipairs(listed(module, at)) do
    nodes[i] = single(self:visit(child, x, ("%s[%d]"):format(at, i)), at)
  end
  if #nodes == 0 then graph.refuse("%s: it joins nothing", at) end
  return graph.cat(nodes, at)
end

function known.DenseConnectLayerCustom(self, module, x, at)
  local items = x.op == "list" and x.items or { x }
  local joined = graph.cat(items, at)
  local new = single(self:visit(module.net1, joined, at .. ".net1"), at)
  new = single(self:visit(module.net2, new, at .. ".net2"), at)
  local longer = table.move(items, 1, #items, 1, {})
  longer[#longer + 1] = new
  return { op = "list", items = longer, at = at }
end

function known.JoinTable(_, module, x, at)
  local dimension = number(module, "dimension", at)
  if dimension ~= 2 and not (dimension == 1 and module.nInputDims == 3) then
    graph.refuse("%s: it should join channels, dimension 2", at)
  end
  return graph.cat(x.op == "list" and x.items or { x }, at)
end

function known.Identity(_, _, x) return x end

known.Copy, known.Contiguous = known.Identity, known.Identity

function known.Dropout(self, module, x, at)
  if not module.v2 then
    graph.refuse("%s: dropout of Torch7's first kind, which scales in evaluation, has no counterpart here", at)
  end
  self.dropRate = math.max(self.dropRate, number(module, "p", at))
  return x
end

known.SpatialDropout = known.Dropout

function known.ReLU(_, module, x, at)
  if number(module, "threshold", at, 0) ~= 0 or number(module, "val", at, 0) ~= 0 then
    graph.refuse("%s: its threshold is not 0", at)
  end
  return { op = "relu", x = single(x, at), at = at }
end

function known.SpatialConvolution(_, module, x, at)
  local _, stride, pad = window(module, at)
  local weight = module.weight
  if core.is_tensor(weight) and weight:dim() == 2 then -- a matrix: outputs x inputs*kH*kW
    local sizes = { weight:size(1), number(module, "nInputPlane", at), number(module, "kH", at),
      number(module, "kW", at) }
    if weight:size(2) ~= sizes[2] * sizes[3] * sizes[4] then
      graph.refuse("%s: its weight of %s does not fit its kernel", at, table.concat(weight:size(), "x"))
    end
    for d = 1, 4 do sizes[d] = math.tointeger(sizes[d]) or 0 end
    weight = weight:contiguous():view(sizes)
  else
    weight = tensor(module, "weight", at, 4)
  end
  return { op = "conv", x = single(x, at), weight = weight, bias = optionalTensor(module, "bias", at), stride = stride,
    pad = pad, groups = number(module, "groups", at, 1), at = at }
end

known.SpatialConvolutionMM = known.SpatialConvolution

-- 1/√(var + eps), as versions before 2 kept it.
local function varOf(std, eps)
  local var = core.tensor_new("cpu", "double", { std:size(1) })
  core.copy(var, std)
  core.binary_scalar(var, var, -2, "pow")
  core.binary_scalar(var, var, eps, "sub")
  return var:to "float"
end

function known.SpatialBatchNormalization(_, module, x, at)
  local eps = number(module, "eps", at, 1e-5)
  local std = optionalTensor(module, "running_std", at)
  return { op = "norm", x = single(x, at), weight = optionalTensor(module, "weight", at),
    bias = optionalTensor(module, "bias", at), mean = tensor(module, "running_mean", at, 1),
    var = std and varOf(std, eps) or tensor(module, "running_var", at, 1), eps = eps, at = at }
end

function known.SpatialMaxPooling(_, module, x, at)
  local kernel, stride, pad = window(module, at)
  return { op = "maxPool", x = single(x, at), kernel = kernel, stride = stride, pad = pad,
    ceil = module.ceil_mode == true, at = at }
end

function known.SpatialAveragePooling(_, module, x, at)
  local kernel, stride, pad = window(module, at)
  if module.ceil_mode == true then graph.refuse("%s: it rounds the size up", at) end
  return { op = "averagePool", x = single(x, at), kernel = kernel, stride = stride, pad = pad, at = at }
end

function known.SpatialAdaptiveAveragePooling(_, module, x, at)
  if number(module, "W", at) ~= 1 or number(module, "H", at) ~= 1 then
    graph.refuse("%s: it leaves %sx%s, and a DenseNet's leaves one mean a plane", at, module.H, module.W)
  end
  return { op = "averagePool", x = single(x, at), pad = 0, at = at }
end

function known.Reshape(_, _, x, at) return { op = "flatten", x = single(x, at), at = at } end

known.View = known.Reshape

function known.Linear(_, module, x, at)
  return { op = "linear", x = single(x, at), weight = tensor(module, "weight", at, 2),
    bias = optionalTensor(module, "bias", at), at = at }
end

function known.LogSoftMax(_, _, x, at) return { op = "logSoftMax", x = single(x, at), at = at } end

function known.SoftMax(_, _, x, at) return { op = "softMax", x = single(x, at), at = at } end

local PACKAGES = { nn = true, cudnn = true, cunn = true }

--- A module's output for an input.
function Tree:visit(module, x, at)
  local class = type(module) == "table" and not core.is_tensor(module) and rawget(module, "__class")
  local package, short = tostring(class):match("^(%w+)%.(%w+)$")
  local read = PACKAGES[package] and known[short]
  if not read then
    graph.refuse("%s at %s is no layer of a DenseNet", class and tostring(class) or describe(module), at)
  end
  self.nModules = self.nModules + 1
  if self.nModules > MOST_MODULES then graph.refuse("it has more than %d modules", MOST_MODULES) end
  self.depth = self.depth + 1
  if self.depth > MOST_DEPTH then graph.refuse("its modules are nested more than %d deep", MOST_DEPTH) end
  local node = read(self, module, x, at)
  self.depth = self.depth - 1
  return node
end

-- The module in what was saved: itself, or the field `model` of a table.
local function moduleOf(value)
  if type(value) == "table" and not core.is_tensor(value) then
    if rawget(value, "__class") then return value end
    if type(value.model) == "table" and not core.is_tensor(value.model) then return value.model end
  end
  graph.refuse("expected a network of Torch7, or a table with one as its model, got %s", describe(value))
end

--- Reads a tree.
-- @param value what dn.io.t7.load gave
-- @treturn table {tensors = name → tensor, notes = list of sentences, dropRate = number}; or nil and a sentence
return function(value)
  local tree, notes = setmetatable({ nModules = 0, depth = 0, dropRate = 0 }, Tree), {}
  local output, wrong = graph.read(function()
    return single(tree:visit(moduleOf(value), { op = "input" }, "modules"), "modules")
  end)
  if not output then return nil, wrong end
  local found
  found, wrong = densenetGraph(output, notes)
  if not found then return nil, wrong end
  return { tensors = found.tensors, notes = notes, dropRate = tree.dropRate }
end
