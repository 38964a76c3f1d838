--- How large a network is: by the paper's accounting, and in a packed file.
-- @module densenet.mlg.size

local generatedWeight = require "densenet.nn.generated_weight"
local stateDict = require "densenet.nn.state_dict"

local BITS_OF_FLOAT = 32

--- Counts a network's numbers and bits. Ordinary parameters, biases and batch norms' weights and biases have 32 bits
-- each; scales and running statistics are not in `bits`, as in the paper's Table 2, and are in contentBytes.
-- @param model any module
-- @treturn table parameters; bits; of the same network with ordinary weights referenceParameters and referenceBits; the
-- shares parameterRatio and bitRatio; contentBytes, what a packed file holds beside names; generated, quantized:
-- numbers of layers
return function(model)
  local size = { parameters = 0, bits = 0, referenceParameters = 0, contentBytes = 0, generated = 0, quantized = 0 }
  local bitsOf = {}
  for _, module in ipairs(generatedWeight.of(model)) do
    local nFactors = 0
    for _, factor in ipairs(module:factors()) do
      bitsOf[factor.tensor] = factor.bits
      nFactors = nFactors + factor.tensor:nElement()
    end
    size.referenceParameters = size.referenceParameters + module.weight:nElement() - nFactors
    local what = (module.coeffIn or module.coeffOut) and "generated" or "quantized"
    size[what] = size[what] + 1
  end
  for _, entry in ipairs(stateDict.entries(model)) do
    local tensor = stateDict.tensor(entry)
    local n, bits = tensor:nElement(), bitsOf[tensor] or BITS_OF_FLOAT
    if not entry.isState then
      size.parameters, size.bits = size.parameters + n, size.bits + bits * n
    end
    local scaleBytes = bits < BITS_OF_FLOAT and 4 or 0
    size.contentBytes = size.contentBytes + (bits * n + 7) // 8 + scaleBytes
  end
  size.referenceParameters = size.referenceParameters + size.parameters
  size.referenceBits = BITS_OF_FLOAT * size.referenceParameters
  size.parameterRatio = size.parameters / size.referenceParameters
  size.bitRatio = size.bits / size.referenceBits
  return size
end
