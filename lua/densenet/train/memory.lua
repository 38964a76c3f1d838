--- What a run will need of the machine's memory, known before it takes any. MB are 2^20 bytes.
local core = require "densenet.core"
local data = require "densenet.data"
local dataOptions = require "densenet.train.data_options"
local memoryModes = require "densenet.nn.memory_modes"
local models = require "densenet.models"
local network = require "densenet.train.network"
local optimizer = require "densenet.train.optimizer"
local ranks = require "densenet.dist.ranks"
local syncNorm = require "densenet.nn.sync_norm"
local teacher = require "densenet.train.teacher"

local memory = {}

local function megabytes(nBytes) return core.format("%.1f MB", nBytes / 2 ^ 20) end

-- The images that a run's network will see.
local function imagesOf(values, origin)
  local classes = values.testOnly and origin.about and origin.about.classes or nil
  local images = assert(data.about(values.dataset, dataOptions.of(values, { classes = classes })))
  local seen = not images.hasOwnClasses and origin.about and origin.about.inputSize
  if seen then images.channels, images.height, images.width = table.unpack(seen) end
  if origin.resumed and origin.about.classes then images.nClasses = #origin.about.classes end
  return images
end

-- How many ranks share a batch, as options or the environment say it.
local function rankCount(values)
  local place = ranks.find(values)
  return math.max(place and place.size or 1, values.nGPU or 1, values.nProcesses or 1)
end

local function planFor(values, origin, batchSize, optMemory)
  local images, changed = imagesOf(values, origin), setmetatable({ optMemory = optMemory }, { __index = values })
  local model, message, code = network.withoutMemory(changed, origin, images)
  if not model then return nil, message, code end
  local count, planOptions = rankCount(values), optimizer.planOptions(values)
  local share = (batchSize - 1) // count + 1 -- the largest that a rank has
  local inputSize = { share, images.channels, images.height, images.width }
  planOptions.exchange = count > 1 and values.device == "cpu"
  if values.syncBN then syncNorm.attachAll(model, { size = count }) end -- nobody is asked while it is planned
  if values.teacher and values.distill > 0 then
    planOptions.besides = teacher.planRows(model.config, inputSize, values.device)
  end
  return model:plan(inputSize, planOptions)
end

--- The plan of a run's training step (densenet.nn.MemoryPlan). The images need not be there.
-- @param values options as origin.find leaves them
-- @param origin what origin.find found
-- @return the plan; or nil, message, code when the images do not fit the network,
-- or -freeze is wrong
function memory.plan(values, origin)
  return planFor(values, origin, values.batchSize, values.optMemory)
end

--- Bytes that a device can still give, or nil where it does not say (Linux and GPUs do).
-- @param device its name; the CPU when left out
function memory.available(device)
  if device and device ~= "cpu" then
    local about, figures = core.device_describe(device), core.memory(device)
    return about and about.free and about.free + figures.reserved - figures.live or nil
  end
  local file = io.open("/proc/meminfo")
  local text = file and file:read("a") or ""
  if file then file:close() end
  local kilobytes = text:match("MemAvailable:%s*(%d+) kB")
  return kilobytes and math.tointeger(kilobytes) * 1024
end

--- "-optMemory 4 (linear)"
function memory.modeText(optMemory)
  return "-optMemory " .. memoryModes.text(optMemory)
end

--- What a run takes, in a line.
function memory.describe(plan)
  return ("%s (2^20 bytes) planned for a step of %d images, %s"):format(megabytes(plan.totalBytes), plan.inputSize[1],
    memory.modeText(plan.mode))
end

-- The largest batch below `tooLarge` whose step takes at most `available`; 0 when none does.
local function largestBatch(values, origin, available, tooLarge)
  local fits = 0
  while tooLarge - fits > 1 do
    local middle = (fits + tooLarge) // 2
    if planFor(values, origin, middle, values.optMemory).totalBytes <= available then
      fits = middle
    else
      tooLarge = middle
    end
  end
  return fits
end

--- Plans a run's training step and compares it with what there is.
-- @param values options as origin.find leaves them
-- @param origin what origin.find found
-- @param available bytes there are; memory.available(values.device) when left out
-- @return the plan; or nil, message, "memory": with the largest batch that fits
function memory.check(values, origin, available)
  available = available or memory.available(values.device)
  local limit = values.memoryLimit
  if limit and not (available and available < limit) then available = limit else limit = nil end
  local plan, message, code = memory.plan(values, origin)
  if not plan then return nil, message, code end
  if not available or plan.totalBytes <= available then return plan end
  local batch, last = largestBatch(values, origin, available, values.batchSize),
    models.memoryOf(models.family(values.netType)).least
  local remedy = batch > 0 and ("the largest -batchSize that fits is %d"):format(batch) or "not even one image fits"
  if values.optMemory ~= last then
    local least = planFor(values, origin, values.batchSize, last)
    remedy = ("%s; %s takes %s"):format(remedy, memory.modeText(last), megabytes(least.totalBytes))
  end
  return nil, ("a training step of %d images takes %s with %s, and %s %s; %s"):format(values.batchSize,
    megabytes(plan.totalBytes), memory.modeText(plan.mode), megabytes(available),
    limit and "are allowed by -memory" or "are available", remedy), "memory"
end

local SHARE = 0.9 -- of what there is: images, and other programs, take some too
local LARGEST_BATCH = 1000000

-- A batch that does not fit, found by doubling; or LARGEST_BATCH + 1.
local function tooLargeBatch(values, origin, available)
  local batch = 2
  while batch <= LARGEST_BATCH and planFor(values, origin, batch, values.optMemory).totalBytes <= available do
    batch = 2 * batch
  end
  return math.min(batch, LARGEST_BATCH + 1)
end

--- Gives -batchSize auto its number: the largest batch whose training step, as it is planned, fits into -memory SIZE,
-- or else into nine tenths of what there is; and no more than -trainSize.
-- @param values options as origin.find leaves them; changed
-- @param origin what origin.find found
-- @param notes list, to which a sentence about the choice is added
-- @param others (optional) densenet.train.ranks: processes that share each batch, and the memory of one machine's CPU
-- @param available bytes there are; memory.available(values.device) when left out
-- @return true; or nil, message, code
function memory.chooseBatch(values, origin, notes, others, available)
  if values.batchSize ~= "auto" then return true end
  available = available or memory.available(values.device)
  if others and available and values.device == "cpu" then available = available // others.size end
  local share = values.memoryLimit or available and available * SHARE
  if not share then
    return nil, "-batchSize auto: this system does not say how much memory there is; give -memory SIZE, such as 4GB",
      "usage"
  end
  local plan, message, code = planFor(values, origin, 1, values.optMemory)
  if not plan then return nil, message, code end
  if plan.totalBytes > share then
    return nil, ("-batchSize auto: a training step of one image takes %s with %s, and %s are %s"):format(
      megabytes(plan.totalBytes), memory.modeText(plan.mode), megabytes(share),
      values.memoryLimit and "allowed by -memory" or "nine tenths of what is available"), "memory"
  end
  local batch = largestBatch(values, origin, share, tooLargeBatch(values, origin, share))
  if values.trainSize > 0 then batch = math.min(batch, values.trainSize) end
  if others then batch = others:least(batch) end
  values.batchSize = batch
  notes[#notes + 1] = ("-batchSize auto is %d: %s planned for a training step, %s %s"):format(batch,
    megabytes(planFor(values, origin, batch, values.optMemory).totalBytes), megabytes(share),
    values.memoryLimit and "allowed by -memory" or "are nine tenths of what is available")
  return true
end

return memory
