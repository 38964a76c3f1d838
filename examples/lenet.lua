--- A network family of one's own: convolutions with poolings and two linear layers, after LeNet, with batch norms.
--
--    lua5.4 main.lua -netType examples.lenet -width 12 -nEpochs 5
--    lua5.4 main.lua -netType examples.lenet -help           (its options stand under "Network")
--
-- The module returns the family's table (densenet.models.family has every field). It is stored in each model
-- file under the module's name, so -resume and -retrain find it again where package.path leads to it. `stateDict`
-- names the parameters by the names given to `add`.
local nn = require "densenet.nn"
local fields = require "densenet.models.fields"
local initialize = require "densenet.models.initialize"

local N_STAGES, HIDDEN = 3, 84

local lenet = {}

-- Options of the command line. Their values become the fields of the same name of the configuration.
lenet.options = {
  { name = "width", type = "integer", default = 6, min = 1, max = 1000, help = "channels of the first convolution" },
}

function lenet.complete(given)
  local read = fields.reader(given, { "width" })
  return read:result { width = read:integer("width", 6, 1, 1000) }
end

function lenet.describe(config) return ("LeNet of width %d"):format(config.width) end

-- Tensors with weights are no fewer: keeps a file's metadata from claiming more.
function lenet.layers() return N_STAGES + 2 end

-- Each pooling halves an image.
function lenet.leastSize() return 2 ^ N_STAGES end

-- The nn.Linear that -resetClassifier replaces.
lenet.classifier = "scores"

function lenet.build(config)
  local k, model = config.width, nn.Sequential()
  local nIn = config.inputChannels
  for i = 1, N_STAGES do
    model:add(nn.SpatialConvolution(nIn, i * k, 5, 5, 1, 1, 2, 2):noBias(), "conv" .. i)
    model:add(nn.SpatialBatchNormalization(i * k), "norm" .. i):add(nn.ReLU(true)):add(nn.SpatialMaxPooling(2, 2, 2, 2))
    nIn = i * k
  end
  model:add(nn.GlobalAveragePooling()):add(nn.Linear(nIn, HIDDEN), "hidden"):add(nn.ReLU(true))
  return initialize(model:add(nn.Linear(HIDDEN, config.nClasses), "scores"))
end

return lenet
