--- Reads ONNX models: nodes as they are, initializers as tensors.

local core = require "densenet.core"
local byteSource = require "densenet.io.byte_source"
local dtypeBytes = require "densenet.dtype_bytes"
local protobufFields = require "densenet.io.protobuf_fields"
local rowMajor = require "densenet.row_major"

local MOST_NODES = 1 << 20
local LONGEST_NAME = 1 << 16

-- TensorProto.DataType → what a vector is read as.
local KINDS = {
  [1] = { dtype = "float" }, [2] = { dtype = "byte" }, [3] = { integer = "i", bytes = 1 },
  [5] = { integer = "i", bytes = 2 }, [6] = { integer = "i", bytes = 4 }, [7] = { dtype = "long" },
  [9] = { integer = "I", bytes = 1 }, [10] = { dtype = "half" }, [11] = { dtype = "double" },
  [16] = { dtype = "bfloat16" },
}
local EXTERNAL = 1
local MOST_DIM = 8

local function text(value)
  if type(value) == "number" then return tostring(value) end
  local n = value:left()
  if n > LONGEST_NAME then value:refuse("a name of %d bytes at byte %d", n, value.at) end
  return value:take(n)
end

local function whole(source, value)
  if type(value) ~= "number" then source:refuse("a whole number expected before byte %d", source.at) end
  return value
end

local function inner(source, value)
  if type(value) == "number" then source:refuse("a message expected before byte %d", source.at) end
  return value
end

-- Whole numbers, one by one or packed.
local function addIntegers(list, value)
  if type(value) == "number" then
    list[#list + 1] = value
    return
  end
  while value:left() > 0 do list[#list + 1] = protobufFields.varint(value) end
end

local function pair(source)
  local key, value = "", ""
  for field, each in protobufFields.fields(source) do
    if field == 1 then key = text(each) elseif field == 2 then value = each end
  end
  return key, value
end

-- The elements of a tensor that stand in a file beside the model.
local function externalVector(source, fields, kind, count, name)
  local file = type(fields.location) == "string" and fields.location:match "^[^/\\]+$"
  if not file or file == ".." then source:refuse("tensor %q stands in a file that is not beside the model", name) end
  local path = (source.path:match "^(.*/)" or "") .. file
  local vector, message = byteSource.read(path, function(beside)
    local first = math.tointeger(tonumber(fields.offset or "0")) or -1
    return beside:part(first, count * (kind.bytes or dtypeBytes[kind.dtype])):vector(kind, count)
  end)
  if not vector then source:refuse("tensor %q: %s", name, message) end
  return vector
end

local function readTensor(source)
  local sizes, integers, external, name, data, type, location = {}, {}, {}, "", nil, 0, 0
  for field, value in protobufFields.fields(source) do
    if field == 1 then addIntegers(sizes, value)
    elseif field == 2 then type = whole(source, value)
    elseif field == 7 then addIntegers(integers, value)
    elseif field == 8 then name = text(value)
    elseif field == 4 or field == 9 or field == 10 then data = inner(source, value)
    elseif field == 13 then
      local key, each = pair(inner(source, value))
      external[key] = each ~= "" and text(each) or ""
    elseif field == 14 then location = whole(source, value) end
  end
  local kind, count = KINDS[type], 1
  for _, size in ipairs(sizes) do
    if size < 0 or size > 0 and count > math.maxinteger // size then
      source:refuse("tensor %q has a size of %d", name, size)
    end
    count = count * size
  end
  if not kind then source:refuse("tensor %q has elements of ONNX's type %d, which are not read", name, type) end
  local vector
  if location == EXTERNAL then
    vector = externalVector(source, external, kind, count, name)
  elseif #integers > 0 and #integers == count then
    vector = core.tensor_from("cpu", "long", integers)
  else
    local n = data and data:left() or 0
    if n ~= count * (kind.bytes or dtypeBytes[kind.dtype]) then
      source:refuse("tensor %q of size %s has %d bytes of elements", name, table.concat(sizes, "x"), n)
    end
    vector = data and data:vector(kind, count) or core.tensor_new("cpu", kind.dtype or "long", { 0 })
  end
  if #sizes > MOST_DIM then source:refuse("tensor %q has %d dimensions; %d are read", name, #sizes, MOST_DIM) end
  if count == 0 then return name, core.tensor_new("cpu", vector:dtype(), sizes) end
  return name, core.storage_view(vector, 1, sizes, rowMajor(sizes))
end

local function readAttribute(source)
  local name, value, integers = "", nil, {}
  for field, each in protobufFields.fields(source) do
    if field == 1 then name = text(each)
    elseif field == 2 then value = inner(source, each):number("<f", 4)
    elseif field == 3 then value = whole(source, each)
    elseif field == 4 then value = text(each)
    elseif field == 5 then value = select(2, readTensor(inner(source, each)))
    elseif field == 8 then addIntegers(integers, each) end
  end
  if value == nil then value = integers end
  return name, value
end

local function readNode(source)
  local node = { inputs = {}, outputs = {}, name = "", op = "", domain = "", attributes = {} }
  for field, value in protobufFields.fields(source) do
    if field == 1 then node.inputs[#node.inputs + 1] = text(value)
    elseif field == 2 then node.outputs[#node.outputs + 1] = text(value)
    elseif field == 3 then node.name = text(value)
    elseif field == 4 then node.op = text(value)
    elseif field == 5 then
      local name, each = readAttribute(inner(source, value))
      node.attributes[name] = each
    elseif field == 7 then node.domain = text(value) end
  end
  return node
end

local function readName(source)
  local name = ""
  for field, value in protobufFields.fields(source) do
    if field == 1 then name = text(value) end
  end
  return name
end

local function readGraph(source, model)
  for field, value in protobufFields.fields(source) do
    if field == 1 then
      model.nodes[#model.nodes + 1] = readNode(inner(source, value))
      if #model.nodes > MOST_NODES then source:refuse("its graph has more than %d nodes", MOST_NODES) end
    elseif field == 5 then
      local name, tensor = readTensor(inner(source, value))
      if model.initializers[name] then source:refuse("two tensors are called %q", name) end
      model.initializers[name] = tensor
    elseif field == 11 then model.inputs[#model.inputs + 1] = readName(inner(source, value))
    elseif field == 12 then model.outputs[#model.outputs + 1] = readName(inner(source, value)) end
  end
end

--- Reads a model from a source.
-- @return {nodes = list of {op, domain, name, inputs, outputs, attributes}, initializers = name → tensor, inputs and
-- outputs = lists of names, metadata = text → text, producer = text, opset = integer}
return function(source)
  local model = { nodes = {}, initializers = {}, inputs = {}, outputs = {}, metadata = {}, producer = "", opset = 0 }
  local hasGraph
  for field, value in protobufFields.fields(source) do
    if field == 2 then model.producer = text(value)
    elseif field == 7 then
      hasGraph = true
      readGraph(inner(source, value), model)
    elseif field == 8 then
      for inside, each in protobufFields.fields(inner(source, value)) do
        if inside == 2 then model.opset = math.max(model.opset, whole(source, each)) end
      end
    elseif field == 14 then
      local key, each = pair(inner(source, value))
      model.metadata[key] = each ~= "" and (type(each) == "number" and tostring(each) or each:take(each:left())) or ""
    end
  end
  if not hasGraph then source:refuse("it is no ONNX model: it has no graph") end
  return model
end
