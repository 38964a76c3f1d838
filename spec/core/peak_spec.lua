-- What the cores multiply and add at most, and how scripts/bench.lua counts what a step does.
local core = require "densenet.core"
local dn = require "densenet"
local temporary = require "spec.support.temporary"

describe("the peak", function()
  it("is measured in float and double, and unknown for whole numbers", function()
    core.threads(1)
    local single, double = core.device_peak("cpu", "float"), core.device_peak("cpu", "double")
    assert.is_true(single > 1e8 and double > 1e8)
    assert.is_nil(core.device_peak("cpu", "long"))
  end)

  it("is compared with what a step multiplies and adds", function()
    local function bench(optMemory, more)
      local pipe = assert(io.popen(("'%s' scripts/bench.lua -json -depth 10 -growthRate 4 -batchSize 2 -size 8 "
        .. "-steps 1 -warmup 1 -nCores 1 -optMemory %d %s"):format(temporary.interpreter(), optMemory, more or "")))
      local text = pipe:read "a"
      assert(pipe:close(), text)
      return dn.json.decode(text)
    end
    -- By hand, forward: 2 N times pixels times weights. The stem, three layers of 1x1 and 3x3, two transitions, whose
    -- products fused stages take after the pooling, the classifier.
    local function expected(pixelsOfTransition)
      local function count(pixels, outputs, inputs, taps) return 2 * 2 * pixels * outputs * inputs * taps end
      local channels, sum = 8, count(64, 8, 3, 9)
      for block, pixels in ipairs { 64, 16, 4 } do
        sum = sum + count(pixels, 16, channels, 1) + count(pixels, 4, 16, 9)
        channels = channels + 4
        if block < 3 then
          sum = sum + count(pixels // pixelsOfTransition, channels // 2, channels, 1)
          channels = channels // 2
        end
      end
      return (sum + 2 * 2 * 10 * channels) / 1e9
    end
    assert.near(expected(1), bench(0, "-infer").gflop, 1e-6)
    local forward, step = bench(4, "-infer"), bench(4)
    assert.near(expected(4), forward.gflop, 1e-6)
    assert.is_true(step.gflop > 2.5 * forward.gflop and step.gflop < 3 * forward.gflop)
    assert.is_true(step.peak_gflops > 0 and step.peak_share >= 0)
  end)
end)
