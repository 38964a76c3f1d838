--- Optimizers, and schedules of the learning rate.
-- @module densenet.optim

return {
  SGD = require "densenet.optim.sgd",
  schedule = require "densenet.optim.schedule",
}
