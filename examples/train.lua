-- A training loop of one's own: a small DenseNet on the first images of Fashion-MNIST.
--
--   eval $(make env); lua5.4 examples/train.lua [images, 6400 by default]

local dn = require "densenet"

local nImages = tonumber(arg and arg[1]) or 6400
local set = assert(dn.data.open("fashion-mnist", { split = "train", size = nImages }))
local test = assert(dn.data.open("fashion-mnist", { split = "test", size = nImages // 4 }))

-- Crops and flips for training; two threads prepare batches while the network computes.
local loader = dn.data.Loader { set = set, batchSize = 64, shuffle = true, nThreads = 2,
  transform = dn.data.preprocess(set, "train") }
local testLoader = dn.data.Loader { set = test, batchSize = 100, transform = dn.data.preprocess(test, "test") }

dn.manualSeed(1)
local model = dn.models.densenet { depth = 22, growthRate = 12, inputChannels = 1, nClasses = 10 }
local criterion = dn.nn.CrossEntropyCriterion()
local sgd = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, nesterov = true, weightDecay = 1e-4 })

for batch, sample in loader:run(1) do
  model:zeroGradParameters()
  local loss = criterion:forward(model:forward(sample.input), sample.target)
  model:backward(sample.input, criterion:backward(model.output, sample.target))
  sgd:step()
  if batch % 10 == 0 then print(("batch %d of %d  loss %.4f"):format(batch, loader:size(), loss)) end
end

model:evaluate()
local wrong, count = 0, 0
for _, sample in testLoader:run(1) do
  local _, guess = model:forward(sample.input):max(2)
  wrong = wrong + guess:view(-1):ne(sample.target):sum()
  count = count + sample.target:size(1)
end
print(("top-1 error on %d test images: %.2f %%"):format(count, 100 * wrong / count))

local path = os.tmpname()
assert(dn.safetensors.save(path, model:stateDict()))
model:loadStateDict(assert(dn.safetensors.load(path)))
os.remove(path)
