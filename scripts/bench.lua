-- Times training steps of a DenseNet on random images: forward, cross-entropy, backward, SGD.
--
--   lua scripts/bench.lua -device cpu -depth 100 -growthRate 12 -batchSize 64 -optMemory 0 -steps 10 -json
--
-- Printed last: one line, JSON with -json. Times are seconds a step, MB are 2^20 bytes:
--   median_s min_s first_s    the first step, the one that allocates, stands apart
--   peak_mb                   the most tensor memory at once, parameters and all; planned_mb what was
--                             planned for it (null with -infer: plans are for training)
--   reserved_mb               what the device had from the system for it, free blocks kept included
--   rss_mb                    the most memory the process had, as the system counts
--   allocations               tensor allocations while the timed steps ran

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
if _VERSION ~= "Lua 5.4" then
  io.stderr:write("bench.lua: needs Lua 5.4, and this is ", _VERSION, ". Run it as: lua5.4 ", arg[0], " ...\n")
  os.exit(1)
end

local root = (arg[0]:match("^(.*)/[^/]*$") or ".") .. "/.."
local build = os.getenv("DENSENET_BUILD") or root .. "/build"
package.path = root .. "/lua/?.lua;" .. root .. "/lua/?/init.lua;" .. package.path
package.cpath = build .. "/?.so;" .. package.cpath

local dn = require "densenet"
local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local device = require "densenet.train.device"
local program = require "densenet.train.program"

local command_line = CommandLine.new {
  { title = "Network",
    { name = "depth", type = "integer", default = 100, min = 1, max = 10000, help = "layers" },
    { name = "blocks", type = "text", shown = "none", help = "layers in each block, 6,12,24,16; replaces -depth" },
    { name = "growthRate", type = "integer", default = 12, min = 1, max = 10000, help = "channels a layer adds" },
    { name = "bottleneck", type = "boolean", default = true, help = "1x1 convolutions before the 3x3 ones" },
    { name = "reduction", type = "number", default = 0.5, above = 0, max = 1, help = "share kept by a transition" },
    { name = "dropRate", type = "number", default = 0, min = 0, below = 1, help = "probability of dropout" },
    { name = "stem", type = "word", default = "cifar", choices = { "cifar", "imagenet" }, help = "first layers" },
    { name = "nClasses", type = "integer", default = 10, min = 1, max = 1000000, help = "classes" },
    { name = "optMemory", type = "integer", default = 4, min = 0, max = 5,
      help = "what is kept for the backward pass: 0 everything ... 5 the least" },
  },
  { title = "Images",
    { name = "batchSize", type = "integer", default = 64, min = 1, max = 1000000, help = "images a step" },
    { name = "size", type = "integer", default = 32, min = 1, max = 100000, help = "height and width" },
    { name = "channels", type = "integer", default = 3, min = 1, max = 100000, help = "channels" },
  },
  { title = "Measurement",
    { name = "device", type = "word", default = "cpu", choices = { "cpu", "cuda", "cuda:N" }, pattern = "^cuda:%d+$",
      help = "where to compute" },
    { name = "precision", type = "word", default = "single",
      choices = { "single", "tf32", "double", "half", "bfloat16" }, help = "numbers; in half the loss is scaled" },
    { name = "nCores", type = "integer", shown = "all there are", min = 1, max = 1024, help = "compute threads" },
    { name = "steps", type = "integer", default = 10, min = 1, help = "timed steps" },
    { name = "warmup", type = "integer", default = 2, min = 1, help = "steps before them" },
    { name = "infer", type = "flag", help = "time the forward pass in evaluation mode instead" },
    { name = "json", type = "flag", help = "print JSON" },
  },
}

local function blocksOf(text)
  local blocks = {}
  for word in (text .. ","):gmatch("([^,]*),") do
    local n = word:find("^%d+$") and math.tointeger(tonumber(word))
    if not n or n < 1 then
      program.refuse(("-blocks %s: expected layer numbers such as 6,12,24,16, got '%s'"):format(text, word))
    end
    blocks[#blocks + 1] = n
  end
  return blocks
end

local function buildModel(opt)
  local done, model = pcall(dn.models.densenet, {
    depth = not opt.blocks and opt.depth or nil, blocks = opt.blocks and blocksOf(opt.blocks),
    growthRate = opt.growthRate, bottleneck = opt.bottleneck, reduction = opt.reduction, dropRate = opt.dropRate,
    stem = opt.stem, inputChannels = opt.channels, nClasses = opt.nClasses, optMemory = opt.optMemory,
    precision = opt.precision,
  })
  if done then return dn.models.withoutImageGradient(model):to(opt.device) end
  if type(model) == "string" and model:find("^models%.densenet: ") then program.refuse(model) end
  error(model, 0)
end

-- The plan of a step, which also finds images that are too small for the network.
local function planOf(opt, model)
  local done, plan = pcall(model.plan, model, { opt.batchSize, opt.channels, opt.size, opt.size })
  if done then return plan end
  if tostring(plan):find("bad argument", 1, true) then
    local reason = plan:match("^[^\n]*"):match("bad argument.-%((.*)%)") or plan
    program.refuse(("-size %d: images of %dx%d are too small for this network (%s)"):format(opt.size, opt.size,
      opt.size, reason))
  end
  error(plan, 0)
end

-- function() that does one step.
local function stepOf(opt, model)
  local input = dn.randn(opt.batchSize, opt.channels, opt.size, opt.size):type(model:type()):to(opt.device)
  if opt.infer then
    model:evaluate()
    return function() model:forward(input) end
  end
  local labels = {}
  for i = 1, opt.batchSize do labels[i] = math.random(opt.nClasses) end
  local target = dn.tensor(labels, "long"):to(opt.device)
  local criterion = dn.nn.CrossEntropyCriterion()
  local scaling = model:type() == "half" and dn.optim.LossScale(model) or nil
  local optimizer = dn.optim.SGD(model,
    { learningRate = 0.1, momentum = 0.9, dampening = 0, nesterov = true, weightDecay = 1e-4 })
  return function()
    local output = model:forward(input)
    criterion:forward(output, target)
    model:zeroGradParameters()
    local scale = scaling and scaling.scale or 1
    model:backward(input, criterion:backward(output, target, scale), 1 / scale)
    if not scaling or scaling:check() then optimizer:step() end
  end
end

-- Seconds of each of n calls, until the device is done.
local function time(step, n, on)
  local seconds = {}
  for i = 1, n do
    local start = core.clock()
    step()
    if on ~= "cpu" then core.synchronize(on) end
    seconds[i] = core.clock() - start
  end
  return seconds
end

local function median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local low, high = math.floor((#sorted + 1) / 2), math.ceil((#sorted + 1) / 2)
  return (sorted[low] + sorted[high]) / 2
end

local function round(x, digits) return math.floor(x * 10 ^ digits + 0.5) / 10 ^ digits end

-- From Linux's /proc; nothing where there is none.
local function peakResidentMb()
  local file = io.open("/proc/self/status")
  local text = file and file:read("a") or ""
  if file then file:close() end
  local kilobytes = tonumber(text:match("VmHWM:%s*(%d+) kB"))
  return kilobytes and round(kilobytes / 1024, 1) or dn.json.null
end

local function main()
  local opt, why = command_line:parse(arg)
  if not opt then program.refuse(why) end
  if opt.help then return print("lua scripts/bench.lua [-option value ...]\n" .. command_line:help()) end
  local fine
  fine, why = device.check(opt)
  if not fine then program.refuse(why) end
  program.check(device.choose(opt, { precision = true }))
  opt.nCores = dn.threads(opt.nCores)
  dn.manualSeed(0)
  math.randomseed(0)
  local model = buildModel(opt)
  local plan = planOf(opt, model)
  if opt.infer then plan = nil end
  local step = stepOf(opt, model)
  local warmup = time(step, opt.warmup, opt.device)
  local before = dn.memory(opt.device).allocations
  local seconds = time(step, opt.steps, opt.device)
  local memory = dn.memory(opt.device)

  local result = {
    median_s = round(median(seconds), 5), min_s = round(math.min(table.unpack(seconds)), 5),
    first_s = round(warmup[1], 5), peak_mb = round(memory.peak / 2 ^ 20, 1),
    planned_mb = plan and round(plan.totalBytes / 2 ^ 20, 1) or dn.json.null, rss_mb = peakResidentMb(),
    reserved_mb = round(memory.reserved / 2 ^ 20, 1),
    params = model:parameterCount(), allocations = memory.allocations - before,
  }
  for name, value in pairs(opt) do
    if name ~= "json" then result[name] = value end
  end
  result.blocks, result.depth = model.config.blocks, not opt.blocks and opt.depth or nil
  result.infer = opt.infer or false
  if opt.json then return print(dn.json.encode(result)) end
  print(("%s: %.4f s median, %.4f s least; %.1f MB of tensors at most%s, %s MB of process; %d parameters; %d threads")
    :format(opt.infer and "forward" or "step", result.median_s, result.min_s, result.peak_mb,
      plan and (" (%.1f planned)"):format(result.planned_mb) or "", result.rss_mb, result.params, opt.nCores))
end

os.exit(program.run("bench.lua", "usage: lua scripts/bench.lua [-option value ...]      (--help lists the options)",
  main), true)
