--- Modules as ONNX nodes: write[class](graph, module, x) → value, for evaluation. x is a value, or a list of them for
-- modules that take tables.
-- @module densenet.nn.onnx.modules

local core = require "densenet.core"

local write = {}

-- ---- Checks ----

local function isList(x) return x.name == nil end

local function single(graph, module, x, nDim)
  if isList(x) then graph:refuse(module, "gets a table of %d outputs, where one is expected", #x) end
  if nDim and #x.dims ~= nDim then
    graph:refuse(module, "gets %s, and %d dimensions are expected", table.concat(x.dims, "x"), nDim)
  end
  return x
end

local function list(graph, module, x)
  if not isList(x) then graph:refuse(module, "gets one output, where a table of them is expected") end
  return x
end

local function checkChannels(graph, module, x, expected)
  if x.dims[2] ~= expected then
    graph:refuse(module, "takes %d channels, and gets %s", expected, table.concat(x.dims, "x"))
  end
end

-- Elements of one sample.
local function perSample(x)
  local n = 1
  for d = 2, #x.dims do n = n * x.dims[d] end
  return n
end

local function withDims(x, changes)
  local dims = table.move(x.dims, 1, #x.dims, 1, {})
  for d, size in pairs(changes) do dims[d] = size end
  return dims
end

-- One output for one input, of the same sizes.
local function elementwise(op, attributes)
  return function(graph, module, x)
    return graph:node(op, { single(graph, module, x) }, attributes and attributes(module), x.dims)
  end
end

-- ---- Containers ----

function write.Sequential(graph, module, x)
  for i = 1, #module.modules do x = graph:child(module, i, x) end
  return x
end

write.DataParallelTable = write.Sequential

function write.ConcatTable(graph, module, x)
  local outputs = {}
  for i = 1, #module.modules do outputs[i] = graph:child(module, i, x) end
  return outputs
end

function write.ParallelTable(graph, module, x)
  local outputs = {}
  for i = 1, #module.modules do outputs[i] = graph:child(module, i, list(graph, module, x)[i]) end
  return outputs
end

-- Values joined along a dimension, from 1, the batch included.
local function join(graph, module, values, dimension)
  local first, total = values[1], 0
  if dimension < 2 or dimension > #first.dims then graph:refuse(module, "joins along the batch") end
  for _, value in ipairs(values) do
    single(graph, module, value, #first.dims)
    total = total + value.dims[dimension]
  end
  if #values == 1 then return first end
  return graph:node("Concat", values, { axis = dimension - 1 }, withDims(first, { [dimension] = total }))
end

function write.Concat(graph, module, x)
  return join(graph, module, write.ConcatTable(graph, module, x), module.dimension)
end

function write.JoinTable(graph, module, x)
  local values = list(graph, module, x)
  local isBatch = module.nInputDims and #values[1].dims == module.nInputDims + 1
  return join(graph, module, values, module.dimension + (isBatch and 1 or 0))
end

local function fold(op)
  return function(graph, module, x)
    local sum
    for _, value in ipairs(list(graph, module, x)) do
      single(graph, module, value)
      sum = sum and graph:node(op, { sum, value }, nil, sum.dims) or value
    end
    return sum
  end
end

write.CAddTable, write.CMulTable = fold "Add", fold "Mul"

function write.SelectTable(graph, module, x)
  local values = list(graph, module, x)
  local value = values[module.index < 0 and #values + 1 + module.index or module.index]
  if not value then graph:refuse(module, "takes entry %d of %d", module.index, #values) end
  return value
end

function write.FlattenTable(_, _, x)
  local flat = {}
  local function visit(value)
    if not isList(value) then
      flat[#flat + 1] = value
      return
    end
    for _, each in ipairs(value) do visit(each) end
  end
  visit(x)
  return flat
end

-- ---- Nothing to compute in evaluation ----

function write.Identity(_, _, x) return x end

write.Dropout, write.Contiguous = write.Identity, write.Identity

function write.Copy(graph, module, x)
  local target = module.outtype
  if target ~= nil and target ~= "float" and target ~= "double" then graph:refuse(module, "converts to %s", target) end
  return x
end

function write.SpatialDropout(graph, module, x)
  return graph:node("Mul", { single(graph, module, x), graph:constant("float", { 1 - module.p }) }, nil, x.dims)
end

-- ---- Layers with weights ----

function write.SpatialConvolution(graph, module, x)
  single(graph, module, x, 4)
  checkChannels(graph, module, x, module.nInputPlane)
  local nRows, nColumns = core.conv2d_output_size(x.dims[3], x.dims[4], module.kH, module.kW, module.dH, module.dW,
    module.padH, module.padW)
  local inputs = { x, graph:parameter(module, "weight"), module.bias and graph:parameter(module, "bias") or nil }
  return graph:node("Conv", inputs, { kernel_shape = { module.kH, module.kW }, strides = { module.dH, module.dW },
    pads = { module.padH, module.padW, module.padH, module.padW }, dilations = { 1, 1 }, group = module.groups },
    withDims(x, { [2] = module.nOutputPlane, [3] = nRows, [4] = nColumns }))
end

function write.SpatialFullConvolution(graph, module, x)
  single(graph, module, x, 4)
  checkChannels(graph, module, x, module.nInputPlane)
  local nRows = (x.dims[3] - 1) * module.dH - 2 * module.padH + module.kH + module.adjH
  local nColumns = (x.dims[4] - 1) * module.dW - 2 * module.padW + module.kW + module.adjW
  local inputs = { x, graph:parameter(module, "weight"), module.bias and graph:parameter(module, "bias") or nil }
  return graph:node("ConvTranspose", inputs, { kernel_shape = { module.kH, module.kW },
    strides = { module.dH, module.dW }, pads = { module.padH, module.padW, module.padH, module.padW },
    output_padding = { module.adjH, module.adjW } },
    withDims(x, { [2] = module.nOutputPlane, [3] = nRows, [4] = nColumns }))
end

local function repeated(number, n)
  local numbers = {}
  for i = 1, n do numbers[i] = number end
  return numbers
end

local function batchNormalization(graph, module, x)
  checkChannels(graph, module, single(graph, module, x), module.nChannels)
  local n = module.nChannels
  local weight = module.weight and graph:parameter(module, "weight") or graph:constant("float", repeated(1, n))
  local bias = module.bias and graph:parameter(module, "bias") or graph:constant("float", repeated(0, n))
  return graph:node("BatchNormalization",
    { x, weight, bias, graph:parameter(module, "running_mean"), graph:parameter(module, "running_var") },
    { epsilon = module.eps + 0.0, momentum = 1.0 - module.momentum }, x.dims)
end

write.SpatialBatchNormalization, write.BatchNormalization = batchNormalization, batchNormalization

function write.Linear(graph, module, x)
  single(graph, module, x, 2)
  checkChannels(graph, module, x, module.nInputs)
  local inputs = { x, graph:parameter(module, "weight"), module.bias and graph:parameter(module, "bias") or nil }
  return graph:node("Gemm", inputs, { transB = 1 }, withDims(x, { [2] = module.nOutputs }))
end

-- Sizes of a weight that repeats over x: 1 for the batch and where it repeats.
function write.CMul(graph, module, x)
  single(graph, module, x)
  local sizes = module.weight:size()
  if #sizes + 1 == #x.dims then table.insert(sizes, 1, 1) end
  local fits = #sizes == #x.dims and sizes[1] == 1
  for d = 2, #sizes do fits = fits and (sizes[d] == 1 or sizes[d] == x.dims[d]) end
  if not fits then graph:refuse(module, "gets %s", table.concat(x.dims, "x")) end
  return graph:node("Mul", { x, graph:parameter(module, "weight", sizes) }, nil, x.dims)
end

function write.Mul(graph, module, x)
  return graph:node("Mul", { single(graph, module, x), graph:parameter(module, "weight") }, nil, x.dims)
end

function write.MulConstant(graph, module, x)
  return graph:node("Mul", { single(graph, module, x), graph:constant("float", { module.constant_scalar + 0.0 }) },
    nil, x.dims)
end

function write.PReLU(graph, module, x)
  local sizes = { math.max(module.nOutputPlane, 1) }
  for _ = 3, module.nOutputPlane > 0 and #single(graph, module, x).dims or 0 do sizes[#sizes + 1] = 1 end
  return graph:node("PRelu", { single(graph, module, x), graph:parameter(module, "weight", sizes) }, nil, x.dims)
end

-- ---- Functions of elements ----

write.ReLU, write.Sigmoid, write.Tanh = elementwise "Relu", elementwise "Sigmoid", elementwise "Tanh"
write.LeakyReLU = elementwise("LeakyRelu", function(module) return { alpha = module.negval + 0.0 } end)
write.ELU = elementwise("Elu", function(module) return { alpha = module.alpha + 0.0 } end)
write.SoftMax = elementwise("Softmax", function() return { axis = 1 } end)

function write.LogSoftMax(graph, module, x)
  return graph:node("LogSoftmax", { single(graph, module, x, 2) }, { axis = 1 }, x.dims)
end

-- ---- Poolings ----

local function pooling(op, attributesOf)
  return function(graph, module, x)
    single(graph, module, x, 4)
    local function size(isCeil)
      return core.pool2d_output_size(x.dims[3], x.dims[4], module.kH, module.kW, module.dH, module.dW, module.padH,
        module.padW, isCeil)
    end
    local nRows, nColumns = size(module.ceilMode)
    local attributes = attributesOf(module)
    attributes.kernel_shape, attributes.strides = { module.kH, module.kW }, { module.dH, module.dW }
    attributes.pads = { module.padH, module.padW, module.padH, module.padW }
    if module.ceilMode then
      local nFloorRows, nFloorColumns = size(false)
      local hangsOver = nFloorRows ~= nRows or nFloorColumns ~= nColumns
      if hangsOver and op == "AveragePool" then
        graph:refuse(module, "has windows that hang over the edge, which ONNX averages in another way")
      end
      attributes.ceil_mode = hangsOver and 1 or nil
    end
    return graph:node(op, { x }, attributes, withDims(x, { [3] = nRows, [4] = nColumns }))
  end
end

write.SpatialMaxPooling = pooling("MaxPool", function() return {} end)
write.SpatialAveragePooling = pooling("AveragePool", function(module)
  return { count_include_pad = module.countPadding and 1 or 0 }
end)

function write.GlobalAveragePooling(graph, module, x)
  single(graph, module, x, 4)
  x = graph:node("GlobalAveragePool", { x }, nil, withDims(x, { [3] = 1, [4] = 1 }))
  return graph:node("Flatten", { x }, { axis = 1 }, { x.dims[1], x.dims[2] })
end

-- Windows are alike where the sizes divide.
local function adaptivePooling(op)
  return function(graph, module, x)
    single(graph, module, x, 4)
    if x.dims[3] % module.H ~= 0 or x.dims[4] % module.W ~= 0 then
      graph:refuse(module, "gets %s, and ONNX has windows of one size only", table.concat(x.dims, "x"))
    end
    local window = { x.dims[3] // module.H, x.dims[4] // module.W }
    return graph:node(op, { x }, { kernel_shape = window, strides = window },
      withDims(x, { [3] = module.H, [4] = module.W }))
  end
end

write.SpatialAdaptiveAveragePooling = adaptivePooling "AveragePool"
write.SpatialAdaptiveMaxPooling = adaptivePooling "MaxPool"

function write.SpatialUpSamplingNearest(graph, module, x)
  single(graph, module, x, 4)
  local scale = module.scale_factor
  return graph:resize(x, scale, withDims(x, { [3] = x.dims[3] * scale, [4] = x.dims[4] * scale }))
end

function write.SpatialZeroPadding(graph, module, x)
  single(graph, module, x, 4)
  local pads = graph:constant("long", { 0, 0, module.padTop, module.padLeft, 0, 0, module.padBottom, module.padRight })
  return graph:node("Pad", { x, pads }, nil, withDims(x, { [3] = x.dims[3] + module.padTop + module.padBottom,
    [4] = x.dims[4] + module.padLeft + module.padRight }))
end

-- ---- Other sizes for the same elements ----

local function reshape(graph, x, sizes)
  local shape, dims = { -1 }, { x.dims[1] } -- -1: as many images as there are
  for i, size in ipairs(sizes) do shape[i + 1], dims[i + 1] = size, size end
  return graph:node("Reshape", { x, graph:constant("long", shape) }, nil, dims)
end

local function product(sizes)
  local n = 1
  for _, size in ipairs(sizes) do n = n * size end
  return n
end

function write.Reshape(graph, module, x)
  single(graph, module, x)
  if module.batchMode == false or product(module.size) ~= perSample(x) then
    graph:refuse(module, "to %s gets %s", table.concat(module.size, "x"), table.concat(x.dims, "x"))
  end
  return reshape(graph, x, module.size)
end

-- The sizes of one sample, where they are the same for any number of samples.
local function viewOfSample(module, x)
  local sizes, n = table.move(module.size, 1, #module.size, 1, {}), perSample(x)
  if not module.hasFree then return module.count == n and sizes or nil end
  if module.nInputDims then
    if module.nInputDims ~= #x.dims - 1 or n % module.count ~= 0 then return nil end
    for i, size in ipairs(sizes) do
      if size == -1 then sizes[i] = n // module.count end
    end
    return sizes
  end
  if sizes[1] ~= -1 or module.count ~= n then return nil end -- the free size is the batch's
  table.remove(sizes, 1)
  return sizes
end

function write.View(graph, module, x)
  local sizes = viewOfSample(module, single(graph, module, x))
  if not sizes then
    graph:refuse(module, "to %s gets %s, and has no one form for any number of images", table.concat(module.size, "x"),
      table.concat(x.dims, "x"))
  end
  return reshape(graph, x, sizes)
end

function write.Flatten(graph, module, x)
  return graph:node("Flatten", { single(graph, module, x) }, { axis = 1 }, { x.dims[1], perSample(x) })
end

-- The dimension that a module means, which is not the batch's; and its size.
local function dimensionOf(graph, module, x, given)
  local isBatch = module.nInputDims and #single(graph, module, x).dims == module.nInputDims + 1
  local dim = given < 0 and #single(graph, module, x).dims + 1 + given or given + (isBatch and 1 or 0)
  if dim < 2 or dim > #x.dims then graph:refuse(module, "works along the batch") end
  return dim, x.dims[dim]
end

-- One position, from 1, along a dimension, which disappears.
local function selectOne(graph, x, dim, index)
  local dims = table.move(x.dims, 1, #x.dims, 1, {})
  table.remove(dims, dim)
  return graph:node("Gather", { x, graph:constant("long", index - 1) }, { axis = dim - 1 }, dims)
end

function write.Select(graph, module, x)
  local dim, size = dimensionOf(graph, module, x, module.dimension)
  local index = module.index < 0 and size + 1 + module.index or module.index
  if index < 1 or index > size then graph:refuse(module, "gets %s", table.concat(x.dims, "x")) end
  return selectOne(graph, x, dim, index)
end

function write.SplitTable(graph, module, x)
  local dim, size = dimensionOf(graph, module, x, module.dimension)
  local parts = {}
  for i = 1, size do parts[i] = selectOne(graph, x, dim, i) end
  return parts
end

function write.Padding(graph, module, x)
  local dim, size = dimensionOf(graph, module, x, module.dim)
  if module.index ~= 1 then graph:refuse(module, "puts its padding between elements, which ONNX does not") end
  local pads, n = {}, #x.dims
  for i = 1, 2 * n do pads[i] = 0 end
  pads[module.pad < 0 and dim or n + dim] = math.abs(module.pad)
  return graph:node("Pad", { x, graph:constant("long", pads), graph:constant("float", module.value + 0.0) }, nil,
    withDims(x, { [dim] = size + math.abs(module.pad) }))
end

function write.Narrow(graph, module, x)
  local dim, size = dimensionOf(graph, module, x, module.dimension)
  local first = module.index < 0 and size + 1 + module.index or module.index
  local length = module.length < 0 and size - first + 2 + module.length or module.length
  if first < 1 or length < 1 or first + length - 1 > size then
    graph:refuse(module, "gets %s", table.concat(x.dims, "x"))
  end
  return graph:node("Slice", { x, graph:constant("long", { first - 1 }), graph:constant("long", { first - 1 + length }),
    graph:constant("long", { dim - 1 }) }, nil, withDims(x, { [dim] = length }))
end

-- ---- The stages of a DenseNet in linear memory ----

function write.DenseBlock(graph, module, x)
  checkChannels(graph, module, single(graph, module, x, 4), module.nInput)
  for i = 1, #module.modules do x = graph:child(module, i, x) end
  return x
end

-- norm, ReLU and convolution of one step.
local function step(graph, layer, i, x)
  local function at(name, writeOne)
    return graph:inside(name, function() return writeOne(graph, layer:get(name), x) end)
  end
  x = at("norm" .. i, batchNormalization)
  x = graph:inside("relu" .. i, function() return graph:node("Relu", { x }, nil, x.dims) end)
  return at("conv" .. i, write.SpatialConvolution)
end

function write.DenseLayer(graph, module, x)
  local new = step(graph, module, 1, x)
  if module.nBottleneck then new = step(graph, module, 2, new) end
  return graph:inside("concat", function() return join(graph, module, { x, new }, 2) end)
end

function write.Transition(graph, module, x)
  x = graph:inside("norm", function() return batchNormalization(graph, module:norm(), x) end)
  x = graph:inside("relu", function() return graph:node("Relu", { x }, nil, x.dims) end)
  x = graph:inside("conv", function() return write.SpatialConvolution(graph, module:get "conv", x) end)
  return graph:inside("pool", function()
    return graph:node("AveragePool", { x }, { kernel_shape = { 2, 2 }, strides = { 2, 2 } },
      withDims(x, { [3] = x.dims[3] // 2, [4] = x.dims[4] // 2 }))
  end)
end

function write.NormReLUPool(graph, module, x)
  x = batchNormalization(graph, module:norm(), x)
  x = graph:node("Relu", { x }, nil, x.dims)
  return write.GlobalAveragePooling(graph, module, x)
end

return write
