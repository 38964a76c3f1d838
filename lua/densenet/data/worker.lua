--- What makes batches: one of these runs in every worker thread of a loader, or in the main one.
--
-- A batch is a function of (order, first, seed, epoch) alone: image i of an epoch draws from
-- random.generator(seed, epoch * 2^32 + i), whoever makes it and whenever.
-- @module densenet.data.worker

local core = require "densenet.core"
require "densenet.tensor"
local random = require "densenet.random"
local batch_augment = require "densenet.data.batch_augment"
local failure = require "densenet.data.failure"
local imageSteps = require "densenet.data.image_steps"
local transforms = require "densenet.data.transforms"
local applied = require "densenet.data.transforms.transform".apply

local STREAMS_OF_AN_EPOCH = 32 -- bits: images of an epoch have a stream each

-- A buffer, new or used before, with these sizes; one that is large enough keeps its memory.
local function reuse(buffer, dtype, sizes)
  if buffer then return buffer:resize(sizes) end
  return core.tensor_new("cpu", dtype, sizes)
end

local function isTensor(value) return type(value) == "userdata" and value.dtype ~= nil end

-- A data set of the user's, made in this thread.
local function openSet(module, argument)
  local make = require(module)
  local set = type(make) == "function" and make(argument) or make
  if type(set) ~= "table" or not set.get then
    error(("module %s made no data set: a table with get(self, i)"):format(module), 0)
  end
  return set
end

-- function(i) → image, label, and a list of messages about images that it stands for, or nil; from whatever the
-- loader was given. Raises a failure for an image that the set gives as nil, message, code.
local function reader(source, set)
  if source.images then
    local images, labels = source.images, source.labels
    return function(i) return images:select(1, i), labels:at(i) end
  end
  return function(i)
    local sample, message, code = set:get(i)
    if sample == nil and message then failure.raise(message, code) end
    if type(sample) ~= "table" or not isTensor(sample.input) then
      error("the data set gave no sample: a table with input = a tensor and target = a label", 0)
    end
    if math.type(sample.target) ~= "integer" then
      error(core.format("the data set gave %s as target, not a whole number", sample.target), 0)
    end
    return sample.input, sample.target, sample.bad
  end
end

-- Adds messages about bad images, if any, to those of the batch.
local function note(progress, bad)
  if not bad then return end
  progress.bad = progress.bad or {}
  table.move(bad, 1, #bad, #progress.bad + 1, progress.bad)
end

-- fill(input, target, order, first, count, seed, stream) → input, target; image by image.
local function oneByOne(source, set, transform, dtype, progress)
  local read = reader(source, set)
  local function makeImage(i, seed, stream)
    local image, label, bad = read(i)
    note(progress, bad)
    if image:dtype() ~= dtype and image:dtype() ~= "byte" then
      local given = image
      image = core.tensor_new("cpu", dtype, given:size())
      core.copy(image, given)
    end
    if transform then image = applied(transform, image, random.generator(seed, stream + i), dtype) end
    if not isTensor(image) then
      error(("the transform gave a %s, not an image"):format(type(image)), 0)
    end
    return image, label
  end

  return function(input, target, order, first, count, seed, stream)
    target = reuse(target, "long", { count })
    local wanted -- sizes of the first image: all of a batch are alike
    for n = 1, count do
      local i = order:at(first + n - 1)
      progress.sample = i
      local image, label = makeImage(i, seed, stream)
      local sizes = table.concat(image:size(), "x")
      if not wanted then
        wanted = sizes
        input = reuse(input, dtype, { count, table.unpack(image:size()) })
      elseif sizes ~= wanted then
        error(("the image has size %s, others of the batch have %s; a transform that cuts or scales"
          .. " to one size is missing"):format(sizes, wanted), 0)
      end
      core.copy(input:select(1, n), image)
      target:put(label, n)
    end
    return input, target
  end
end

-- The same for byte images and a chain that is done in one pass; nothing for others.
local function allAtOnce(source, transform, dtype)
  local images = source.images
  if not images or images:dtype() ~= "byte" then return nil end
  local augment, height, width = batch_augment(transform, images)
  if not augment then return nil end
  local channels = images:size(2)
  return function(input, target, order, first, count, seed, stream)
    input = reuse(input, dtype, { count, channels, height, width })
    target = reuse(target, "long", { count })
    augment(input, order, first, seed, stream)
    core.index_select(target, source.labels, order:narrow(1, first, count))
    return input, target
  end
end

-- The same for images in files and a chain that is done in one call for each; nothing for others. The set has
-- channels and readWith(i, read), as a FolderSet has it.
local function fileByFile(set, transform, dtype, progress)
  if not set or not set.readWith or not transform then return nil end
  local load, size = imageSteps(transform, set.channels, set.fastDecode)
  if not load then return nil end
  return function(input, target, order, first, count, seed, stream)
    input = reuse(input, dtype, { count, set.channels, size, size })
    target = reuse(target, "long", { count })
    for n = 1, count do
      local i = order:at(first + n - 1)
      progress.sample = i
      local done, label, bad = set:readWith(i, function(path) return load(input, n, path, seed, stream + i) end)
      if not done then failure.raise(label, bad) end
      note(progress, bad)
      target:put(label, n)
    end
    return input, target
  end
end

--- Makes the function that makes batches.
-- @function worker
-- @param argument
--   source     {images =, labels =} shared tensors; or {module =, argument =}, a user's data set;
--              or {set =} in the main thread
--   transform  a transform's description, or the transform itself in the main thread; nil for none
--   dtype      "float" or "double", of the batch
-- @return job(order, first, count, seed, epoch, input, target) → input, target, bad: images
-- order[first .. first + count - 1] as count,C,h,w and their labels as a long vector, in the
-- buffers given, if any; and a list of messages about images that others stand for, or nil. For an image
-- that cannot be read nil, message, code. Raises with the sample's number and a traceback
local function worker(argument)
  local transform, source = argument.transform, argument.source
  if type(transform) == "table" and transform.transform then transform = transforms.build(transform) end
  local progress = {}
  local set = source.set or source.module and openSet(source.module, source.argument)
  local fill = allAtOnce(source, transform, argument.dtype)
    or fileByFile(set, transform, argument.dtype, progress)
    or oneByOne(source, set, transform, argument.dtype, progress)

  local function place(message)
    if failure.is(message) then return message end
    local sample = progress.sample and ("sample %d: "):format(progress.sample) or ""
    return core.traceback(sample .. tostring(message))
  end

  return function(order, first, count, seed, epoch, input, target)
    progress.sample, progress.bad = nil, nil
    local stream = epoch << STREAMS_OF_AN_EPOCH
    local ok, filled, labels = xpcall(fill, place, input, target, order, first, count, seed, stream)
    if failure.is(filled) then return nil, filled.message, filled.code end
    if not ok then error(filled, 0) end
    return filled, labels, progress.bad
  end
end

return worker
