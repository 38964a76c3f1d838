-- DENSENET_CUDA_CHUNK_MB: how many bytes are made at a time before a product reads them.

local core = require "densenet.core"
local temporary = require "spec.support.temporary"

-- What a program prints that runs a dense layer's convolution of 16 images of 16 KB, in a process of its own.
local function outputOf(environment)
  return temporary.output([[
    local device = "cuda:0"
    assert(core.device_find(device))
    local function new(...) return core.tensor_new(device, "float", { ... }) end
    local x, norm, weight, y = new(16, 4, 32, 32), new(4, 4), new(8, 4, 1, 1), new(16, 8, 32, 32)
    for i, tensor in ipairs { x, norm, weight } do core.random_uniform(tensor, 0, 1, i, 0, 0) end
    core.scratch_release(device)
    local before = core.memory(device).live
    local ok, message = pcall(core.norm_relu_conv_forward, y, nil, x, norm, weight)
    local scratch = core.memory(device).live - before
    local sum = core.tensor_new(device, "double", { 1, 1, 1, 1 })
    if ok then core.reduce(sum, y, "sum") end
    print(ok, ok and scratch or message, ok and ("%.9g"):format(sum:item()))
  ]], environment)
end

local function scratchOf(environment)
  local ok, scratch, sum = outputOf(environment):match("^(%S+)\t(%d+)\t(%S+)\n$")
  assert.equal("true", ok)
  return math.tointeger(tonumber(scratch)), tonumber(sum)
end

describe("DENSENET_CUDA_CHUNK_MB", function()
  it("changes how many images are taken together, and no result", function()
    local usual, sum = scratchOf("DENSENET_CUDA_CHUNK_MB=65536")
    local all, same = scratchOf("DENSENET_CUDA_CHUNK_MB=1")
    assert.equal(usual, all) -- 256 KB fit into 1 MB
    assert.equal(sum, same)
    if not core.testing.cuda_emulation("reverse", 0) then return end
    local few, again = scratchOf("LANG=C") -- the emulation's 16 KB: an image at a time
    assert.equal(15 * 16384, all - few)
    assert.equal(sum, again)
  end)

  for _, word in ipairs { "0", "-3", "many", "65537", "16MB" } do
    it("refuses " .. word, function()
      assert.matches("^false\t[^\n]*DENSENET_CUDA_CHUNK_MB is '" .. word:gsub("%-", "%%-")
        .. "'; expected a whole number of MB, 1 to 65536", outputOf("DENSENET_CUDA_CHUNK_MB=" .. word))
    end)
  end
end)
