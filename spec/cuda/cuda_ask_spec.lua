-- What a GPU answers beside its operations (cuda/cuda_testing.h): what measurements stand on.

local core = require "densenet.core"
local dn = require "densenet"

package.path = "scripts/?.lua;" .. package.path
local gpu = require "gpu_ask"

local DEVICE = "cuda:0"
local is_emulated = core.testing.cuda_emulation("reverse", 0)

local function ask(hook, n) return core.testing.device_ask(DEVICE, hook, n) end

describe("a GPU", function()
  it("says which kernels were launched, while it is asked to count", function()
    local t = dn.ones { 3, device = DEVICE }
    local counted = gpu.launches(DEVICE, function()
      gpu.ask(DEVICE, "empty kernels", 7)
      t:fill(2)
      t:fill(3)
    end)
    assert.same({ empty_kernel = 7, fill_kernel = 2 }, counted)
    t:fill(4)
    assert.equal("", ask("launched", 0))
    assert.same({}, gpu.launches(DEVICE, function() end))
  end)

  it("takes a graph of kernels that do nothing", function()
    local graph = core.graph_begin(DEVICE)
    gpu.ask(DEVICE, "empty kernels", 1000)
    core.graph_end(graph, true)
    assert.equal(1000, core.graph_nodes(graph))
    core.graph_launch(graph)
    core.synchronize(DEVICE)
    core.graph_free(graph)
  end)

  it("multiplies with tensor cores as often as it says", function()
    for dtype, depth in pairs { float = 8, half = 16, bfloat16 = 16 } do
      local n, sum = gpu.ask(DEVICE, "products " .. dtype, 3):match "^(%S+) (%S+)$"
      local chains = 8
      assert.equal(3 * depth * 4 * chains, tonumber(sum))
      local warps = tonumber(n) / (2 * 16 * 8 * depth * chains * 3)
      assert.is_true(warps >= 1 and warps == math.floor(warps))
    end
    local answer, why = ask("products float", -1)
    assert.is_nil(answer)
    assert.equal("0 to 2^31 - 1 rounds expected", why)
  end)

  it("tells the time between two marks on its stream", function()
    local t = dn.ones { 1000, device = DEVICE }
    local none = gpu.milliseconds(DEVICE, function() end)
    local some = gpu.milliseconds(DEVICE, function()
      for _ = 1, 20 do t:fill(1) end
    end)
    assert.is_true(none >= 0 and some > 0)
    local answer, why = ask("mark", 2)
    assert.is_nil(answer)
    assert.equal("mark 0 or 1 expected", why)
  end)

  it("says what every kernel takes, those of a graph included", function()
    if is_emulated then
      core.testing.cuda_emulation("refuse cupti", 1)
      local list, why = gpu.kernelTimes(DEVICE, function() end)
      core.testing.cuda_emulation("refuse cupti", 0)
      assert.is_nil(list)
      assert.equal("cuda:0: cuptiActivityEnable failed: CUPTI_ERROR_INSUFFICIENT_PRIVILEGES", why)
    end
    gpu.beginKernelTimes(DEVICE) -- it may not tell of graphs that are older
    local graph = core.graph_begin(DEVICE)
    gpu.ask(DEVICE, "empty kernels", 5)
    core.graph_end(graph, true)
    local list, why = gpu.kernelTimes(DEVICE, function()
      core.graph_launch(graph)
      gpu.ask(DEVICE, "products float", 1)
    end)
    core.graph_free(graph)
    if not list then return assert.matches("CUPTI", why) end -- a GPU's machine need not have it
    local counts = {}
    for _, one in ipairs(list) do
      counts[one.name:match "^[%w_]+"] = one.count
      assert.is_true(one.seconds >= 0)
    end
    assert.same({ empty_kernel = 5, products_kernel = 1 }, counts)
    assert.equal(0, #gpu.kernelTimes(DEVICE, function() end))
  end)

  it("shows its plans of convolutions, and a plan device its own", function()
    local function forward(device)
      local x, weight, y = core.tensor_new(device, "float", { 3, 2, 21, 19 }),
        core.tensor_new(device, "float", { 4, 2, 3, 3 }), core.tensor_new(device, "float", { 3, 4, 21, 19 })
      core.conv2d_forward(y, x, weight, nil, 1, 1, 1, 1, 1)
    end
    for _, device in ipairs { DEVICE, "plan:cuda:0" } do
      local before = #gpu.list(device, "convolution plan")
      forward(device)
      local made = gpu.list(device, "convolution plan", before)
      assert.is_true(#made >= 1) -- one to size the workspace, perhaps another for the workspace of that size
      for _, line in ipairs(made) do
        assert.matches("^forward float 3 2 21 19 4 3 3 done %d+ %d+ [%d.]+$", line)
      end
      forward(device)
      assert.equal(before + #made, #gpu.list(device, "convolution plan"))
    end
    if not is_emulated then return end
    core.testing.cuda_emulation("refuse cudnn", 1)
    local x, weight, y = dn.ones(1, 2, 23, 19):to(DEVICE), dn.ones(4, 2, 3, 3):to(DEVICE),
      dn.ones(1, 4, 23, 19):to(DEVICE)
    core.conv2d_forward(y, x, weight, nil, 1, 1, 1, 1, 1)
    core.testing.cuda_emulation("refuse cudnn", 0)
    local list = gpu.list(DEVICE, "convolution plan")
    assert.matches("^forward float 1 2 23 19 4 3 3 refused 0 0 [%d.]+$", list[#list])
  end)

  it("says what it cannot be asked", function()
    local answer, why = ask "nonsense"
    assert.is_nil(answer)
    assert.equal("cuda:0 cannot be asked 'nonsense'", why)
    answer, why = core.testing.device_ask("plan:cuda:0", "mark", 0)
    assert.is_nil(answer)
    assert.equal("plan:cuda:0 cannot be asked 'mark'", why)
    assert.is_nil((core.testing.device_ask("cpu", "nonsense", 0)))
  end)
end)
