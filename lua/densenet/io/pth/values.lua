--- What a pickle's values are here. Numbers, texts (and bytes) and booleans are Lua's; None is values.none. All others
-- are tables with a `kind`, which do nothing:
--
--    dict     keys (list), and of (key → value)
--    list     items; tuples, lists and sets alike
--    object   class ("torch.nn.modules.linear.Linear"), arguments (list), state (what BUILD gave it, or nil)
--    name     name of a class or function ("collections.OrderedDict"), which stands for nothing
--    storage  dtype kind, key, count, first (elements before its own in the key's), nOwn (of a view, or nil)
--    tensor   storage, offset, sizes, strides

local values = {}

values.none = setmetatable({}, { __name = "None", __tostring = function() return "None" end })

function values.dict() return { kind = "dict", keys = {}, of = {} } end

function values.list(items) return { kind = "list", items = items or {} } end

--- Is the value a table of this kind?
function values.is(value, kind) return type(value) == "table" and value.kind == kind end

--- Sets an entry. False for a key that no dictionary of weights has.
function values.set(dict, key, value)
  if type(key) == "number" and key ~= key or key == nil then return false end
  if dict.of[key] == nil then dict.keys[#dict.keys + 1] = key end
  dict.of[key] = value
  return true
end

return values
