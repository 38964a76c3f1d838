-- Torch7's functions of tensors: dn.round(t), dn.sort(t, 1). Each is the method of its name, and none changes
-- its argument: where the method works in place, the function works on a copy.

local argument = require "densenet.argument"
require "densenet.tensor"

local functions = {}

local IN_PLACE = { "abs", "ceil", "cinv", "clamp", "exp", "floor", "log", "log1p", "neg", "pow", "round", "rsqrt",
  "sigmoid", "sign", "sqrt", "square", "tanh" }
local NEW = { "cumsum", "dot", "eq", "gather", "ge", "gt", "index", "le", "lt", "max", "mean", "min", "mm", "ne",
  "norm", "reshape", "sort", "squeeze", "std", "sum", "topk", "unsqueeze", "var" }

for _, name in ipairs(IN_PLACE) do
  functions[name] = function(t, ...)
    local copy = argument.tensor(1, name, t):clone()
    return copy[name](copy, ...)
  end
end

for _, name in ipairs(NEW) do
  functions[name] = function(t, ...) return argument.tensor(1, name, t)[name](t, ...) end
end

return functions
