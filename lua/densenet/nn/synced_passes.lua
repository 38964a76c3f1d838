--- Both passes of a plain batch norm that takes the statistics of all ranks (nn.sync_norm): the norm's own operations
-- cannot be interrupted between their sums and what they make of them, so others are put together.
-- @module densenet.nn.synced_passes

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local syncNorm = require "densenet.nn.sync_norm"

local syncedPasses = {}

-- N,C as N,C,1,1.
local function asImages(x)
  return x:dim() == 2 and x:view(x:size(1), x:size(2), 1, 1) or x
end

-- Of one channel.
local function valuesOf(x) return x:nElement() // x:size(2) end

-- Weight and bias: those of the norm, or 1 and 0.
local function affineOf(norm)
  if norm.weight then return norm.weight, norm.bias end
  local one = buffer.shaped(norm.scratch, "one", norm.running_mean, norm.nChannels)
  local zero = buffer.shaped(norm.scratch, "zero", norm.running_mean, norm.nChannels)
  core.fill(one, 1)
  core.fill(zero, 0)
  return one, zero
end

--- Writes the output; statistics and the norm's table stay in scratch for `backward`, running statistics move.
-- @param norm nn.SpatialBatchNormalization
-- @tparam tensor output [out]
-- @tparam tensor input N,C,H,W or N,C
function syncedPasses.forward(norm, output, input)
  local scratch = norm.scratch
  local stats = buffer.besides(scratch, "syncStats", input, 2, norm.nChannels)
  core.channel_stats(stats, asImages(input))
  syncNorm.join(norm, scratch, stats)
  local weight, bias = affineOf(norm)
  local normTable = buffer.shaped(scratch, "syncTable", stats, 4, norm.nChannels)
  core.norm_table(normTable, norm.running_mean, norm.running_var, stats, weight, bias,
    syncNorm.count(norm, valuesOf(input)), norm.momentum, norm.eps)
  core.batchnorm_inference_forward(output, input, stats:select(1, 1), stats:select(1, 2), norm.weight, norm.bias,
    norm.eps)
end

--- Writes the input's gradient and adds those of weight and bias, of this process's images, where they are asked for.
-- @param norm nn.SpatialBatchNormalization
-- @tparam tensor gradInput [out]
-- @tparam ?tensor gradWeight [out +=]
-- @tparam ?tensor gradBias [out +=]
-- @tparam tensor input as in `forward`
-- @tparam tensor gradOutput of input's size
-- @tparam number scale of gradWeight and gradBias
function syncedPasses.backward(norm, gradInput, gradWeight, gradBias, input, gradOutput, scale)
  local scratch = norm.scratch
  local stats = scratch.syncStats
  local sums = buffer.shaped(scratch, "sums", stats, 2, norm.nChannels)
  local ofBias, ofWeight = sums:select(1, 1), sums:select(1, 2)
  core.fill(sums, 0)
  core.batchnorm_inference_backward(gradInput, ofWeight, ofBias, gradOutput, input, stats:select(1, 1), stats:select(1,
    2),
    norm.weight, norm.eps, 1)
  if gradWeight then
    core.add_scaled(gradWeight, gradWeight, ofWeight, scale)
    core.add_scaled(gradBias, gradBias, ofBias, scale)
  end
  if not syncNorm.addUp(norm, sums) then
    return
  end
  local deferred = buffer.shaped(scratch, "syncDeferred", stats, 3, norm.nChannels)
  core.deferred_update(deferred, sums, scratch.syncTable, syncNorm.count(norm, valuesOf(input)), false)
  core.deferred_apply(asImages(gradInput), asImages(input), deferred)
end

return syncedPasses
