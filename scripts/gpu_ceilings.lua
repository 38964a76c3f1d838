-- What a GPU can do at most, by the module's own operations: the figures beside which all others stand
-- (gpu_check.sh). Prints lines of JSON, each when it is known:
--   product ...   what the GPU and its libraries are
--   copy_gb_s     10^9 bytes a second, read and written, of a copy
--   launch_us     microseconds of the host for an operation that is one small kernel
--   round_us      of that and the wait for it
--   empty         of a kernel that does nothing, launched alone and as the nodes of a graph: launches, nodes,
--                 microseconds of the host (launch_us; graph_us of the whole graph) and of the GPU (gpu_us, node_us)
--   tflops        of a large product of the library's, by precision
--   mma_tflops    of the instructions that the fused kernels use, with their factors in registers
--
-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local dn = require "densenet"
local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local gpu = require "gpu_ask"
local program = require "densenet.train.program"

local commandLine = CommandLine.new {
  { title = "Ceilings",
    { name = "device", type = "word", default = "cuda:0", choices = { "cuda:N" }, pattern = "^cuda:%d+$",
      help = "the GPU" },
    { name = "bytes", type = "integer", default = 1 << 30, min = 1024, help = "of the copy" },
    { name = "side", type = "integer", default = 8192, min = 16, help = "rows and columns of the products" },
    { name = "repeats", type = "integer", default = 20, min = 1, help = "of each" },
    { name = "launches", type = "integer", default = 500, min = 1,
      help = "empty kernels that are timed; with over 1000 the host waits for the GPU's queue" },
    { name = "nodes", type = "integer", default = 1000, min = 1, help = "empty kernels in a graph" },
    { name = "rounds", type = "integer", default = 100000, min = 1, help = "of products by tensor cores" },
  },
}

-- Milliseconds of the host to ask for one of n calls, and of the GPU to do it; both the best of three, behind a first.
local function bothOf(call, n, device)
  local host, own = math.huge, math.huge
  call()
  for _ = 1, 3 do
    core.synchronize(device)
    local seconds
    own = math.min(own, gpu.milliseconds(device, function()
      local start = core.clock()
      for _ = 1, n do call() end
      seconds = core.clock() - start
    end) / n)
    host = math.min(host, seconds * 1e3 / n)
  end
  return host, own
end

-- What a kernel that does nothing costs: alone, and as a node of a graph.
local function emptyKernels(opt)
  local device = opt.device
  local host, own = bothOf(function() gpu.ask(device, "empty kernels", opt.launches) end, 1, device)
  local graph = core.graph_begin(device)
  gpu.ask(device, "empty kernels", opt.nodes)
  core.graph_end(graph, true)
  local graphHost, graphOwn = bothOf(function() core.graph_launch(graph) end, opt.repeats, device)
  local nodes = core.graph_nodes(graph)
  core.graph_free(graph)
  return { launches = opt.launches, launch_us = host * 1e3 / opt.launches, gpu_us = own * 1e3 / opt.launches,
    nodes = nodes, graph_us = graphHost * 1e3, node_us = graphOwn * 1e3 / nodes }
end

-- 10^12 operations a second of mma.sync, by precision.
local function mmaRates(opt)
  local rates = {}
  for name, dtype in pairs { tf32 = "float", bfloat16 = "bfloat16", half = "half" } do
    local hook, operations = "products " .. dtype, nil
    gpu.ask(opt.device, hook, opt.rounds)
    local ms = gpu.milliseconds(opt.device, function()
      operations = tonumber(gpu.ask(opt.device, hook, opt.rounds):match "^%S+")
    end)
    rates[name] = operations / ms / 1e9
  end
  return rates
end

local function show(found)
  found.kind = "ceilings"
  print(dn.json.encode(found))
  io.stdout:flush()
end

local function copyRate(opt)
  local n = opt.bytes // 4
  local from, to = core.tensor_new(opt.device, "float", { n }), core.tensor_new(opt.device, "float", { n })
  core.random_uniform(from, 0, 1, 1, 0, 0)
  local _, ms = bothOf(function() core.copy(to, from) end, opt.repeats, opt.device)
  return { bytes = 4 * n, copy_gb_s = 8 * n / ms / 1e6 }
end

-- Of an operation of one number: the host's microseconds, and with a wait behind each.
local function smallOperation(opt)
  local device, small = opt.device, core.tensor_new(opt.device, "float", { 1 })
  local function fill() core.fill(small, 1) end
  local host = bothOf(fill, opt.launches, device)
  local start = core.clock()
  for _ = 1, opt.launches do
    fill()
    core.synchronize(device)
  end
  return { launch_us = host * 1e3, round_us = (core.clock() - start) / opt.launches * 1e6 }
end

-- 10^12 operations a second of the library's products, by precision.
local function productRates(opt)
  local device, side, rates = opt.device, opt.side, {}
  for name, way in pairs { single = { "float", false }, tf32 = { "float", true }, bfloat16 = { "bfloat16", false } } do
    local dtype, tf32 = table.unpack(way)
    core.tf32(device, tf32)
    local function square(of) return core.tensor_new(device, of, { side, side }) end
    local x, weight, y = square(dtype), square "float", square(dtype)
    core.random_uniform(x, -1, 1, 2, 0, 0)
    core.random_uniform(weight, -1, 1, 3, 0, 0)
    local _, ms = bothOf(function() core.linear_forward(y, x, weight, nil) end, opt.repeats, device)
    rates[name] = 2 * side ^ 3 / ms / 1e9
  end
  core.tf32(device, false)
  return rates
end

local function main()
  local opt = program.options(commandLine, arg, "lua scripts/gpu_ceilings.lua [-option value ...]")
  if not opt then return end
  program.check(core.device_find(opt.device))
  local about = program.check(dn.device(opt.device))
  show { device = opt.device, emulated = core.testing.cuda_emulation("reverse", 0), product = about.product,
    capability = about.capability, driver = about.driver, runtime = about.runtime, cublas = about.cublas,
    cudnn = about.cudnn, memory_mb = about.memory / 2 ^ 20 }
  show(copyRate(opt))
  show(smallOperation(opt))
  show { empty = emptyKernels(opt) }
  show { side = opt.side, tflops = productRates(opt) }
  show { mma_tflops = mmaRates(opt) }
end

os.exit(program.run("gpu_ceilings.lua",
  "usage: lua scripts/gpu_ceilings.lua [-option value ...]      (--help lists the options)", main), true)
