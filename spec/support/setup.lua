-- busted's helper: runs once, before the first spec file, and then around every test and file.
--
-- Every test starts from the same seed and gives the process-wide switches back as it found them, so
-- that one failure does not make others. After a file no block of the library may be live that was
-- not before: a spec keeps its tensors inside its tests.

local busted = require "busted"

-- A spec that needs the module and does not find it says so itself.
local is_built, core = pcall(require, "densenet.core")
local n_threads = is_built and core.threads()

-- Besides the CPU: the GPUs that specs of spec/cuda use.
local used_devices = {}
if is_built and os.getenv "DENSENET_DEVICES" then
  for device in os.getenv("DENSENET_DEVICES"):gmatch("%S+") do used_devices[#used_devices + 1] = device end
end

local function live_blocks()
  collectgarbage()
  collectgarbage() -- finalizers of the first round may have freed what others held
  core.scratch_release()
  for _, device in ipairs(used_devices) do core.scratch_release(device) end
  local n_blocks = core.memory("cpu").blocks
  for _, device in ipairs(used_devices) do
    n_blocks = n_blocks + core.memory(device).blocks
  end
  return n_blocks
end

busted.subscribe({ "test", "start" }, function()
  math.randomseed(20170721)
  return nil, true
end)

if is_built then
  busted.subscribe({ "test", "end" }, function()
    core.testing.reference(false)
    core.testing.alloc_refuse(0)
    core.memory_limit("cpu", 0)
    core.testing.tiles(core.testing.tiles()[1])
    core.threads(n_threads)
    return nil, true
  end)

  local n_before = 0
  busted.subscribe({ "file", "start" }, function()
    n_before = live_blocks()
    return nil, true
  end)

  -- First in line, so that the report counts the leak with the file that left it.
  busted.subscribe({ "file", "end" }, function(file)
    local n_more = live_blocks() - n_before
    if n_more > 0 then
      busted.publish({ "error", "file" }, file, nil,
        ("%d blocks (tensors, or parts of them) are still live after %s"):format(n_more, file.name), {})
    end
    return nil, true
  end, { priority = 1 })
end
