--- A weight that is made from trained factors: what nn.MLGConvolution and nn.MLGLinear have in common.
--
--    kernels p = coeffIn p · basis p       level 1: C,B · B,S   for p = 1..P
--    weight    = coeffOut · kernels        level 2: O,P · P,C·S
--
-- basis P,B,kH,kW (P,C,kH,kW without level 1), coeffIn P,C,B and coeffOut O,P are the parameters; each is
-- quantised to some bits on its way (src/dn_quantize.h). A level is on only where it makes something smaller:
-- 0 < baseIn < min(C, S), 0 < baseOut < min(O, C·S), S = kH·kW; with neither, the basis alone is the weight,
-- quantised. `weight` and `gradWeight` are fields of the usual shape, but no parameters: whatever computes with a
-- convolution reads the one and adds to the other, and does not know.
--
-- The weight is made when a network's forward begins: in training each time, in evaluation where the factors may
-- have changed since (a step, a state loaded, a conversion). Who changes factors by hand calls `generate`. The
-- factors' gradients are made of gradWeight by `pull`, once a step: optimizers, optim.LossScale and
-- optim.clipGradNorm do it first, and who reads gradients before them calls generatedWeight.pull(model). The
-- gradient's limit then counts once for the sum over micro-batches.
--
-- Where replicas of a network share a step, gradWeight is what they add up, and each pulls the sum: the same as one
-- replica with the whole batch (weightGradients, reducible).
--
-- Source: Gu et al. 2021 (arXiv:2108.11430).
-- @module densenet.nn.generated_weight

local argument = require "densenet.argument"
local core = require "densenet.core"

local generatedWeight = {}

--- Bits of a factor that is not quantised.
generatedWeight.NOT_QUANTIZED = 32

--- Pairs of fields: what is trained, and its gradient. The bias is an ordinary parameter.
generatedWeight.FACTORS = { { "basis", "gradBasis" }, { "coeffIn", "gradCoeffIn" }, { "coeffOut", "gradCoeffOut" } }

--- Which levels a layer has.
-- @tparam integer nOutputs O
-- @tparam integer nInputs C
-- @tparam integer nTaps S
-- @tparam integer baseIn B wanted; 0: level 1 is off
-- @tparam integer baseOut P wanted; 0: level 2 is off
-- @treturn boolean level 1
-- @treturn boolean level 2
function generatedWeight.levels(nOutputs, nInputs, nTaps, baseIn, baseOut)
  return baseIn > 0 and baseIn < math.min(nInputs, nTaps), baseOut > 0 and baseOut < math.min(nOutputs, nInputs * nTaps)
end

local OPTIONS = { baseIn = 0, baseOut = 0, basisBits = 32, coeffInBits = 32, coeffOutBits = 32 }

local function isBits(value) return value >= 2 and value <= 16 or value == generatedWeight.NOT_QUANTIZED end

--- Options of a layer, complete.
-- @tparam integer number of the argument, for messages
-- @tparam string name of the function, for messages
-- @tparam ?table options baseIn, baseOut (0), basisBits, coeffInBits, coeffOutBits (32; 2 to 16 are quantised)
-- @treturn table
-- @raise one sentence, where an option is none or out of range
function generatedWeight.options(number, name, options)
  options = options == nil and {} or argument.table(number, name, options, "factors")
  local complete = {}
  for option in pairs(options) do
    if not OPTIONS[option] then
      argument.raise("bad argument #%d to '%s' (there is no option '%s'%s; there are baseIn, baseOut, basisBits, "
        .. "coeffInBits, coeffOutBits)", number, name, tostring(option), argument.nearest(tostring(option), OPTIONS))
    end
  end
  for option, usual in pairs(OPTIONS) do
    local value = argument.optional("integer", usual, number, name, options[option], 0, option)
    if option:find "Bits$" and not isBits(value) then
      argument.refuse(number, name, value, "2 to 16, or 32", option)
    end
    complete[option] = value
  end
  return complete
end

local methods = {}

--- Adds the methods and fields below to a class.
-- @param class whose objects have `weight` and `gradWeight`
-- @param parent of the class
function generatedWeight.extend(class, parent)
  for name, method in pairs(methods) do class[name] = method end
  class.parameterFields = { table.unpack(generatedWeight.FACTORS) }
  class.parameterFields[#class.parameterFields + 1] = { "bias", "gradBias" }
  class.derivedFields = { "weight", "gradWeight" }

  -- The parent's constructor calls it before there are factors.
  function class:reset(deviation)
    parent.reset(self, deviation)
    if self.basis then self:resetFactors() end
    return self
  end

  function class:zeroGradParameters()
    parent.zeroGradParameters(self)
    core.fill(self.gradWeight, 0)
  end

  function class:clearState()
    self.isGenerated = false
    return parent.clearState(self)
  end
end

--- Makes the factors of a module whose weight exists.
-- @param module an nn.MLGConvolution or nn.MLGLinear
-- @tparam table options of generatedWeight.options
function generatedWeight.make(module, options)
  local sizes = module.weight:size()
  local nOutputs, nInputs, nTaps = sizes[1], sizes[2], (sizes[3] or 1) * (sizes[4] or 1)
  local isIn, isOut = generatedWeight.levels(nOutputs, nInputs, nTaps, options.baseIn, options.baseOut)
  module.factorBits = { options.basisBits, options.coeffInBits, options.coeffOutBits }
  module.isGenerated = false
  local nKernels = isOut and options.baseOut or nOutputs
  sizes[1], sizes[2] = nKernels, isIn and options.baseIn or nInputs
  module.basis, module.gradBasis = module:newTensor(table.unpack(sizes)), module:newTensor(table.unpack(sizes))
  if isIn then
    module.coeffIn = module:newTensor(nKernels, nInputs, options.baseIn)
    module.gradCoeffIn = module:newTensor(nKernels, nInputs, options.baseIn)
  end
  if isOut then
    module.coeffOut, module.gradCoeffOut = module:newTensor(nOutputs, nKernels), module:newTensor(nOutputs, nKernels)
  end
end

-- A tensor as O,C,S; what is left out stays so.
local function three(tensor)
  if not tensor then return nil end
  return tensor:view(tensor:size(1), tensor:size(2), tensor:nElement() // (tensor:size(1) * tensor:size(2)))
end

--- Makes the weight from the factors as they are now.
-- @return the module
function methods:generate()
  core.mlg_generate(three(self.weight), three(self.basis), self.coeffIn, self.coeffOut, table.unpack(self.factorBits))
  self.isGenerated = true
  return self
end

--- Adds what gradWeight makes of the factors' gradients to them, and sets gradWeight to 0: a second call adds
-- nothing. A step may follow, so the weight counts as old from here on.
-- @return the module
function methods:pull()
  self.isGenerated, self.isPulled = false, true
  if not self.frozen then
    core.mlg_pull(three(self.gradBasis), self.gradCoeffIn, self.gradCoeffOut, three(self.gradWeight),
      three(self.basis), self.coeffIn, self.coeffOut, table.unpack(self.factorBits))
  end
  core.fill(self.gradWeight, 0)
  return self
end

--- New factors, normal: the basis of deviation √(2/(O·S)), coeffIn √(2/(P·B)), coeffOut √(2/O); without levels
-- the basis is what `weight` holds.
function methods:resetFactors()
  self.isGenerated = false
  if not self.coeffIn and not self.coeffOut then
    core.copy(self.basis, self.weight)
    return
  end
  local nOutputs, nTaps = self.weight:size(1), three(self.weight):size(3)
  self.basis:normal(0, math.sqrt(2 / (nOutputs * nTaps)))
  if self.coeffIn then self.coeffIn:normal(0, math.sqrt(2 / (self.coeffIn:size(1) * self.coeffIn:size(3)))) end
  if self.coeffOut then self.coeffOut:normal(0, math.sqrt(2 / nOutputs)) end
end

--- The factors there are, in order.
-- @treturn table list of { name=, tensor=, gradient=, bits= }
function methods:factors()
  local list = {}
  for i, pair in ipairs(generatedWeight.FACTORS) do
    if self[pair[1]] then
      list[#list + 1] = { name = pair[1], tensor = self[pair[1]], gradient = self[pair[2]], bits = self.factorBits[i] }
    end
  end
  return list
end

--- "2 of 12 in, 6 of 12 out, 4-6-4 bits" of the levels there are.
function methods:factorText()
  local parts, bits = {}, {}
  if self.coeffIn then parts[1] = ("%d of %d in"):format(self.coeffIn:size(3), self.coeffIn:size(2)) end
  if self.coeffOut then
    parts[#parts + 1] = ("%d of %d out"):format(self.coeffOut:size(2), self.coeffOut:size(1))
  end
  for i, factor in ipairs(self:factors()) do bits[i] = factor.bits end
  parts[#parts + 1] = table.concat(bits, "-") .. " bits"
  return table.concat(parts, ", ")
end

-- ---- Of all modules in a network ----

--- Is a module one whose weight is generated?
function generatedWeight.is(module) return module.factorBits ~= nil end

--- The modules of a tree whose weights are generated, in order.
function generatedWeight.of(root)
  local found = {}
  root:apply(function(module)
    if generatedWeight.is(module) then found[#found + 1] = module end
  end)
  return found
end

--- Before a forward: makes the weights that are not of the factors as they are.
function generatedWeight.prepare(root)
  root:apply(function(module)
    if module.factorBits then
      if module.train or not module.isGenerated then module:generate() end
      module.isGenerated, module.isPulled = not module.train, false
    end
  end)
end

--- The factors' gradients of all modules in a tree (`pull`). Once more adds nothing.
function generatedWeight.pull(root)
  root:apply(function(module)
    if module.factorBits then module:pull() end
  end)
end

--- The same where a forward has been since the last time, as there has before every backward: for those that read
-- gradients one after the other.
function generatedWeight.pullDue(root)
  root:apply(function(module)
    if module.factorBits and not module.isPulled then module:pull() end
  end)
end

--- Says that factors may have changed: the next forward makes all weights anew.
function generatedWeight.forget(root)
  root:apply(function(module)
    if module.factorBits then module.isGenerated = false end
  end)
end

--- The gradients of the weights that are made, of all modules in a tree that are trained: what replicas of a network
-- add up beside the gradients of its parameters. The factors' own are zeros until somebody pulls, and may be added up,
-- too. A sum of the vector of parameters' gradients (getParameters) becomes right so:
--
--    backward; add up the vector; add up each of generatedWeight.weightGradients(model); step
--
-- Whoever writes the parameters, such as the first replica's into the others', calls generatedWeight.forget(model).
-- @treturn table list of tensors, in one order for all replicas
function generatedWeight.weightGradients(root)
  local list = {}
  for _, module in ipairs(generatedWeight.of(root)) do
    if not module.frozen then list[#list + 1] = module.gradWeight end
  end
  return list
end

--- All gradients that replicas have to add up, and no more: gradWeight in place of the factors'.
-- @param root any module
-- @tparam table parameters of nn.trained
-- @treturn table list of tensors, in one order for all replicas
function generatedWeight.reducible(root, parameters)
  local list, isFactor = generatedWeight.weightGradients(root), {}
  for _, module in ipairs(generatedWeight.of(root)) do
    for _, factor in ipairs(module:factors()) do
      if factor.gradient then isFactor[factor.gradient] = true end
    end
  end
  for _, parameter in ipairs(parameters) do
    if not isFactor[parameter.gradient] then list[#list + 1] = parameter.gradient end
  end
  return list
end

return generatedWeight
