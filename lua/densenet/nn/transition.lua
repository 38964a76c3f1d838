--- Between two dense blocks: batch norm, ReLU, 1x1 convolution and means over 2x2 windows. N,C,H,W to
-- N,K,floor(H/2),floor(W/2).
--
-- Means over windows and a 1x1 convolution commute, so the means are taken first, with the norm in the
-- same pass, and a quarter is left to multiply and to keep. Where a device has the whole transition as one
-- pass each way (core.takes_transition), nothing is kept. Dropout stands between the two and knows
-- single pixels: while it is active, the order is that of the text.
--
-- Children: norm, conv and, with dropout, drop.
-- @classmod densenet.nn.Transition

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local folding = require "densenet.nn.folding"
local Dropout = require "densenet.nn.dropout"
local fusedChildren = require "densenet.nn.fused_children"
local NormReLUPool = require "densenet.nn.norm_relu_pool"
local SpatialConvolution = require "densenet.nn.spatial_convolution"
local normReluConv = require "densenet.nn.norm_relu_conv"

local Transition, parent = class("nn.Transition", NormReLUPool)

Transition.normName = "norm"

local WINDOW = 2

--- @tparam integer nInput C
-- @tparam integer nOutput K
-- @tparam[opt] table options dropRate (0: dropout after the convolution); memory ("linear" and "shared"
-- keep the means for backward, "minimal" takes them again); epsilon and momentum as nn.NormReLUPool has
-- them
function Transition:__init(nInput, nOutput, options)
  options = options == nil and {} or argument.table(3, "nn.Transition", options, "options")
  argument.integer(1, "nn.Transition", nInput, 1, "nInput")
  argument.integer(2, "nn.Transition", nOutput, 1, "nOutput")
  parent.__init(self, nInput, options)
  self.memory = options.memory or "linear"
  self:checkMemory(self.memory, 3)
  self:add(SpatialConvolution(nInput, nOutput, 1, 1):noBias(), "conv")
  if argument.optional("number", 0, 3, "nn.Transition", options.dropRate, "dropRate") > 0 then
    self:add(Dropout(options.dropRate), "drop")
  end
end

function Transition:window() -- luacheck: no self
  return WINDOW, WINDOW
end

local function step(self)
  return { norm = self:norm(), conv = self:get("conv"), drop = self:get("drop") }
end

-- Dropout between the convolution and the means: the convolution at full size.
local function isDropping(self)
  local drop = self:get("drop")
  return drop and drop:isActive()
end

function Transition:forwardBatch(x)
  self:checkChildren()
  local conv, stats = self:get("conv"), self:inputStats(x)
  local nImages, nOutput, height, width = x:size(1), conv.nOutputPlane, x:size(3), x:size(4)
  local nRows, nColumns = core.pool2d_output_size(height, width, WINDOW, WINDOW, WINDOW, WINDOW, 0, 0, false)
  local y = buffer.shaped(self.scratch, "output", x, nImages, nOutput, nRows, nColumns)
  self.isOnePass = core.takes_transition(x, conv.weight)
  if isDropping(self) then
    local whole = buffer.shaped(self.scratch, "unpooled", x, nImages, nOutput, height, width)
    normReluConv.forward(step(self), whole, nil, x, stats)
    core.avg_pool2d_forward(y, whole, WINDOW, WINDOW, WINDOW, WINDOW, 0, 0, false, true)
  elseif self.isOnePass then
    core.transition_forward(y, nil, x, self:norm():normTable(stats, normReluConv.valuesPerChannel(x)), conv.weight)
  elseif folding.isOn() then
    folding.conv(y, self:pool(x, "pooled", folding.table(self:norm())), nil, conv)
  else
    self:norm():normTable(stats, normReluConv.valuesPerChannel(x))
    core.conv2d_forward(y, self:pool(x, "pooled"), conv.weight, nil, 1, 1, 0, 0, 1)
  end
  return y
end

function Transition:backwardBatch(x, dy, scale, field, isWhole)
  self:checkChildren()
  local conv = self:get("conv")
  if isDropping(self) or fusedChildren.accumulatesItself(conv) then
    local dwhole = buffer.shaped(self.scratch, "gradUnpooled", x, x:size(1), conv.nOutputPlane, x:size(3), x:size(4))
    core.avg_pool2d_backward(dwhole, dy, WINDOW, WINDOW, WINDOW, WINDOW, 0, 0, false, true)
    local dx = buffer.like(self.scratch, field, x)
    local deferred, isLent = self:deferredOf(x, dx, isWhole)
    normReluConv.backward(step(self), dx, deferred, dwhole, nil, nil, x, false, scale)
    return self:finishGradient(x, dx, deferred, isLent)
  end
  local norm, dweight, weightScale = self:norm(), normReluConv.weightGradient(conv, scale)
  local isOnlyWeight = self.skipsGradInput and norm.frozen
  if self.isOnePass and not isOnlyWeight then
    local dx = buffer.like(self.scratch, field, x)
    local deferred, isLent = self:deferredOf(x, dx, isWhole)
    core.transition_backward(dx, norm:sums(), dweight, dy, x, norm.scratch.normTable, conv.weight, false, scale or 0,
      norm:sumGradients(scale, deferred))
    norm:finishDeferred(deferred, normReluConv.valuesPerChannel(x), false)
    return self:finishGradient(x, dx, deferred, isLent)
  end
  if dweight then
    local isKept = self.memory ~= "minimal" and not self.isOnePass
    local pooled = isKept and self.scratch.pooled or self:pool(x, "pooledAgain")
    core.conv2d_backward_weight(dweight, nil, dy, pooled, 1, 1, 0, 0, 1, weightScale)
  end
  if isOnlyWeight then
    return nil
  end
  local dpooled = buffer.shaped(self.scratch, "gradPooled", x, x:size(1), x:size(2), dy:size(3), dy:size(4))
  core.conv2d_backward_data(dpooled, dy, conv.weight, 1, 1, 0, 0, 1)
  return self:unpool(x, dpooled, scale, field, isWhole)
end

function Transition:__tostring__()
  local conv, drop = self:get("conv"), self:get("drop")
  return ("nn.Transition(%d -> %d, 2x2 means%s)"):format(conv.nInputPlane, conv.nOutputPlane,
    drop and core.format(", dropout %g", drop.p) or "")
end

return Transition
