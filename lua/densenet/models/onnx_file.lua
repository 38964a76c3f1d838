--- A DenseNet in an ONNX file: one that model:saveOnnx wrote, or torch.onnx, with batch norms or with norms folded
-- into the convolutions before them.
-- @module densenet.models.onnx_file

local core = require "densenet.core"
local densenetGraph = require "densenet.models.densenet_graph"
local graph = require "densenet.models.graph"
local networkMetadata = require "densenet.io.network_metadata"
local onnx = require "densenet.io.onnx"

local MOST_NODES = 10000

-- ---- Attributes, of which nothing is believed ----

local Reading = {}
Reading.__index = Reading

local function place(node)
  return ("%s '%s'"):format(node.op, node.name ~= "" and node.name or node.outputs[1] or "")
end

local function integer(node, name, default)
  local value = node.attributes[name]
  if value == nil then return default end
  if math.type(value) ~= "integer" then graph.refuse("%s: its %s is no whole number", place(node), name) end
  return value
end

-- A list of equal numbers (kernel, strides, pads), as one.
local function side(node, name, n, default)
  local list = node.attributes[name]
  if list == nil then return default end
  if type(list) ~= "table" or #list ~= n then graph.refuse("%s: its %s should be %d numbers", place(node), name, n) end
  for i = 2, n do
    if list[i] ~= list[1] then
      graph.refuse("%s: its %s are %s; a DenseNet's are all alike", place(node), name, table.concat(list, ","))
    end
  end
  return list[1]
end

local function checkWindow(node)
  local auto = node.attributes.auto_pad
  if auto ~= nil and auto ~= "NOTSET" then graph.refuse("%s: its padding is %s", place(node), tostring(auto)) end
  if side(node, "dilations", 2, 1) ~= 1 then graph.refuse("%s: it is dilated", place(node)) end
end

--- The tensor of a node's input i, of nDim dimensions.
function Reading:weight(node, i, nDim, isOptional)
  local name = node.inputs[i]
  if isOptional and (name == nil or name == "") then return nil end
  local tensor = self.tensors[name or ""]
  if not core.is_tensor(tensor) or nDim and tensor:dim() ~= nDim or tensor:nElement() == 0 then
    graph.refuse("%s: its input %d should be a tensor%s of the file", place(node), i,
      nDim and (" of %d dimensions"):format(nDim) or "")
  end
  return tensor
end

function Reading:input(node, i)
  local x = self.values[node.inputs[i] or ""]
  if not x then
    graph.refuse("%s: its input '%s' is made by no node before it", place(node), tostring(node.inputs[i]))
  end
  return x
end

-- ---- Nodes by their operator: function(reading, node, at) → graph node ----

local known = {}

function known.Conv(self, node, at)
  checkWindow(node)
  return { op = "conv", x = self:input(node, 1), weight = self:weight(node, 2, 4), bias = self:weight(node, 3, 1, true),
    stride = side(node, "strides", 2, 1), pad = side(node, "pads", 4, 0), groups = integer(node, "group", 1), at = at }
end

function known.BatchNormalization(self, node, at)
  local eps = node.attributes.epsilon or 1e-5
  if type(eps) ~= "number" or integer(node, "training_mode", 0) ~= 0 and #node.outputs > 1 then
    graph.refuse("%s: it is one of training", place(node))
  end
  return { op = "norm", x = self:input(node, 1), weight = self:weight(node, 2, 1), bias = self:weight(node, 3, 1),
    mean = self:weight(node, 4, 1), var = self:weight(node, 5, 1), eps = eps, at = at }
end

function known.Relu(self, node, at) return { op = "relu", x = self:input(node, 1), at = at } end

function known.MaxPool(self, node, at)
  checkWindow(node)
  return { op = "maxPool", x = self:input(node, 1), kernel = side(node, "kernel_shape", 2),
    stride = side(node, "strides", 2, 1), pad = side(node, "pads", 4, 0), ceil = integer(node, "ceil_mode", 0) ~= 0,
    at = at }
end

function known.AveragePool(self, node, at)
  checkWindow(node)
  if integer(node, "ceil_mode", 0) ~= 0 then graph.refuse("%s: it rounds the size up", place(node)) end
  return { op = "averagePool", x = self:input(node, 1), kernel = side(node, "kernel_shape", 2),
    stride = side(node, "strides", 2, 1), pad = side(node, "pads", 4, 0), at = at }
end

function known.GlobalAveragePool(self, node, at)
  return { op = "averagePool", x = self:input(node, 1), pad = 0, at = at }
end

-- The mean over height and width.
function known.ReduceMean(self, node, at)
  local axes = node.attributes.axes or self:weight(node, 2, 1):totable()
  local seen = {}
  for _, axis in ipairs(type(axes) == "table" and axes or {}) do seen[axis < 0 and axis + 4 or axis] = true end
  if not (seen[2] and seen[3] and #axes == 2) then
    graph.refuse("%s: it should be over height and width", place(node))
  end
  return known.GlobalAveragePool(self, node, at)
end

function known.Concat(self, node, at)
  local nodes = {}
  if integer(node, "axis", 1) ~= 1 then graph.refuse("%s: it should join channels, axis 1", place(node)) end
  for i = 1, #node.inputs do nodes[i] = self:input(node, i) end
  if #nodes == 0 then graph.refuse("%s: it joins nothing", place(node)) end
  return graph.cat(nodes, at)
end

function known.Flatten(self, node, at) return { op = "flatten", x = self:input(node, 1), at = at } end

known.Reshape, known.Squeeze = known.Flatten, known.Flatten

function known.Identity(self, node) return self:input(node, 1) end

known.Dropout = known.Identity

function known.Gemm(self, node, at)
  local weight = self:weight(node, 2, 2)
  if (node.attributes.alpha or 1) ~= 1 or (node.attributes.beta or 1) ~= 1 or integer(node, "transA", 0) ~= 0 then
    graph.refuse("%s: it scales, or transposes its input", place(node))
  end
  if integer(node, "transB", 0) == 0 then weight = weight:t():contiguous() end
  return { op = "linear", x = self:input(node, 1), weight = weight, bias = self:weight(node, 3, 1, true), at = at }
end

function known.Softmax(self, node, at) return { op = "softMax", x = self:input(node, 1), at = at } end

function known.LogSoftmax(self, node, at) return { op = "logSoftMax", x = self:input(node, 1), at = at } end

-- (x - mean) / std of images, before the first convolution.
local function affine(name)
  return function(self, node, at)
    return { op = "affine", x = self:input(node, 1), by = name, numbers = self:weight(node, 2), at = at }
  end
end

known.Sub, known.Div = affine "sub", affine "div"

local function readConstant(self, node)
  local value = node.attributes.value
  if not core.is_tensor(value) then graph.refuse("%s: it is no tensor", place(node)) end
  self.tensors[node.outputs[1] or ""] = value
end

local function readNode(self, node)
  if node.op == "Constant" then return readConstant(self, node) end
  local read = (node.domain == "" or node.domain == "ai.onnx") and known[node.op]
  if not read then graph.refuse("%s is no layer of a DenseNet", place(node)) end
  self.values[node.outputs[1] or ""] = read(self, node, place(node))
end

-- The graph's output.
local function output(model)
  local self = setmetatable({ tensors = model.initializers, values = {} }, Reading)
  for _, name in ipairs(model.inputs) do
    if not self.tensors[name] then self.values[name] = { op = "input" } end
  end
  if #model.nodes > MOST_NODES then graph.refuse("it has %d nodes; up to %d are read", #model.nodes, MOST_NODES) end
  for _, node in ipairs(model.nodes) do readNode(self, node) end
  local last = #model.outputs == 1 and self.values[model.outputs[1]]
  if not last then
    graph.refuse("one output expected, which a node makes, got %d (%s)", #model.outputs, tostring(model.outputs[1]))
  end
  return last
end

-- Another family's network that was written here: its tensors carry the names of its state.
local function ofOurFamily(model, config)
  local tensors = {}
  for name, tensor in pairs(model.initializers) do
    if name:find "%.[%w_]+$" and not name:find "^constant%." then tensors[name] = tensor end
  end
  return { tensors = tensors, config = config, notes = {} }
end

-- A DenseNet, as its graph computes it.
local function ofGraph(model, recipe)
  local last, message = graph.read(output, model)
  if not last then return nil, message end
  local notes = {}
  local found, wrong = densenetGraph(last, notes)
  if not found then return nil, wrong end
  if found.normalizes and recipe then
    notes[#notes + 1] = "its graph normalises images, which its recipe does here"
  elseif found.normalizes then
    notes[#notes + 1] = "its graph normalises images, which is left out here, and no recipe says with what"
  end
  return { tensors = found.tensors, notes = notes }
end

--- Reads a file, as densenet.models.formats has it.
-- @tparam string path
-- @treturn table content; or nil, message, code
return function(path)
  local model, message, code = onnx.load(path)
  if not model then return nil, message, code end
  local config, classes, recipe = networkMetadata.decode(model.metadata)
  local isOther = config and config.family ~= nil and config.family ~= "densenet"
  local content
  if isOther then content = ofOurFamily(model, config) else content, message = ofGraph(model, recipe) end
  if not content then return nil, ("%s: it is no DenseNet: %s"):format(path, message), "format" end
  content.classes, content.preprocess, content.metadata = classes, recipe, model.metadata
  return content
end
