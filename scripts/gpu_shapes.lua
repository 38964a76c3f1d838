-- The convolutions of DenseNet-BC(100,12), one by one, on a GPU (gpu_check.sh): 3x3 at the three sizes of its blocks, a
-- 1x1 at each, and the first layer, in every direction and precision. Prints a line of JSON for each:
--   host_us device_us   microseconds of the call alone, and of one when many follow each other
--   gflop_s             10^9 multiplications and additions a second of the latter
--
-- Older versions of Lua read this file too, so there is no syntax of 5.4 in it.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")

local dn = require "densenet"
local core = require "densenet.core"
local CommandLine = require "densenet.train.command_line"
local program = require "densenet.train.program"

local commandLine = CommandLine.new {
  { title = "Convolutions",
    { name = "device", type = "word", default = "cuda:0", choices = { "cuda:N" }, pattern = "^cuda:%d+$",
      help = "the GPU" },
    { name = "batchSize", type = "integer", default = 64, min = 1, help = "images" },
    { name = "repeats", type = "integer", default = 20, min = 1, help = "of each" },
    { name = "tiny", type = "flag", help = "images of an eighth of the size" },
  },
}

-- Input channels, output channels, height and width, side of the window.
local SHAPES = {
  { 3, 24, 32, 3 }, { 48, 12, 32, 3 }, { 48, 12, 16, 3 }, { 48, 12, 8, 3 }, { 120, 48, 32, 1 }, { 204, 48, 16, 1 },
  { 246, 48, 8, 1 }, { 216, 108, 32, 1 }, { 300, 150, 16, 1 },
}
local WAYS = { { "single", "float", false }, { "tf32", "float", true }, { "bfloat16", "bfloat16", false } }

local function measure(call, n, device)
  call()
  core.synchronize(device)
  local host, start = 0, core.clock()
  for _ = 1, n do
    local before = core.clock()
    call()
    host = host + core.clock() - before
  end
  core.synchronize(device)
  return host / n, (core.clock() - start) / n
end

local function main()
  local opt = program.options(commandLine, arg, "lua scripts/gpu_shapes.lua [-option value ...]")
  if not opt then return end
  local device = opt.device
  program.check(core.device_find(device))
  for _, way in ipairs(WAYS) do
    local precision, dtype, tf32 = table.unpack(way)
    core.tf32(device, tf32)
    for _, shape in ipairs(SHAPES) do
      local c, k, size, side = table.unpack(shape)
      if opt.tiny then size = size // 8 end
      local x, y = core.tensor_new(device, dtype, { opt.batchSize, c, size, size }),
        core.tensor_new(device, dtype, { opt.batchSize, k, size, size })
      local weight = core.tensor_new(device, "float", { k, c, side, side })
      for i, tensor in ipairs { x, y, weight } do core.random_uniform(tensor, -1, 1, i, 0, 0) end
      local pad = side // 2
      local calls = {
        forward = function() core.conv2d_forward(y, x, weight, nil, 1, 1, pad, pad, 1) end,
        ["backward, data"] = function() core.conv2d_backward_data(x, y, weight, 1, 1, pad, pad, 1) end,
        ["backward, weight"] = function() core.conv2d_backward_weight(weight, nil, y, x, 1, 1, pad, pad, 1, 1e-6) end,
      }
      for direction, call in pairs(calls) do
        local host, all = measure(call, opt.repeats, device)
        print(dn.json.encode { kind = "convolution", precision = precision, direction = direction,
          batch = opt.batchSize, channels = c, outputs = k, size = size, side = side, host_us = host * 1e6,
          device_us = all * 1e6, gflop_s = 2 * opt.batchSize * c * k * (size * side) ^ 2 / all / 1e9 })
      end
    end
  end
  core.tf32(device, false)
end

os.exit(program.run("gpu_shapes.lua",
  "usage: lua scripts/gpu_shapes.lua [-option value ...]      (--help lists the options)", main), true)
