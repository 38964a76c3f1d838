--- Networks in a few bits a weight, as safetensors: what quantised weights are made of, as codes.
--
--    mlg.packed   U8: all codes, factor after factor, each beginning at a byte (densenet.mlg.bits)
--    mlg.scale    F32: one a factor
--    metadata mlg JSON: a list of [name, bits, shape] in that order
--
-- Everything else, factors that are not quantised included, is F32 under its own name. The name of a weight that is
-- quantised and not generated is NAME.weight. Values come back bit for bit: code/n·2r − r, in float.
-- @module densenet.mlg.packed

local core = require "densenet.core"
local generatedWeight = require "densenet.nn.generated_weight"
local json = require "densenet.io.json"
local bits = require "densenet.mlg.bits"
local tree = require "densenet.mlg.tree"

local packed = {}

--- The key of the list of factors in a file's metadata.
packed.KEY = "mlg"

local PACKED, SCALE = "mlg.packed", "mlg.scale"
local FACTOR = { basis = true, coeffIn = true, coeffOut = true, weight = true }
local MOST_DIMENSIONS, MOST_ELEMENTS = 4, 1 << 28 -- of a tensor, and of all weights: a small file may stand for many

local function floatOnCpu(tensor)
  local copy = core.tensor_new("cpu", "float", tensor:size())
  core.copy(copy, tensor)
  return copy
end

-- A factor's codes, appended to bytes, and its scale.
local function addCodes(bytes, factor)
  local values = floatOnCpu(factor.tensor)
  local codes = core.tensor_new("cpu", "long", { values:nElement() })
  local scale = core.tensor_new("cpu", "float", { 1 })
  core.quantize(codes, scale, values:view(values:nElement()), factor.bits)
  bits.pack(bytes, codes:totable(), factor.bits)
  return scale:item()
end

--- The tensors and the metadata of a network's file.
-- @param model a network with quantised weights, in float
-- @treturn table name → tensor
-- @treturn table metadata: the key "mlg"
function packed.pack(model)
  local tensors, bytes, scales, list, isPacked = {}, {}, {}, {}, {}
  tree.walk(model, function(module, path)
    for _, factor in ipairs(generatedWeight.is(module) and module:factors() or {}) do
      local isAlone = not module.coeffIn and not module.coeffOut
      local name = path .. (isAlone and "weight" or factor.name)
      isPacked[factor.tensor] = true
      if factor.bits == generatedWeight.NOT_QUANTIZED then
        tensors[name] = floatOnCpu(factor.tensor)
      else
        scales[#scales + 1] = addCodes(bytes, factor)
        list[#list + 1] = { name, factor.bits, json.array(factor.tensor:size()) }
      end
    end
  end)
  for name, tensor in pairs(model:stateDict()) do
    if not isPacked[tensor] then tensors[name] = floatOnCpu(tensor) end
  end
  tensors[PACKED] = core.tensor_from("cpu", "byte", bytes)
  tensors[SCALE] = core.tensor_from("cpu", "float", scales)
  return tensors, { [packed.KEY] = json.encode(json.array(list)) }
end

--- Is it such a file's?
function packed.is(tensors, metadata)
  return metadata ~= nil and metadata[packed.KEY] ~= nil and tensors[PACKED] ~= nil
end

-- ---- Reading: a file may hold anything ----

local function isList(value, n) return type(value) == "table" and value ~= json.null and (not n or #value == n) end

-- How many elements a shape has; nil where it is none.
local function countOf(shape)
  if not isList(shape) or #shape < 2 or #shape > MOST_DIMENSIONS then return nil end
  local n = 1
  for _, size in ipairs(shape) do
    if math.type(size) ~= "integer" or size < 1 or size > MOST_ELEMENTS then return nil end
    n = n * size
    if n > MOST_ELEMENTS then return nil end
  end
  return n
end

-- What is wrong with an entry of the list, or nil; and its elements, path and field.
local function readEntry(entry, i)
  local name, width, shape = nil, nil, nil
  if isList(entry, 3) then name, width, shape = entry[1], entry[2], entry[3] end
  local path, field = (type(name) == "string" and name or ""):match("^(.-)([^.]*)$")
  if not FACTOR[field] then return ("entry %d names no factor"):format(i) end
  if math.type(width) ~= "integer" or width < 2 or width > 16 then
    return ("%s: bits: expected 2 to 16, got %s"):format(name, tostring(width):sub(1, 20))
  end
  local n = countOf(shape)
  if not n then return ("%s: its shape is none"):format(name) end
  return nil, n, path, field
end

local function decode(codes, scale, width, shape)
  local value = core.tensor_new("cpu", "float", shape)
  core.dequantize(value:view(#codes), core.tensor_from("cpu", "long", codes),
    core.tensor_from("cpu", "float", { scale }), width)
  return value
end

-- The packed factors by path and field; nil and a sentence where the file is damaged.
local function decodeAll(tensors, list)
  local bytes, scales = tensors[PACKED], tensors[SCALE]
  if bytes:dtype() ~= "byte" or not scales or scales:dtype() ~= "float" or scales:nElement() ~= #list then
    return nil, ("%s of U8 and %s of F32 with %d elements expected"):format(PACKED, SCALE, #list)
  end
  local nBytes, found = bytes:nElement(), {}
  bytes = nBytes > 0 and bytes:view(nBytes):totable() or {}
  scales = #list > 0 and scales:view(#list):totable() or {}
  local at = 1
  for i, entry in ipairs(list) do
    local wrong, n, path, field = readEntry(entry, i)
    if wrong then return nil, wrong end
    local name, width, shape, size = entry[1], entry[2], entry[3], bits.size(n, entry[2])
    if at + size - 1 > nBytes then
      return nil, ("%s: %d bytes expected, %d are left"):format(name, size, nBytes - at + 1)
    end
    if not (scales[i] >= 0 and scales[i] < math.huge) then
      return nil, core.format("%s: its scale is %s; expected a finite number, 0 or more", name, scales[i])
    end
    local codes = bits.unpack(bytes, at, n, width)
    if not codes then return nil, ("%s: bits behind its last code are not 0"):format(name) end
    found[path] = found[path] or {}
    if found[path][field] then return nil, ("%s is there twice"):format(name) end
    found[path][field], at = decode(codes, scales[i], width, shape), at + size
  end
  if at ~= nBytes + 1 then return nil, ("%d bytes behind the last factor"):format(nBytes - at + 1) end
  return found
end

-- The weight of a layer's factors, or nil and a sentence.
local function weightOf(factors, path)
  if factors.weight then
    if next(factors, next(factors)) then return nil, path .. "weight is there beside its factors" end
    return factors.weight
  end
  local basis, coeffIn, coeffOut = factors.basis, factors.coeffIn, factors.coeffOut
  local function complain(name) return nil, ("%s%s does not fit %sbasis"):format(path, name, path) end
  if not basis or basis:dim() ~= 2 and basis:dim() ~= 4 then return nil, path .. "basis is missing, or of no shape" end
  local nKernels, nTaps = basis:size(1), basis:nElement() // (basis:size(1) * basis:size(2))
  if coeffIn and (coeffIn:dim() ~= 3 or coeffIn:size(1) ~= nKernels or coeffIn:size(3) ~= basis:size(2)) then
    return complain "coeffIn"
  elseif coeffOut and (coeffOut:dim() ~= 2 or coeffOut:size(2) ~= nKernels) then
    return complain "coeffOut"
  end
  local nOutputs, nInputs = coeffOut and coeffOut:size(1) or nKernels, coeffIn and coeffIn:size(2) or basis:size(2)
  local sizes = basis:size()
  sizes[1], sizes[2] = nOutputs, nInputs
  if not countOf(sizes) then return nil, path .. "weight is too large" end
  local weight = core.tensor_new("cpu", "float", sizes)
  local none = generatedWeight.NOT_QUANTIZED
  core.mlg_generate(weight:view(nOutputs, nInputs, nTaps), basis:view(nKernels, basis:size(2), nTaps), coeffIn,
    coeffOut, none, none, none)
  return weight
end

--- The ordinary network's state that a packed file holds, its weights made.
-- @tparam table tensors of the file
-- @tparam table metadata of the file
-- @treturn table name → tensor; or nil and a sentence
function packed.unpack(tensors, metadata)
  local list, message = json.decode(metadata[packed.KEY])
  if not isList(list) then return nil, ("metadata %s: %s"):format(packed.KEY, message or "a list expected") end
  local found, wrong = decodeAll(tensors, list)
  if not found then return nil, wrong end
  local state = {}
  for name, tensor in pairs(tensors) do
    local path, field = name:match("^(.-)([^.]*)$")
    if name ~= PACKED and name ~= SCALE then
      if FACTOR[field] and field ~= "weight" or field == "weight" and found[path] then
        found[path] = found[path] or {}
        if found[path][field] then return nil, name .. " is there twice" end
        found[path][field] = tensor:dtype() == "float" and tensor or tensor:float()
      else
        state[name] = tensor
      end
    end
  end
  local nElements = 0
  for path, factors in pairs(found) do
    local weight
    weight, wrong = weightOf(factors, path)
    if not weight then return nil, wrong end
    nElements = nElements + weight:nElement()
    if nElements > MOST_ELEMENTS then return nil, "its weights are too large" end
    state[path .. "weight"] = weight
  end
  return state
end

return packed
