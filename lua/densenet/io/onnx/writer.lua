--- Writes ONNX models (onnx.proto3): IR version 7, operator set 13, which runtimes read since 2020.

local message = require "densenet.io.protobuf_message"
local sortedNames = require "densenet.sorted_names"

local IR_VERSION, OPSET = 7, 13
local MOST_BYTES = (1 << 31) - 1 -- of a message of protocol buffers
local FLOAT, INT64 = 1, 7 -- TensorProto.DataType
local TYPES = { float = FLOAT, long = INT64 }

-- AttributeProto: name 1, f 2, i 3, ints 8, type 20 (1 float, 2 int, 7 ints).
local function attribute(name, value)
  local made = message():text(1, name)
  if math.type(value) == "float" then return made:float(2, value):int(20, 1) end
  if type(value) == "number" then return made:int(3, value):int(20, 2) end
  for _, each in ipairs(value) do made:int(8, each) end
  return made:int(20, 7)
end

-- NodeProto: input 1, output 2, name 3, op_type 4, attribute 5.
local function node(each)
  local made = message()
  for _, name in ipairs(each.inputs) do made:text(1, name) end
  for _, name in ipairs(each.outputs) do made:text(2, name) end
  made:text(3, each.name):text(4, each.op)
  local names = sortedNames(each.attributes or {})
  for _, name in ipairs(names) do made:message(5, attribute(name, each.attributes[name])) end
  return made
end

-- TensorProto: dims 1, data_type 2, name 8, raw_data 9.
local function initializer(each)
  local made = message()
  for d = 1, each.tensor:dim() do made:int(1, each.tensor:size(d)) end
  return made:int(2, TYPES[each.tensor:dtype()]):text(8, each.name):tensor(9, each.tensor)
end

-- ValueInfoProto: name 1, type 2; TypeProto: tensor_type 1; its elem_type 1, shape 2; dim 1; dim_value 1, dim_param 2.
local function value(each)
  local shape = message()
  for _, dim in ipairs(each.dims) do
    shape:message(1, type(dim) == "string" and message():text(2, dim) or message():int(1, dim))
  end
  local tensor = message():int(1, FLOAT):message(2, shape)
  return message():text(1, each.name):message(2, message():message(1, tensor))
end

-- GraphProto: node 1, name 2, initializer 5, input 11, output 12.
local function graph(model)
  local made = message()
  for _, each in ipairs(model.nodes) do made:message(1, node(each)) end
  made:text(2, model.name)
  for _, each in ipairs(model.initializers) do made:message(5, initializer(each)) end
  for _, each in ipairs(model.inputs) do made:message(11, value(each)) end
  for _, each in ipairs(model.outputs) do made:message(12, value(each)) end
  return made
end

--- Writes a model.
-- @param path the file
-- @param model {name, producer, version, nodes = list of {op, name, inputs, outputs, attributes = name → a number, an
-- integer or a list of integers}, initializers = list of {name, tensor} (float or long), inputs, outputs = lists of
-- {name, dims = list of integers and names}, metadata = text → text}
-- @return true; or nil, message, code
return function(path, model)
  -- ModelProto: ir_version 1, producer_name 2, producer_version 3, graph 7, opset_import 8, metadata_props 14.
  local made = message():int(1, IR_VERSION):text(2, model.producer):text(3, model.version):message(7, graph(model))
    :message(8, message():text(1, ""):int(2, OPSET))
  local keys = sortedNames(model.metadata)
  for _, name in ipairs(keys) do made:message(14, message():text(1, name):text(2, model.metadata[name])) end
  if made:size() > MOST_BYTES then
    return nil, ("%s: the model would have %d bytes; an ONNX file holds up to %d"):format(path, made:size(),
      MOST_BYTES), "format"
  end
  return made:write(path)
end
