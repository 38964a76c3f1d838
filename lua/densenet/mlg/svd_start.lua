--- Factors of a weight by truncated singular value decompositions: where densenet.mlg.project starts.
-- @module densenet.mlg.svd_start

local core = require "densenet.core"
local generatedWeight = require "densenet.nn.generated_weight"
local latent = require "densenet.mlg.latent"

local svdStart = {}

local MOST_VALUE = 0.9 -- of a quantised factor to begin with: tanh leaves no more than 1

local function new(...) return core.tensor_new("cpu", "double", { ... }) end

local function contiguous(view)
  local copy = core.tensor_new("cpu", "double", view:size())
  core.copy(copy, view)
  return copy
end

-- The first k vectors of each matrix of a, G,M,N: left G,M,k and right G,k,N, one of them times the singular values.
local function truncated(a, k, isLeftScaled)
  local g, m, n = table.unpack(a:size())
  local most = math.min(m, n)
  local u, s, v = new(g, m, most), new(g, most), new(g, most, n)
  core.svd(u, s, v, a)
  local left, right = contiguous(u:narrow(3, 1, k)), contiguous(v:narrow(2, 1, k))
  local values = contiguous(s:narrow(2, 1, k))
  if isLeftScaled then
    core.binary(left, left, values:view(g, 1, k), "mul")
  else
    core.binary(right, right, values:view(g, k, 1), "mul")
  end
  return left, right
end

--- Level 2, then level 1 kernel by kernel.
-- @tparam tensor weight O,C,S in double on the CPU
-- @tparam ?integer baseIn B; nil without level 1
-- @tparam ?integer baseOut P; nil without level 2
-- @treturn table basis P,B,S, coeffIn P,C,B and coeffOut O,P, of those there are
function svdStart.factors(weight, baseIn, baseOut)
  local nOutputs, nInputs, nTaps = table.unpack(weight:size())
  local values, rest, nKernels = {}, weight, nOutputs
  if baseOut then
    local left, right = truncated(weight:view(1, nOutputs, nInputs * nTaps), baseOut, false)
    values.coeffOut, rest, nKernels = left:view(nOutputs, baseOut), right:view(baseOut, nInputs, nTaps), baseOut
  end
  if baseIn then
    values.coeffIn, rest = truncated(rest:view(nKernels, nInputs, nTaps), baseIn, true)
  end
  values.basis = rest
  return values
end

local function largest(value)
  local size, ones = new(table.unpack(value:size())), {}
  core.unary(size, value, "abs")
  for d = 1, value:dim() do ones[d] = 1 end
  local result = new(table.unpack(ones))
  core.reduce(result, size, "max")
  return result:item()
end

-- What each factor's largest value should be, so that the product stays: all the same, their geometric mean. A
-- quantised factor takes 0.9 at most; what that lacks goes to those that are not quantised, where there are some.
local function targets(factors, sizes)
  local product, nQuantized = 1, 0
  for i, factor in ipairs(factors) do
    product = product * sizes[i]
    if factor.bits ~= generatedWeight.NOT_QUANTIZED then nQuantized = nQuantized + 1 end
  end
  local mean, nOthers = product ^ (1 / #factors), #factors - nQuantized
  local held = math.min(mean, MOST_VALUE)
  local open = nOthers > 0 and mean * (mean / held) ^ (nQuantized / nOthers) or mean
  return held, open, nQuantized
end

--- Gives a module's factors these values, as near as they can have them: scale is spread over the factors, and the
-- numbers behind quantised ones are atanh of the values.
-- @param module an nn.MLGConvolution or nn.MLGLinear
-- @tparam table values by name, as svdStart.factors gives them
function svdStart.put(module, values)
  local factors, sizes, isZero = module:factors(), {}, false
  for i, factor in ipairs(factors) do
    sizes[i] = largest(values[factor.name])
    isZero = isZero or sizes[i] == 0
  end
  local held, open, nQuantized = targets(factors, sizes)
  for i, factor in ipairs(factors) do
    local value = values[factor.name]
    local isQuantized = factor.bits ~= generatedWeight.NOT_QUANTIZED
    if nQuantized > 0 and not isZero then
      core.binary_scalar(value, value, (isQuantized and held or open) / sizes[i], "mul")
    end
    latent.copy(value, value, factor.bits)
    core.copy(factor.tensor, value:view(factor.tensor:size()))
  end
  module.isGenerated = false
end

--- A module's factors from a weight of its weight's sizes.
function svdStart.start(module, weight)
  local exact = core.tensor_new("cpu", "double", weight:size())
  core.copy(exact, weight)
  local sizes = weight:size()
  local flat = exact:view(sizes[1], sizes[2], exact:nElement() // (sizes[1] * sizes[2]))
  svdStart.put(module, svdStart.factors(flat, module.coeffIn and module.coeffIn:size(3),
    module.coeffOut and module.coeffOut:size(2)))
end

return svdStart
