-- What each memory mode costs: MB planned, MB measured and seconds a step as a Markdown table, and
-- memory against depth as a plot.
--
--   lua scripts/bench_memory.lua -table memory.md -plot memory.svg
--
-- MB are 2^20 bytes, everything counted: parameters, gradients, momentum, buffers, kernels' scratch.
-- Each measurement is a process of its own (scripts/bench.lua). Networks that the machine has no
-- memory for are planned and not run. The plot is of plans.

-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
local root = dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua").root

local dn = require "densenet"
local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local device = require "densenet.train.device"
local lineChart = require "densenet.report.line_chart"
local memory = require "densenet.train.memory"
local memoryModes = require "densenet.nn.memory_modes"
local models = require "densenet.models"
local precision = require "densenet.models.precision"
local program = require "densenet.train.program"
local quote = require "shell_quote"

local commandLine = CommandLine.new {
  { title = "Measurement",
    { name = "netType", type = "name", shown = "BC(40,12) and BC(100,12)", find = models.find,
      help = "measure this family's usual network, or this preset, instead" },
    { name = "size", type = "integer", default = 32, min = 1, max = 100000, help = "height and width, with -netType" },
    { name = "full", type = "flag", help = "also BC(190,40), and DenseNet-121 at 224x224: an hour, and gigabytes" },
    { name = "planOnly", type = "flag", help = "run nothing" },
    { name = "batchSize", type = "integer", default = 64, min = 1, max = 1000000, help = "images a step" },
    { name = "steps", type = "integer", default = 3, min = 1, help = "timed steps, after one that is not" },
    { name = "device", type = "word", default = "cpu", choices = { "cpu", "cuda", "cuda:N" }, pattern = "^cuda:%d+$",
      help = "where to compute" },
    { name = "precision", type = "word", default = "single", choices = precision.words, help = "numbers" },
    { name = "nCores", type = "integer", shown = "all there are", min = 1, max = 1024, help = "compute threads" },
  },
  { title = "Results",
    { name = "table", type = "text", shown = "stdout", help = "file for the table" },
    { name = "plot", type = "text", shown = "none", help = "file for the plot, SVG" },
  },
}

local DEPTHS, GROWTH_RATE = { 40, 76, 100, 148, 190 }, 12

-- Networks as configurations, with the images that they are measured on.
local function networks(opt)
  if opt.netType then
    return { { name = ("%s, %dx%d"):format(opt.netType, opt.size, opt.size), batchSize = opt.batchSize, size = opt.size,
      netType = opt.netType } }
  end
  local list = {
    { name = "DenseNet-BC(40,12), 32x32", batchSize = opt.batchSize, size = 32, depth = 40, growthRate = 12 },
    { name = "DenseNet-BC(100,12), 32x32", batchSize = opt.batchSize, size = 32, depth = 100, growthRate = 12 },
  }
  if opt.full then
    list[3] = { name = "DenseNet-BC(190,40), 32x32", batchSize = opt.batchSize, size = 32, depth = 190,
      growthRate = 40 }
    list[4] = { name = "DenseNet-121, 224x224", batchSize = 8, size = 224, netType = "densenet121", nClasses = 1000 }
  end
  return list
end

local function plannedBytes(opt, network, mode)
  return models.withoutMemory({
    family = network.netType, depth = network.depth, growthRate = network.growthRate, nClasses = network.nClasses or 10,
    optMemory = mode, precision = opt.precision,
  }, opt.device):plan({ network.batchSize, 3, network.size, network.size }).totalBytes
end

-- What bench.lua says of a network, as a table.
local function measure(opt, network, mode)
  local words = { quote(arg[-1] or "lua5.4"), quote(root .. "/scripts/bench.lua"), "-json", "-warmup 1",
    "-steps", opt.steps, "-nCores", opt.nCores, "-optMemory", mode,
    "-device", opt.device, "-precision", opt.precision,
    "-batchSize", network.batchSize, "-size", network.size, "-nClasses", network.nClasses or 10,
    "-netType", quote(network.netType or "densenet") }
  for _, name in ipairs { "depth", "growthRate" } do
    if network[name] then words[#words + 1] = ("-%s %d"):format(name, network[name]) end
  end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local text = pipe:read("a")
  local done, _, status = pipe:close()
  if not done then program.stop(1, ("bench.lua ended with status %s"):format(status)) end
  return program.check(dn.json.decode(text))
end

local function rowOf(opt, network, mode)
  local planned = plannedBytes(opt, network, mode)
  local available = not opt.planOnly and memory.available(opt.device)
  local fits = not available or planned < 0.9 * available
  local seen = fits and not opt.planOnly and measure(opt, network, mode) or nil
  return ("| %s | %d | %d %s | %.1f | %s | %s |"):format(network.name, network.batchSize, mode,
    memoryModes[mode].word, planned / 2 ^ 20, seen and ("%.1f"):format(seen.peak_mb) or "",
    seen and ("%.3f"):format(seen.median_s) or "")
end

local function tableOf(opt)
  local lines = {
    ("MB are 2^20 bytes, everything counted; %s precision on %s, %d threads; seconds are medians of %d steps.")
      :format(opt.precision, opt.device, opt.nCores, opt.steps), "",
    "| network | batch | -optMemory | MB planned | MB measured | s a step |", "|---|---|---|---|---|---|",
  }
  for _, network in ipairs(networks(opt)) do
    local builds = models.memoryOf(models.family(network.netType)).builds
    for mode = 0, #memoryModes do
      if builds[mode] then
        lines[#lines + 1] = rowOf(opt, network, mode)
        io.stderr:write(lines[#lines], "\n")
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function plotOf(opt)
  local chart = {
    title = ("DenseNet-BC, k = %d, %d images of 32x32: memory of a training step"):format(GROWTH_RATE, opt.batchSize),
    x = "depth L", y = "MB (2^20 bytes)", width = 760, height = 440,
  }
  for _, one in ipairs { { 0, "naive (0)" }, { 4, "linear (4)" }, { 5, "minimal (5)" } } do
    local line = { name = one[2] }
    for i, depth in ipairs(DEPTHS) do
      local network = { depth = depth, growthRate = GROWTH_RATE, batchSize = opt.batchSize, size = 32 }
      line[i] = { depth, plannedBytes(opt, network, one[1]) / 2 ^ 20 }
    end
    chart[#chart + 1] = line
  end
  return lineChart.drawing(chart):element(true)
end

local function main()
  local opt = program.options(commandLine, arg, "lua scripts/bench_memory.lua [-option value ...]")
  if not opt then return end
  local fine, why = device.check(opt)
  if not fine then program.refuse(why) end
  opt.plan = opt.planOnly -- then the device need not be there
  program.check(device.choose(opt, { precision = true }))
  opt.nCores = dn.threads(opt.nCores)
  if opt.plot then program.check(core.file_write(opt.plot, plotOf(opt), {})) end
  local text = tableOf(opt)
  if not opt.table then return io.stdout:write(text) and 0 end
  program.check(core.file_write(opt.table, text, {}))
end

os.exit(program.run("bench_memory.lua",
  "usage: lua scripts/bench_memory.lua [-option value ...]      (--help lists the options)", main), true)
