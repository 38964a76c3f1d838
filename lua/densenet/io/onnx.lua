--- ONNX files: graphs of nodes and their tensors, as tables. Networks are model:saveOnnx's and models.load's matter.
-- @module densenet.io.onnx

local argument = require "densenet.argument"
local byteSource = require "densenet.io.byte_source"
local fileKind = require "densenet.io.file_kind"
local readModel = require "densenet.io.onnx.reader"

local onnx = { save = require "densenet.io.onnx.writer" }

local START = 512

--- Reads a model.
-- @tparam string path the file
-- @treturn table {nodes = list of {op, domain, name, inputs, outputs, attributes}, initializers = name → tensor,
-- inputs, outputs = lists of names, metadata = text → text, producer, opset}; or nil, message, code
function onnx.load(path)
  argument.string(1, "onnx.load", path, "path")
  return byteSource.read(path, function(source)
    local start = source:peek(START)
    local kind = fileKind.of(start)
    if kind and not start:find "^\8" then source:refuse("expected an ONNX model, got %s", kind) end
    return readModel(source)
  end)
end

return onnx
