--- What a fused stage asks of its children before it computes in their place.
--
-- A stage reads its children's parameters and does their work itself, so a child with another method than
-- its class's, or another geometry than the stage has loops for, would be ignored. Such a child is refused
-- by name. One override is honoured: a convolution's accGradParameters is called where there is one
-- (densenet.nn.norm_relu_conv).
-- @module densenet.nn.fused_children

local core = require "densenet.core"
local Dropout = require "densenet.nn.dropout"
local SpatialBatchNormalization = require "densenet.nn.spatial_batch_normalization"
local SpatialConvolution = require "densenet.nn.spatial_convolution"
local ownMethods = require "densenet.nn.own_methods"

local fusedChildren = {}

-- What a container of plain modules calls, and what those methods call.
local HONOURED = { "accGradParameters", "accumulateBatch" }
local CALLED = { "updateOutput", "updateGradInput", "backward", "forwardBatch", "gradInputBatch", "batch", "gradBatch",
  "unbatch" }
local ALL = table.move(HONOURED, 1, #HONOURED, #CALLED + 1, { table.unpack(CALLED) })

local REMEDY = "build the network with optMemory 0 to 2, of plain modules"

local function checkMethods(name, module, class, methods)
  local method = ownMethods.overridden(module, class, methods)
  if method then
    error(("%s (%s) has another %s than %s, which a fused stage does not call; %s"):format(name,
      tostring(module.__typename), method, class.__typename, REMEDY), 0)
  end
end

local function checkGeometry(name, conv, kernel)
  local padding = (kernel - 1) // 2
  if conv.bias or conv.groups ~= 1 or conv.dW ~= 1 or conv.dH ~= 1 or conv.kW ~= kernel or conv.kH ~= kernel
    or conv.padW ~= padding or conv.padH ~= padding then
    error(("%s is %s; a fused stage computes a %dx%d convolution without bias there; %s"):format(name, tostring(conv),
      kernel, kernel, REMEDY), 0)
  end
end

--- Raises where a child of a stage would be ignored.
-- @param stage a container with children called norm…, conv… and drop…
-- @tparam function kernelOf the side of a convolution's kernel by its name
function fusedChildren.check(stage, kernelOf)
  for i, module in ipairs(stage.modules) do
    local name = stage.names[i] or ""
    if name:find "^conv" then
      checkMethods(name, module, SpatialConvolution, CALLED)
      checkGeometry(name, module, kernelOf(name))
    elseif name:find "^drop" then
      checkMethods(name, module, Dropout, ALL)
    else
      checkMethods(name == "" and "norm" or name, module, SpatialBatchNormalization, ALL)
      if not core.is_tensor(module.weight) then
        error(("%s has no weight and bias, which a fused stage computes with; %s"):format(name, REMEDY), 0)
      end
    end
  end
end

--- Raises where one of a block's layers has another method than its class's for what a container calls.
function fusedChildren.checkLayer(name, layer, class)
  checkMethods(name, layer, class, { "updateOutput", "updateGradInput", "accGradParameters", "backward" })
end

--- Has a convolution an accGradParameters that is not its class's?
function fusedChildren.accumulatesItself(conv)
  return ownMethods.overridden(conv, SpatialConvolution, HONOURED) ~= nil
end

return fusedChildren
