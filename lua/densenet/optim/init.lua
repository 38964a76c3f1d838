--- Optimizers, schedules of the learning rate, and what watches over a training.
-- @module densenet.optim

local argument = require "densenet.argument"

return argument.closed({
  Adam = require "densenet.optim.adam",
  AdamW = require "densenet.optim.adamw",
  ConfusionMatrix = require "densenet.optim.confusion_matrix",
  LossScale = require "densenet.optim.loss_scale",
  RAdam = require "densenet.optim.radam",
  SGD = require "densenet.optim.sgd",
  clipGradNorm = require "densenet.optim.clip_grad_norm",
  schedule = require "densenet.optim.schedule",
}, "dn.optim")
