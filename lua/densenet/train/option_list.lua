--- Every option of main.lua, as data for CommandLine, with one field more:
--
-- resume   what becomes of it in a resumed run: "same" must be as it was (and is, when not given);
--          "change" decides the result, and is as it was until it is given: from there on the new value
--          counts, in later resumed runs too; "free" is as it was unless given; nil belongs to each
--          command line
--
-- Those that say what the network is are its family's (densenet.models.family), and -netType chooses it.
local data = require "densenet.data"
local generationOptions = require "densenet.train.generation_options"
local models = require "densenet.models"
local memorySize = require "densenet.train.memory_size"
local modes = require "densenet.nn.memory_modes"
local optimizer = require "densenet.train.optimizer"
local precision = require "densenet.models.precision"
local recipes = require "densenet.data.recipe"

-- A group with other defaults for some of its options, by name.
local function withDefaults(group, defaults)
  local copy = { title = group.title }
  for i, option in ipairs(group) do
    copy[i] = setmetatable({ default = defaults[option.name] }, { __index = option })
  end
  return copy
end

-- Each data set with its number.
local function usualEpochs()
  local words = {}
  for i, name in ipairs(data.names()) do words[i] = ("%s %d"):format(name, data.epochs(name)) end
  return table.concat(words, ", ")
end

local function memoryWords()
  local words = modes.words()
  words[#words + 1] = "4GB"
  return words
end

local function memoryOptions(memory)
  return { title = "Memory",
    { name = "optMemory", type = "integer", default = memory.default, min = 0, max = #modes, resume = "free",
      help = "0: plain modules; 1: their buffers shared by life; 2: their gradients' buffers shared; "
        .. (memory.help and memory.help .. ". " or "the family has no other. ")
        .. "A run resumed with another one goes on to rounding, not bit for bit" },
    { name = "memory", type = "word", shown = modes[memory.default].word, choices = memoryWords(),
      pattern = memorySize.pattern,
      help = "two things. A size, such as 512MB or 4GB (MB are 2^20 bytes): a training step whose plan takes more is "
        .. "refused, and -batchSize auto is as large as fits. Or -optMemory by its word, 0 to " .. #modes },
    { name = "shareGradInput", type = "boolean", default = false, help = "true: -optMemory 2" },
    { name = "optnet", type = "boolean", default = false, help = "true: -optMemory 1" },
    { name = "plan", type = "word", choices = { "rows" }, isOptional = true,
      help = "print what a training step takes, equal buffers summed, and stop; rows: each buffer by itself" },
  }
end

local optionList = {}

--- -netType, also for other scripts.
optionList.netType = { name = "netType", type = "name", default = "densenet", find = models.find, resume = "same",
  help = ("family of networks, or a preset of one: %s; or a module of yours (examples/lenet.lua). The family's "
    .. "options are shown by -netType NAME -help"):format(table.concat(models.names(), ", ")) }

-- What every network has.
local general = {
  { title = "Data",
    { name = "dataset", type = "name", default = "fashion-mnist", resume = "same", find = data.find,
      help = ("what to train on: %s; or a module of yours (examples/spirals.lua)"):format(
        table.concat(data.names(), ", ")) },
    { name = "data", type = "text", shown = "where the data set's package puts it", resume = "free",
      help = "directory of the data set's files" },
    { name = "trainSize", type = "integer", default = 0, min = 0, resume = "same",
      help = "train on the first N images; 0: on all" },
    { name = "testSize", type = "integer", default = 0, min = 0, resume = "same",
      help = "test on the first N images; 0: on all" },
    { name = "valSize", type = "integer", default = 0, min = 0, resume = "same",
      help = "hold N training images out, always the same, and choose the best model by them; "
        .. "0: choose by the test set" },
    { name = "nThreads", type = "integer", default = 2, min = 0, max = 256, resume = "free",
      help = "threads that load data, 0: the computing one does; the result does not depend on it" },
    { name = "imageSize", type = "integer", default = 0, min = 0, max = 4096, resume = "same",
      help = "imagenet: pixels of the square that the network sees; 0: 224" },
    { name = "scaleSize", type = "integer", default = 0, min = 0, max = 4096, resume = "same",
      help = "imagenet: pixels of the shorter edge before a test cuts the square out of the middle; 0: in the "
        .. "proportion 256 to 224" },
    { name = "filter", type = "word", shown = "bicubic", choices = { "bicubic", "bilinear", "torch" }, resume = "same",
      help = "imagenet: how images are scaled; torch: as Torch7 did" },
    { name = "minArea", type = "number", default = 0.08, above = 0, max = 1, resume = "same",
      help = "imagenet: least share of a picture that training cuts out" },
    { name = "mirror", type = "boolean", default = true, resume = "same",
      help = "imagenet: training mirrors pictures, left and right, at random" },
    { name = "inputChannels", type = "integer", default = 0, min = 0, max = 3, resume = "same",
      help = "imagenet: 1: images as grey; 0: in three colours. With -retrain the first layer's weights become those "
        .. "for N channels: summed to 1, or repeated and scaled" },
    { name = "badImages", type = "word", default = "error", choices = { "error", "skip" }, resume = "free",
      help = "imagenet: what an image that cannot be read does. error: stops the run; skip: another one of its "
        .. "class takes its place, and the end of the epoch says so" },
    { name = "fastDecode", type = "boolean", default = false, resume = "free",
      help = "imagenet: in training, part of making large JPEGs smaller is done by their decoder: faster, other "
        .. "pixels" },
    { name = "tenCrop", type = "boolean", default = false, resume = "free",
      help = "imagenet: test on ten crops of each image, whose scores are added; batches are a tenth of -batchSize" },
    { name = "gen", type = "text", shown = "none", resume = "free",
      help = "imagenet: directory that keeps the list of files, so that a large folder is listed once" },
    { name = "extra", type = "boolean", default = false, resume = "same",
      help = "svhn: train on its extra images as well" },
    { name = "split", type = "word", shown = "test, or val where there is no test", choices = { "val", "test" },
      help = "imagenet, with -testOnly true: which images to test on" },
  },
  { title = "Machine",
    { name = "device", type = "word", shown = "a GPU where there is one, else cpu",
      choices = { "cpu", "cuda", "cuda:N" }, pattern = "^cuda:%d+$",
      help = "where to compute; cuda is cuda:0, the first GPU" },
    { name = "nGPU", type = "integer", shown = "as -device", min = 0, max = 1024,
      help = "number of GPUs; 0: the CPU; more than 1: a process for each, which share every mini-batch" },
    { name = "nProcesses", type = "integer", default = 1, min = 1, max = 1024,
      help = "with -device cpu: processes that share every mini-batch, by MPI" },
    { name = "rank", type = "integer", shown = "as torchrun, mpirun or srun says", min = 0, max = 1048575,
      help = "number of this process among those of a run, from 0" },
    { name = "size", type = "integer", shown = "as torchrun, mpirun or srun says", min = 1, max = 1048576,
      help = "how many processes the run has" },
    { name = "syncBN", type = "boolean", default = false, resume = "same",
      help = "with several processes: batch norms take the statistics of the whole batch, as one process does" },
    { name = "commTimeout", type = "number", default = 300, above = 0, max = 86400,
      help = "seconds: the longest wait for another process" },
    { name = "nCores", type = "integer", shown = "all there are", min = 1, max = 1024, resume = "free",
      help = "threads that compute; results are the same, bit for bit, for the same number" },
    { name = "precision", type = "word", default = "single", resume = "free",
      choices = precision.words,
      help = "numbers to compute with. tf32: single, but a GPU's products round their factors to 10 bits; half, "
        .. "bfloat16: activations in 16 bits, everything else in single. A run may be resumed with another one" },
    { name = "cudaGraph", type = "boolean", default = true, resume = "free",
      help = "on a GPU: a step is one call, captured once as a CUDA graph; results are the same, bit for bit" },
    { name = "manualSeed", type = "integer", default = 0, min = 0, resume = "same",
      help = "seed of weights, order, augmentation and dropout" },
    { name = "backend", type = "word", shown = "cudnn", choices = { "cudnn", "cunn" }, available = { "cudnn" },
      because = "a GPU computes with cuDNN", help = "library that computes on a GPU" },
    { name = "cudnn", type = "word", shown = "deterministic", choices = { "fastest", "default", "deterministic" },
      available = { "deterministic" }, because = "results are the same each time",
      help = "how cuDNN chooses algorithms" },
  },
  { title = "Training",
    { name = "nEpochs", type = "integer", default = 0, min = 0, max = 1000000, resume = "free",
      help = ("epochs in all; 0: the data set's usual number (%s). May grow when resuming"):format(usualEpochs()) },
    { name = "epochNumber", type = "integer", default = 1, min = 1, max = 1000000, resume = "same",
      help = "number of the first epoch" },
    { name = "batchSize", type = "integer", default = 64, min = 1, max = 1000000, words = { "auto" }, resume = "change",
      help = "images in a mini-batch; auto: as many as the plan of a training step fits into nine tenths of the "
        .. "memory that there is, or into -memory SIZE" },
    { name = "optimizer", type = "word", default = "sgd", choices = optimizer.words, resume = "same",
      help = "how gradients become steps" },
    { name = "LR", type = "number", default = 0.1, above = 0, resume = "change",
      help = "learning rate at the start; unless given 0.001 with adam and adamw, 0.002 with radam" },
    { name = "lrShape", type = "word", default = "multistep", choices = { "multistep", "cosine" }, resume = "change",
      help = "multistep: a tenth from 50 % and again from 75 % of the epochs; cosine: down to 0, batch by batch" },
    { name = "momentum", type = "number", default = 0.9, min = 0, below = 1, resume = "change",
      help = "of sgd, in Nesterov's form" },
    { name = "weightDecay", type = "number", default = 1e-4, min = 0, resume = "change",
      help = "on every parameter" },
    { name = "labelSmoothing", type = "number", default = 0, min = 0, below = 1, resume = "same",
      help = "share of each label that is spread evenly over all classes; tests are without" },
    { name = "classWeights", type = "text", shown = "none", resume = "same",
      help = "weights of the classes in the training loss. auto: a class counts as much as any other, however few its "
        .. "images are; or numbers with commas between; or a file, a line each: number, or class, tab, number" },
    { name = "sampling", type = "word", default = "shuffled", choices = { "shuffled", "balanced" }, resume = "same",
      help = "images of an epoch. shuffled: each once; balanced: as many, drawn so that classes come equally often" },
    { name = "randomErasing", type = "number", default = 0, min = 0, max = 1, resume = "same",
      help = "probability that a rectangle of a training image is erased" },
    { name = "testOnly", type = "boolean", default = false,
      help = "test the network of -retrain or -resume and stop" },
    { name = "perClass", type = "boolean", default = false, resume = "free",
      help = "print each class's error after each test; the log's neighbour classes.tsv has them always" },
    { name = "confusion", type = "text", shown = "none",
      help = "with -testOnly true: write what class is taken for what (confusion.tsv), and the worst mistakes with "
        .. "their images (mistakes), into this directory" },
  },
  { title = "Checkpoints and log",
    { name = "save", type = "text", default = "checkpoints",
      help = "directory of checkpoints; when resuming, the one resumed from" },
    { name = "resume", type = "text", shown = "none",
      help = "continue the run in this directory, exactly; or from one of its model_N.safetensors" },
    { name = "keep", type = "integer", default = 1, min = 1, resume = "free",
      help = "how many epochs' checkpoints to keep, beside the best model" },
    { name = "saveEvery", type = "integer", default = 100, min = 0, resume = "free",
      help = "also save after every N mini-batches; 0: only after epochs" },
    { name = "log", type = "text", shown = "log.tsv in the -save directory", resume = "free",
      help = "table of tab-separated values, a row per epoch" },
    { name = "tensorboard", type = "text", shown = "none", resume = "free",
      help = "write events for TensorBoard into this directory; their step is the number of batches trained" },
    { name = "retrain", type = "text", shown = "none", resume = "same",
      help = "start from the weights in this file; the network is then the file's" },
    { name = "optimState", type = "text", shown = "none", resume = "same",
      help = "start from the optimizer's state in this file" },
    { name = "resetClassifier", type = "boolean", default = false, resume = "same",
      help = "with -retrain: a new last layer, for -nClasses classes" },
    { name = "preprocess", type = "word", shown = "the file's", choices = recipes.names(), resume = "same",
      help = "with -retrain and imagenet: what the network's images went through, where its file does not say" },
    { name = "freeze", type = "text", shown = "none", resume = "same",
      help = "with -retrain: classifier-only trains the last layer alone; block1, block2, … all behind that block; "
        .. "none: all. Or train all but the modules whose names match this Lua pattern, or one of several after "
        .. "commas: ^features%.conv0,denseblock[12]" },
    { name = "nClasses", type = "integer", default = 0, min = 0, max = 1000000, resume = "same",
      help = "classes the network tells apart; 0: as many as the data set has" },
  },
}

--- The options that say what a network is.
-- @param netType name of a family, a preset or a module
-- @return a group for CommandLine, -netType first; or nil, message, code
function optionList.network(netType)
  local family, name, preset = models.find(netType)
  if not family then return nil, name, preset end
  local group = withDefaults(family.options, preset.options)
  for _, option in ipairs(group) do option.resume = "same" end
  table.insert(group, 1, optionList.netType)
  group.title = "Network"
  return group
end

local function checkedNames(groups, netType)
  local seen = {}
  for _, group in ipairs(groups) do
    for _, option in ipairs(group) do
      if seen[option.name] then
        return nil, ("-netType %s: its option -%s has the name of another one"):format(netType, option.name), "argument"
      end
      seen[option.name] = true
    end
  end
  return groups
end

--- All options, for a network.
-- @param netType name of a family, a preset or a module
-- @return groups for CommandLine; or nil, message, code
function optionList.groups(netType)
  local family, message, preset = models.find(netType)
  if not family then return nil, message, preset end
  local groups = {}
  for i, group in ipairs(general) do groups[i] = withDefaults(group, { lrShape = preset.lrShape }) end
  groups[#groups + 1] = optionList.network(netType)
  groups[#groups + 1] = generationOptions
  groups[#groups + 1] = memoryOptions(models.memoryOf(family))
  return checkedNames(groups, netType)
end

return optionList
