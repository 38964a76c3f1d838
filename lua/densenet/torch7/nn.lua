--- Modules and criterions as Torch7 has them, where densenet's differ: names of types, cuda(), classes that the
-- cudnn package makes of them, and modules of Torch7's packages for several GPUs.

local argument = require "densenet.argument"
local nn = require "densenet.nn"
local class = require "densenet.torch7.class"
local types = require "densenet.torch7.types"

local Module, Criterion = nn.Module, nn.Criterion

-- ---- Types ----

local SIXTEEN_BIT = { half = true, bfloat16 = true }
local REAL = { float = true, double = true, half = true, bfloat16 = true }

local moduleType = Module.type

--- Torch7's name of the module's type, that of its inputs; with one, the module as that.
function Module:type(name)
  if name == nil then return types.nameOf(moduleType(self), self._device, "Tensor") end
  local kind = types.find(1, "type", name)
  if not REAL[kind.dtype] then argument.refuse(1, "type", name, "a type of real numbers") end
  moduleType(self, kind.dtype)
  if kind.isCuda == nil or types.deviceOf(kind) == self._device then return self end
  return self:to(types.deviceOf(kind))
end

local criterionType = Criterion.type

--- Converts what the criterion holds: losses of 16-bit inputs are float.
function Criterion:type(name)
  if name == nil then return self._torchType or types.nameOf("float", "cpu", "Tensor") end
  local kind = types.find(1, "type", name)
  if not REAL[kind.dtype] then argument.refuse(1, "type", name, "a type of real numbers") end
  criterionType(self, SIXTEEN_BIT[kind.dtype] and "float" or kind.dtype)
  if kind.isCuda ~= nil then self:to(types.deviceOf(kind)) end
  self._torchType = name
  return self
end

for _, parent in ipairs { Module, Criterion } do
  function parent:cuda() return self:type("torch.CudaTensor") end
  function parent:float() return self:type("torch.FloatTensor") end
  function parent:double() return self:type("torch.DoubleTensor") end
  function parent:half() return self:type("torch.HalfTensor") end
end

-- ---- Methods of modules ----

--- This module and every one inside it.
function Module:listModules()
  local list = {}
  self:apply(function(module) list[#list + 1] = module end)
  return list
end

--- weight -= learningRate * gradient, without keeping the gradient.
function Module:accUpdateGradParameters(input, gradOutput, learningRate)
  argument.number(3, "accUpdateGradParameters", learningRate, "learningRate")
  local gradWeight, gradBias = self.gradWeight, self.gradBias
  self.gradWeight, self.gradBias = self.weight, self.bias
  self:accGradParameters(input, gradOutput, -learningRate)
  self.gradWeight, self.gradBias = gradWeight, gradBias
end

--- change(module) in place of this module and, inside it, of every other one.
function Module:replace(change)
  local new = argument.callable(1, "replace", change)(self)
  for i, child in ipairs(new.modules or {}) do new.modules[i] = child:replace(change) end
  return new
end

local containerReplace = nn.Container.replace

--- replace(change) as above, and densenet's replace(which, module).
function nn.Container:replace(which, module)
  if module == nil then return Module.replace(self, which) end
  return containerReplace(self, which, module)
end

--- All parameters by the number of their device, and all gradients likewise.
function Module:getParametersByDevice()
  local weights, gradients = self:getParameters()
  local device = (tonumber(self._device:match(":(%d+)$")) or 0) + 1
  return { [device] = weights }, { [device] = gradients }
end

function Module.flattenParameters()
  argument.raise("flattenParameters is not there; module:getParameters() makes one vector of the parameters")
end

-- ---- cudnn's classes: nn's under other names ----

--- A class of cudnn: nn's of that name, whose objects have another typename.
function class.ofCudnn(short, construct)
  local name, parent = "cudnn." .. short, nn[short]
  local made = nn.class(name, parent)
  if construct then
    function made:__init(...) construct(self, parent, ...) end
  end
  function made:setMode() return self end
  function made:__tostring__() return (parent.__tostring__(self):gsub("^nn%.", "cudnn.")) end
  return class.register(name, made)
end

-- ---- Several GPUs ----

local hasSaid = false

--- nn.DataParallelTable(dim, ...): the module added to it computes on the one device it is on.
local DataParallelTable, sequential = class.make("nn.DataParallelTable", "nn.Sequential", nn)

function DataParallelTable:__init()
  sequential.__init(self)
  if not hasSaid then
    hasSaid = true
    io.stderr:write("nn.DataParallelTable: all of a batch is computed on one device.\n")
  end
end

--- Adds the module; a second one is refused.
function DataParallelTable:add(module)
  if #self.modules > 0 then argument.raise("nn.DataParallelTable holds one module") end
  sequential.add(self, module)
  return self
end

function DataParallelTable:threads() return self end

function DataParallelTable:syncParameters() return self end

return nn
