--- Batch norm, ReLU and the mean of each plane, in one pass: N,C,H,W to N,C, for any H and W. It ends
-- a DenseNet, before the classifier.
--
-- The norm's parameters are named as if they were the module's own: weight, bias, running_mean, ...
-- Behind a DenseBlock, `follow` spares both of them passes over the block's tensor.
-- @classmod densenet.nn.NormReLUPool

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local folding = require "densenet.nn.folding"
local FusedStage = require "densenet.nn.fused_stage"
local fusedChildren = require "densenet.nn.fused_children"
local syncNorm = require "densenet.nn.sync_norm"
local SpatialBatchNormalization = require "densenet.nn.spatial_batch_normalization"
local normReluConv = require "densenet.nn.norm_relu_conv"

local NormReLUPool, parent = class("nn.NormReLUPool", FusedStage)

NormReLUPool.normName = "" -- of the norm, among the children

--- @tparam integer nChannels C
-- @tparam[opt] table options epsilon (1e-5, added to variances), momentum (0.1, weight of the newest
-- batch in the running statistics)
function NormReLUPool:__init(nChannels, options)
  parent.__init(self)
  options = options == nil and {} or argument.table(2, self.__typename, options, "options")
  argument.integer(1, self.__typename, nChannels, 1, "nChannels")
  self:add(SpatialBatchNormalization(nChannels, options.epsilon, options.momentum), self.normName)
end

--- Says that this module's input is always the output of `block` as it left it, and that its gradInput
-- is all of the block's gradOutput. It then takes the channels' statistics from the block, and in
-- `backward` leaves its own statistics' share of the gradient for the block to add: gradInput lacks it.
-- @param block nn.DenseBlock
-- @return the module
function NormReLUPool:follow(block)
  self.block = block
  return self
end

--- The norm: the first child.
function NormReLUPool:norm()
  return self.modules[1]
end

--- The 2,C statistics of the input that the norm reads in training; nil in evaluation.
function NormReLUPool:inputStats(x)
  if not self:norm():usesBatch() then
    return nil
  end
  local stats = self.block and self.block:statsOf(x)
  if not stats then
    stats = buffer.besides(self.scratch, "stats", x, 2, x:size(2))
    core.channel_stats(stats, x)
    syncNorm.join(self:norm(), self.scratch, stats)
  end
  return stats
end

--- Where the terms of the norm's statistics go that dx lacks, 3,C: nowhere, where nobody reads dx.
-- @treturn ?tensor
-- @treturn boolean is it the block's table, with which dx is lent to the block?
function NormReLUPool:deferredOf(x, dx, isWhole)
  if self.skipsGradInput then
    return nil, false
  end
  local borrowed = isWhole and self.block and self:isAsItsClass(getmetatable(self)) and self.block:borrowGradient(x, dx)
  return borrowed or buffer.besides(self.scratch, "deferred", x, 3, x:size(2)), not not borrowed
end

--- Gives dx the terms that wait for it, but for those that the block will add.
-- @return dx; nil where nobody reads it
function NormReLUPool:finishGradient(x, dx, deferred, isLent) -- luacheck: no self
  if deferred and not isLent then
    core.deferred_apply(dx, x, deferred)
  end
  return deferred and dx
end

--- Height and width of the windows that means are taken over.
function NormReLUPool:window(x) -- luacheck: no self
  return x:size(3), x:size(4)
end

--- The means of relu(norm(x)) over the windows, in scratch[field].
-- @tparam tensor x
-- @tparam string field
-- @tparam[opt] tensor normTable of the norm; by default the one that the norm made last
function NormReLUPool:pool(x, field, normTable)
  local height, width = self:window(x)
  local nRows, nColumns = core.pool2d_output_size(x:size(3), x:size(4), height, width, height, width, 0, 0, false)
  local pooled = buffer.shaped(self.scratch, field, x, x:size(1), x:size(2), nRows, nColumns)
  core.norm_relu_pool_forward(pooled, x, normTable or self:norm().scratch.normTable, height, width)
  return pooled
end

--- The gradient of x, in scratch[field], from that of the means; nil where nobody reads it.
function NormReLUPool:unpool(x, dpooled, scale, field, isWhole)
  local dx = buffer.like(self.scratch, field, x)
  local deferred, isLent = self:deferredOf(x, dx, isWhole)
  local height, width = self:window(x)
  normReluConv.poolBackward(self:norm(), dx, deferred, dpooled, x, height, width, scale)
  return self:finishGradient(x, dx, deferred, isLent)
end

-- The convolution of a transition is 1x1; the norm has no other neighbour.
local function kernelOf()
  return 1
end

--- Raises where a child would be ignored.
function NormReLUPool:checkChildren()
  fusedChildren.check(self, kernelOf)
end

function NormReLUPool:forwardBatch(x)
  self:checkChildren()
  local norm = self:norm()
  local normTable = folding.isOn() and folding.table(norm)
    or norm:normTable(self:inputStats(x), normReluConv.valuesPerChannel(x))
  return self:pool(x, "pooled", normTable):view(x:size(1), x:size(2))
end

function NormReLUPool:backwardBatch(x, dy, scale, field, isWhole)
  self:checkChildren()
  return self:unpool(x, dy:view(x:size(1), x:size(2), 1, 1), scale, field, isWhole)
end

function NormReLUPool:__tostring__()
  return ("%s(%d)"):format(self.__typename, self:norm().nChannels)
end

return NormReLUPool
