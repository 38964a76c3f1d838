--- The cudnn, cunn and cutorch packages. cudnn's modules are nn's, with the strides that cudnn's poolings have by
-- default: those of the window. Its switches (benchmark, fastest) can be set and change nothing.

local argument = require "densenet.argument"
local core = require "densenet.core"
local nn = require "densenet.nn"
local random = require "densenet.random"
local class = require "densenet.torch7.class"
local tensor = require "densenet.torch7.tensor"
local types = require "densenet.torch7.types"

local cudnn = { version = 6000, benchmark = false, fastest = false, verbose = false }

local function pooling(self, parent, kW, kH, dW, dH, padW, padH)
  parent.__init(self, kW, kH, dW or kW, dH or kH, padW, padH)
end

cudnn.SpatialAveragePooling = class.ofCudnn("SpatialAveragePooling", pooling)
cudnn.SpatialMaxPooling = class.ofCudnn("SpatialMaxPooling", pooling)

for _, short in ipairs { "SpatialConvolution", "SpatialFullConvolution", "SpatialBatchNormalization",
  "BatchNormalization", "ReLU", "Tanh", "Sigmoid", "SoftMax", "LogSoftMax" } do
  cudnn[short] = class.ofCudnn(short)
end

--- Makes nn's classes of cudnn's, or the other way round: cudnn.convert(model, nn) changes the model itself.
-- @param target cudnn or nn
function cudnn.convert(model, target)
  local isToCudnn = target == cudnn
  return model:apply(function(module)
    local space, short = module.__typename:match("^(%l+)%.(%w+)$")
    local other = isToCudnn and rawget(cudnn, short or "") or rawget(nn, short or "")
    if other and space == (isToCudnn and "nn" or "cudnn") then setmetatable(module, other) end
  end)
end

local cutorch = {}

--- Seeds the default generator, which GPUs share.
function cutorch.manualSeedAll(seed) random.seed(math.floor(argument.number(1, "manualSeedAll", seed, "seed"))) end

cutorch.manualSeed = cutorch.manualSeedAll

--- How many GPUs are used: 1, or 0 where there is none.
function cutorch.getDeviceCount() return types.hasGpu() and 1 or 0 end

function cutorch.getDevice() return 1 end

--- Only the first one can be set.
function cutorch.setDevice(number)
  if number ~= 1 then argument.refuse(1, "cutorch.setDevice", number, "1, the first GPU,") end
end

function cutorch.synchronize() core.synchronize(types.gpu()) end

cutorch.synchronizeAll = cutorch.synchronize

--- Bytes that are free on the GPU, and all that it has.
function cutorch.getMemoryUsage()
  if not types.hasGpu() then argument.raise("cutorch.getMemoryUsage: there is no GPU") end
  local described = core.device_describe(types.gpu())
  return described.free, described.memory
end

cutorch.hasHalf = true

local HOST_TENSORS = { createCudaHostTensor = "float", createCudaHostDoubleTensor = "double",
  createCudaHostHalfTensor = "half", createCudaHostLongTensor = "long" }
for name, dtype in pairs(HOST_TENSORS) do
  --- A tensor on the CPU; not pinned.
  cutorch[name] = function(...) return tensor.make("cutorch." .. name, dtype, "cpu", ...) end
end

return {
  cudnn = argument.closed(cudnn, "cudnn"),
  cutorch = argument.closed(cutorch, "cutorch"),
}
