--- Networks from packed files (densenet.mlg.packed), ready to be used: with ordinary weights, made once.
-- @module densenet.models.load_packed

local json = require "densenet.io.json"
local packed = require "densenet.mlg.packed"
local safetensors = require "densenet.io.safetensors"
local stateDict = require "densenet.nn.state_dict"

-- The ordinary network's configuration, as a run's state or mlg.save wrote it; nil where the file says none.
local function configOf(metadata)
  local state, own = metadata.densenet, metadata[packed.NETWORK_KEY]
  local config = state and json.decode(state) or own and json.decode(own)
  if state and type(config) == "table" then config = config.network end
  if type(config) ~= "table" or config == json.null then return nil end
  config.mlg = nil
  return config
end

--- See models.loadPacked.
-- @param models densenet.models
-- @tparam string path
return function(models, path)
  local tensors, metadata, code = safetensors.load(path)
  if not tensors then return nil, metadata, code end
  local function refuse(sentence) return nil, ("%s: %s"):format(path, sentence), "format" end
  if not packed.is(tensors, metadata) then return refuse("expected a packed network, got another file") end
  local state, wrong = packed.unpack(tensors, metadata)
  if not state then return refuse(wrong) end
  local nTensors = 0
  for _ in pairs(state) do nTensors = nTensors + 1 end
  local config
  config, wrong = models.complete(configOf(metadata) or "nothing", nTensors)
  if not config then return refuse("its metadata describes no network: " .. wrong) end
  wrong = stateDict.mismatch(models.withoutMemory(config), state)
  if wrong then return refuse(wrong) end
  local model = models.fromConfig(config)
  model:loadStateDict(state)
  return model:evaluate()
end
