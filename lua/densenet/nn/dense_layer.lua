--- One layer of nn.DenseBlock: growthRate new channels from all before them.
--
--    u = conv1(relu(norm1(x)))     1x1, to the bottleneck's channels
--    y = conv2(relu(norm2(u)))     3x3; without bottleneck y = conv1(relu(norm1(x))), 3x3
--
-- x is the front of the block's tensor and y the slice behind it. The layer computes when its block
-- says so, with the block's tensors, and keeps between forward and backward what its `memory` says:
-- "shared" u and relu(norm2(u)), "linear" u, "minimal" nothing. A layer without a backward (nn.freezing)
-- keeps nothing, and relu(norm2(u)) serves the gradient of conv2 only.
-- @classmod densenet.nn.DenseLayer

local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local Container = require "densenet.nn.container"
local Dropout = require "densenet.nn.dropout"
local folding = require "densenet.nn.folding"
local fusedChildren = require "densenet.nn.fused_children"
local SpatialBatchNormalization = require "densenet.nn.spatial_batch_normalization"
local SpatialConvolution = require "densenet.nn.spatial_convolution"
local normReluConv = require "densenet.nn.norm_relu_conv"

local DenseLayer, parent = class("nn.DenseLayer", Container)

local function addStep(self, i, nIn, nOut, kernel, options)
  local padding = (kernel - 1) // 2
  self:add(SpatialBatchNormalization(nIn, options.epsilon, options.momentum), "norm" .. i)
  self:add(SpatialConvolution(nIn, nOut, kernel, kernel, 1, 1, padding, padding):noBias(), "conv" .. i)
  if options.dropRate > 0 then
    self:add(Dropout(options.dropRate), "drop" .. i)
  end
end

--- @tparam integer nInput channels of x
-- @tparam integer growthRate channels of y
-- @tparam table options nBottleneck (nil for none), dropRate, memory, epsilon, momentum
function DenseLayer:__init(nInput, growthRate, options)
  parent.__init(self)
  self.nBottleneck, self.memory = options.nBottleneck, options.memory
  if self.nBottleneck then
    addStep(self, 1, nInput, self.nBottleneck, 1, options)
    addStep(self, 2, self.nBottleneck, growthRate, 3, options)
  else
    addStep(self, 1, nInput, growthRate, 3, options)
  end
end

local function step(self, i)
  return { norm = self:get("norm" .. i), conv = self:get("conv" .. i), drop = self:get("drop" .. i) }
end

local function bottleneck(self, owner, field, x)
  return buffer.shaped(owner, field, x, x:size(1), self.nBottleneck, x:size(3), x:size(4))
end

DenseLayer.markBackward = Container.markInOrder

-- The convolution to the bottleneck is 1x1, the one to the new channels 3x3.
local function kernelOf(self, name)
  return self.nBottleneck and name == "conv1" and 1 or 3
end

local function check(self)
  fusedChildren.check(self, function(name) return kernelOf(self, name) end)
end

--- Writes the new channels.
-- @tparam tensor x N,C,H,W
-- @tparam ?tensor xStats 2,C mean and variance of x's channels; read in training
-- @tparam tensor y N,k,H,W [out]
-- @tparam ?tensor yStats 2,k [out]
-- @tparam table scratch the block's buffers, which its layers share
-- @tparam ?boolean isMade has the layer before made norm1's table?
-- @param[opt] nextNorm the norm1 of the next layer
-- @tparam ?tensor nextStats 2,C + k of what it reads
-- @treturn boolean has its table been made?
function DenseLayer:grow(x, xStats, y, yStats, scratch, isMade, nextNorm, nextStats)
  check(self)
  local first, second = step(self, 1), step(self, 2)
  if folding.isOn() then
    if self.nBottleneck then
      local u = bottleneck(self, scratch, "bottleneck", x)
      folding.conv(u, x, first.norm, first.conv, second.norm)
      folding.conv(y, u, nil, second.conv)
    else
      folding.conv(y, x, first.norm, first.conv)
    end
    return false
  end
  if not self.nBottleneck then
    return normReluConv.forward(first, y, yStats, x, xStats, isMade, nextNorm, nextStats)
  end
  self.isKeeping = self.train and self.memory ~= "minimal" and not self.isIdle
  self.isKeepingActivation = self.isKeeping and self.memory == "shared" and not second.conv.frozen
  local u = bottleneck(self, self.isKeeping and self.scratch or scratch, "bottleneck", x)
  local uStats = second.norm:usesBatch() and buffer.besides(scratch, "bottleneckStats", x, 2, self.nBottleneck) or nil
  local isSecondMade = normReluConv.forward(first, u, uStats, x, xStats, isMade, second.norm, uStats)
  if self.isKeepingActivation then
    normReluConv.forwardKept(second, y, yStats, u, uStats, isSecondMade, buffer.like(self.scratch, "activation", u))
    return false
  end
  return normReluConv.forward(second, y, yStats, u, uStats, isSecondMade, nextNorm, nextStats)
end

--- Adds the layer's gradient to that of x, and the terms that its first norm's statistics make to
-- x's deferred ones; where nobody reads them, both may lack some.
-- @tparam tensor dx N,C,H,W [out +=]
-- @tparam tensor dxDeferred 3,C [out +=]
-- @tparam tensor dy N,k,H,W the gradient of y but for its deferred terms; it may be changed
-- @tparam tensor dyDeferred 3,k
-- @tparam tensor x N,C,H,W
-- @tparam tensor y N,k,H,W
-- @tparam ?number scale of the parameters' gradients; nil leaves them alone
-- @tparam table scratch the block's buffers, which its layers share
function DenseLayer:growBackward(dx, dxDeferred, dy, dyDeferred, x, y, scale, scratch)
  check(self)
  local first, second = step(self, 1), step(self, 2)
  if self.nBottleneck then
    local u = self.scratch.bottleneck
    if not self.isKeeping then
      u = bottleneck(self, scratch, "bottleneckAgain", x)
      normReluConv.forwardAgain(first, u, x)
    end
    local du = buffer.like(scratch, "gradBottleneck", u)
    local duDeferred = not first.conv.isIdle
      and buffer.besides(scratch, "gradBottleneckDeferred", x, 3, self.nBottleneck) or nil
    if self.isKeepingActivation then
      local da = buffer.like(scratch, "gradActivation", u)
      normReluConv.backwardKept(second, du, duDeferred, da, dy, y, dyDeferred, u, self.scratch.activation, scale)
    else
      normReluConv.backward(second, du, duDeferred, dy, y, dyDeferred, u, false, scale)
    end
    if first.conv.isIdle then
      return
    end
    dy, y, dyDeferred = du, u, duDeferred
  end
  normReluConv.backward(first, dx, dxDeferred, dy, y, dyDeferred, x, true, scale)
end

return DenseLayer
