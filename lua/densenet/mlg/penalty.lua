--- The penalty that keeps the vectors in factors near orthonormal ("multi-level orthonormality"), on the trained
-- numbers themselves:
--
--    level 1, 2 or more basis kernels   the basis kernels of each kernel, as rows; the columns of each coeffIn
--    level 2 alone                      the kernels, as rows
--    level 2                            the columns of coeffOut
--
-- each the mean of (Y·Yᵀ − I)², columns divided by their norm. A single vector, and a quantised weight, have none. The
-- penalty of a network is the sum over layers and terms.
-- Source: Gu et al. 2021 (arXiv:2108.11430), as its authors' program computes it.
-- @module densenet.mlg.penalty

local capture = require "densenet.capture"
local core = require "densenet.core"
local buffer = require "densenet.nn.buffer"
local generatedWeight = require "densenet.nn.generated_weight"

-- The vectors of a layer: { tensor, gradient, sizes G,M,K, are they columns? } each.
local function termsOf(module)
  local basis, coeffIn, coeffOut, terms = module.basis, module.coeffIn, module.coeffOut, {}
  local nKernels = basis:size(1)
  if coeffIn and coeffIn:size(3) > 1 then
    local nBases = basis:size(2)
    terms[1] = { basis, module.gradBasis, { nKernels, nBases, basis:nElement() // (nKernels * nBases) }, false }
    terms[2] = { coeffIn, module.gradCoeffIn, coeffIn:size(), true }
  elseif not coeffIn and coeffOut then
    terms[1] = { basis, module.gradBasis, { 1, nKernels, basis:nElement() // nKernels }, false }
  end
  if coeffOut then
    terms[#terms + 1] = { coeffOut, module.gradCoeffOut, { 1, coeffOut:size(1), coeffOut:size(2) }, true }
  end
  return terms
end

--- Adds the penalty's gradient, times weight, to the factors' gradients. Call it once a step, after replicas have
-- added up theirs; it depends on no batch and on no loss scale. Frozen layers have none.
-- @param model any module
-- @tparam[opt=1] number weight λ
-- @treturn number the penalty, not times weight; in a captured step the tensor that it is in
return function(model, weight)
  local loss
  for _, module in ipairs(generatedWeight.of(model)) do
    if not module.frozen then
      for _, term in ipairs(termsOf(module)) do
        local tensor, gradient, sizes, areColumns = table.unpack(term)
        if not loss then
          loss = buffer.shaped(model.scratch, "penalty", tensor, 1)
          core.fill(loss, 0)
        end
        core.orthonormality(loss, gradient:view(sizes), tensor:view(sizes), areColumns, weight or 1)
      end
    end
  end
  if capture.isOn() then return loss end
  return loss and loss:item() or 0.0
end
