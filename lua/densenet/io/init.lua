-- Files of other programs: dn.io.t7 (Torch7), dn.io.pth (PyTorch), dn.io.onnx; and dn.io.safetensors, dn.io.json.

local argument = require "densenet.argument"

local parts = {
  t7 = "densenet.io.t7", pth = "densenet.io.pth", onnx = "densenet.io.onnx",
  safetensors = "densenet.io.safetensors", json = "densenet.io.json",
}

return argument.closed({}, "dn.io", function(name) return parts[name] and require(parts[name]) end, parts)
