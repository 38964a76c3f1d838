-- Pictures of your own: draws some, into a folder laid out as yours would be, and trains a small DenseNet on them.
--
--   eval $(make env); lua5.4 examples/pictures.lua [directory, "pictures" when left out [pictures a class [epochs]]]
--
-- main.lua then takes the same folder: lua5.4 main.lua -dataset imagenet -data pictures -imageSize 32 ...

local dn = require "densenet"

local directory = arg and arg[1] or "pictures"
local nPictures, nEpochs = tonumber(arg and arg[2]) or 60, tonumber(arg and arg[3]) or 5
local random = require("densenet.random").generator(1)

-- ---- Drawing ----

-- Fills a rectangle with a colour; it may reach over the edge.
local function rectangle(picture, top, left, height, width, colour)
  local first, last = math.max(top, 1), math.min(top + height - 1, picture:size(2))
  local begin, stop = math.max(left, 1), math.min(left + width - 1, picture:size(3))
  if first > last or begin > stop then return end
  for c = 1, 3 do picture[c]:narrow(1, first, last - first + 1):narrow(2, begin, stop - begin + 1):fill(colour[c]) end
end

-- Each draws one thing, `size` pixels large, about the middle (y, x).
local shapes = {}

function shapes.disc(picture, y, x, size, colour)
  local radius = size // 2
  for dy = -radius, radius do
    local half = math.floor(math.sqrt(radius ^ 2 - dy ^ 2))
    rectangle(picture, y + dy, x - half, 1, 2 * half + 1, colour)
  end
end

function shapes.cross(picture, y, x, size, colour)
  local arm = size // 4
  rectangle(picture, y - size // 2, x - arm // 2, size, arm, colour)
  rectangle(picture, y - arm // 2, x - size // 2, arm, size, colour)
end

function shapes.stripes(picture, y, x, size, colour)
  for row = 0, size - 1, size // 4 do
    rectangle(picture, y - size // 2 + row, x - size // 2, size // 8, size, colour)
  end
end

local function draw(name)
  local height, width = 47 + random:integer(32), 47 + random:integer(32)
  local picture, colour = dn.zeros(3, height, width), {}
  for c = 1, 3 do
    picture[c]:fill(random:uniform(0, 120))
    colour[c] = random:uniform(130, 255)
  end
  local size = 23 + random:integer(16)
  local y, x = size // 2 + random:integer(height - size), size // 2 + random:integer(width - size)
  shapes[name](picture, y, x, size, colour)
  return picture:add(10, dn.randn(3, height, width)):clamp(0, 255):type("byte")
end

-- Four fifths to train on, the rest to test on: directory/train/disc/1.png and so on.
dn.manualSeed(1)
for _, name in ipairs { "cross", "disc", "stripes" } do
  for i = 1, nPictures do
    local split = i <= nPictures * 4 // 5 and "train" or "val"
    local place = ("%s/%s/%s"):format(directory, split, name)
    assert(os.execute(("mkdir -p '%s'"):format(place)))
    assert(dn.image.save(("%s/%d.png"):format(place, i), draw(name)))
  end
end

-- ---- Training ----

local set = assert(dn.data.folder(directory .. "/train", { imageSize = 32, scaleSize = 36 }))
local test = assert(dn.data.folder(directory .. "/val", { imageSize = 32, scaleSize = 36, classes = set.classes,
  mean = set.mean, std = set.std }))
print(set:describe())
local loader = dn.data.Loader { set = set, batchSize = 16, shuffle = true, nThreads = 2,
  transform = dn.data.preprocess(set, "train") }
local testLoader = dn.data.Loader { set = test, batchSize = 16, transform = dn.data.preprocess(test, "test") }

local model = dn.models.densenet { depth = 22, growthRate = 8, nClasses = set.nClasses }
local criterion = dn.nn.CrossEntropyCriterion()
local adam = dn.optim.Adam(model, { learningRate = 0.003 })
for epoch = 1, nEpochs do
  local sum = 0
  for _, sample in loader:run(epoch) do
    model:zeroGradParameters()
    sum = sum + criterion:forward(model:forward(sample.input), sample.target)
    model:backward(sample.input, criterion:backward(model.output, sample.target))
    adam:step()
  end
  print(("epoch %d of %d  loss %.3f"):format(epoch, nEpochs, sum / loader:size()))
end

model:evaluate()
local wrong = 0
for _, sample in testLoader:run() do
  local _, guess = model:forward(sample.input):max(2)
  wrong = wrong + guess:view(-1):ne(sample.target):sum()
end
print(("top-1 error on %d test pictures: %.1f %%"):format(test:size(), 100 * wrong / test:size()))
