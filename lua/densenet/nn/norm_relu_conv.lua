--- y = dropout(conv(relu(norm(x)))): the step that dense layers are made of, in one pass over x.
--
-- A step is a table of the modules that hold its parameters: `norm`, nn.SpatialBatchNormalization;
-- `conv`, nn.SpatialConvolution without bias, 1x1, or 3x3 with padding 1; `drop`, nn.Dropout, or nil.
-- Once its statistics are known a norm is two numbers a channel, so z = relu(norm(x)) is a prologue of
-- the product: made where it is used, in forward and again in backward, and never stored. The
-- functions with Kept in their names store it all the same.
--
-- x and z are N,C,H,W, y is N,K,H,W; x and y may be slices of channels, even of one tensor. `deferred`
-- 3,K are the terms that a gradient of y lacks (src/dn_ops.def).
-- @module densenet.nn.norm_relu_conv

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local fusedChildren = require "densenet.nn.fused_children"
local syncNorm = require "densenet.nn.sync_norm"

local normReluConv = {}

local function isDropping(step)
  return step.drop and step.drop:isActive()
end

--- Values of one channel: N·H·W.
function normReluConv.valuesPerChannel(x)
  return x:size(1) * x:size(3) * x:size(4)
end

-- Statistics of y that were taken here: of the whole batch, where ranks share it.
local function joinStats(step, stats)
  if stats then
    syncNorm.join(step.norm, step.conv.scratch, stats)
  end
end

-- The norm's table: made by whoever made the last of x's statistics, or now.
local function tableOf(step, x, xStats, isMade)
  return isMade and step.norm.scratch.normTable or step.norm:normTable(xStats, normReluConv.valuesPerChannel(x))
end

-- What the operation takes to make the next norm's table; nothing where the statistics are not complete with it.
local function nextTable(step, stats, nextNorm, nextStats)
  if nextNorm and stats and not syncNorm.isOn(step.norm) then
    return nextNorm:tableArguments(nextStats)
  end
end

-- The operation; true where the arguments behind the weight ask for a table.
local function compute(y, stats, x, norm, weight, ...)
  core.norm_relu_conv_forward(y, stats, x, norm, weight, ...)
  return ... ~= nil
end

--- Writes y and its statistics; in training, moves the norm's running statistics.
-- @tparam table step
-- @tparam tensor y [out]
-- @tparam ?tensor stats 2,K [out] mean and biased variance of y; nil where nobody needs them
-- @tparam tensor x
-- @tparam ?tensor xStats 2,C of x; the norm reads them in training
-- @tparam ?boolean isMade has the step before made the norm's table?
-- @param[opt] nextNorm nn.SpatialBatchNormalization whose table may be made, of nextStats
-- @tparam ?tensor nextStats 2,M: stats, or a table that holds them
-- @treturn boolean has it been made?
function normReluConv.forward(step, y, stats, x, xStats, isMade, nextNorm, nextStats)
  local norm = tableOf(step, x, xStats, isMade)
  if not isDropping(step) then
    local isNextMade = compute(y, stats, x, norm, step.conv.weight, nextTable(step, stats, nextNorm, nextStats))
    joinStats(step, stats)
    return isNextMade
  end
  core.norm_relu_conv_forward(y, nil, x, norm, step.conv.weight)
  step.drop:forwardInPlace(y)
  if stats then
    core.channel_stats(stats, y)
    joinStats(step, stats)
  end
  return false
end

--- y of the last forward once more: no statistics are taken, none move.
function normReluConv.forwardAgain(step, y, x)
  core.norm_relu_conv_forward(y, nil, x, step.norm.scratch.normTable, step.conv.weight)
  if isDropping(step) then
    step.drop:againInPlace(y)
  end
end

--- As `forward`, by way of z.
-- @param step as in `forward`
-- @tparam tensor y [out] as in `forward`
-- @tparam tensor stats [out] as in `forward`
-- @tparam tensor x as in `forward`
-- @tparam tensor xStats as in `forward`
-- @tparam ?boolean isMade as in `forward`
-- @tparam tensor z [out] the normalized and rectified x
function normReluConv.forwardKept(step, y, stats, x, xStats, isMade, z)
  local conv = step.conv
  core.norm_relu_pool_forward(z, x, tableOf(step, x, xStats, isMade), 1, 1)
  core.conv2d_forward(y, z, conv.weight, nil, conv.dH, conv.dW, conv.padH, conv.padW, conv.groups)
  if isDropping(step) then
    step.drop:forwardInPlace(y)
  end
  if stats then
    core.channel_stats(stats, y)
    joinStats(step, stats)
  end
end

--- Where the gradient of a convolution's weight is added, and times what: nowhere without a scale, for a
-- frozen one, and for one with an accGradParameters of its own.
function normReluConv.weightGradient(conv, scale)
  if scale and not conv.frozen and not fusedChildren.accumulatesItself(conv) then
    return conv.gradWeight, scale
  end
  return nil
end

-- Calls the accGradParameters of a convolution that has its own, with what it would get in a network of
-- plain modules. dy lacks nothing.
local function accumulateItself(step, dy, x, scale)
  local conv = step.conv
  local z = buffer.like(conv.scratch, "ownInput", x)
  core.norm_relu_pool_forward(z, x, step.norm.scratch.normTable, 1, 1)
  conv:accGradParameters(z, dy, scale)
end

local function isItself(conv, scale)
  return scale and not conv.frozen and fusedChildren.accumulatesItself(conv)
end

-- dy with the terms it lacks, then the gradient of what was dropped from.
local function completeGradient(step, dy, y, deferred)
  if deferred then
    core.deferred_apply(dy, y, deferred)
  end
  if isDropping(step) then
    step.drop:backwardInPlace(dy)
  end
end

--- Gradients of x and of the parameters.
-- @tparam table step
-- @tparam tensor dx [out]
-- @tparam ?tensor dxDeferred 3,C [out] what the norm's own statistics add to dx; nil where nobody reads dx
-- @tparam tensor dy gradient of y but for the terms in `deferred`; it may be changed
-- @tparam ?tensor y
-- @tparam ?tensor deferred 3,K; like y, nil where dy lacks nothing
-- @tparam tensor x
-- @tparam boolean isAdded dx and dxDeferred add to what is there
-- @tparam ?number scale of the parameters' gradients; nil leaves them alone
function normReluConv.backward(step, dx, dxDeferred, dy, y, deferred, x, isAdded, scale)
  local isOwn = isItself(step.conv, scale)
  if isDropping(step) or isOwn then
    completeGradient(step, dy, y, deferred)
    y, deferred = nil, nil
  end
  if isOwn then
    accumulateItself(step, dy, x, scale)
  end
  local norm, dweight = step.norm, normReluConv.weightGradient(step.conv, scale)
  core.norm_relu_conv_backward(dx, norm:sums(), dweight, dy, y, deferred, x, norm.scratch.normTable,
    step.conv.weight, isAdded, scale or 0, norm:sumGradients(scale, dxDeferred))
  norm:finishDeferred(dxDeferred, normReluConv.valuesPerChannel(x), isAdded)
end

--- Gradients of x and of the norm's parameters from those of the means of relu(norm(x)) over windows; dx and
-- dxDeferred are overwritten.
-- @param norm nn.SpatialBatchNormalization
-- @tparam tensor dx [out]
-- @tparam ?tensor dxDeferred [out] as in `backward`
-- @tparam tensor dpooled
-- @tparam tensor x
-- @tparam integer height of the windows
-- @tparam integer width
-- @tparam ?number scale as in `backward`
function normReluConv.poolBackward(norm, dx, dxDeferred, dpooled, x, height, width, scale)
  core.norm_relu_pool_backward(dx, norm:sums(), dpooled, x, norm.scratch.normTable, height, width, false, scale or 0,
    norm:sumGradients(scale, dxDeferred))
  norm:finishDeferred(dxDeferred, normReluConv.valuesPerChannel(x), false)
end

--- As `backward`, from the z of forwardKept; dx and dxDeferred are overwritten.
-- @param step as in `backward`
-- @tparam tensor dx [out]
-- @tparam ?tensor dxDeferred [out] as in `backward`
-- @tparam tensor dz [out] scratch
-- @tparam tensor dy as in `backward`
-- @tparam tensor y as in `backward`
-- @tparam tensor deferred as in `backward`
-- @tparam tensor x as in `backward`
-- @tparam tensor z what forwardKept kept
-- @tparam number scale as in `backward`
function normReluConv.backwardKept(step, dx, dxDeferred, dz, dy, y, deferred, x, z, scale)
  completeGradient(step, dy, y, deferred)
  local conv = step.conv
  local dweight, weightScale = normReluConv.weightGradient(conv, scale)
  if isItself(conv, scale) then
    conv:accGradParameters(z, dy, scale)
  elseif dweight then
    core.conv2d_backward_weight(dweight, nil, dy, z, conv.dH, conv.dW, conv.padH, conv.padW, conv.groups, weightScale)
  end
  core.conv2d_backward_data(dz, dy, conv.weight, conv.dH, conv.dW, conv.padH, conv.padW, conv.groups)
  normReluConv.poolBackward(step.norm, dx, dxDeferred, dz, x, 1, 1, scale)
end

return normReluConv
