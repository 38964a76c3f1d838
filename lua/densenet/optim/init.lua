--- Optimizers, and schedules of the learning rate.
-- @module densenet.optim

return {
  LossScale = require "densenet.optim.loss_scale",
  SGD = require "densenet.optim.sgd",
  schedule = require "densenet.optim.schedule",
}
