--- CIFAR-10 and CIFAR-100, binary version: files of records, each one or two bytes of label and
-- then the image as red, green and blue planes of 32×32 bytes.
local core = require "densenet.core"
local fileKind = require "densenet.io.file_kind"
local ImageSet = require "densenet.data.image_set"
local cifarT7 = require "densenet.data.cifar_t7"
local location = require "densenet.data.location"

local cifar = {}

local CHANNELS, HEIGHT, WIDTH = 3, 32, 32
local IMAGE_BYTES = CHANNELS * HEIGHT * WIDTH

cifar.TEN = {
  name = "cifar10",
  family = "cifar",
  epochs = 164,
  channels = CHANNELS,
  height = HEIGHT,
  width = WIDTH,
  variable = "CIFAR10_DIR",
  subdirectory = "cifar-10-batches-bin",
  remedy = "unpack the binary version, cifar-10-binary.tar.gz, and name its directory (-data, or CIFAR10_DIR)",
  files = {
    train = {
      "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin",
    },
    test = { "test_batch.bin" },
  },
  imagesPerFile = { train = 10000, test = 10000 },
  labelBytes = 1,
  mean = { 125.3, 123.0, 113.9 },
  std = { 63.0, 62.1, 66.7 },
  classes = { "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck" },
}

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  return list
end

cifar.HUNDRED = {
  name = "cifar100",
  family = "cifar",
  epochs = 164,
  channels = CHANNELS,
  height = HEIGHT,
  width = WIDTH,
  variable = "CIFAR100_DIR",
  subdirectory = "cifar-100-binary",
  remedy = "unpack the binary version, cifar-100-binary.tar.gz, and name its directory (-data, or CIFAR100_DIR)",
  files = { train = { "train.bin" }, test = { "test.bin" } },
  imagesPerFile = { train = 50000, test = 10000 },
  labelBytes = 2, -- coarse (20 classes), then fine (100), which is the one used
  mean = { 129.3, 124.1, 112.4 },
  std = { 68.2, 65.4, 70.4 },
  classes = words([[
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
    cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
    lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree
    orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum
    rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train
    trout tulip turtle wardrobe whale willow_tree wolf woman worm]]),
}

-- The records of one file as N x bytes, or nil, message, code.
local function loadRecords(path, n, recordBytes)
  local file <close>, unopened, ioCode = core.file_open(path)
  if not file then return nil, unopened, ioCode end
  local size = core.file_size(file)
  if size ~= n * recordBytes then
    local kind = fileKind.ofFile(path)
    return nil, ("%s: expected %d bytes (%d images of %d), got %d%s"):format(
      path, n * recordBytes, n, recordBytes, size, kind and (": " .. kind) or ""), "format"
  end
  local records = core.tensor_new("cpu", "byte", { n, recordBytes })
  local ok, message, code = core.file_read_into(file, 0, records)
  if not ok then return nil, message, code end
  return records
end

-- Copies one file's images and labels to their places; true, or nil, message, code.
local function loadFile(definition, path, images, labels)
  local n, labelBytes = images:size(1), definition.labelBytes
  local records, message, code = loadRecords(path, n, labelBytes + IMAGE_BYTES)
  if not records then return nil, message, code end
  local fine
  fine, message, code = ImageSet.labelsFromBytes(records:select(2, labelBytes), #definition.classes, path)
  if not fine then return nil, message, code end
  core.copy(labels, fine)
  core.copy(images, records:narrow(2, labelBytes + 1, IMAGE_BYTES))
  records:free()
  return true
end

-- Where the split's files lie: the directory itself or its usual subdirectory.
local function findFiles(definition, options)
  local directory, message, code = location.directory(definition, options.directory)
  if not directory then return nil, message, code end
  local paths = {}
  for i, file in ipairs(definition.files[options.split]) do
    paths[i], message, code = location.firstOf(definition, {
      directory .. "/" .. file, directory .. "/" .. definition.subdirectory .. "/" .. file,
    })
    if not paths[i] then return nil, message, code end
  end
  return paths, directory
end

local function setOf(definition, options, directory, images, labels)
  return ImageSet.new {
    name = definition.name, split = options.split, images = images, labels = labels,
    classes = definition.classes, mean = definition.mean, std = definition.std, directory = directory,
  }
end

-- The set in fb.resnet.torch's file, cifar10.t7; nil alone where the directory has none.
local function openT7(definition, options)
  local directory = location.directory(definition, options.directory)
  local path = directory and cifarT7.find(definition, directory)
  if not path then return nil end
  local images, labels, code = cifarT7.load(path, definition, options.split)
  if not images then return nil, labels, code end
  return setOf(definition, options, directory, images, labels)
end

--- Opens CIFAR-10 or CIFAR-100: of the binary version's files, or of the one that fb.resnet.torch makes (cifar10.t7).
-- @param definition cifar.TEN, cifar.HUNDRED or a table like them
-- @param options split ("train" or "test"); directory (optional)
-- @return an ImageSet; or nil, message, code
function cifar.open(definition, options)
  local set, wrong, wrongCode = openT7(definition, options)
  if set or wrong then return set, wrong, wrongCode end
  local paths, directory, code = findFiles(definition, options)
  if not paths then return nil, directory, code end
  local perFile = definition.imagesPerFile[options.split]
  local n = perFile * #paths
  local images = core.tensor_new("cpu", "byte", { n, IMAGE_BYTES })
  local labels = core.tensor_new("cpu", "long", { n })
  for i, path in ipairs(paths) do
    local first = (i - 1) * perFile + 1
    local ok, message
    ok, message, code = loadFile(
      definition, path, images:narrow(1, first, perFile), labels:narrow(1, first, perFile))
    if not ok then return nil, message, code end
  end
  return setOf(definition, options, directory, images:view(n, CHANNELS, HEIGHT, WIDTH), labels)
end

cifar.TEN.open, cifar.HUNDRED.open = cifar.open, cifar.open

return cifar
