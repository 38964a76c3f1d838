--- Networks as ONNX files: what module:saveOnnx writes.
-- @module densenet.nn.onnx.export

local argument = require "densenet.argument"
local core = require "densenet.core"
local networkMetadata = require "densenet.io.network_metadata"
local nn = require "densenet.nn"
local newBuilder = require "densenet.nn.onnx.builder"
local ownMethods = require "densenet.nn.own_methods"
local saveModel = require "densenet.io.onnx.writer"
local write = require "densenet.nn.onnx.modules"

local INPUT = "input"
local OPTIONS = { inputSize = true, batch = true, softmax = true, normalize = true, classes = true }
local COMPUTING = { "updateOutput", "forwardBatch", "grow" }

-- ---- Walking through the network ----

-- The class of nn that a module computes as.
local function classOf(graph, module)
  local short = tostring(module.__typename):gsub("^cudnn%.", ""):gsub("^nn%.", "")
  local class = write[short] and (rawget(nn, short) or short == "DenseLayer" and require "densenet.nn.dense_layer"
    or short == "DataParallelTable" and nn.Sequential)
  if not class then graph:refuse(module, "has no ONNX form") end
  local method = ownMethods.overridden(module, class, COMPUTING)
  if method then graph:refuse(module, "has no ONNX form: its %s is its own", method) end
  return short
end

local function visit(graph, module, x) return write[classOf(graph, module)](graph, module, x) end

local function child(graph, container, i, x)
  return graph:inside(container:childName(i), function() return visit(graph, container.modules[i], x) end)
end

-- Resize to whole multiples: each pixel becomes a square. Its scales stand in its third input.
local function resize(graph, x, scale, dims)
  return graph:node("Resize", { x, "", graph:constant("float", { 1, 1, scale, scale }) }, nil, dims)
end

-- ---- Before and after it ----

local function perChannel(graph, numbers)
  local nested = {}
  for i, number in ipairs(numbers) do nested[i] = { { number + 0.0 } } end
  return graph:constant("float", { nested })
end

-- (x - mean) / std
local function normalize(graph, x, recipe)
  return graph:inside("normalize", function()
    x = graph:node("Sub", { x, perChannel(graph, recipe.mean) }, nil, x.dims)
    return graph:node("Div", { x, perChannel(graph, recipe.std) }, nil, x.dims)
  end)
end

local OUTPUTS = { Softmax = "probabilities", LogSoftmax = "log_probabilities" }

local function nameOutput(graph, x, inputName)
  if x.name == nil then argument.raise("saveOnnx: the network gives a table; one output can be written") end
  if x.name == inputName then x = graph:node("Identity", { x }, nil, x.dims) end
  graph:rename(x, OUTPUTS[graph.nodes[#graph.nodes].op] or "logits")
  return x
end

-- ---- Options ----

local function checkOptions(module, options)
  options = options == nil and {} or argument.table(2, "saveOnnx", options, "options")
  for name in pairs(options) do
    if not OPTIONS[name] then
      argument.raise("bad argument #2 to 'saveOnnx' (options: there is no %s%s)", tostring(name),
        argument.nearest(tostring(name), OPTIONS))
    end
  end
  if options.softmax ~= nil then argument.boolean(2, "saveOnnx", options.softmax, "softmax") end
  local batch = options.batch == nil and "N" or options.batch
  if type(batch) ~= "string" or batch == "" then
    batch = argument.integer(2, "saveOnnx", batch, 1, "batch: a name for any number of images, or")
  end
  local size = options.inputSize
  if size == nil then
    local crop, config = module.recipe and module.recipe.crop, module.config
    if not crop or not config then
      argument.raise("bad argument #2 to 'saveOnnx' (inputSize: {channels, height, width} expected, which the network "
        .. "does not say)")
    end
    size = { config.inputChannels, crop, crop }
  end
  argument.table(2, "saveOnnx", size, "inputSize")
  local dims = { batch }
  for d = 1, #size do dims[d + 1] = argument.integer(2, "saveOnnx", size[d], 1, ("inputSize[%d]"):format(d)) end
  if #dims < 2 then argument.refuse(2, "saveOnnx", size, "{channels, height, width}", "inputSize") end
  return options, dims
end

-- mean and std to normalise with, or nil.
local function recipeFor(module, options, nChannels)
  local recipe = options.normalize
  if recipe == nil or recipe == false then return nil end
  if recipe == true then recipe = module.recipe end
  local isRecipe = type(recipe) == "table" and type(recipe.mean) == "table" and type(recipe.std) == "table"
  if not isRecipe or #recipe.mean ~= nChannels or #recipe.std ~= nChannels then
    argument.raise("bad argument #2 to 'saveOnnx' (normalize: a table with mean and std of %d numbers expected, or "
      .. "true for a network that has them)", nChannels)
  end
  return recipe
end

local function tableOr(value) return type(value) == "table" and value or nil end

local function metadataOf(module, options)
  return networkMetadata.encode(tableOr(module.config), tableOr(options.classes or module.classes),
    tableOr(module.recipe))
end

--- See Module:saveOnnx.
-- @param module the network
-- @tparam string path
-- @tparam ?table options
return function(module, path, options)
  argument.string(1, "saveOnnx", path, "path")
  local dims
  options, dims = checkOptions(module, options)
  local graph = newBuilder(INPUT)
  graph.child, graph.resize = child, resize
  local input = { name = INPUT, dims = dims }
  local recipe, x = recipeFor(module, options, dims[2]), input
  if recipe then x = normalize(graph, x, recipe) end
  x = visit(graph, module, x)
  if options.softmax then
    if x.name == nil or #x.dims ~= 2 then
      argument.raise("saveOnnx: softmax is over N,C, which the network does not give")
    end
    x = graph:inside("softmax", function() return graph:node("Softmax", { x }, { axis = 1 }, x.dims) end)
  end
  x = nameOutput(graph, x, INPUT)
  return saveModel(path, { name = "densenet", producer = "densenet", version = core.version, nodes = graph.nodes,
    initializers = graph.initializers, inputs = { input }, outputs = { x }, metadata = metadataOf(module, options) })
end
