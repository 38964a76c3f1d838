--- What a network's file says beside its tensors, as texts: `network` its configuration, `classes` their names,
-- `preprocess` the recipe of its images, each as JSON. The same in .onnx and in .safetensors files.

local json = require "densenet.io.json"

local networkMetadata = {}

--- The texts of a network.
-- @param config table, or nil
-- @param classes list, or nil
-- @param recipe table, or nil
function networkMetadata.encode(config, classes, recipe)
  local metadata = {}
  if config then metadata.network = json.encode(config) end
  if classes then metadata.classes = json.encode(json.array(table.move(classes, 1, #classes, 1, {}))) end
  if recipe then metadata.preprocess = json.encode(recipe) end
  return metadata
end

local function decoded(text)
  local value = text and json.decode(text)
  return type(value) == "table" and value ~= json.null and value or nil
end

--- What texts of a file say, of which nothing is believed: tables, or nil where they are not there or are none.
-- @treturn ?table configuration
-- @treturn ?table classes
-- @treturn ?table recipe
function networkMetadata.decode(metadata)
  return decoded(metadata.network), decoded(metadata.classes), decoded(metadata.preprocess)
end

return networkMetadata
