--- An ONNX graph in the making: nodes, tensors, and values with their sizes.
--
-- A value is {name =, dims =}: sizes, of which the first is the batch's, a number or a name. Nodes are called after
-- the module that they come from, tensors as in stateDict.
-- @module densenet.nn.onnx.builder

local argument = require "densenet.argument"
local core = require "densenet.core"

local Builder = {}
Builder.__index = Builder

local function unique(self, name)
  local n, wanted = 1, name
  while self.used[name] do
    n = n + 1
    name = ("%s_%d"):format(wanted, n)
  end
  self.used[name] = true
  return name
end

--- Refuses the module that is being written, by its place.
function Builder:refuse(module, reason, ...)
  local name = self.prefix:gsub("%.$", "")
  argument.raise("saveOnnx: %s '%s' %s", module.__typename, name == "" and "the network" or name,
    core.format(reason, ...))
end

--- Adds a node.
-- @tparam string op ONNX's operator
-- @tparam table inputs values, and names of tensors
-- @tparam ?table attributes name → integer, float, or list of integers
-- @tparam table dims of its output
-- @treturn table its output, a value
function Builder:node(op, inputs, attributes, dims)
  local base = self.prefix:gsub("%.$", "")
  local name = unique(self, base == "" and op or base)
  local names = {}
  for i, each in ipairs(inputs) do names[i] = type(each) == "table" and each.name or each end
  self.nodes[#self.nodes + 1] = { op = op, name = name, inputs = names, outputs = { name }, attributes = attributes }
  return { name = name, dims = dims }
end

--- The name of a module's tensor in the file, which is made once, in float.
-- @param module its owner
-- @tparam string field
-- @tparam[opt] table sizes other than its own
function Builder:parameter(module, field, sizes)
  local tensor = module[field]
  if not core.is_tensor(tensor) then self:refuse(module, "has no %s", field) end
  if sizes then tensor = tensor:contiguous():view(sizes) end
  return self:tensor(self.prefix .. field, tensor:to "float", tensor)
end

--- The name of a tensor in the file.
-- @tparam string name wanted
-- @tparam tensor tensor float or long
-- @param key what it is: a second tensor of the same name is another one
function Builder:tensor(name, tensor, key)
  local isKnown = self.keys[name] and core.is_tensor(key) and core.is_tensor(self.keys[name])
    and key:isSameView(self.keys[name])
  if isKnown then return name end
  name = unique(self, name)
  self.keys[name] = key
  self.initializers[#self.initializers + 1] = { name = name, tensor = tensor }
  return name
end

--- A tensor of numbers that no module holds.
-- @tparam string dtype "float" or "long"
-- @tparam table numbers list; for several dimensions nested
function Builder:constant(dtype, numbers)
  self.nConstants = self.nConstants + 1
  return self:tensor(("constant.%d"):format(self.nConstants), core.tensor_from("cpu", dtype, numbers), self.nConstants)
end

--- Reads a part of the network as if it stood at `name` in this one.
function Builder:inside(name, action)
  local before = self.prefix
  if name ~= "" then self.prefix = before .. name .. "." end
  local value = action()
  self.prefix = before
  return value
end

--- Gives a value another name.
function Builder:rename(value, name)
  name = unique(self, name)
  for _, node in ipairs(self.nodes) do
    for _, list in ipairs { node.inputs, node.outputs } do
      for i, each in ipairs(list) do
        if each == value.name then list[i] = name end
      end
    end
  end
  value.name = name
end

--- An empty graph; `input` is the name of its input.
return function(input)
  return setmetatable({ prefix = "", nodes = {}, initializers = {}, used = { [input] = true }, keys = {},
    nConstants = 0 }, Builder)
end
