--- The global `torch`.

local argument = require "densenet.argument"
local core = require "densenet.core"
local dn = require "densenet"
local constructors = require "densenet.constructors"
local functions = require "densenet.functions"
local random = require "densenet.random"
local class = require "densenet.torch7.class"
local serialize = require "densenet.torch7.serialize"
local storage = require "densenet.torch7.storage"
local tensor = require "densenet.torch7.tensor"
local types = require "densenet.torch7.types"

local torch = {}

-- ---- Types and classes ----

for word in pairs(types.kinds) do
  torch[word .. "Tensor"] = tensor.class(word)
  torch[word .. "Storage"] = storage.constructor(word)
end
torch.Tensor = setmetatable({ new = tensor.ofDefaultType }, {
  __index = core.tensor_methods,
  __call = function(_, ...) return tensor.ofDefaultType(...) end,
})

function torch.Storage(...)
  return storage.constructor(torch.getdefaulttensortype():match("^torch%.(%w-)Tensor$"))(...)
end

torch.class, torch.typename, torch.type, torch.isTypeOf = class.make, class.typename, class.type, class.isTypeOf
torch.setmetatable, torch.getmetatable = class.setmetatable, class.find

torch.isTensor = core.is_tensor

function torch.isStorage(value) return storage.isStorage(value) or storage.isSizes(value) end

--- The type of torch.Tensor and of modules made from now on: 'torch.FloatTensor' or 'torch.DoubleTensor'.
function torch.setdefaulttensortype(name)
  local kind = types.find(1, "torch.setdefaulttensortype", name)
  if kind.dtype ~= "float" and kind.dtype ~= "double" then
    argument.refuse(1, "torch.setdefaulttensortype", name, "torch.FloatTensor or torch.DoubleTensor")
  end
  constructors.setDefaultType(kind.dtype)
end

function torch.getdefaulttensortype() return types.nameOf(constructors.getDefaultType(), "cpu", "Tensor") end

torch.Timer = require "densenet.torch7.timer"
torch.CmdLine = require "densenet.torch7.cmd_line"
torch.DiskFile = require "densenet.torch7.disk_file"
torch.save, torch.load = serialize.save, serialize.load
for _, made in ipairs { torch.Timer, torch.CmdLine, torch.DiskFile } do class.register(made.__typename, made) end

-- ---- Threads, time, random numbers ----

function torch.setnumthreads(n) core.threads(argument.integer(1, "torch.setnumthreads", n, 1, "n")) end

function torch.getnumthreads() return core.threads() end

function torch.tic() return core.clock() end

function torch.toc(since) return core.clock() - argument.number(1, "torch.toc", since) end

function torch.manualSeed(seed) random.seed(math.floor(argument.number(1, "torch.manualSeed", seed, "seed"))) end

--- Seeds the generator with the time. @return the seed
function torch.seed()
  local seed = os.time()
  random.seed(seed)
  return seed
end

function torch.initialSeed() return random.state().seed end

--- The generator's state, for setRNGState: a table.
function torch.getRNGState() return random.state() end

function torch.setRNGState(state) random.setState(state) end

--- A whole number: of 32 bits; from 1 to high; from low to high.
function torch.random(low, high)
  if low == nil then return random.default:integer(1 << 32) - 1 end
  if high == nil then low, high = 1, low end
  low = argument.integer(1, "torch.random", low, nil, "low")
  high = argument.integer(2, "torch.random", high, low, "high")
  return low - 1 + random.default:integer(high - low + 1)
end

function torch.uniform(low, high) return random.default:uniform(low, high) end

function torch.normal(mean, deviation) return random.default:normal(mean, deviation) end

--- 1 with probability p (0.5), else 0.
function torch.bernoulli(p) return random.default:uniform() < (p or 0.5) and 1 or 0 end

-- ---- Functions of tensors ----

for _, name in ipairs { "zeros", "ones", "rand", "randn", "randperm", "range" } do torch[name] = constructors[name] end

torch.cat = tensor.cat

--- n numbers from `first` to `last`, both included (100).
function torch.linspace(first, last, n)
  n = argument.optional("integer", 100, 3, "torch.linspace", n, 1, "n")
  local values = {}
  for i = 1, n do values[i] = n == 1 and first or first + (last - first) * (i - 1) / (n - 1) end
  return constructors.tensor(values)
end

--- A matrix with ones in its diagonal.
function torch.eye(n, m)
  local matrix = constructors.zeros(n, m or n)
  for i = 1, math.min(n, m or n) do matrix[{ i, i }] = 1 end
  return matrix
end

for name, each in pairs(functions) do torch[name] = each end

local OF_NUMBERS = {
  abs = math.abs, ceil = math.ceil, floor = math.floor, exp = math.exp, log = math.log, sqrt = math.sqrt,
  cos = math.cos, sin = math.sin, tan = math.tan, acos = math.acos, asin = math.asin, atan = math.atan,
  pow = function(x, y) return x ^ y end,
  sign = function(x) return x > 0 and 1 or x < 0 and -1 or 0 end,
  round = function(x) return x < 0 and math.ceil(x - 0.5) or math.floor(x + 0.5) end,
  tanh = function(x) return 1 - 2 / (math.exp(2 * x) + 1) end,
  sigmoid = function(x) return 1 / (1 + math.exp(-x)) end,
}

-- torch.add(a, b) is a new tensor; torch.add(result, a, b) and torch.exp(result, a) write into the first one.
local function ofTensors(name, isUnary)
  return function(first, second, ...)
    argument.tensor(1, name, first)
    local hasResult = core.is_tensor(second) and (isUnary or (...) ~= nil)
    local target = hasResult and first or first:clone()
    return target[name](target, second, ...)
  end
end

local BINARY = { "add", "sub", "csub", "mul", "cmul", "div", "cdiv", "cpow", "cmin", "cmax", "addcmul", "addcdiv" }
for _, name in ipairs(BINARY) do torch[name] = ofTensors(name, false) end
for _, name in ipairs { "neg", "abs", "sign", "square", "sqrt", "exp", "log", "floor", "ceil", "round", "tanh",
  "sigmoid", "log1p", "cinv", "rsqrt", "pow", "clamp" } do
  torch[name] = ofTensors(name, name ~= "pow" and name ~= "clamp")
end

for name, ofNumber in pairs(OF_NUMBERS) do
  local ofTensor = rawget(torch, name)
  torch[name] = function(first, ...)
    if type(first) == "number" then return ofNumber(first, ...) end
    if not ofTensor then argument.refuse(1, "torch." .. name, first, "a number (there is none for tensors)") end
    return ofTensor(first, ...)
  end
end

for _, name in ipairs { "typeAs", "split", "chunk", "repeatTensor", "expand", "view", "transpose", "t", "narrow",
  "select", "all", "any" } do
  torch[name] = function(t, ...)
    argument.tensor(1, "torch." .. name, t)
    return t[name](t, ...)
  end
end

torch.version = dn.version

for _, name in ipairs { "serialize", "deserialize", "PipeFile", "MemoryFile", "Tester", "TestSuite", "gels", "svd",
  "inverse", "symeig", "histc", "multinomial", "conv2", "xcorr2" } do
  torch[name] = function() argument.raise("torch.%s is not there", name) end
end

return argument.closed(torch, "torch")
