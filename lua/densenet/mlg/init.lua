--- Multi-level generation: networks whose weights are made from a few small factors of few bits, so that they
-- take a tenth of the bytes.
--
--    local student = dn.mlg.convert(dn.models.densenet(config), { baseIn = 2, ratio = 0.5 })
--    dn.mlg.project(student, teacher)                    -- the factors nearest to a trained network's weights
--    dn.mlg.recalibrate(student, inputs)                 -- running statistics that fit them
--    … train with dn.nn.DistillationCriterion; before each step dn.mlg.penalty(student, 0.05)
--    dn.mlg.save("small.safetensors", student)
--
-- See densenet.nn.generated_weight for what such a module does, and docs/mlg.md.
-- Source: Gu et al. 2021 (arXiv:2108.11430).
-- @module densenet.mlg

local argument = require "densenet.argument"
local safetensors = require "densenet.io.safetensors"
local generatedWeight = require "densenet.nn.generated_weight"
local dense = require "densenet.mlg.dense"
local packed = require "densenet.mlg.packed"
local project = require "densenet.mlg.project"

local mlg = {
  convert = require "densenet.mlg.convert",
  settings = require "densenet.mlg.settings",
  size = require "densenet.mlg.size",
  penalty = require "densenet.mlg.penalty",
  recalibrate = require "densenet.mlg.recalibrate",
  project = project.network,
  projectLayer = project.layer,
  projectionMethods = project.methods,
  pack = packed.pack, unpack = packed.unpack, isPacked = packed.is,
  dense = dense,
  generate = function(model)
    for _, module in ipairs(generatedWeight.of(model)) do module:generate() end
    return model
  end,
  pull = generatedWeight.pull,
  reducible = generatedWeight.reducible,
}

-- A file's own metadata beside further ones; a run says of itself what network it has.
local function joined(metadata, further)
  for name, text in pairs(further or {}) do metadata[name] = text end
  if metadata.densenet then metadata[packed.NETWORK_KEY] = nil end
  return metadata
end

--- Saves a network packed: quantised factors as codes of their bits (densenet.mlg.packed).
-- @tparam string path
-- @param model a network with generated or quantised weights
-- @tparam[opt] table metadata further entries
-- @return true, or nil, message, code
function mlg.save(path, model, metadata)
  if #generatedWeight.of(model) == 0 then
    argument.raise("mlg.save: the network has no generated or quantised weight")
  end
  local tensors, own = packed.pack(model)
  return safetensors.save(path, tensors, joined(own, metadata))
end

--- Loads a packed file as the state of the ordinary network, whose weights it makes: for loadStateDict.
-- @tparam string path
-- @return table name → tensor, and the table of metadata; or nil, message, code
function mlg.load(path)
  local tensors, metadata, code = safetensors.load(path)
  if not tensors then return nil, metadata, code end
  if not packed.is(tensors, metadata) then
    return nil, path .. ": expected a packed network, got another file", "format"
  end
  local state, wrong = packed.unpack(tensors, metadata)
  if not state then return nil, ("%s: %s"):format(path, wrong), "format" end
  return state, metadata
end

return argument.closed(mlg, "dn.mlg")
