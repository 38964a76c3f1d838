--- Batch norms of evaluation as parts of convolutions.
--
-- In evaluation a batch norm is a scale and a shift per channel. The norm behind a convolution folds into its
-- weights (times the scale) and a bias (the shift); the norm before a ReLU before a convolution stays a table of
-- both, which the convolution reads on its way in. Both are made once, and weights packed once in the order in
-- which the CPU's loops read them (src/dn_ops.def, folded_conv), and serve until something that they are made of
-- may have changed: every write to a tensor's storage, by whom and on what way ever, moves a counter
-- (src/dn_storage.h), which core.stamp tells; epsilon and the tensors themselves are compared, too.
--
-- Folded weights are as large as those of the network, and lie in the buffers of a plan for evaluation
-- (densenet.nn.memory_plan). Only while a network is evaluated by such a plan is folding on; what modules compute
-- otherwise is the reference.
-- @module densenet.nn.folding

local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local ownMethods = require "densenet.nn.own_methods"

local folding = {}

local current -- folds of the network that is evaluated: owner → what was made and of what; nil: off

--- Is folding on?
function folding.isOn() return current ~= nil end

--- Runs action() with folding on.
-- @tparam table folds what was folded before for this network: empty at first, and again when its buffers were
-- overwritten
-- @tparam function action
-- @return what action returns
function folding.run(folds, action)
  local outer = current
  current = folds
  local _ <close> = setmetatable({}, { __close = function() current = outer end })
  return action()
end

local KEPT = { foldedTable = true, packedWeight = true }

--- Does a buffer of this name hold what was folded, from one evaluation to the next?
function folding.isKept(field) return KEPT[field] or false end

--- The table of a norm with its running statistics: 4,C as nn.SpatialBatchNormalization.normTable has it.
-- @param norm nn.SpatialBatchNormalization with weight and bias
-- @treturn tensor the table
function folding.table(norm)
  local fold = current[norm] or { version = 0 }
  local result = buffer.shaped(norm.scratch, "foldedTable", norm.weight, 4, norm.nChannels)
  local stamp = core.stamp(norm.weight, norm.bias, norm.running_mean, norm.running_var)
  if fold.stamp ~= stamp or fold.epsilon ~= norm.eps or fold.result ~= result then
    local running = buffer.shaped(norm.scratch, "runningStats", norm.weight, 2, norm.nChannels)
    core.copy(running:select(1, 1), norm.running_mean)
    core.copy(running:select(1, 2), norm.running_var)
    core.norm_table(result, nil, nil, running, norm.weight, norm.bias, 1, norm.momentum, norm.eps)
    fold.stamp, fold.epsilon, fold.result, fold.version = stamp, norm.eps, result, fold.version + 1
    current[norm] = fold
  end
  return result
end

--- y = conv(x), with relu(norm(·)) of norms before and behind it.
-- @tparam tensor y N,K,P,Q [out]
-- @tparam tensor x N,C,H,W
-- @param before nn.SpatialBatchNormalization of x; or nil
-- @param conv nn.SpatialConvolution without bias, of one group
-- @param after nn.SpatialBatchNormalization of y; or nil
function folding.conv(y, x, before, conv, after)
  local fold, weight = current[conv] or {}, conv.weight
  local beforeTable, afterTable = before and folding.table(before), after and folding.table(after)
  local count = core.folded_conv_count(weight:size(), conv.dH, conv.dW, conv.padH, conv.padW, 1)
  local packed = buffer.shaped(conv.scratch, "packedWeight", weight, count)
  local stamp, version = core.stamp(weight), after and current[after].version
  if fold.stamp ~= stamp or fold.after ~= after or fold.version ~= version or fold.packed ~= packed then
    core.folded_conv_pack(packed, weight, afterTable, conv.dH, conv.dW, conv.padH, conv.padW, 1)
    fold.stamp, fold.after, fold.version, fold.packed = stamp, after, version, packed
    current[conv] = fold
  end
  core.folded_conv(y, x, beforeTable, weight, afterTable, packed, conv.dH, conv.dW, conv.padH, conv.padW, 1)
end

local CALLED = { "updateOutput", "forwardBatch", "batch", "unbatch" }

local function isPlain(module, typename, class)
  return module and module.__typename == typename and not ownMethods.overridden(module, class, CALLED)
end

--- Computes the convolution at position i of a list of modules that follow one another, and the norm and ReLU
-- behind it where they are there, as one.
-- @tparam table modules
-- @tparam integer i
-- @tparam tensor input of modules[i]
-- @treturn tensor output; nil where there is nothing to fold
-- @treturn integer position of the last module that it is the output of
function folding.stem(modules, i, input)
  local conv, norm, relu = modules[i], modules[i + 1], modules[i + 2]
  local isConv = isPlain(conv, "nn.SpatialConvolution", getmetatable(conv)) and not conv.bias and conv.groups == 1
  if not isConv or not core.is_tensor(input) or input:dim() ~= 4 then return nil end
  local isFollowed = isPlain(norm, "nn.SpatialBatchNormalization", getmetatable(norm)) and norm.affine
    and isPlain(relu, "nn.ReLU", getmetatable(relu))
  local x = conv:batch(input, "inputCopy")
  local nRows, nColumns = core.conv2d_output_size(x:size(3), x:size(4), conv.kH, conv.kW, conv.dH, conv.dW, conv.padH,
    conv.padW)
  local y = buffer.shaped(conv.scratch, "output", x, x:size(1), conv.nOutputPlane, nRows, nColumns)
  folding.conv(y, x, nil, conv, isFollowed and norm or nil)
  return y, isFollowed and i + 2 or i
end

return folding
