--- Programs that several processes run, each a rank with a GPU of its own, joined by NCCL: emulated GPUs, or those of
-- the machine where there are enough.
local core = require "densenet.core"
local dn = require "densenet"
local temporary = require "spec.support.temporary"

local gpuRanks = {}

gpuRanks.isEmulated = core.testing.cuda_emulation("reverse", 0)

-- What nccl.so was compiled against, or nil and why there is none.
gpuRanks.library, gpuRanks.reason = core.comm_engine "nccl"

--- How many ranks there can be.
function gpuRanks.most()
  if not gpuRanks.library then return 1 end
  if gpuRanks.isEmulated then return 4 end
  return core.device_count "cuda" or 1
end

--- Makes of a spec's `it` and `pending` a function(n, name, test), which is `it` where n ranks can be started. Where
-- not, there is nothing to test: on a GPU a skipped test counts as a failure. The emulation may have been built
-- without nccl.so (NCCL=0), and that is said.
function gpuRanks.itWith(it, pending)
  return function(n, name, test)
    if not gpuRanks.library and gpuRanks.isEmulated then
      it(name, function() pending(gpuRanks.reason) end)
    elseif gpuRanks.most() >= n then
      it(name, test)
    end
  end
end

-- The program, behind what all have in common.
local PRELUDE = [[
  package.path, package.cpath = %q, %q
  local dn, core = require "densenet", require "densenet.core"
  local dist = dn.dist
  local rank, size = tonumber(os.getenv "DENSENET_RANK"), tonumber(os.getenv "DENSENET_SIZE")
  local device = "cuda:" .. rank
  local function open(timeout)
    return dist.open { device = device, timeout = timeout or 30, rendezvous = os.getenv "TEST_RENDEZVOUS" }
  end
  local function emulation(hook, n) assert(core.testing.cuda_emulation(hook, n)) end
  io.stdout:setvbuf "no"
  %s
]]

-- Bytes that a variable of the environment can hold: NCCL's own hold zeros.
local function hexadecimal(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

local START = [[
rank=0
while [ $rank -lt %d ]; do
  (
    DENSENET_RANK=$rank DENSENET_SIZE=%d DENSENET_LOCAL_RANK=$rank OMP_NUM_THREADS=1 \
      timeout -k 1 %d '%s' '%s/program.lua' > '%s/output'$rank 2>&1
    echo $? > '%s/status'$rank
  ) &
  rank=$((rank + 1))
done
wait
]]

--- Runs a program as so many ranks. In it are `dn`, `core`, `dist`, `rank`, `size`, `device` (its GPU),
-- `open(timeout)`, which gives a communicator, and emulation(hook, n).
-- @param n how many
-- @param program its text
-- @param options (optional) { seconds = the most it may take, else 60 }
-- @return for each rank, from 0, what it printed; and its status (timeout's 124 for too long, 128 + signal)
function gpuRanks.run(n, program, options)
  options = options or {}
  local directory <close> = setmetatable({ path = temporary.directory() },
    { __close = function(self) temporary.remove(self.path) end })
  local path = directory.path
  local bytes = assert(core.comm_rendezvous "nccl")
  program = PRELUDE:format(package.path, package.cpath, program):gsub('os.getenv "TEST_RENDEZVOUS"', function()
    return ('(("%s"):gsub("..", function(x) return string.char(tonumber(x, 16)) end))'):format(hexadecimal(bytes))
  end)
  temporary.write(path .. "/program.lua", program)
  local script = temporary.write(path .. "/start.sh", START:format(n, n, options.seconds or 60,
    temporary.interpreter(), path, path, path))
  os.execute(("%s sh '%s'"):format(gpuRanks.isEmulated and "DENSENET_EMULATED_GPUS=4" or "", script))
  local outputs, statuses = {}, {}
  for rank = 0, n - 1 do
    outputs[rank] = temporary.read(path .. "/output" .. rank)
    statuses[rank] = tonumber(temporary.read(path .. "/status" .. rank))
  end
  return outputs, statuses
end

--- The same, of which every rank ends well and prints the same; returns that.
function gpuRanks.agreed(n, program, options)
  local outputs, statuses = gpuRanks.run(n, program, options)
  for rank = 0, n - 1 do
    if statuses[rank] ~= 0 or outputs[rank] ~= outputs[0] then
      error(("rank %d of %d ended with %s and printed\n%s\nwhere rank 0 printed\n%s"):format(rank, n, statuses[rank],
        outputs[rank], outputs[0]), 2)
    end
  end
  return outputs[0]
end

--- A line of JSON that a program printed.
function gpuRanks.decode(text) return assert(dn.json.decode(text)) end

return gpuRanks
