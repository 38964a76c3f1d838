--- Initial weights: convolutions normal with variance 2 / (kW kH nOutputPlane), batch norms 1 and 0, biases of
-- linear layers 0; Linear's weights stay Torch's.
-- Source: He et al. 2015 (arXiv:1502.01852), as fb.resnet.torch and DenseNet have it.
-- @module densenet.models.initialize

local core = require "densenet.core"

--- @param model any module
-- @return the model
return function(model)
  for _, conv in ipairs(model:findModules("nn.SpatialConvolution")) do
    conv.weight:normal(0, math.sqrt(2 / (conv.kW * conv.kH * conv.nOutputPlane)))
    if conv.bias then core.fill(conv.bias, 0) end
  end
  for _, norm in ipairs(model:findModules("nn.SpatialBatchNormalization")) do
    core.fill(norm.weight, 1)
    core.fill(norm.bias, 0)
  end
  for _, linear in ipairs(model:findModules("nn.Linear")) do
    if linear.bias then core.fill(linear.bias, 0) end
  end
  return model
end
