--- Which layers of a network have generated weights, and of what: a flat table, `mlg` in a network's configuration.
--
--    baseIn        2: basis kernels of level 1; 0: off
--    baseOut       0: kernels of level 2, in every layer; 0: as ratio says
--    ratio         0.5: kernels of level 2 as a share of min(outputs, inputs·kH·kW); 0: off
--    basisBits, coeffInBits, coeffOutBits   4, 6, 4: 2 to 16, or 32 for numbers as they are
--    plainBits     8: of weights that are not generated; 32 leaves those layers alone
--    linear        false: generate the last layer, too
--    rule          "saving": a layer is generated where that takes fewer bits than plainBits does; "published":
--                  wherever a level is on, and a 1x1 convolution that baseOut is too large for has
--                  ⌊0.9·min(outputs, inputs)⌋, as the paper's program has it
-- @module densenet.mlg.settings

local core = require "densenet.core"
local generatedWeight = require "densenet.nn.generated_weight"

local settings = {}

--- Words of the field `rule`.
settings.rules = { "saving", "published" }

local MOST_BASES = 1000000
local PUBLISHED_SHARE = 0.9

local DEFAULTS = { baseIn = 2, baseOut = 0, ratio = 0.5, basisBits = 4, coeffInBits = 6, coeffOutBits = 4,
  plainBits = 8, linear = false, rule = "saving" }

--- Is it a number of bits: 2 to 16, or 32?
function settings.isBits(value)
  return math.type(value) == "integer" and (value >= 2 and value <= 16 or value == generatedWeight.NOT_QUANTIZED)
end

local function isBases(value) return math.type(value) == "integer" and value >= 0 and value <= MOST_BASES end

local function isRule(value) return value == settings.rules[1] or value == settings.rules[2] end

local KINDS = {
  baseIn = { isBases, "an integer from 0 to 1000000" }, baseOut = { isBases, "an integer from 0 to 1000000" },
  ratio = { function(v) return type(v) == "number" and v >= 0 and v <= 1 end, "a number from 0 to 1" },
  basisBits = { settings.isBits, "2 to 16, or 32" }, coeffInBits = { settings.isBits, "2 to 16, or 32" },
  coeffOutBits = { settings.isBits, "2 to 16, or 32" }, plainBits = { settings.isBits, "2 to 16, or 32" },
  linear = { function(v) return type(v) == "boolean" end, "true or false" },
  rule = { isRule, "saving or published" },
}

local function sortedNames(list)
  local names = {}
  for name in pairs(list) do names[#names + 1] = tostring(name) end
  table.sort(names, core.before)
  return names
end

--- Complete settings of given ones; a float without fraction counts as an integer.
-- @tparam table given what it lacks has the usual value; ratio is 0 beside a baseOut above 0
-- @treturn table or nil and a sentence that begins with the field at fault
function settings.complete(given)
  if type(given) ~= "table" then return nil, ("a table of settings expected, got %s"):format(type(given)) end
  for _, name in ipairs(sortedNames(given)) do
    if DEFAULTS[name] == nil then
      return nil, ("there is no setting '%s'; there are %s"):format(name, table.concat(sortedNames(DEFAULTS), ", "))
    end
  end
  local complete = {}
  for _, name in ipairs(sortedNames(DEFAULTS)) do
    local value = given[name]
    if value == nil then value = DEFAULTS[name] end
    if name ~= "ratio" then value = math.tointeger(value) or value end
    if not KINDS[name][1](value) then
      return nil, core.format("%s must be %s, got %s", name, KINDS[name][2], value)
    end
    complete[name] = value
  end
  if complete.baseOut > 0 then
    if given.ratio and given.ratio > 0 then
      return nil, core.format("baseOut %d and ratio %s say the same thing: give one of them, and 0 for the other",
        complete.baseOut, given.ratio)
    end
    complete.ratio = 0
  end
  return complete
end

--- The settings in a few words: "2, ratio 0.5; 4-6-4 bits, others 8".
function settings.text(of)
  if of.baseIn + of.baseOut + of.ratio == 0 then return ("nothing, all weights of %d bits"):format(of.plainBits) end
  local out = of.baseOut > 0 and ("%d"):format(of.baseOut) or core.format("ratio %g", of.ratio)
  return ("%d, %s; %d-%d-%d bits, others %d%s%s"):format(of.baseIn, out, of.basisBits, of.coeffInBits, of.coeffOutBits,
    of.plainBits, of.linear and ", linear" or "", of.rule == "published" and ", published rule" or "")
end

local function wantedOut(of, nOutputs, nInputs, nTaps)
  local most = math.min(nOutputs, nInputs * nTaps)
  local wanted = of.baseOut
  if wanted == 0 and of.ratio > 0 then wanted = math.max(1, math.floor(of.ratio * most)) end
  return wanted, most
end

local function bitsOfFactors(of, nOutputs, nInputs, nTaps, isIn, isOut, baseOut)
  local nKernels = isOut and baseOut or nOutputs
  local basis = nKernels * (isIn and of.baseIn or nInputs) * nTaps
  return of.basisBits * basis + (isIn and of.coeffInBits * nKernels * nInputs * of.baseIn or 0)
    + (isOut and of.coeffOutBits * nOutputs * nKernels or 0)
end

--- What becomes of a layer.
-- @tparam table of complete settings
-- @tparam integer nOutputs O
-- @tparam integer nInputs C
-- @tparam integer nTaps kernel positions, 1 of a linear layer
-- @tparam boolean isConvolution else it is a linear layer
-- @treturn table factors, as the constructors of nn.MLGConvolution and nn.MLGLinear take them; nil where the layer
-- stays as it is
-- @treturn boolean is a level on?
function settings.factorsOf(of, nOutputs, nInputs, nTaps, isConvolution)
  local baseOut, most = wantedOut(of, nOutputs, nInputs, nTaps)
  if of.rule == "published" and isConvolution and nTaps == 1 and baseOut >= most then
    baseOut = math.floor(PUBLISHED_SHARE * most)
  end
  local isIn, isOut = generatedWeight.levels(nOutputs, nInputs, nTaps, of.baseIn, baseOut)
  local isGenerated = (isIn or isOut) and (isConvolution or of.linear)
  if isGenerated and of.rule == "saving" then
    isGenerated = bitsOfFactors(of, nOutputs, nInputs, nTaps, isIn, isOut, baseOut)
      < of.plainBits * nOutputs * nInputs * nTaps
  end
  if isGenerated then
    return { baseIn = isIn and of.baseIn or 0, baseOut = isOut and baseOut or 0, basisBits = of.basisBits,
      coeffInBits = of.coeffInBits, coeffOutBits = of.coeffOutBits }, true
  end
  if of.plainBits == generatedWeight.NOT_QUANTIZED then return nil, false end
  return { basisBits = of.plainBits }, false
end

return settings
