-- All ranks: a whole run as spec.support.small_run puts it together; rank 0 prints what it came to on every rank.
--
-- arg[1], a Lua table: line (the command line), and where something is to go wrong { rank=, ... }: interrupt = {
-- rank=, at= } (at that question of the rank's), drift = { rank=, epoch= } (a parameter is changed), behind = { rank=,
-- epoch= } (a rank believes itself elsewhere), nan = { rank=, epoch= } (a parameter is no number), blocked (rank 0
-- cannot save in epoch 2), line1 (rank 1's command line)
local root = arg[0]:match "^(.*)/spec/" or "."
dofile(root .. "/scripts/setup.lua")
local core = require "densenet.core"
local dn = require "densenet"
local smallRun = require "spec.support.small_run"

local case = load("return " .. arg[1])()
local place = assert(dn.dist.ranks.find())

local function concerns(fault) return fault and fault.rank == place.rank end

if concerns(case.interrupt) then
  local asked = 0
  core.interrupted = function()
    asked = asked + 1
    if asked >= case.interrupt.at then return 1, 15 end
    return 0
  end
end

-- Before the epoch named in a fault.
local function spoil(run)
  local train = run.trainer.train
  run.trainer.train = function(trainer, epoch, loader)
    local function now(fault) return concerns(fault) and fault.epoch == epoch end
    if now(case.drift) then trainer.model:get("classifier").bias:add(1e-3) end
    if now(case.nan) then trainer.model:get("classifier").bias:fill(0 / 0) end
    if now(case.behind) then trainer.ranks.optionsNumber = trainer.ranks.optionsNumber + 1 end
    if case.blocked and place.rank == 0 and epoch == 2 then
      run.store.save = function() return nil, "the disk is full", "io" end
    end
    return train(trainer, epoch, loader)
  end
end

local line = case["line" .. place.rank] or case.line
local interrupted = place.size == 1 and function() return core.interrupted() end or nil
local done, run, message, code, status = pcall(smallRun.go, line, interrupted, spoil)
if not done then
  io.stderr:write(tostring(run), "\n")
  os.exit(3, true)
end

local comm <close> = assert(dn.dist.open { device = "cpu" })
local codes = {}
for r = 0, comm.size - 1 do codes[r + 1] = comm:broadcastText(comm.rank == r and (code or "none") or nil, r) end
local statuses = comm:allGather(dn.tensor({ status or 0 }, "long")):view(comm.size):totable()
local nLines = comm:reduceIntegers { run and #run.lines or 0 }[1]
comm:print(dn.json.encode { codes = codes, statuses = statuses, message = message or "",
  otherLines = nLines - (run and #run.lines or 0), lines = run and #run.lines or 0 })
