--- Modules and criterions with Torch7's contract. Each class stands in a file of its own.
--
-- A module of one's own:
--
--    local Double, parent = nn.class("Double", nn.Module)
--    function Double:updateOutput(input)
--      self.output = input * 2
--      return self.output
--    end
--    function Double:updateGradInput(_, gradOutput)
--      self.gradInput = gradOutput * 2
--      return self.gradInput
--    end
--
-- Reading a name that is none raises, with the one it is like; rawget(nn, name) asks without that.
-- @module densenet.nn

local argument = require "densenet.argument"

return argument.closed({
  class = require "densenet.nn.class",

  Module = require "densenet.nn.module",
  Container = require "densenet.nn.container",
  Sequential = require "densenet.nn.sequential",
  Concat = require "densenet.nn.concat",
  ConcatTable = require "densenet.nn.concat_table",
  JoinTable = require "densenet.nn.join_table",
  CAddTable = require "densenet.nn.c_add_table",

  Identity = require "densenet.nn.identity",
  View = require "densenet.nn.view",
  Flatten = require "densenet.nn.flatten",

  SpatialConvolution = require "densenet.nn.spatial_convolution",
  SpatialBatchNormalization = require "densenet.nn.spatial_batch_normalization",
  SpatialMaxPooling = require "densenet.nn.spatial_max_pooling",
  SpatialAveragePooling = require "densenet.nn.spatial_average_pooling",
  GlobalAveragePooling = require "densenet.nn.global_average_pooling",
  ReLU = require "densenet.nn.relu",
  Dropout = require "densenet.nn.dropout",
  Linear = require "densenet.nn.linear",
  LogSoftMax = require "densenet.nn.log_softmax",

  DenseBlock = require "densenet.nn.dense_block",
  Transition = require "densenet.nn.transition",
  NormReLUPool = require "densenet.nn.norm_relu_pool",

  Criterion = require "densenet.nn.criterion",
  ClassNLLCriterion = require "densenet.nn.class_nll_criterion",
  CrossEntropyCriterion = require "densenet.nn.cross_entropy_criterion",
  MSECriterion = require "densenet.nn.mse_criterion",
}, "dn.nn")
