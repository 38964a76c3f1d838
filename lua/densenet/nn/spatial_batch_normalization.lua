--- Batch normalization of N,C,H,W per channel: y = weight · (x − mean)/√(var + eps) + bias.
-- Training takes mean and variance from the batch and moves the running ones by `momentum` towards
-- them (the variance unbiased); evaluation takes the running ones.
-- Source: Ioffe & Szegedy 2015 (arXiv:1502.03167).
-- @classmod densenet.nn.SpatialBatchNormalization

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local class = require "densenet.nn.class"
local ImageModule = require "densenet.nn.image_module"
local ownMethods = require "densenet.nn.own_methods"
local syncNorm = require "densenet.nn.sync_norm"
local syncedPasses = require "densenet.nn.synced_passes"

local SpatialBatchNormalization, parent = class("nn.SpatialBatchNormalization", ImageModule)

SpatialBatchNormalization.stateFields = { "running_mean", "running_var" }

--- @tparam integer nChannels C
-- @tparam[opt=1e-5] number eps added to the variance
-- @tparam[opt=0.1] number momentum weight of the newest batch in the running statistics
-- @tparam[opt=true] boolean affine with weight and bias
function SpatialBatchNormalization:__init(nChannels, eps, momentum, affine)
  parent.__init(self)
  local name = self.__typename
  nChannels = argument.integer(1, name, nChannels, 1, "nChannels")
  self.nChannels = nChannels
  self.eps = argument.optional("number", 1e-5, 2, name, eps, "eps")
  self.momentum = argument.optional("number", 0.1, 3, name, momentum, "momentum")
  self.affine = argument.optional("boolean", true, 4, name, affine, "affine")
  self.running_mean = self:newTensor(nChannels)
  self.running_var = self:newTensor(nChannels)
  if self.affine then
    self.weight, self.bias = self:newTensor(nChannels), self:newTensor(nChannels)
    self.gradWeight, self.gradBias = self:newTensor(nChannels), self:newTensor(nChannels)
  end
  self:reset()
  self:zeroGradParameters()
end

--- Torch's initial state: weight uniform in 0..1, bias 0, running mean 0, running variance 1.
function SpatialBatchNormalization:reset()
  if self.affine then
    self.weight:uniform(0, 1)
    core.fill(self.bias, 0)
  end
  core.fill(self.running_mean, 0)
  core.fill(self.running_var, 1)
  return self
end

--- Does it normalise with the batch's statistics, as things stand? Else with the running ones, which it
-- then keeps.
function SpatialBatchNormalization:usesBatch()
  return self.train and (not self.frozen or self.frozenStatistics == "batch")
end

function SpatialBatchNormalization:forwardBatch(input)
  local output = buffer.like(self.scratch, "output", input)
  if syncNorm.isOn(self) then
    syncedPasses.forward(self, output, input)
  elseif self:usesBatch() then
    local mean = buffer.besides(self.scratch, "mean", input, self.nChannels)
    local inverseDeviation = buffer.besides(self.scratch, "inverseDeviation", input, self.nChannels)
    core.batchnorm_forward(output, mean, inverseDeviation, self.running_mean, self.running_var, input, self.weight,
      self.bias, syncNorm.momentum(self), self.eps)
  else
    core.batchnorm_inference_forward(output, input, self.running_mean, self.running_var, self.weight, self.bias,
      self.eps)
  end
  return output
end

-- One call gives both kinds of gradient; which of them count is for the caller to choose.
local function backwardBatch(self, gradInput, gradWeight, gradBias, input, gradOutput, scale)
  if syncNorm.isOn(self) then
    syncedPasses.backward(self, gradInput, gradWeight, gradBias, input, gradOutput, scale)
  elseif self:usesBatch() then
    core.batchnorm_backward(gradInput, gradWeight, gradBias, gradOutput, input, self.scratch.mean,
      self.scratch.inverseDeviation, self.weight, scale)
  else
    core.batchnorm_inference_backward(gradInput, gradWeight, gradBias, gradOutput, input, self.running_mean,
      self.running_var, self.weight, self.eps, scale)
  end
  return gradInput
end

function SpatialBatchNormalization:gradInputBatch(input, gradOutput)
  return backwardBatch(self, buffer.like(self.scratch, "gradInput", input), nil, nil, input, gradOutput, 1)
end

-- gradInput is left alone here, because the module before may have changed it in place since.
function SpatialBatchNormalization:accumulateBatch(input, gradOutput, scale)
  if self.affine then
    backwardBatch(self, buffer.like(self.scratch, "unusedGradInput", input), self.gradWeight, self.gradBias, input,
      gradOutput, scale)
  end
end

local HALVES = { "updateGradInput", "accGradParameters", "gradInputBatch", "accumulateBatch" }

function SpatialBatchNormalization:backward(input, gradOutput, scale)
  if ownMethods.overridden(self, SpatialBatchNormalization, HALVES) then
    return parent.backward(self, input, gradOutput, scale)
  end
  local images = self:batch(input, "inputCopy")
  local gradInput = backwardBatch(self, buffer.like(self.scratch, "gradInput", images), self.gradWeight,
    self.gradBias, images, self:gradBatch(input, gradOutput), scale or 1)
  self.gradInput = self.unbatch(input, gradInput)
  return self.gradInput
end

SpatialBatchNormalization.frozenBackward = SpatialBatchNormalization.backward

-- What follows serves the fused stages (nn.DenseBlock and others), which apply the norm inside
-- operations of their own. Tables are as src/dn_ops.def has them.

--- The norm as an affine map per channel: 4,C, rows mean, 1/√(var + eps), scale and shift. Training
-- takes the batch's statistics and moves the running ones; evaluation takes the running ones. It stays
-- in scratch.normTable for backward.
-- @tparam ?tensor stats 2,C mean and biased variance of the batch; read where usesBatch() says so
-- @tparam integer nValues N·H·W of the input; where the statistics are of all ranks' images, those of the input here
function SpatialBatchNormalization:normTable(stats, nValues)
  local result = buffer.shaped(self.scratch, "normTable", self.weight, 4, self.nChannels)
  if self:usesBatch() then
    core.norm_table(result, self.running_mean, self.running_var, stats, self.weight, self.bias,
      syncNorm.count(self, nValues), syncNorm.momentum(self), self.eps)
  else
    local running = buffer.shaped(self.scratch, "runningStats", self.weight, 2, self.nChannels)
    core.copy(running:select(1, 1), self.running_mean)
    core.copy(running:select(1, 2), self.running_var)
    core.norm_table(result, nil, nil, running, self.weight, self.bias, nValues, self.momentum, self.eps)
  end
  return result
end

--- The same for an operation to make, which makes the last of the statistics: the arguments that it takes for that
-- (src/dn_ops.def, norm_relu_conv_forward). The norm then has its table, as if normTable had been called.
-- @tparam ?tensor stats as in normTable
-- @return the arguments; nothing where the table is made of something else
function SpatialBatchNormalization:tableArguments(stats)
  if not stats or not self:usesBatch() or syncNorm.isOn(self) then
    return
  end
  return buffer.shaped(self.scratch, "normTable", self.weight, 4, self.nChannels), self.running_mean, self.running_var,
    stats, self.weight, self.bias, syncNorm.momentum(self), self.eps
end

--- Where an operation's backward writes its sums for this norm: 2,C, dbeta and dgamma.
function SpatialBatchNormalization:sums()
  return buffer.shaped(self.scratch, "sums", self.weight, 2, self.nChannels)
end

-- Do the sums of one operation make the terms that the gradient of the norm's input lacks?
local function defersAlone(self)
  return self:usesBatch() and not syncNorm.isOn(self)
end

--- What that backward makes of the sums, as its last arguments (src/dn_ops.def): it adds them to gradients, to none
-- without a scale, or frozen, and leaves the terms that the gradient of the norm's input still lacks.
-- @tparam ?number scale of the gradients
-- @tparam ?tensor deferred 3,C; nil where nobody reads that gradient
-- @treturn ?tensor gradWeight
-- @treturn ?tensor gradBias
-- @treturn ?tensor deferred; nil where the terms are left to `finishDeferred`
function SpatialBatchNormalization:sumGradients(scale, deferred)
  local isTrained = scale and not self.frozen
  return isTrained and self.gradWeight or nil, isTrained and self.gradBias or nil,
    defersAlone(self) and deferred or nil
end

--- Behind that backward: writes, or adds, the terms that were left to it: those of a batch that ranks share, and
-- none of running statistics.
-- @tparam ?tensor deferred 3,C [out] as in sumGradients
-- @tparam integer nValues as in normTable
-- @tparam boolean isAdded to what is there
function SpatialBatchNormalization:finishDeferred(deferred, nValues, isAdded)
  if not deferred or defersAlone(self) then
    return
  end
  if self:usesBatch() and syncNorm.addUp(self, self.scratch.sums) then
    core.deferred_update(deferred, self.scratch.sums, self.scratch.normTable, syncNorm.count(self, nValues), isAdded)
  elseif not isAdded then
    core.fill(deferred, 0)
  end
end

function SpatialBatchNormalization:__tostring__()
  return ("%s(%d)"):format(self.__typename, self.nChannels)
end

return SpatialBatchNormalization
