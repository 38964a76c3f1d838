-- What a training script of one's own often needs: pictures made in Lua by loader threads, a frozen layer, two
-- learning rates, warm-up and cosine, clipping, a confusion matrix, saving, loading, one picture classified.
--
--   eval $(make env); lua5.4 examples/recipe.lua [epochs, 4 by default]

local dn = require "densenet"
local nEpochs, nWarmUp = tonumber(arg and arg[1]) or 4, 10

local train = assert(dn.data.open("examples.spirals", { split = "train" }))
local test = assert(dn.data.open("examples.spirals", { split = "test" }))
local loader = dn.data.Loader { set = train, batchSize = 32, shuffle = true, nThreads = 2,
  transform = dn.data.preprocess(train, "train") }
local testLoader = dn.data.Loader { set = test, batchSize = 50, transform = dn.data.preprocess(test, "test") }

dn.manualSeed(7)
local model = dn.models.densenet { depth = 10, growthRate = 8, inputChannels = 1, nClasses = #train.classes }
model:freeze "^features%.conv0"
local rate = dn.optim.schedule.cosine { learningRate = 0.1, nEpochs = nEpochs }
local sgd = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, nesterov = true, weightDecay = 1e-4,
  groups = { { match = "^classifier", learningRate = 0.3 } } })
local criterion = dn.nn.CrossEntropyCriterion()

local nSteps = 0
for epoch = 1, nEpochs do
  model:training()
  for batch, sample in loader:run(epoch) do
    nSteps = nSteps + 1
    sgd.learningRate = math.min(nSteps / nWarmUp, 1) * rate(epoch, batch, loader:size())
    model:zeroGradParameters()
    criterion:forward(model:forward(sample.input), sample.target)
    model:backward(sample.input, criterion:backward(model.output, sample.target))
    dn.optim.clipGradNorm(model, 5)
    sgd:step()
  end
  model:evaluate()
  local confusion = dn.optim.ConfusionMatrix(train.classes)
  for _, sample in testLoader:run(1) do confusion:batchAdd(model:forward(sample.input), sample.target) end
  confusion:updateValids()
  print(("epoch %d: %.1f %% of the test pictures right"):format(epoch, 100 * confusion.totalValid))
  if epoch == nEpochs then print(confusion) end
end

local path = os.tmpname()
assert(dn.safetensors.save(path, model:stateDict()))
local again = dn.models.fromConfig(model.config):loadStateDict(assert(dn.safetensors.load(path))):evaluate()
os.remove(path)
local picture = dn.data.preprocess(test, "test")(test:get(1).input:float())
local probabilities = dn.nn.SoftMax():forward(again:forward(picture:view(1, table.unpack(picture:size()))))
local best, class = probabilities:max(2)
print(("the first test picture is a %s with probability %.2f"):format(train.classes[class:at(1, 1)], best:at(1, 1)))
