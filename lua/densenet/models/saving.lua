--- A trained network as one safetensors file that says what it is, for models.load and -retrain.
-- @module densenet.models.saving

local networkMetadata = require "densenet.io.network_metadata"
local safetensors = require "densenet.io.safetensors"

local saving = {}

--- Writes a network.
-- @param model with a config; its `classes` and `recipe`, where it has them, go with it
-- @tparam string path
-- @return true; or nil, message, code
function saving.safetensors(model, path)
  local metadata = networkMetadata.encode(model.config, model.classes, model.recipe)
  metadata.format = "pt"
  return safetensors.save(path, model:stateDict(), metadata)
end

return saving
