-- What a GPU can do at most, by the module's own operations: the figures beside which all others stand
-- (gpu_check.sh). Prints a line of JSON:
--   copy_gb_s     10^9 bytes a second, read and written, of a copy
--   launch_us     microseconds of the host for an operation that is one small kernel
--   round_us      of that and the wait for it
--   tflops        of a large product, by precision
--
-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local dn = require "densenet"
local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local program = require "densenet.train.program"

local commandLine = CommandLine.new {
  { title = "Ceilings",
    { name = "device", type = "word", default = "cuda:0", choices = { "cuda:N" }, pattern = "^cuda:%d+$",
      help = "the GPU" },
    { name = "bytes", type = "integer", default = 1 << 30, min = 1024, help = "of the copy" },
    { name = "side", type = "integer", default = 8192, min = 16, help = "rows and columns of the products" },
    { name = "repeats", type = "integer", default = 20, min = 1, help = "of each" },
    { name = "launches", type = "integer", default = 2000, min = 1, help = "small operations that are timed" },
  },
}

-- Seconds of one of n calls that follow each other.
local function secondsOf(call, n, device)
  call()
  core.synchronize(device)
  local start = core.clock()
  for _ = 1, n do call() end
  core.synchronize(device)
  return (core.clock() - start) / n
end

local function main()
  local opt = program.options(commandLine, arg, "lua scripts/gpu_ceilings.lua [-option value ...]")
  if not opt then return end
  local device = opt.device
  program.check(core.device_find(device))
  local n = opt.bytes // 4
  local from, to = core.tensor_new(device, "float", { n }), core.tensor_new(device, "float", { n })
  core.random_uniform(from, 0, 1, 1, 0, 0)
  local copy = secondsOf(function() core.copy(to, from) end, opt.repeats, device)
  local small = core.tensor_new(device, "float", { 1 })
  core.fill(small, 0)
  core.synchronize(device)
  local start = core.clock()
  for _ = 1, opt.launches do core.fill(small, 1) end
  local launch = (core.clock() - start) / opt.launches
  core.synchronize(device)
  start = core.clock()
  for _ = 1, opt.launches do
    core.fill(small, 1)
    core.synchronize(device)
  end
  local round = (core.clock() - start) / opt.launches
  local tflops = {}
  for name, way in pairs { single = { "float", false }, tf32 = { "float", true }, bfloat16 = { "bfloat16", false } } do
    local dtype, tf32 = table.unpack(way)
    core.tf32(device, tf32)
    local x, weight, y = core.tensor_new(device, dtype, { opt.side, opt.side }),
      core.tensor_new(device, "float", { opt.side, opt.side }), core.tensor_new(device, dtype, { opt.side, opt.side })
    core.random_uniform(x, -1, 1, 2, 0, 0)
    core.random_uniform(weight, -1, 1, 3, 0, 0)
    local seconds = secondsOf(function() core.linear_forward(y, x, weight, nil) end, opt.repeats, device)
    tflops[name] = 2 * opt.side ^ 3 / seconds / 1e12
  end
  core.tf32(device, false)
  local gpu = program.check(dn.device(device))
  print(dn.json.encode { kind = "ceilings", device = device, emulated = core.testing.cuda_emulation("reverse", 0),
    product = gpu.product, capability = gpu.capability, driver = gpu.driver, runtime = gpu.runtime,
    cublas = gpu.cublas, cudnn = gpu.cudnn, memory_mb = gpu.memory / 2 ^ 20, bytes = 4 * n,
    copy_gb_s = 8 * n / copy / 1e9,
    launch_us = launch * 1e6, round_us = round * 1e6, side = opt.side, tflops = tflops })
end

os.exit(program.run("gpu_ceilings.lua",
  "usage: lua scripts/gpu_ceilings.lua [-option value ...]      (--help lists the options)", main), true)
