--- Fields of modules and criterions as Torch7 has them, and as they are here: what torch.save adds for Torch7, and what
-- torch.load makes of objects that Torch7 saved.
--
-- Most fields are called alike. What Torch7 needs besides is added when an object is saved, so that it finds what its
-- own modules have; buffers in `scratch` are left out, and made anew.

local argument = require "densenet.argument"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local shallowCopy = require "densenet.shallow_copy"
local storage = require "densenet.torch7.storage"
local types = require "densenet.torch7.types"

local exchange = {}

local REAL = { float = true, double = true, half = true, bfloat16 = true }
local NORM_VERSION = 2 -- of batch norms with running_var in place of running_std

local function isComputing(object) return argument.isCallable(object.updateOutput) end

-- "SpatialConvolution" for nn's and cudnn's.
local function shortName(object) return (object.__typename:gsub("^cudnn%.", ""):gsub("^nn%.", "")) end

local function listOf(value)
  if core.is_tensor(value) or storage.isStorage(value) then value = value:totable() end
  return type(value) == "table" and table.move(value, 1, #value, 1, {}) or {}
end

-- ---- By class: add(fields, object) what Torch7 has; take(object) what is here ----

local add, take = {}, {}

local function refuse(object, reason) argument.raise("torch.load: a %s %s", object.__typename, reason) end

local function addPooling(fields, object)
  fields.ceil_mode, fields.count_include_pad = object.ceilMode, object.countPadding
end

local function takePooling(object)
  object.ceilMode, object.countPadding = object.ceil_mode == true, object.count_include_pad ~= false
  object.padW, object.padH = object.padW or 0, object.padH or 0
end

add.SpatialMaxPooling, add.SpatialAveragePooling = addPooling, addPooling
take.SpatialMaxPooling, take.SpatialAveragePooling = takePooling, takePooling

function add.SpatialBatchNormalization(fields) fields.nDim = 4 end

function add.BatchNormalization(fields) fields.nDim = 2 end

function take.SpatialBatchNormalization(object)
  local std = object.running_std
  if core.is_tensor(std) then
    local var = core.tensor_new("cpu", "double", std:size())
    core.copy(var, std)
    core.binary_scalar(var, var, -2, "pow")
    core.binary_scalar(var, var, object.eps, "sub")
    object.running_var = core.tensor_new(std:device(), std:dtype(), std:size())
    core.copy(object.running_var, var)
    object.running_std = nil
  end
  if not core.is_tensor(object.running_mean) or not core.is_tensor(object.running_var) then
    refuse(object, "without running statistics")
  end
  object.nChannels, object.affine = object.running_mean:size(1), object.weight ~= nil
  object.momentum = object.momentum or 0.1
end

take.BatchNormalization = take.SpatialBatchNormalization

function take.SpatialConvolution(object)
  object.groups, object.padW, object.padH = object.groups or 1, object.padW or 0, object.padH or 0
  local weight = object.weight
  if core.is_tensor(weight) and weight:dim() == 2 then
    object.weight = weight:view { object.nOutputPlane, object.nInputPlane // object.groups, object.kH, object.kW }
    object.gradWeight = nil
  end
end

function take.Linear(object)
  local weight = object.weight
  if core.is_tensor(weight) then object.nOutputs, object.nInputs = weight:size(1), weight:size(2) end
end

function add.ReLU(fields) fields.threshold, fields.val = 0, 0 end

function take.ReLU(object)
  if (object.threshold or 0) ~= 0 or (object.val or 0) ~= 0 then refuse(object, "with a threshold other than 0") end
  object.inplace = object.inplace == true
end

function add.Dropout(fields) fields.v2, fields.noise = true, core.tensor_new("cpu", "float", { 0 }) end

function take.Dropout(object)
  if object.v2 == false then refuse(object, "of Torch7's first kind, which scales in evaluation") end
end

function add.View(fields, object)
  fields.size = storage.sizes(listOf(object.size))
  fields.numElements, fields.numInputDims = object.hasFree and -object.count or object.count, object.nInputDims
end

function take.View(object)
  object.size, object.count, object.hasFree = listOf(object.size), 1, false
  for _, size in ipairs(object.size) do
    if size == -1 then object.hasFree = true else object.count = object.count * size end
  end
  object.nInputDims = object.numInputDims
end

function add.Reshape(fields, object)
  local batch = listOf(object.size)
  table.insert(batch, 1, 1)
  fields.size, fields.batchsize = storage.sizes(listOf(object.size)), storage.sizes(batch)
  fields.nelement = object.nElements
end

function take.Reshape(object)
  object.size, object.nElements, object.batchsize = listOf(object.size), 1, nil
  for _, size in ipairs(object.size) do object.nElements = object.nElements * size end
end

function add.Concat(fields) fields.size = storage.sizes {} end

function take.Concat(object) object.outputs, object.size = {}, nil end

-- ---- All of them ----

--- The fields of an object for a .t7 file, and the version of its class there.
-- @param object of a class
-- @treturn table fields: the object itself where nothing is to change
-- @treturn integer version
function exchange.toTorch7(object)
  if not isComputing(object) then return object, 1 end
  local fields = shallowCopy(object)
  fields.scratch, fields.planFailure = nil, nil
  if core.is_tensor(fields.output) and fields.output:isFreed() then -- of an evaluation by a plan
    fields.output = core.tensor_new("cpu", object._type, { 0 })
  end
  local activations = object._activations
  if activations then fields._type = types.nameOf(activations, object._device or "cpu", "Tensor") end
  local short = shortName(object)
  if add[short] then add[short](fields, object) end
  return fields, short:find "BatchNormalization$" and NORM_VERSION or 1
end

-- Gradients that were left out of the file.
local function addGradients(object)
  for _, pair in ipairs(object.parameterFields or {}) do
    local weight, gradient = object[pair[1]], object[pair[2]]
    local isThere = core.is_tensor(gradient) and core.is_tensor(weight) and buffer.sameSize(weight, gradient)
    if core.is_tensor(weight) and not isThere then
      object[pair[2]] = core.tensor_new(weight:device(), weight:dtype(), weight:size())
      core.fill(object[pair[2]], 0)
    end
  end
end

local function addNames(object)
  object.names = type(object.names) == "table" and object.names or {}
  for i = 1, #object.modules do
    if object.names[i] == nil then object.names[i] = false end
  end
end

--- Makes an object that was loaded, with its class, what the class expects.
-- @param object whose fields are as toTorch7 or Torch7 wrote them
function exchange.fromTorch7(object)
  if not isComputing(object) then return end
  local word = type(object._type) == "string" and object._type:match "^torch%.(%w-)Tensor$"
  local kind = types.kinds[word or ""]
  if kind and REAL[kind.dtype] then
    object._activations = kind.dtype
    object._type, object._device = buffer.parameterType(kind.dtype), types.deviceOf(kind)
  end
  object.scratch = object.scratch or {}
  local short = shortName(object)
  if take[short] then take[short](object) end
  addGradients(object)
  if type(object.modules) == "table" then addNames(object) end
end

return exchange
