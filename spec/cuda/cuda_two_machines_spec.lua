-- GPUs of two machines, which are made of this one (support/machines.lua): two ranks on each get NCCL's bytes by TCP.
local gpuRanks = require "spec.support.gpu_ranks"
local launched = require "spec.support.launched"
local machines = require "spec.support.machines"
local temporary = require "spec.support.temporary"

local itWith = gpuRanks.itWith(it, pending)

-- What each rank does; the arguments are its options and the seconds that it waits.
local PROGRAM = [[
  package.path, package.cpath = %q, %q
  local dn = require "densenet"
  local comm, message = dn.dist.open { device = "cuda:" .. os.getenv "RANK", timeout = tonumber(arg[2]),
    agree = arg[1] }
  if not comm then io.stderr:write(message, "\n") os.exit(1) end
  local x = dn.tensor({ comm.rank + 1, 10 }):to(comm.device)
  io.stdout:write(table.concat(comm:allReduce(x):to("cpu"):totable(), " "), " ", comm.engine, "\n")
  comm:close()
]]

describe("ranks of two machines", function()
  -- Exit status and streams of each.
  local function run(name, options)
    local children, places, results = {}, {}, {}
    for rank = 3, 0, -1 do
      places[rank] = temporary.directory()
      local program = temporary.write(places[rank] .. "/program.lua", PROGRAM:format(package.path:gsub("%f[^;%z]([^/])",
        temporary.absolute "" .. "%1"), package.cpath:gsub("%f[^;%z]([^/])", temporary.absolute "" .. "%1")))
      children[rank] = machines.start(name, rank < 2 and "a" or "b", places[rank], { temporary.interpreter(), program,
        options[rank] or "growthRate 12", "30" }, { RANK = tostring(rank), WORLD_SIZE = "4",
        LOCAL_RANK = tostring(rank), MASTER_ADDR = name .. "a", MASTER_PORT = "29513", OMP_NUM_THREADS = "1",
        DENSENET_EMULATED_GPUS = "4" })
    end
    for rank = 0, 3 do
      local status, out, err = launched.finish(children[rank], places[rank])
      results[rank + 1] = { status, out, err }
      temporary.remove(places[rank])
    end
    return results
  end

  itWith(4, "add up by NCCL, which they were joined by by TCP", function()
    local name <close>, why = machines.up()
    if not name then return pending(why) end
    for _, result in ipairs(run(name.name, {})) do assert.same({ 0, "10.0 40.0 nccl\n", "" }, result) end
  end)

  itWith(4, "end with a sentence where one has other options", function()
    local name <close>, why = machines.up()
    if not name then return pending(why) end
    local results = run(name.name, { [2] = "growthRate 24" })
    local sentence = "rank 2 trains with -growthRate 24, rank 0 with 12"
    for i, result in ipairs(results) do
      assert.same({ 1, "", ((i == 2 or i == 4) and ("rank %d of 4: rank 0 has ended the run: "):format(i - 1) or "")
        .. sentence .. "\n" }, result)
    end
  end)
end)

