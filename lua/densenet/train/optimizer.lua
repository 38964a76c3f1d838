--- The optimizers that -optimizer chooses from, and what a run needs to know of each.
local optim = require "densenet.optim"

local optimizer = {}

--- The words, the usual one first.
optimizer.words = { "sgd", "adam", "adamw", "radam" }

local CLASSES = { sgd = optim.SGD, adam = optim.Adam, adamw = optim.AdamW, radam = optim.RAdam }

-- Where -LR is not given; SGD's is the option's own default.
local USUAL_RATES = { adam = 0.001, adamw = 0.001, radam = 0.002 }

--- Brings -LR and -momentum together with -optimizer.
-- @param values as options.parse returns them; changed
-- @param given as options.parse returns them
-- @return true, or nil and a sentence
function optimizer.settle(values, given)
  local word = values.optimizer
  if word ~= "sgd" and given.momentum then
    return nil, ("-momentum is of -optimizer sgd; %s has none"):format(word)
  end
  if not given.LR and not values.resume then values.LR = USUAL_RATES[word] or values.LR end
  return true
end

--- Makes it.
-- @param values options
-- @param model whose parameters it steps
function optimizer.new(values, model)
  local settings = { learningRate = values.LR, weightDecay = values.weightDecay }
  if values.optimizer == "sgd" then
    settings.momentum, settings.dampening, settings.nesterov = values.momentum, 0, values.momentum > 0
  end
  return CLASSES[values.optimizer](model, settings)
end

--- What it keeps beside the parameters, as options of module:plan: tensors of each parameter's size, and tensors of
-- the largest one's.
function optimizer.planOptions(values)
  if values.optimizer == "sgd" then return { momentum = values.momentum > 0 } end
  local decaysGradient = values.optimizer == "adam" and values.weightDecay > 0
  return { momentum = 2, optimizerScratch = decaysGradient and 2 or 1 }
end

return optimizer
