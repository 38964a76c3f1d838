-- Times training steps of a network on random images: forward, cross-entropy, backward, SGD.
--
--   lua scripts/bench.lua -device cpu -depth 100 -growthRate 12 -batchSize 64 -optMemory 0 -steps 10 -json
--
-- Printed last: one line, JSON with -json. Times are seconds a step, MB are 2^20 bytes:
--   median_s min_s first_s    the first step, the one that allocates, stands apart
--   peak_mb                   the most tensor memory at once, parameters and all; planned_mb what was
--                             planned for it (null for an evaluation on a GPU, which has no plan)
--   reserved_mb               what the device had from the system for it, free blocks kept included
--   rss_mb                    the most memory the process had, as the system counts
--   allocations               tensor allocations while the timed steps ran
--   gflop, gflops             10^9 multiplications and additions of a step's products and convolutions; a second
--   peak_gflops, peak_share   what the cores are measured to multiply and add at most; the share of it (null on a GPU)
--                             (with -tiles of that instruction set; peers are held to AVX2 as well)
--   peers                     with -peer: what bench_peers.lua measured beside, in -rounds of -steps by turns; ratio is
--                             their seconds by ours
--
-- `lua scripts/bench.lua -loader -images DIR` times the making of batches from JPEG files instead
-- (bench_loader.lua); `-table` times usual networks, one after the other, as a table (bench_table.lua).

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
local OTHERS = { ["-loader"] = "/bench_loader.lua", ["-table"] = "/bench_table.lua" }
if OTHERS[arg[1]] then return dofile(here .. OTHERS[table.remove(arg, 1)]) end
dofile(here .. "/setup.lua")

local dn = require "densenet"
local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local device = require "densenet.train.device"
local median = require "median"
local memoryModes = require "densenet.nn.memory_modes"
local models = require "densenet.models"
local optionList = require "densenet.train.option_list"
local options = require "densenet.train.options"
local peers = require "bench_peers"
local precision = require "densenet.models.precision"
local program = require "densenet.train.program"

-- The bench's own usual values of a network's options.
local USUAL = { depth = 100 }

local general = {
  { title = "Images",
    { name = "batchSize", type = "integer", default = 64, min = 1, max = 1000000, help = "images a step" },
    { name = "size", type = "integer", default = 32, min = 1, max = 100000, help = "height and width" },
    { name = "channels", type = "integer", default = 3, min = 1, max = 100000, help = "channels" },
  },
  { title = "Measurement",
    { name = "device", type = "word", default = "cpu", choices = { "cpu", "cuda", "cuda:N" }, pattern = "^cuda:%d+$",
      help = "where to compute" },
    { name = "precision", type = "word", default = "single",
      choices = precision.words, help = "numbers; in half the loss is scaled" },
    { name = "nCores", type = "integer", shown = "all there are", min = 1, max = 1024, help = "compute threads" },
    { name = "tiles", type = "word", shown = "the best of this processor", choices = { "avx512", "avx2", "portable" },
      help = "instruction set of convolutions on the CPU" },
    { name = "steps", type = "integer", default = 10, min = 1, help = "timed steps" },
    { name = "warmup", type = "integer", default = 2, min = 1, help = "steps before them" },
    { name = "infer", type = "flag", help = "time the forward pass in evaluation mode instead" },
    { name = "json", type = "flag", help = "print JSON" },
  },
  { title = "Beside others",
    { name = "peer", type = "text", shown = "none",
      help = "a Python with torchvision, and onnxruntime for -infer: times their steps as well, in turn" },
    { name = "peers", type = "text", shown = "all that suit but compile",
      help = "of nchw, nhwc, checkpoint, compile, onnxruntime, with commas between" },
    { name = "rounds", type = "integer", default = 5, min = 1, help = "turns of -steps; medians count" },
  },
}

-- Options of the network that the command line names, and those of the bench.
local function commandLine()
  local netType = CommandLine.textOf(arg, "netType") or optionList.netType.default
  local network = optionList.network(netType) or optionList.network(optionList.netType.default)
  if netType == optionList.netType.default then
    for _, option in ipairs(network) do option.default = USUAL[option.name] or option.default end
  end
  local memory = models.memoryOf(models.family(models.find(netType) and netType or nil))
  table.move({
    { name = "nClasses", type = "integer", default = 10, min = 1, max = 1000000, help = "classes" },
    { name = "optMemory", type = "integer", default = memory.default, min = 0, max = #memoryModes,
      help = "what is kept for the backward pass: 0 everything ... 5 the least" },
  }, 1, 2, #network + 1, network)
  return CommandLine.new { network, table.unpack(general) }
end

-- The network and the plan of a step, or with -infer of an evaluation.
local function build(opt, given)
  local images = { channels = opt.channels, height = opt.size, width = opt.size }
  local config, why = options.networkConfig(opt, given, images)
  local hasMode, whyNot = options.checkMode(opt)
  if not (config and hasMode) then program.refuse(why or whyNot) end
  config.inputChannels, config.nClasses, config.optMemory, config.precision = opt.channels, opt.nClasses,
    opt.optMemory, opt.precision
  local least = models.leastSize(config)
  if opt.size < least then
    program.refuse(("-size %d: images of %dx%d are too small for this network, which needs %dx%d at least"):format(
      opt.size, opt.size, opt.size, least, least))
  end
  local model = models.withoutImageGradient(models.fromConfig(config)):to(opt.device)
  local isPlanned = not opt.infer or opt.device == "cpu"
  return model, isPlanned and model:plan({ opt.batchSize, opt.channels, opt.size, opt.size }, { evaluate = opt.infer })
    or nil
end

-- What an operation multiplies and adds: twice the outputs (or the gradients of outputs) times what each is a sum of.
local function termsOf(weight) return weight:nElement() / weight:size(1) end
local COUNTED = {
  conv2d_forward = function(y, _, weight) return 2 * y:nElement() * termsOf(weight) end,
  conv2d_backward_data = function(_, dy, weight) return 2 * dy:nElement() * termsOf(weight) end,
  conv2d_backward_weight = function(dweight, _, dy) return 2 * dy:nElement() * termsOf(dweight) end,
  norm_relu_conv_forward = function(y, _, _, _, weight) return 2 * y:nElement() * termsOf(weight) end,
  norm_relu_conv_backward = function(_, _, dweight, dy, _, _, _, _, weight)
    return (dweight and 4 or 2) * dy:nElement() * termsOf(weight)
  end,
  folded_conv = function(y, _, _, weight) return 2 * y:nElement() * termsOf(weight) end,
  gemm = function(c, a) return 2 * c:nElement() * a:size(2) end,
  linear_forward = function(y, x) return 2 * y:nElement() * x:size(2) end,
  linear_backward_data = function(dx, dy) return 2 * dx:nElement() * dy:size(2) end,
  linear_backward_weight = function(dweight, _, dy) return 2 * dweight:nElement() * dy:size(1) end,
}

-- The multiplications and additions of a step, which is done once more.
local function operationsOf(step)
  local sum, usual = 0, {}
  for name, count in pairs(COUNTED) do
    local operation = core[name]
    usual[name] = operation
    core[name] = function(...)
      sum = sum + count(...)
      return operation(...)
    end
  end
  step()
  for name, operation in pairs(usual) do core[name] = operation end
  return sum
end

-- function() that does one step.
local function stepOf(opt, model)
  local input = dn.randn(opt.batchSize, opt.channels, opt.size, opt.size):type(model:activationType()):to(opt.device)
  if opt.infer then
    model:evaluate()
    return function() model:forward(input) end
  end
  local labels = {}
  for i = 1, opt.batchSize do labels[i] = math.random(opt.nClasses) end
  local target = dn.tensor(labels, "long"):to(opt.device)
  local criterion = dn.nn.CrossEntropyCriterion()
  local scaling = model:activationType() == "half" and dn.optim.LossScale(model) or nil
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

-- From then on convolutions, and what is measured as their peak, take the loops of that instruction set.
local function chooseTiles(opt)
  if not opt.tiles then return end
  if opt.device ~= "cpu" then
    program.refuse(("-tiles %s: only the CPU has them; expected -device cpu, got %s"):format(opt.tiles, opt.device))
  end
  local sets = core.testing.tiles()
  for _, set in ipairs(sets) do
    if set == opt.tiles then return core.testing.tiles(set) end
  end
  program.refuse(("-tiles %s: this processor has %s"):format(opt.tiles, table.concat(sets, ", ")))
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

-- Seconds of our steps, in turn with those of others; and what was measured of the others.
local function beside(opt, others, model, step)
  local seconds = {}
  local theirs = peers.measure(opt, others, model, function(n)
    local turn = time(step, n, opt.device)
    table.move(turn, 1, n, #seconds + 1, seconds)
    return median(turn)
  end, here)
  return seconds, theirs
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
  local opt, given = program.options(commandLine(), arg, "lua scripts/bench.lua [-option value ...]")
  if not opt then return end
  local fine, why = device.check(opt)
  if not fine then program.refuse(why) end
  program.check(device.choose(opt, { precision = true }))
  opt.nCores = dn.threads(opt.nCores)
  chooseTiles(opt)
  dn.manualSeed(0)
  math.randomseed(0)
  local peak = core.device_peak(opt.device, opt.precision == "double" and "double" or "float")
  local model, plan = build(opt, given)
  local others = opt.peer and peers.check(opt, model.config)
  local step = stepOf(opt, model)
  local warmup = time(step, opt.warmup, opt.device)
  local before = dn.memory(opt.device).allocations
  local seconds, theirs
  if others then
    seconds, theirs = beside(opt, others, model, step)
  else
    seconds = time(step, opt.steps, opt.device)
  end
  local memory = dn.memory(opt.device)
  local operations = operationsOf(step)
  local rate = operations / median(seconds)

  local result = {
    median_s = round(median(seconds), 5), min_s = round(math.min(table.unpack(seconds)), 5),
    first_s = round(warmup[1], 5), peak_mb = round(memory.peak / 2 ^ 20, 1),
    planned_mb = plan and round(plan.totalBytes / 2 ^ 20, 1) or dn.json.null, rss_mb = peakResidentMb(),
    reserved_mb = round(memory.reserved / 2 ^ 20, 1),
    params = model:parameterCount(), allocations = memory.allocations - before,
    gflop = round(operations / 1e9, 6), gflops = round(rate / 1e9, 1),
    peak_gflops = peak and round(peak / 1e9, 1) or dn.json.null,
    peak_share = peak and round(rate / peak, 3) or dn.json.null,
  }
  for name, value in pairs(opt) do
    if name ~= "json" then result[name] = value end
  end
  result.network = model.config
  result.infer = opt.infer or false
  result.peers = theirs
  if opt.json then return print(dn.json.encode(result)) end
  print(("%s: %.4f s median, %.4f s least; %.1f MB of tensors at most%s, %s MB of process; %d parameters; %d threads; "
    .. "%.1f GFLOP, %.1f a second%s"):format(opt.infer and "forward" or "step", result.median_s, result.min_s,
    result.peak_mb, plan and (" (%.1f planned)"):format(result.planned_mb) or "", result.rss_mb, result.params,
    opt.nCores, result.gflop, result.gflops,
    peak and (", %.0f %% of the %.1f that the cores multiply and add at most"):format(100 * result.peak_share,
      result.peak_gflops) or ""))
  if theirs then print(table.concat(peers.lines(theirs), "\n")) end
end

os.exit(program.run("bench.lua", "usage: lua scripts/bench.lua [-option value ...]      (--help lists the options)",
  main), true)
