--- What a run with generated weights does beside an ordinary one: it starts from a teacher's weights, learns from its
-- outputs, and keeps its factors near orthonormal.
-- @module densenet.train.generation_run
local core = require "densenet.core"
local DistillationCriterion = require "densenet.nn.distillation_criterion"
local Feed = require "densenet.train.feed"
local json = require "densenet.io.json"
local meters = require "densenet.train.meters"
local mlg = require "densenet.mlg"
local safetensors = require "densenet.io.safetensors"
local shallowCopy = require "densenet.shallow_copy"
local teacher = require "densenet.train.teacher"

local generationRun = {}

local IMAGES_OF_STATISTICS = 1024 -- that running statistics are taken of, at least

-- "21 of 21 convolutions"
local function layersText(model)
  local nGenerated, nConvolutions = 0, 0
  model:apply(function(module)
    local isConvolution = module.kW and module.weight and module.nInputPlane
    if isConvolution then nConvolutions = nConvolutions + 1 end
    if isConvolution and (module.coeffIn or module.coeffOut) then nGenerated = nGenerated + 1 end
  end)
  return ("%d of %d convolutions"):format(nGenerated, nConvolutions)
end

-- A line on what is generated, and how small it is.
local function noteOf(model)
  local size = mlg.size(model)
  return core.format("generates %s from %s: %.4f of the ordinary network's bits, %.1f of %.1f KiB", layersText(model),
    mlg.settings.text(model.config.mlg), size.bitRatio, size.bits / 8192, size.referenceBits / 8192)
end

-- Running statistics from some batches of the first epoch; of several ranks each takes the whole batches.
local function recalibrate(model, loader, batchSize)
  local shard = loader.shard
  local _ <close> = setmetatable({}, { __close = function() loader.shard = shard end })
  loader.shard = nil
  local nBatches = math.min(loader:size(), (IMAGES_OF_STATISTICS + batchSize - 1) // batchSize)
  local following, n = Feed.new(loader, model._device, model:activationType()):run(1, 1), 0
  return mlg.recalibrate(model, function()
    if n == nBatches then return nil end
    n = n + 1
    local _, batch = following()
    return batch and batch.input
  end)
end

-- The student's weights from the teacher's. Returns a line on it.
local function project(values, model, tensors, loader)
  local watch = meters.Stopwatch()
  local left = mlg.project(model, tensors, { method = values.mlgProjection, steps = values.mlgProjectionSteps })
  local nBatches = recalibrate(model, loader, values.batchSize)
  return core.format("projected from %s by %s in %.1f s: %.3f of the weights' sum of squares is left; running "
    .. "statistics of %d batches", values.teacher, values.mlgProjection, watch:seconds(), left, nBatches)
end

-- The teacher's tensors, and what a checkpoint says of its file. Returns nil, message, code where it is another one
-- than the run began with.
local function readTeacher(values, origin, model)
  local tensors, checksum, code = teacher.read(values.teacher, model.config)
  if not tensors then return nil, checksum, code end
  local before = origin.resumed and origin.about.teacher
  if before and before.checksum ~= checksum then
    return nil, ("-teacher %s is another file than the run began with: its checksum is %s, and was %s"):format(
      values.teacher, checksum, before.checksum), "format"
  end
  return tensors, { path = values.teacher, checksum = checksum }
end

--- Makes an ordinary run one with generated weights, where options say so.
-- @param values options, as origin.find leaves them
-- @param origin from origin.find
-- @param model from network.build; its weights become those of the teacher in a new run
-- @param loaders { train= }
-- @param criterion of an ordinary training
-- @return a table: criterion, target, complete: as train.Trainer takes them; facts, for checkpoints; notes, lines for
-- people. Or nil, message, code
function generationRun.prepare(values, origin, model, loaders, criterion)
  local parts = { criterion = criterion, notes = {}, facts = {} }
  if not model.config.mlg then return parts end
  parts.notes[1] = noteOf(model)
  if values.testOnly then return parts end
  local isNew = not origin.resumed and not values.retrain
  if values.teacher then
    local tensors, about, code = readTeacher(values, origin, model)
    if not tensors then return nil, about, code end
    parts.facts.teacher = about
    if isNew then parts.notes[2] = project(values, model, tensors, loaders.train) end
    if values.distill > 0 then
      local asked = teacher.build(model.config, tensors, values.device)
      parts.criterion = DistillationCriterion(values.temperature, values.distill, criterion)
      parts.target = function(batch) return { batch.target, asked:forward(batch.input) } end
    end
  end
  parts.complete = function()
    mlg.pull(model)
    if values.orthoWeight > 0 then mlg.penalty(model, values.orthoWeight) end
  end
  return parts
end

-- ---- Files ----

-- The metadata of an export: what the run's file said, of the ordinary network.
local function metadataOf(origin)
  if not origin.about then return { format = "pt" } end
  local state = shallowCopy(origin.about)
  state.network, state.options = shallowCopy(state.network), shallowCopy(state.options)
  state.network.mlg, state.options.mlg, state.options.teacher = nil, false, nil
  return { format = "pt", densenet = json.encode(state) }
end

local function fileText(path)
  local bytes = core.file_size(path)
  return core.format("%s: %d bytes (%.1f KiB)", path, bytes, bytes / 1024)
end

--- Writes the files of -mlgExport and -mlgExportDense.
-- @param values options
-- @param origin from origin.find
-- @param model from network.build
-- @return lines that say what was written; nil where neither option was given; or nil, message, code
function generationRun.export(values, origin, model)
  if not values.mlgExport and not values.mlgExportDense then return nil end
  if not model.config.mlg then
    local name = values.mlgExport and "mlgExport" or "mlgExportDense"
    return nil, ("-%s %s: the network of %s has ordinary weights; expected generated ones"):format(name, values[name],
      values.retrain or values.resume), "usage"
  end
  local metadata, lines = metadataOf(origin), { noteOf(model) }
  if values.mlgExport then
    local done, message, code = mlg.save(values.mlgExport, model, metadata)
    if not done then return nil, message, code end
    lines[#lines + 1] = fileText(values.mlgExport)
  end
  if values.mlgExportDense then
    local done, message, code = safetensors.save(values.mlgExportDense, mlg.dense(model), metadata)
    if not done then return nil, message, code end
    lines[#lines + 1] = fileText(values.mlgExportDense)
  end
  return lines
end

return generationRun
