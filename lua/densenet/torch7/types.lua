--- Torch7's names of types of tensors, "torch.FloatTensor", and what stands for them here: an element type and
-- a device. Types of whole numbers with a sign are long, those of 8 bits byte; the types of CUDA are on the first
-- GPU, or on the CPU where there is none.

local argument = require "densenet.argument"
local core = require "densenet.core"

local types = {}

local DTYPES = {
  Float = "float", Double = "double", Half = "half", BFloat16 = "bfloat16",
  Long = "long", Int = "long", Short = "long", Byte = "byte", Char = "byte",
}

-- The one name of each that a tensor tells.
local KINDS = { float = "Float", double = "Double", half = "Half", bfloat16 = "BFloat16", long = "Long", byte = "Byte" }

--- Kinds by the word before "Tensor" or "Storage": {dtype =, isCuda =}.
types.kinds = { Cuda = { dtype = "float", isCuda = true } }
for word, dtype in pairs(DTYPES) do
  types.kinds[word] = { dtype = dtype, isCuda = false }
  types.kinds["Cuda" .. word] = { dtype = dtype, isCuda = true }
end

local gpu

--- The name of the first GPU, or "cpu" where there is none.
function types.gpu()
  gpu = gpu or core.device_find("cuda") and "cuda:0" or "cpu"
  return gpu
end

--- Whether there is a GPU.
function types.hasGpu() return types.gpu() ~= "cpu" end

--- The device of a kind.
function types.deviceOf(kind) return kind.isCuda and types.gpu() or "cpu" end

--- Torch7's name of a type: "torch.FloatTensor".
-- @param dtype element type
-- @param device its name
-- @param what "Tensor" or "Storage"
function types.nameOf(dtype, device, what)
  local word = KINDS[dtype]
  if device ~= "cpu" then word = word == "Float" and "Cuda" or "Cuda" .. word end
  return "torch." .. word .. what
end

--- The kind that a name stands for: "torch.FloatTensor", or an element type's own name.
-- @param position of the argument, for the error
-- @param method likewise
-- @return {dtype =, isCuda =}; isCuda is nil for an element type's name, which says nothing of the device
function types.find(position, method, name)
  if type(name) == "string" then
    if KINDS[name] then return { dtype = name } end
    local kind = types.kinds[name:match("^torch%.(%w-)Tensor$") or ""]
    if kind then return kind end
  end
  argument.refuse(position, method, name, "the name of a type, such as 'torch.FloatTensor',")
end

return types
