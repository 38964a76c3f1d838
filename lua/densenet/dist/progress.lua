--- What a rank tells the launcher that started it (densenet.dist.launcher): how far it is and what it has saved,
-- for the sentence that is written when a rank fails. A process that has no launcher tells nobody.
local core = require "densenet.core"

local progress = {}

local nBatches = 0

--- A batch of training is done.
function progress.batch()
  nBatches = nBatches + 1
  core.process_report(("batches %d"):format(nBatches))
end

--- A checkpoint is complete.
-- @param path of its file
function progress.checkpoint(path) core.process_report("checkpoint " .. path) end

--- Where this rank computes.
-- @param name of the device
function progress.device(name) core.process_report("device " .. name) end

return progress
