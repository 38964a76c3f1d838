--- Tensors' names as files carry them, turned into ours, which are torchvision's.
--
--    features.denseblock1.denselayer1.norm.1.weight          torchvision's files of before 2018
--    features.denseblock1.denselayer1.layers.norm1.weight    MONAI, whose classifier is class_layers.out
--    features.norm_final.weight                              "efficient" DenseNets: the norm that ends the features
--    module.densenet121.features…, classifier.0.weight       a wrapper's prefix, a classifier in a list of layers
--    …num_batches_tracked                                    PyTorch's; no number here depends on it
--
-- timm's are torchvision's.
-- @module densenet.models.names

local core = require "densenet.core"

local names = {}

-- What stands before "features.conv0.weight": the prefixes there are, sorted.
local function prefixesOf(tensors)
  local found = {}
  for name in pairs(tensors) do
    local prefix = type(name) == "string" and name:match("^(.-)features%.conv0%.weight$")
    if prefix then found[#found + 1] = prefix end
  end
  table.sort(found, core.before)
  return found
end

local function ours(name, prefix)
  if prefix ~= "" and name:sub(1, #prefix) == prefix then name = name:sub(#prefix + 1) end
  name = name:gsub("(denselayer%d+)%.layers%.", "%1."):gsub("(denselayer%d+)%.(%a+)%.([12])%.", "%1.%2%3.")
  return (name:gsub("^features%.norm_final%.", "features.norm5."):gsub("^class_layers%.out%.", "classifier.")
    :gsub("^classifier%.0%.", "classifier."))
end

--- A table of tensors under our names. Names that are nobody's stay as they are, and so do those of a file
-- without `features.conv0.weight`, which is no DenseNet's.
-- @tparam table tensors name → tensor
-- @treturn table the same tensors, in a new table; or nil, message, "format" where two get one name
-- @treturn table list of sentences on what nobody can know from names
function names.translate(tensors)
  local prefixes, renamed, origin, notes = prefixesOf(tensors), {}, {}, {}
  if #prefixes > 1 then
    return nil, ("it holds %d networks, whose names begin with '%s' and '%s'"):format(#prefixes, prefixes[1],
      prefixes[2]), "format"
  end
  for name, tensor in pairs(tensors) do
    local new = prefixes[1] and type(name) == "string" and ours(name, prefixes[1]) or name
    if prefixes[1] and tostring(new):find("num_batches_tracked$") then new = nil end
    if new and origin[new] then
      local first, second = origin[new], name
      if core.before(second, first) then first, second = second, first end
      return nil, ("the tensors %s and %s are both %s"):format(first, second, new), "format"
    elseif new then
      renamed[new], origin[new] = tensor, name
    end
  end
  local classifier = origin["classifier.weight"]
  if classifier and classifier:find("%.0%.weight$") then
    notes[#notes + 1] = ("%s is taken for the classifier; what followed it in its network (a sigmoid, say) is in no "
      .. "file of weights"):format(classifier)
  end
  return setmetatable(renamed, getmetatable(tensors)), notes
end

return names
