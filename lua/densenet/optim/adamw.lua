--- Adam with decoupled weight decay: w is first multiplied by 1 − learningRate·weightDecay, and g' = g.
-- Source: Loshchilov & Hutter 2019 (arXiv:1711.05101), as PyTorch computes it.
-- @classmod densenet.optim.AdamW

local class = require "densenet.nn.class"
local Adam = require "densenet.optim.adam"

--- Constructed as optim.Adam; weightDecay is 0.01 by default.
local AdamW = class("optim.AdamW", Adam)

AdamW.defaults = { learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01 }

AdamW.isDecoupled = true

return AdamW
