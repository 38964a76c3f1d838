--- Optimizers, and schedules of the learning rate.
-- @module densenet.optim

local argument = require "densenet.argument"

return argument.closed({
  LossScale = require "densenet.optim.loss_scale",
  SGD = require "densenet.optim.sgd",
  schedule = require "densenet.optim.schedule",
}, "dn.optim")
