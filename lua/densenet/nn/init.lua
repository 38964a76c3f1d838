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
  CMulTable = require "densenet.nn.c_mul_table",
  FlattenTable = require "densenet.nn.flatten_table",
  Parallel = require "densenet.nn.parallel",
  ParallelTable = require "densenet.nn.parallel_table",
  SelectTable = require "densenet.nn.select_table",
  SplitTable = require "densenet.nn.split_table",

  Identity = require "densenet.nn.identity",
  View = require "densenet.nn.view",
  Flatten = require "densenet.nn.flatten",
  Reshape = require "densenet.nn.reshape",
  Narrow = require "densenet.nn.narrow",
  Select = require "densenet.nn.select",
  Padding = require "densenet.nn.padding",
  Copy = require "densenet.nn.copy",
  Contiguous = require "densenet.nn.contiguous",

  SpatialConvolution = require "densenet.nn.spatial_convolution",
  SpatialBatchNormalization = require "densenet.nn.spatial_batch_normalization",
  SpatialMaxPooling = require "densenet.nn.spatial_max_pooling",
  SpatialAveragePooling = require "densenet.nn.spatial_average_pooling",
  SpatialAdaptiveAveragePooling = require "densenet.nn.spatial_adaptive_average_pooling",
  SpatialAdaptiveMaxPooling = require "densenet.nn.spatial_adaptive_max_pooling",
  GlobalAveragePooling = require "densenet.nn.global_average_pooling",
  SpatialFullConvolution = require "densenet.nn.spatial_full_convolution",
  SpatialUpSamplingNearest = require "densenet.nn.spatial_up_sampling_nearest",
  SpatialZeroPadding = require "densenet.nn.spatial_zero_padding",
  SpatialDropout = require "densenet.nn.spatial_dropout",
  BatchNormalization = require "densenet.nn.batch_normalization",
  ReLU = require "densenet.nn.relu",
  Dropout = require "densenet.nn.dropout",
  Linear = require "densenet.nn.linear",
  MLGConvolution = require "densenet.nn.mlg_convolution",
  MLGLinear = require "densenet.nn.mlg_linear",
  LogSoftMax = require "densenet.nn.log_softmax",
  SoftMax = require "densenet.nn.soft_max",
  Sigmoid = require "densenet.nn.sigmoid",
  Tanh = require "densenet.nn.tanh",
  LeakyReLU = require "densenet.nn.leaky_relu",
  PReLU = require "densenet.nn.p_relu",
  ELU = require "densenet.nn.elu",
  MulConstant = require "densenet.nn.mul_constant",
  Mul = require "densenet.nn.mul",
  CMul = require "densenet.nn.c_mul",

  DenseBlock = require "densenet.nn.dense_block",
  Transition = require "densenet.nn.transition",
  NormReLUPool = require "densenet.nn.norm_relu_pool",

  Criterion = require "densenet.nn.criterion",
  ClassNLLCriterion = require "densenet.nn.class_nll_criterion",
  CrossEntropyCriterion = require "densenet.nn.cross_entropy_criterion",
  DistillationCriterion = require "densenet.nn.distillation_criterion",
  MSECriterion = require "densenet.nn.mse_criterion",
  BCECriterion = require "densenet.nn.bce_criterion",
  SmoothL1Criterion = require "densenet.nn.smooth_l1_criterion",
  MultiCriterion = require "densenet.nn.multi_criterion",
  ParallelCriterion = require "densenet.nn.parallel_criterion",
}, "dn.nn")
