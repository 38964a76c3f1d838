-- Images a second from JPEG files to batches, by number of threads, and beside torchvision where a Python with it
-- is named: lua scripts/bench_loader.lua -images DIR -python python3
--
-- Both sides take turns, round by round, because a machine that others use is never the same twice; the table has
-- the medians. "a core" is images by the CPU time that they took, which other programs disturb less.

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
local here = (arg[0]:match("^(.*)/[^/]*$") or ".")
dofile(here .. "/setup.lua")

local dn = require "densenet"
local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local median = require "median"
local PeerProcess = require "peer_process"
local program = require "densenet.train.program"

local MEAN, STD = { 123.675, 116.28, 103.53 }, { 58.395, 57.12, 57.375 }
local EIGENVALUES = { 0.2175 * 255, 0.0188 * 255, 0.0045 * 255 }
local BATCH = 32

local JOBS = {
  { name = "decode", title = "decode" },
  { name = "bilinear", title = "evaluation: Scale 256 bilinear, CenterCrop 224" },
  { name = "bicubic", title = "evaluation: the same, bicubic" },
  { name = "trainbilinear", title = "training: RandomSizedCrop bilinear, jitter, lighting, flip" },
  { name = "train", title = "training: the same, bicubic" },
}

local reader = CommandLine.new {
  { title = "Images",
    { name = "images", type = "text", help = "a JPEG file, or a directory with some" },
  },
  { title = "Measurement",
    { name = "threads", type = "integer", default = 2, min = 1, max = 64,
      help = "the most threads: 1, 2, 4 ... of them" },
    { name = "seconds", type = "number", default = 1, above = 0, help = "seconds a measurement" },
    { name = "rounds", type = "integer", default = 5, min = 1, help = "measurements of which the median counts" },
    { name = "python", type = "text", shown = "none", help = "a Python with torchvision, to measure beside" },
    { name = "fastDecode", type = "boolean", default = false, help = "as main.lua's, in training" },
  },
}

-- ---- This library ----

local function transformOf(job)
  local t = dn.data.transforms
  local normalize = t.ColorNormalize { mean = MEAN, std = STD }
  if job == "bilinear" or job == "bicubic" then
    return t.Compose { t.Scale(256, job), normalize, t.CenterCrop(224, { rounding = "even" }) }
  end
  return t.Compose {
    t.RandomSizedCrop(224, job == "train" and "bicubic" or "bilinear"),
    t.ColorJitter { brightness = 0.4, contrast = 0.4, saturation = 0.4 }, t.Lighting(0.1, EIGENVALUES), normalize,
    t.HorizontalFlip(0.5),
  }
end

local DECODER = [[
  local core = require "densenet.core"
  return function(paths, seconds)
    local count, start = 0, core.clock()
    while core.clock() - start < seconds do
      assert(core.image_read(paths[count % #paths + 1], 3)):free()
      count = count + 1
    end
    return count
  end]]

-- Images, seconds and CPU seconds.
local function decode(opt, paths, nThreads)
  local pool = core.worker_pool(nThreads, DECODER)
  local start, cpu, count = core.clock(), os.clock(), 0
  for i = 1, nThreads do pool:submit(i, paths, opt.seconds) end
  for _ = 1, nThreads do
    local _, ok, n = pool:receive()
    if not ok then error(n, 0) end
    count = count + n
  end
  pool:close()
  return count, core.clock() - start, os.clock() - cpu
end

-- The same of a loader's epoch of `size` images, with threads that have begun.
local function load(opt, paths, job, nThreads, size)
  local argument = { paths = paths, size = size }
  local set = require "bench_loader_set"(argument)
  set.fastDecode = opt.fastDecode
  local loader <close> = dn.data.Loader {
    set = set, batchSize = BATCH, nThreads = nThreads, shuffle = false, transform = transformOf(job),
    worker = { module = "bench_loader_set", argument = argument },
  }
  for _ in loader:run(1, math.max(1, loader:size() - nThreads + 1)) do end
  local start, cpu, count = core.clock(), os.clock(), 0
  for _, sample in loader:run(2) do count = count + sample.size end
  return count, core.clock() - start, os.clock() - cpu
end

-- ---- torchvision ----

local STARTING = 60 -- seconds that loading torch may take

local function startPeers(opt, paths)
  PeerProcess.check(opt.python, { "torchvision", "PIL" })
  local command = table.move(paths, 1, #paths, 3, { opt.python, here .. "/bench_loader_peer.py" })
  local peers = {}
  for i = 1, opt.threads do peers[i] = PeerProcess.new(command) end
  return peers
end

-- Sums over n processes that run side by side: images a second, and images a CPU second of each.
local function runPeers(peers, job, seconds, n)
  for i = 1, n do peers[i]:ask(("%s %s"):format(job, core.format("%g", seconds))) end
  local rate, images, cpuSeconds = 0, 0, 0
  for i = 1, n do
    local count, wall, cpu = peers[i]:answer(seconds + STARTING):match("^(%S+) (%S+) (%S+)")
    count, wall, cpu = tonumber(count), tonumber(wall), tonumber(cpu)
    rate, images, cpuSeconds = rate + count / wall, images + count, cpuSeconds + cpu
  end
  return rate, images / cpuSeconds
end

-- ---- The table ----

local function filesOf(path)
  local names = core.directory_list(path)
  if not names then return { path } end
  local paths = {}
  for _, name in ipairs(names) do
    if name:lower():find("%.jpe?g$") then paths[#paths + 1] = path .. "/" .. name end
  end
  table.sort(paths)
  return paths
end

local function measure(opt, paths, peers, job, nThreads)
  local own, ownCore, theirs, theirCore, ratio = {}, {}, {}, {}, {}
  local least = 2 * BATCH * nThreads
  local count, seconds, cpu
  if job.name ~= "decode" then count, seconds = load(opt, paths, job.name, nThreads, least) end
  for round = 1, opt.rounds do
    if job.name == "decode" then
      count, seconds, cpu = decode(opt, paths, nThreads)
    else -- as many images as the time is enough for, by the last round
      local size = math.max(least, math.floor(count / seconds * opt.seconds) // BATCH * BATCH)
      count, seconds, cpu = load(opt, paths, job.name, nThreads, size)
    end
    own[round], ownCore[round] = count / seconds, count / cpu
    if peers then
      theirs[round], theirCore[round] = runPeers(peers, job.name, opt.seconds, nThreads)
      ratio[round] = ownCore[round] / theirCore[round]
    end
  end
  local line = ("%-58s %7d %8.0f %8.0f"):format(job.title, nThreads, median(own), median(ownCore))
  if peers then line = line .. (" %11.0f %8.0f %7.2f"):format(median(theirs), median(theirCore), median(ratio)) end
  print(line)
  io.stdout:flush()
end

local function main()
  local opt = program.options(reader, arg, "lua scripts/bench_loader.lua -images DIR [-option value ...]")
  if not opt then return end
  if not opt.images then program.refuse("-images: a JPEG file, or a directory with some, expected") end
  local paths = filesOf(opt.images)
  if #paths == 0 then program.stop(1, opt.images .. ": has no JPEG files") end
  for _, path in ipairs(paths) do program.check(dn.image.load(path)) end
  local peers = opt.python and startPeers(opt, paths)
  local heading = ("%-58s %7s %8s %8s"):format("images a second", "threads", "all", "a core")
  print(heading .. (peers and (" %11s %8s %7s"):format("torchvision", "a core", "ratio") or ""))
  for _, job in ipairs(JOBS) do
    local nThreads = 1
    while nThreads <= opt.threads do
      measure(opt, paths, peers, job, nThreads)
      nThreads = nThreads * 2
    end
  end
  for _, peer in ipairs(peers or {}) do peer:close() end
end

os.exit(program.run("bench_loader.lua", "usage: lua scripts/bench_loader.lua -images DIR [-option value ...]      "
  .. "(--help lists the options)", main), true)
