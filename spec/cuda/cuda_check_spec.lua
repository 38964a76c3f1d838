-- scripts/gpu_check.sh as its user meets it, with the smallest sizes: every part runs to its end or says in a sentence
-- why it does not, and the page stands after each of them.

local core = require "densenet.core"
local dn = require "densenet"
local temporary = require "spec.support.temporary"

package.path = "scripts/?.lua;" .. package.path

local is_emulated = core.testing.cuda_emulation("reverse", 0)
local FASHION = "/usr/share/datasets/fashion-mnist"

describe("gpu_check.sh", function()
  local directory, out
  before_each(function()
    directory = temporary.directory()
    out = directory .. "/found"
  end)
  after_each(function() temporary.remove(directory) end)

  local function run(environment, words)
    local pipe = assert(io.popen(("LUA='%s' TINY=1 %s sh scripts/gpu_check.sh %s 2>&1"):format(temporary.interpreter(),
      environment, words or "'" .. out .. "'")))
    local text = pipe:read("a")
    local _, _, status = pipe:close()
    return status, text
  end

  local function read(name) return temporary.read(out .. "/" .. name) end
  local function has(text, part) assert.is_truthy(text:find(part, 1, true), part .. " is missing in:\n" .. text) end

  it("measures a device, its convolutions, steps, their kernels and operations, and writes the page", function()
    local status, text = run("PARTS='device convolutions steps kernels operations clocks'")
    assert.equal(0, status, text)
    for _, name in ipairs { "device", "convolutions", "steps", "kernels", "operations", "clocks" } do
      assert.matches("\n" .. name .. ": done, %d+ s\n", "\n" .. text)
    end
    local page = read "report.md"
    has(page, "# densenet on " .. dn.device("cuda:0").product)
    assert.equal(is_emulated, page:find("This is the emulation on the host", 1, true) ~= nil)
    for _, heading in ipairs { "Parts", "Ceilings", "Steps", "Kernels of a step", "Operations of a step",
      "Convolutions" } do
      has(page, "\n## " .. heading)
    end
    has(page, "| DenseNet-BC(10,4), batch 4 | bfloat16 | 4 | plain | ")
    has(page, "| norm_relu_conv_backward | 6 | ")
    has(page, "| tf32 | 3x3, 48 to 12, 4x4 | backward, weight | done | ")
    has(page, "| tf32 | 3x3, 48 to 12, 4x4 | backward, weight | fused | ")
    has(page, "| tf32 | 1x1, 120 to 48, 4x4 | forward | product |")
    has(page, "| a node of a graph of 10 | ")
    if is_emulated then
      has(page, "| 12 of 12 |") -- bfloat16
      has(page, "| 0 of 12 |")
      has(page, "| norm_relu_conv_3x3_backward_kernel<T, OUTPUTS, WHOLE> | 4 | ") -- of three layers and the stem
    end
    assert.not_matches("**", page, 1, true) -- nothing is as it has not to be
    assert.not_matches("failed with status", read "steps.txt", 1, true)
    -- A captured step is the plain one, bit for bit.
    has(page, "mode 4 | captured by plain | 0 |")
    has(page, "mode 4 | captured, unfused by plain, unfused | 0 |")
  end)

  it("says in a sentence what a machine lacks", function()
    local status, text = run(("PARTS='sanitizer peer larger training' PYTHON=no-such-python DATA='%s/none'")
      :format(directory))
    assert.equal(0, status, text)
    has(text, "peer: left out: there is no no-such-python, ")
    has(text, "larger: left out: TINY has no larger networks, ")
    has(text, ("training: left out: there is no directory %s/none (DATA names one of Fashion-MNIST), "):format(
      directory))
    has(read "report.md", "| peer | left out: there is no no-such-python | ")
    if os.execute "command -v compute-sanitizer >/dev/null 2>&1" then
      has(text, "sanitizer: done, ")
    else
      has(text, "sanitizer: left out: there is no compute-sanitizer, ")
    end
  end)

  it("runs specs side by side, and trains", function()
    if not os.execute("test -d " .. FASHION) then return pending("no Fashion-MNIST here") end
    local failing = directory .. "/cuda_failing_spec.lua"
    temporary.write(failing, [[it("is wrong", function() assert.equal(1, 2) end)]])
    local status, text = run(("PARTS='specs training' SPECS='spec/cuda/cuda_chunk_spec.lua %s'"):format(failing))
    assert.equal(0, status, text)
    local page = read "report.md"
    has(page, "- spec/cuda/cuda_chunk_spec.lua: 6 passed, 0 failed, 0 skipped")
    has(page, ("- %s: 0 passed, 1 failed, 0 skipped"):format(failing))
    has(read "specs/cuda_failing_spec.lua.txt", "is wrong")
    has(text, "specs: failed with status ")
    has(text, "training: done, ")
    has(page, "\n## Training")
  end)

  it("keeps what it has when the time is over", function()
    local status, text = run("PARTS='device clocks' MINUTES=0")
    assert.equal(0, status, text)
    has(text, "device: not reached: the time was over, 0 s")
    has(read "report.md", "| clocks | not reached: the time was over | 0 | clocks.txt |")
    has(read "report.md", "# densenet on a GPU that was not described")
  end)

  it("asks about convolutions without a GPU", function()
    local function answers(environment)
      local pipe = io.popen(("DENSENET_EMULATED_GPUS='no driver' %s '%s' scripts/gpu_shapes.lua -device plan:cuda:0 "
        .. "-tiny -batchSize 2"):format(environment, temporary.interpreter()))
      local text = pipe:read "a"
      pipe:close()
      return text
    end
    local n, done = 0, 0
    for line in answers("DENSENET_CUDA_FUSED=0"):gmatch "[^\n]+" do
      local one = dn.json.decode(line)
      n = n + 1
      assert.is_nil(one.device_us)
      if one.side == 1 then
        assert.equal("product", one.status)
      else
        done = done + (one.status == "done" and one.images == 2 and one.question_us > 0 and 1 or 0)
      end
    end
    assert.equal(9 * 3 * 3, n)
    assert.equal(4 * 3 * 3, done)
    assert.equal(4 * 3 * 2, select(2, answers(""):gsub('"status":"fused"', ""))) -- in TF32 and bfloat16
  end)

  it("refuses what it cannot do", function()
    local status, text = run("", "")
    assert.equal(2, status)
    has(text, "usage: sh scripts/gpu_check.sh OUT")
    status, text = run(("DENSENET_BUILD='%s'"):format(directory))
    assert.equal(1, status)
    has(text, ("gpu_check.sh: there is no %s/densenet/cuda.so; build it first (make)"):format(directory))
    local pipe = io.popen(("'%s' scripts/gpu_report.lua -check '%s' 2>&1"):format(temporary.interpreter(), directory))
    has(pipe:read("a"), ("-check %s: gpu_check.sh left nothing there"):format(directory))
    pipe:close()
  end)
end)

describe("the page of gpu_check.sh", function()
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function write(name, lines) temporary.write(("%s/%s.txt"):format(directory, name), lines) end

  local function page() return require "gpu_check_page"(directory) end

  local function has(text, part) assert.is_truthy(text:find(part, 1, true), part .. " is missing in:\n" .. text) end

  it("sets a peer's fastest beside ours, and tells ways that differ", function()
    write("parts", "steps\tdone\t12\npeer\tcut off after 3 s\t3\n")
    write("device", '{"kind":"ceilings","product":"Card","copy_gb_s":4000,"bytes":1e9,"launch_us":2,"round_us":9,'
      .. '"side":8,"tflops":{"single":1,"tf32":2,"bfloat16":3}}\n')
    local step = '{"kind":"step","netType":"densenet","depth":100,"growthRate":12,"batchSize":64,'
      .. '"optMemory":4,"precision":"bfloat16","median_s":%g,"min_s":0.001,"host_ms":0.2,"device_ms":2,'
      .. '"way":"%s","fused":%s,"counted":{"bytes":4e9,"calls":9,"dense":4,"fused":3,'
      .. '"unfused":[{"what":"3x3, 48 to 99","calls":1}]},'
      .. '"launches":12,"refusals":0,"direct":0,'
      .. '"loss":"%s","peak_mb":100,"planned_mb":100.5,"nodes":250}\n'
    write("steps", step:format(0.004, "plain", "null", "2.5") .. step:format(0.002, "captured", "null", "2.5")
      .. step:format(0.008, "plain", '"0"', "2.525") .. "failed with status 1: that\n")
    write("operations", '{"kind":"step","netType":"densenet","depth":100,"growthRate":12,"batchSize":64,'
      .. '"optMemory":4,"precision":"bfloat16",'
      .. '"operations":[{"name":"relu_forward","calls":2,"seconds":0.001,"bytes":4e9},'
      .. '{"name":"fill","calls":1,"seconds":0.001,"kernel_s":0.0005,"bytes":1e9}]}\n')
    local peer = '{"kind":"peer","peer":"torch 9","precision":"bf16","format":"%s","compile":"none",'
      .. '"memory":"standard",'
      .. '"depth":100,"growth":12,"batch":64,"median_s":%g,"peak_mb":%d}\n'
    write("peer", peer:format("nchw", 0.02, 400) .. peer:format("nhwc", 0.01, 500)
      .. '{"kind":"peer","peer":"torch 9","precision":"tf32","format":"nchw","compile":"none","memory":"standard",'
      .. '"error":"OutOfMemoryError: all"}\n')
    local text = page()
    local function shows(part) has(text, part) end
    shows "| DenseNet-BC(100,12), batch 64 | bfloat16 | 4 | captured | 0.00200 | 0.00100 | 32000 | 0.200 | 2.000 |"
    shows "| 2.000 | 50 % | 3 of 4 | 12 | 250 | 0 | 0 | 100.5 | 100.0 |"
    shows "| DenseNet-BC(100,12), batch 64, bfloat16, mode 4 | captured by plain | 0 |"
    shows "| DenseNet-BC(100,12), batch 64, bfloat16, mode 4 | plain, unfused by plain | 0.01 |"
    shows "- failed with status 1: that"
    shows "| relu_forward | 2 | 1000.0 |  | 4000.00 | 4000 | 100 % |"
    shows "| fill | 1 | 1000.0 | 500.0 | 1000.00 | 2000 | 50 % |"
    shows "- bfloat16 (captured, mode 4): 5.00 times as fast as the peer's fastest (nhwc, none), with 20 % of"
    shows "and 25 % of that of the peer's smallest."
    shows "## Layers that were not fused"
    shows "| DenseNet-BC(100,12), batch 64, bfloat16, mode 4 | 3x3, 48 to 99 | 1 |"
    shows "| torch 9 | tf32 | nchw | none | standard | OutOfMemoryError: all |  |  |"
    shows "| peer | cut off after 3 s | 3 | peer.txt |"
  end)

  it("flags what has to be 0, and what cuDNN refuses or takes in parts", function()
    write("steps", '{"kind":"step","netType":"densenet","depth":10,"growthRate":4,"batchSize":4,"optMemory":4,'
      .. '"precision":"tf32","median_s":1,"min_s":1,"way":"plain","refusals":3,"direct":2,"loss":"1"}\n')
    local shape = '{"kind":"convolution","precision":"tf32","direction":"forward","batch":64,"channels":3,'
      .. '"outputs":24,"size":%d,"side":3,"host_us":1,"device_us":2,"gflop_s":3,"question_us":40.5,"status":"%s"%s}\n'
    write("convolutions", shape:format(16, "refused", "")
      .. shape:format(32, "too large", ',"engine":7,"images":32,"workspace_bytes":99')
      .. '{"kind":"convolution kernels","precision":"tf32","direction":"forward","batch":64,"channels":3,"outputs":24,'
      .. '"size":32,"side":3,"kernels":["gemm","add"]}\n')
    local text = page()
    has(text, "| **3** | **2** |")
    has(text, "- **Not as it has to be**: DenseNet-BC(10,4), batch 4, tf32, mode 4, plain: cuDNN refused 3 plans or "
      .. "calls, and slow kernels computed 2 convolutions; both have to be 0.")
    has(text, "| forward | **refused** |  |  | 40.5 | 1.0 | 2.0 | 3 |  |")
    has(text, "| forward | too large: 32 images at a time | 7 | 99 | 40.5 | 1.0 | 2.0 | 3 | gemm, add |")
  end)

  it("flags a captured step that is not the plain one", function()
    local step = '{"kind":"step","netType":"densenet","depth":10,"growthRate":4,"batchSize":4,"optMemory":4,'
      .. '"precision":"tf32","median_s":1,"min_s":1,"way":"%s","fused":"0","loss":"%s"}\n'
    write("steps", step:format("plain", "2") .. step:format("captured", "2.5"))
    has(page(), "| captured, unfused by plain, unfused | **0.25** |")
  end)

  it("has the ceilings that a part which was cut had found", function()
    write("device", '{"kind":"ceilings","product":"Card"}\n{"kind":"ceilings","copy_gb_s":4000,"bytes":1e9}\n')
    local text = page()
    has(text, "# densenet on Card")
    has(text, "Copy of 1000 MB: 4000 GB/s, read and written.")
    assert.not_matches("a small operation", text, 1, true)
  end)

  it("lists kernels, or says why there are none", function()
    local step = '{"kind":"step","netType":"densenet","depth":10,"growthRate":4,"batchSize":4,"optMemory":4,'
      .. '"precision":"tf32","median_s":1,"min_s":1,"device_ms":8,"way":"captured","loss":"1",%s}\n'
    write("kernels", step:format('"kernels":[{"name":"gemm","calls":2,"seconds":0.003},'
      .. '{"name":"fill|kernel","calls":0.5,"seconds":0.001}]') .. step:format '"kernels_why":"there is no CUPTI"')
    local text = page()
    has(text, "All kernels: 4.000 ms of a step's 8.000 ms.")
    has(text, "| gemm | 2 | 3000.0 | 1500.00 | 75.0 % |")
    has(text, "| fill kernel | 0.5 | 1000.0 | 2000.00 | 25.0 % |")
    has(text, "There are no times of kernels: there is no CUPTI")
  end)
end)
