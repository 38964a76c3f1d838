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
local networkMetadata = require "densenet.io.network_metadata"
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

--- Saves a network packed: quantised factors as codes of their bits (densenet.mlg.packed).
-- @tparam string path
-- @param model a network with generated or quantised weights
-- @tparam[opt] table metadata what the file says of the network; by default its configuration, classes and recipe, as
-- densenet.models.load reads them
-- @return true, or nil, message, code
function mlg.save(path, model, metadata)
  if #generatedWeight.of(model) == 0 then
    argument.raise("mlg.save: the network has no generated or quantised weight")
  end
  local tensors, all = packed.pack(model)
  for name, text in pairs(metadata or networkMetadata.encode(model.config, model.classes, model.recipe)) do
    all[name] = text
  end
  return safetensors.save(path, tensors, all)
end

return argument.closed(mlg, "dn.mlg")
