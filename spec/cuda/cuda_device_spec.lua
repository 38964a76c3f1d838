-- GPUs as devices: what they say of themselves, what happens without them, memory and its figures,
-- copies of every kind, failures.

local dn = require "densenet"
local core = require "densenet.core"
local compare = require "spec.support.compare"
local operation = require "spec.support.operation"
local recorded = require "spec.support.recorded"
local temporary = require "spec.support.temporary"

local DEVICE = "cuda:0"
local is_emulated = core.testing.cuda_emulation("reverse", 0)
local ALL = { "float", "double", "half", "bfloat16", "long", "byte" }

-- How many GPUs are here.
local function count_devices()
  local n = 0
  while core.device_find("cuda:" .. n) do n = n + 1 end
  return n
end

local function emulated_it(name, test)
  if is_emulated then it(name, test) end
end

describe("a GPU", function()
  it("is found by its name", function()
    local device = assert(dn.device(DEVICE))
    assert.equal(DEVICE, tostring(device))
    assert.equal(DEVICE, tostring(assert(dn.device "cuda")))
    assert.is_true(#device.product > 0)
    assert.is_true(device.memory > 1 << 20)
    assert.matches("^%d+%.%d$", device.capability)
    assert.matches("^%d+%.%d$", device.driver)
    assert.matches("^%d+%.%d$", device.runtime)
    assert.matches("^%d+%.%d+%.%d+$", device.cublas)
    assert.matches("^%d+%.%d+%.%d+$", device.cudnn)
    assert.equal(core.comm_engine "nccl" or nil, device.nccl and "NCCL " .. device.nccl)
    assert.is_true(device.free > 0 and device.free <= device.memory)
  end)

  it("that is not there is refused with the reason", function()
    local n = count_devices()
    assert.equal(n, core.device_count "cuda")
    local device, message, code = dn.device("cuda:" .. n)
    assert.is_nil(device)
    assert.matches(("no cuda:%d: there .. %d NVIDIA GPU"):format(n, n):gsub("%.%.", "%%a+"), message)
    assert.equal("device", code)
    for _, name in ipairs { "cuda:", "cuda:x", "cuda:1x", "cuda0", "cuda:-1", "cuda:01" } do
      local _, _, why = dn.device(name)
      assert.equal("argument", why, name)
    end
    assert.error_matches(function() dn.zeros { 2, device = "cuda:99" } end, "devices count from 0")
  end)

  emulated_it("without a driver is refused, and nothing else notices", function()
    local program = [[
      print(dn.device "cuda:0")
      print(pcall(dn.zeros, { 2, device = "cuda" }))
      print(dn.ones(3):sum())
    ]]
    local output = temporary.output(program, "DENSENET_EMULATED_GPUS='no driver'")
    assert.matches("^nil\tno CUDA: no NVIDIA driver, or one older than CUDA 13.0\tdevice\n" ..
      "false\t.-no NVIDIA driver.-\n3.0\n$", output)
    output = temporary.output(program, "DENSENET_EMULATED_GPUS=0")
    assert.matches("^nil\tno CUDA: there is no NVIDIA GPU here\tdevice\n", output)
  end)
end)

describe("copies", function()
  it("go to the GPU and back in every dtype, and between dtypes", function()
    for _, from in ipairs(ALL) do
      local x = dn.tensor({ { 1, 2, 3 }, { 4, 5, 120 } }, from)
      for _, to in ipairs(ALL) do
        local there = core.tensor_new(DEVICE, to, { 2, 3 })
        core.copy(there, x)
        compare.identical(there, x:type(to), from .. " to " .. to .. ", up")
        local back = core.tensor_new("cpu", to, { 2, 3 })
        core.copy(back, x:to(DEVICE))
        compare.identical(back, x:type(to), from .. " to " .. to .. ", down")
      end
    end
  end)

  it("take views on either side", function()
    local x = dn.arange(1, 24):view(2, 3, 4)
    local there = dn.zeros { 4, 3, 2, device = DEVICE }
    there:transpose(1, 3):copy(x)
    assert.same(x:totable(), there:transpose(1, 3):totable())
    there:narrow(1, 2, 2):fill(-1)
    assert.same(x[2][3][4], there:at(4, 3, 2))
    assert.same(-1, there:at(2, 3, 2))
    local part = dn.zeros(3, 2)
    part:t():copy(there:narrow(1, 4, 1):select(1, 1):t())
    assert.same({ { 4, 16 }, { 8, 20 }, { 12, 24 } }, part:totable())
  end)

  it("of single elements and from tables", function()
    local t = dn.tensor({ 1, 2, 3 }, "long", DEVICE)
    t:put(math.maxinteger, 2)
    assert.equal(math.maxinteger, t:at(2))
    assert.equal(3, t[3])
    assert.same({ 1, math.maxinteger, 3 }, t:totable())
    assert.matches("long tensor of size 3", tostring(t))
    assert.equal(2.5, dn.tensor(2.5, "double", DEVICE):item())
    assert.same({}, dn.zeros { 0, 3, device = DEVICE }:totable())
  end)

  -- With one GPU there is nothing to test, and `make test-cuda` takes a skipped test for a failure.
  local two_it = count_devices() >= 2 and it or function() end
  two_it("between GPUs", function()
    local x = dn.arange(1, 12):view(3, 4):to("cuda:0")
    assert.same(x:totable(), x:to("cuda:1"):totable())
    assert.same(x:t():totable(), x:t():double():to("cuda:1"):totable())
    local there = dn.zeros { 4, 3, dtype = "half", device = "cuda:1" }
    there:copy(x:t())
    there:add(1)
    assert.same((x:t() + 1):totable(), there:totable())
  end)

  it("from pinned memory run on the side", function()
    local x = dn.arange(1, 1000):pin(DEVICE)
    assert.is_true(x:isPinned())
    assert.is_false(dn.ones(1):isPinned())
    assert.equal("cpu", x:device())
    local y = dn.zeros { 1000, device = DEVICE }
    for round = 1, 3 do
      core.copy_async(y, x)
      core.copy_join(DEVICE)
      local sum = y + 1
      core.copy_wait(DEVICE)
      x:add(1)
      assert.equal(round + 1, sum:at(1))
      assert.equal(999 + round + 1, sum:at(1000))
    end
    assert.error_matches(function() core.copy_async(y, dn.zeros(1000)) end, "#2 .*not in memory pinned by cuda:0")
  end)

  it("on the side outlive their tensors", function()
    collectgarbage()
    local before = core.memory("cpu")
    for _ = 1, 5 do
      local x, y = dn.full(7, 5000):pin(DEVICE), dn.zeros { 5000, device = DEVICE }
      core.copy_async(y, x)
      x:free()
      y:free()
      local other = dn.ones { 5000, device = DEVICE }
      assert.equal(1, other:at(5000))
    end
    core.copy_wait(DEVICE)
    collectgarbage()
    assert.equal(before.live, core.memory("cpu").live)
  end)
end)

describe("memory of a GPU", function()
  it("is counted to the byte, and kept when it is given back", function()
    core.scratch_release(DEVICE)
    collectgarbage()
    core.testing.memory_trim(DEVICE)
    local before = dn.memory(DEVICE)
    local t = core.tensor_new(DEVICE, "float", { 1000 })
    local with = dn.memory(DEVICE)
    assert.equal(4000, with.live - before.live)
    assert.equal(1, with.blocks - before.blocks)
    local reserved = with.reserved - before.reserved
    assert.is_true(reserved >= 4000 and reserved <= 4608)
    t:free()
    assert.equal(before.live, dn.memory(DEVICE).live)
    assert.equal(with.reserved, dn.memory(DEVICE).reserved)
    core.tensor_new(DEVICE, "float", { 999 }):free()
    assert.equal(with.reserved, dn.memory(DEVICE).reserved)
    core.testing.memory_trim(DEVICE)
    assert.equal(before.reserved, dn.memory(DEVICE).reserved)
    core.memory_reset_peak(DEVICE)
    assert.equal(before.live, dn.memory(DEVICE).peak)
  end)

  it("has sizes at most a sixteenth larger than asked for", function()
    collectgarbage()
    core.testing.memory_trim(DEVICE)
    for _, n in ipairs { 0, 1, 511, 512, 513, 10000, 65537, 1000003, 12345678 } do
      local before = dn.memory(DEVICE).reserved
      local t = core.tensor_new(DEVICE, "byte", { n })
      local taken = dn.memory(DEVICE).reserved - before
      assert.is_true(taken >= n and taken <= n * 17 / 16 + 512, n .. " bytes")
      t:free()
      core.testing.memory_trim(DEVICE)
    end
  end)

  it("for scratch is kept in its last size only", function()
    local function new(...) return core.tensor_new(DEVICE, "float", { ... }) end
    local a, c, x, y, weight = new(2, 2), new(2, 2), new(1, 4, 64, 64), new(1, 4, 64, 64), new(4, 4, 3, 3)
    collectgarbage()
    core.scratch_release(DEVICE)
    core.testing.memory_trim(DEVICE)
    local before = dn.memory(DEVICE)
    core.gemm(c, a, a, 1, 0)
    local product = dn.memory(DEVICE).live - before.live
    core.conv2d_backward_data(x, y, weight, 1, 1, 1, 1, 1)
    local after = dn.memory(DEVICE)
    assert.is_true(after.live - before.live > product and product > 0)
    assert.is_true(after.reserved - before.reserved <= (after.live - before.live) * 17 / 16 + 512)
  end)

  it("that runs out is an error, after which the program goes on", function()
    local ok, message = pcall(dn.empty, { 1 << 50, device = DEVICE })
    assert.is_false(ok)
    assert.matches("out of memory on cuda:0: %d+ bytes asked for, %d+ in use, %d+ at the peak", message)
    assert.same({ 1, 1 }, dn.ones { 2, device = DEVICE }:totable())
  end)

  emulated_it("is freed and asked for once more when it runs out", function()
    dn.zeros { 100000, device = DEVICE }:free()
    core.testing.cuda_emulation("fail malloc", 1)
    local t = dn.ones { 300000, device = DEVICE }
    core.testing.cuda_emulation("fail malloc", 0)
    assert.equal(1, t:at(300000))
  end)

  emulated_it("that runs out for good leaves nothing behind", function()
    collectgarbage()
    core.testing.memory_trim(DEVICE)
    local before = dn.memory(DEVICE)
    core.testing.cuda_emulation("fail malloc", 1)
    local refused = core.tensor_new(DEVICE, "float", { 77777 }) -- the binding collects and tries again
    refused:free()
    core.memory_limit(DEVICE, before.live + 100)
    assert.error_matches(function() dn.zeros { 100, device = DEVICE } end, "out of memory on cuda:0: 400 bytes")
    core.memory_limit(DEVICE, 0)
    assert.equal(before.live, dn.memory(DEVICE).live)
    assert.equal(before.blocks, dn.memory(DEVICE).blocks)
  end)
end)

describe("failures", function()
  emulated_it("of a call name it and leave the GPU usable", function()
    local t = dn.ones { 3, device = DEVICE }
    core.testing.cuda_emulation("refuse launch", 1)
    assert.error_matches(function() core.fill(t, 2) end,
      "cuda:0: launch of %(fill_kernel<[%w, ]+>%) failed: invalid configuration argument "
        .. "%(cudaErrorInvalidConfiguration%)")
    core.testing.cuda_emulation("fail copy", 1)
    assert.error_matches(function() t:totable() end, "cuda:0: cudaMemcpyAsync failed: invalid argument")
    assert.same({ 1, 1, 1 }, t:totable())
  end)

  emulated_it("that last refuse the GPU from then on, with the reason, and no other", function()
    local output = temporary.output [[
      local t, other = dn.ones { 3, device = "cuda:0" }, dn.ones { 3, device = "cuda:1" }
      core.testing.cuda_emulation("fail launch", 1)
      t:fill(2)
      print(pcall(t.totable, t))
      print(pcall(t.fill, t, 3))
      print(pcall(dn.ones, { 2, device = "cuda:0" }))
      t = nil
      collectgarbage()
      print(other:at(1), dn.ones(2):sum())
    ]]
    local lines = {}
    for line in output:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.matches("false\t.*cuda:0: cuda%a+ failed: .*was told to fail", lines[1])
    assert.matches("false\t.*cuda:0 has failed and is not used any more; .*was told to fail", lines[2])
    assert.matches("false\t.*cuda:0 has failed", lines[3])
    assert.equal("1.0\t2.0", lines[4])
  end)

  emulated_it("of every kind that takes the GPU's context away count as such", function()
    for _, code in ipairs { 214, 220, 226, 700, 702, 710, 714, 715, 716, 717, 718, 719, 721, 911, 999 } do
      local output = temporary.output(([[
        local t = dn.ones { 3, device = "cuda:0" }
        core.testing.cuda_emulation("fail as", %d)
        core.testing.cuda_emulation("fail launch", 1)
        t:fill(2)
        pcall(t.totable, t)
        print(pcall(t.fill, t, 3))]]):format(code))
      assert.message(code).matches("false\t.*cuda:0 has failed and is not used any more", output)
    end
  end)

  it("of values are told once, by whoever waits", function()
    local a, b = dn.tensor({ 1, 2, 3, 4 }, "byte", DEVICE), dn.tensor({ 1, 0, 1, 0 }, "byte", DEVICE)
    local q = a / b
    assert.error_matches(function() q:totable() end,
      "cuda:0: 'binary' met a 0 in argument #3, at element 2; byte division has no result for it")
    dn.synchronize(DEVICE)
    assert.same({ 1, 0, 3, 0 }, q:totable())
  end)

  it("of many values at once are told by the first one, again and again", function()
    local n = 1 << 16
    for _, first in ipairs { 2, n - 63, 40 } do
      local a, b = dn.ones { n, dtype = "long", device = DEVICE }, dn.ones { n, dtype = "long", device = DEVICE }
      b:narrow(1, first, n - first + 1):zero()
      local q = a / b
      assert.error_matches(function() q:totable() end, ("at element %d; long division"):format(first))
    end
    dn.synchronize(DEVICE)
  end)
end)

describe("the plan of a GPU", function()
  it("counts bytes and has no values", function()
    local before = core.memory("plan:cuda:0").live
    local t = core.tensor_new("plan:cuda:0", "float", { 1 << 20, 1 << 20 })
    assert.equal(4 << 40, core.memory("plan:cuda:0").live - before)
    assert.equal("plan:cuda:0", t:device())
    assert.matches("float tensor of size 1048576x1048576", tostring(t))
    assert.error_matches(function() t:at(1, 1) end, "no values")
    core.fill(t, 1)
    assert.error_matches(function() core.copy(t, dn.ones(3)) end, "y is on plan:cuda:0; expected cpu")
    t:free()
  end)

  it("tells a recorder what every operation writes and reads", function()
    local has = {}
    for _, name in ipairs((core.operations("plan:cuda:0"))) do has[name] = true end
    for _, case in ipairs(operation.families().cases) do
      if has[case.op] then recorded.check(case, "plan:cuda:0") end
    end
  end)

  it("tells it of copies on the side", function()
    local x = core.tensor_new_pinned("plan:cuda:0", "float", { 1 << 16 })
    local y = core.tensor_new("plan:cuda:0", "float", { 1 << 16 })
    local recorder <close> = core.plan_record()
    core.copy_async(y, x)
    assert.same({ { 1, core.storage_key(y), "written", "copy" } }, recorded.events(recorder))
  end)

  it("takes the place of other devices", function()
    local override <close> = core.device_override("plan:cuda:0")
    assert.is_not_nil(override)
    assert.equal("plan:cuda:0", dn.ones(3):device())
    assert.equal("plan", core.tensor_new("plan", "float", { 3 }):device())
  end)
end)

describe("dropped tensors on a GPU", function()
  for _, mode in ipairs { "incremental", "generational" } do
    it("hold no more than the bound, with a collector that is " .. mode, function()
      local output = temporary.output(([[
        collectgarbage %q
        local x = dn.ones { 1 << 18, device = "cuda:0" } -- 1 MB
        for _ = 1, 300 do local y = (x * 2 + 1) - x end
        local memory = dn.memory "cuda:0"
        print(memory.peak, memory.state >= 1 << 20, dn.memory().state < 1 << 20)]]):format(mode))
      local peak, isCounted, isApart = output:match "^(%d+)\t(%a+)\t(%a+)\n$"
      assert.message(output).is_truthy(peak)
      assert.is_true(tonumber(peak) <= (64 + 6) << 20, peak)
      assert.same({ "true", "true" }, { isCounted, isApart })
    end)
  end
end)

describe("a forked child", function()
  it("is refused the GPU that its parent has opened, and closes", function()
    local output = temporary.output([[
      local t = dn.ones { 3, device = "cuda:0" }
      io.stdout:setvbuf "no"
      local child = core.testing.fork()
      if child == 0 then
        print(pcall(dn.ones, { 3, device = "cuda:0" }))
        print(dn.ones(3):sum())
        os.exit(0, true)
      end
      print("child", core.testing.fork_wait(child))
      print(t:sum())]], "timeout -s KILL 60")
    assert.matches("^false\t[^\n]*'cuda:0' is not available: the process that forked this one has opened it[^\n]*\n"
      .. "3.0\nchild\t0\n3.0\n$", output)
  end)
end)

describe("numbers and parts of tensors on a GPU", function()
  it("are what they are on the CPU", function()
    local t = dn.tensor { { 1, 5, 2 }, { 4, 3, 9 } }:to(DEVICE)
    assert.equal(3, t:gt(3):sum())
    assert.equal(300, dn.ones { 300, dtype = "byte", device = DEVICE }:sum())
    assert.equal(70000, dn.ones { 70000, dtype = "half", device = DEVICE }:sum())
    assert.equal(2 * dn.tensor({ 1e30 }):item() ^ 2, dn.tensor { 1e30, -1e30 }:to(DEVICE):var())
    assert.same({ 5, 4, 9 }, t[t:gt(3)]:totable())
    t[t:gt(3)] = 0
    t[{ {}, 1 }] = dn.tensor({ 7, 8 }, "double"):to(DEVICE)
    assert.same({ { 7, 0, 2 }, { 8, 3, 0 } }, t:totable())
    assert.equal(3, t[{ 2, 2 }])
  end)
end)
