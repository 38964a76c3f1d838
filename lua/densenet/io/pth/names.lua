--- The names in pickles that have a meaning here: what REDUCE makes of each. A list, closed; a name that is not in
-- it may be the class of an object, which then does nothing, and is refused as a function.

local values = require "densenet.io.pth.values"

local names = {}

--- Kinds of elements by storages' names (densenet.io.byte_source's vector).
names.storages = {
  ["torch.FloatStorage"] = { dtype = "float" }, ["torch.DoubleStorage"] = { dtype = "double" },
  ["torch.HalfStorage"] = { dtype = "half" }, ["torch.BFloat16Storage"] = { dtype = "bfloat16" },
  ["torch.LongStorage"] = { dtype = "long" }, ["torch.ByteStorage"] = { dtype = "byte" },
  ["torch.IntStorage"] = { integer = "i", bytes = 4 }, ["torch.ShortStorage"] = { integer = "i", bytes = 2 },
  ["torch.CharStorage"] = { integer = "i", bytes = 1 }, ["torch.BoolStorage"] = { integer = "I", bytes = 1 },
}
for name, kind in pairs { FloatStorage = "float", DoubleStorage = "double", HalfStorage = "half", LongStorage = "long",
  ByteStorage = "byte" } do
  names.storages["torch.cuda." .. name] = { dtype = kind }
end

local function integers(source, list, what)
  if not values.is(list, "list") then source:refuse("a tensor without its %s", what) end
  for i, number in ipairs(list.items) do
    if math.type(number) ~= "integer" then source:refuse("a tensor's %s: number %d is none", what, i) end
  end
  return list.items
end

-- Arguments: storage, offset, sizes, strides; today further ones, which say nothing of the numbers.
local function tensor(source, arguments)
  local storage, offset = arguments[1], arguments[2]
  if not values.is(storage, "storage") or math.type(offset) ~= "integer" or offset < 0 then
    source:refuse("a tensor without a storage and an offset")
  end
  local sizes, strides = integers(source, arguments[3], "sizes"), integers(source, arguments[4], "strides")
  if #sizes ~= #strides then source:refuse("a tensor of %d sizes and %d strides", #sizes, #strides) end
  return { kind = "tensor", storage = storage, offset = offset, sizes = sizes, strides = strides }
end

local function first(source, arguments)
  if not values.is(arguments[1], "tensor") then source:refuse("a parameter without a tensor") end
  return arguments[1]
end

-- Python 2 gives a list of pairs.
local function dict(source, arguments)
  local made, given = values.dict(), arguments[1]
  if values.is(given, "dict") then return given end
  if given ~= nil and not values.is(given, "list") then source:refuse("a dictionary of something else than pairs") end
  for _, pair in ipairs(given and given.items or {}) do
    if not values.is(pair, "list") or not values.set(made, pair.items[1], pair.items[2]) then
      source:refuse("a dictionary of something else than pairs")
    end
  end
  return made
end

local function list(_, arguments) return values.is(arguments[1], "list") and arguments[1] or values.list {} end

-- What has no meaning and does no harm: kept as an object that does nothing.
local function inert(_, arguments, name) return { kind = "object", class = name, arguments = arguments } end

-- Objects as protocols 0 and 1 have them: (class, base, state of the base).
local function reconstruct(source, arguments)
  if not values.is(arguments[1], "name") then source:refuse("an object without a class") end
  return { kind = "object", class = arguments[1].name, arguments = {} }
end

local function text(source, arguments)
  if type(arguments[1]) ~= "string" then source:refuse("bytes that are no text") end
  return arguments[1]
end

names.meanings = {
  ["collections.OrderedDict"] = dict, ["collections.defaultdict"] = function() return values.dict() end,
  ["collections.Counter"] = dict, ["__builtin__.dict"] = dict, ["builtins.dict"] = dict,
  ["torch._utils._rebuild_tensor"] = tensor, ["torch._utils._rebuild_tensor_v2"] = tensor,
  ["torch._utils._rebuild_parameter"] = first, ["torch._utils._rebuild_parameter_with_state"] = first,
  ["torch.nn.parameter.Parameter"] = first, ["torch.autograd.variable.Variable"] = first,
  ["torch.Size"] = list, ["__builtin__.set"] = list, ["builtins.set"] = list, ["builtins.list"] = list,
  ["__builtin__.list"] = list, ["builtins.frozenset"] = list, ["__builtin__.frozenset"] = list,
  ["_codecs.encode"] = text, ["builtins.bytearray"] = text,
  ["copy_reg._reconstructor"] = reconstruct, ["copyreg._reconstructor"] = reconstruct,
}
for _, name in ipairs { "argparse.Namespace", "numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct",
  "numpy._core.multiarray.scalar", "numpy._core.multiarray._reconstruct", "numpy.dtype", "numpy.ndarray",
  "torch.device", "torch.nn.backends.thnn._get_thnn_function_backend", "datetime.datetime", "datetime.timedelta",
  "pathlib.PosixPath", "functools.partial" } do
  names.meanings[name] = inert
end

return names
