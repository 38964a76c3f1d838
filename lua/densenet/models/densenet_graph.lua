--- The DenseNet in a graph of operations: its tensors under torchvision's names.
--
-- The graph is followed from its output back to its input, and each step has to be the one that a DenseNet has
-- there, geometry included; so what is loaded computes what the file's network computed. Two things are rewritten,
-- exactly: a batch norm that was folded into the convolution before it becomes a norm again (mean 0, variance
-- 1 - eps), and another eps is moved into the variance. What scales or shifts the images before the first convolution
-- is left out, and `normalizes` says so.
-- @module densenet.models.densenet_graph

local core = require "densenet.core"
local graph = require "densenet.models.graph"

local EPS = 1e-5 -- of our networks' norms
local SAME_EPS = 1e-11 -- 1e-5 in single precision differs by less

local Reading = {}
Reading.__index = Reading

local TITLES = { input = "its input", conv = "a convolution", norm = "a batch norm", relu = "a ReLU",
  maxPool = "a max pooling", averagePool = "an average pooling", cat = "a concatenation", flatten = "a reshape",
  linear = "a linear layer",
  softMax = "a softmax", logSoftMax = "a softmax", affine = "a scaling" }

local function title(node) return node.at and ("%s (%s)"):format(TITLES[node.op], node.at) or TITLES[node.op] end

local function expect(node, op, place)
  if node.op ~= op then graph.refuse("%s expected as %s, got %s", TITLES[op], place, title(node)) end
  return node
end

local function isZero(tensor)
  local most = tensor:to("double"):clone():abs():sum()
  return most == 0
end

-- A number for each output channel of a weight, or for each element of a vector.
local function filled(like, value)
  local tensor = core.tensor_new("cpu", "float", { like:size(1) })
  core.fill(tensor, value)
  return tensor
end

-- var + by, computed in double.
local function shifted(var, by)
  local moved = core.tensor_new("cpu", "double", { var:size(1) })
  core.copy(moved, var)
  core.binary_scalar(moved, moved, by, "add")
  return moved:to("float")
end

-- ---- Steps; each takes a node and gives the one before ----

-- kernel, stride and padding of a convolution, without a bias unless `folded`.
local function convolution(node, place, kernel, stride, isFolded)
  expect(node, "conv", place)
  local weight, pad = node.weight, (kernel - 1) // 2
  if weight:size(3) ~= kernel or weight:size(4) ~= kernel or node.stride ~= stride or node.pad ~= pad
    or node.groups ~= 1 then
    graph.refuse("%s should be a %dx%d convolution of stride %d and padding %d, got %dx%d, %s and %s%s (%s)", place,
      kernel, kernel, stride, pad, weight:size(3), weight:size(4), node.stride, node.pad,
      node.groups ~= 1 and (", %s groups"):format(node.groups) or "", node.at)
  end
  if node.bias and not isFolded and not isZero(node.bias) then
    graph.refuse("%s has biases that are not 0, which a DenseNet's convolutions have not (%s)", place, node.at)
  end
  return node.x
end

function Reading:keep(name, tensor) self.tensors[name] = tensor end

function Reading:keepNorm(name, node)
  local var = node.var
  if math.abs(node.eps - EPS) > SAME_EPS then var = shifted(var, node.eps - EPS) end
  self:keep(name .. ".weight", node.weight or filled(node.mean, 1))
  self:keep(name .. ".bias", node.bias or filled(node.mean, 0))
  self:keep(name .. ".running_mean", node.mean)
  self:keep(name .. ".running_var", var)
end

-- relu(norm(x)).
local function normAndRelu(node, place)
  expect(node, "relu", place)
  local norm = expect(node.x, "norm", place)
  return norm, norm.x
end

-- conv, then norm and ReLU: also with the norm folded into the convolution, without a bias where that came out as 0.
-- Gives the input, and a function that keeps the tensors.
local function convNormRelu(node, conv, norm, kernel, stride)
  expect(node, "relu", norm)
  if node.x.op == "norm" then
    local theNorm = node.x
    local x = convolution(theNorm.x, conv, kernel, stride)
    return x, function(reading)
      reading:keep(conv .. ".weight", theNorm.x.weight)
      reading:keepNorm(norm, theNorm)
    end
  end
  local theConv = node.x
  local x = convolution(theConv, conv, kernel, stride, true)
  return x, function(reading)
    local weight = theConv.weight -- as many channels as filled makes numbers
    reading.nFolded = reading.nFolded + 1
    reading:keep(conv .. ".weight", weight)
    reading:keepNorm(norm, { mean = filled(weight, 0), var = filled(weight, 1 - EPS), bias = theConv.bias, eps = EPS })
  end
end

-- Does the node join just these parts?
local function isCatOf(node, parts, n)
  if n == 1 then return node == parts[1] end
  if node.op ~= "cat" or #node.parts ~= n then return false end
  for i = 1, n do
    if node.parts[i] ~= parts[i] then return false end
  end
  return true
end

-- Layer l of block b, whose output is parts[l + 1], keeps its tensors.
function Reading:layer(b, l, parts)
  local name = ("features.denseblock%d.denselayer%d."):format(b, l)
  local last = expect(parts[l + 1], "conv", name .. "conv2")
  local norm2 = last.x.op == "relu" and last.x.x
  local inner = norm2 and norm2.op == "norm" and norm2.x or norm2 -- without a bottleneck the block's input, or a cat
  local hasBottleneck = inner and inner.op == "conv" and inner ~= parts[1]
  local norm, x
  if hasBottleneck then
    local before = convolution(last, name .. "conv2", 3, 1)
    local first, keep = convNormRelu(before, name .. "conv1", name .. "norm2", 1, 1)
    keep(self)
    self:keep(name .. "conv2.weight", last.weight)
    norm, x = normAndRelu(first, name .. "norm1")
  else
    self:keep(name .. "conv1.weight", last.weight)
    norm, x = normAndRelu(convolution(last, name .. "conv1", 3, 1), name .. "norm1")
  end
  self:keepNorm(name .. "norm1", norm)
  if not isCatOf(x, parts, l) then
    graph.refuse("%snorm1 should read the outputs of all layers before it, got %s", name, title(x))
  end
end

-- relu(norm), 1x1 convolution and pooling between block t and the next; gives block t's output.
function Reading:transition(t, node)
  local name = ("features.transition%d."):format(t)
  expect(node, "averagePool", name .. "pool")
  if node.kernel ~= 2 or node.stride ~= 2 or node.pad ~= 0 then
    graph.refuse("%spool should be a 2x2 pooling of stride 2, got another (%s)", name, node.at)
  end
  local norm, x = normAndRelu(convolution(expect(node.x, "conv", name .. "conv"), name .. "conv", 1, 1), name .. "norm")
  self:keepNorm(name .. "norm", norm)
  self:keep(name .. "conv.weight", node.x.weight)
  return x
end

function Reading:stem(node)
  local x
  if node.op == "maxPool" then
    if node.kernel ~= 3 or node.stride ~= 2 or node.pad ~= 1 or node.ceil then
      graph.refuse("features.pool0 should be a 3x3 pooling of stride 2 and padding 1, rounding down, got another (%s)",
        node.at)
    end
    local keep
    x, keep = convNormRelu(node.x, "features.conv0", "features.norm0", 7, 2)
    keep(self)
  else
    x = convolution(node, "features.conv0", 3, 1)
    self:keep("features.conv0.weight", node.weight)
  end
  while x.op == "affine" do
    self.normalizes = true
    x = x.x
  end
  expect(x, "input", "the input of features.conv0")
end

-- Blocks from the last to the first: what each is made of, and what comes before it.
local function blocksBack(node)
  local blocks = {}
  while true do
    if node.op ~= "cat" then
      graph.refuse("a dense block's joined outputs expected, got %s", title(node))
    end
    table.insert(blocks, 1, node.parts)
    local entry = node.parts[1]
    if entry.op ~= "averagePool" then return blocks end
    node = expect(expect(expect(entry.x, "conv", "a transition").x, "relu", "a transition").x, "norm", "a transition").x
  end
end

function Reading:head(node)
  while node.op == "softMax" or node.op == "logSoftMax" do
    self.notes[#self.notes + 1] = ("%s at its end is left out: the network gives scores"):format(title(node))
    node = node.x
  end
  if node.op ~= "linear" then graph.refuse("there is no classifier: it ends with %s", title(node)) end
  self:keep("classifier.weight", node.weight)
  self:keep("classifier.bias", node.bias or filled(node.weight, 0))
  node = node.x
  while node.op == "flatten" do node = node.x end
  expect(node, "averagePool", "the pooling before the classifier")
  if node.pad ~= 0 then graph.refuse("the pooling before the classifier is padded (%s)", node.at) end
  local norm, x = normAndRelu(node.x, "features.norm5")
  self:keepNorm("features.norm5", norm)
  return x
end

local function read(output, notes)
  local self = setmetatable({ tensors = {}, notes = notes, nFolded = 0 }, Reading)
  local blocks = blocksBack(self:head(output))
  for b, parts in ipairs(blocks) do
    for l = 1, #parts - 1 do self:layer(b, l, parts) end
    if b == 1 then
      self:stem(parts[1])
    else
      self:transition(b - 1, parts[1])
    end
  end
  if self.nFolded > 0 then
    notes[#notes + 1] = ("%d batch norms that were folded into convolutions are norms again, with mean 0"):format(
      self.nFolded)
  end
  return self
end

--- Recognises a network.
-- @tparam table output the graph's last node (densenet.models.graph)
-- @tparam table notes list that sentences on what was changed are added to
-- @treturn table {tensors = name → tensor, normalizes = whether images are scaled or shifted before the first
-- convolution}; or nil and a sentence
return function(output, notes) return graph.read(read, output, notes) end
