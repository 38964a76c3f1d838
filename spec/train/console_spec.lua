local Console = require "densenet.train.console"

local function loader(n) return { size = function() return n end } end

local function console()
  local lines = {}
  return Console.new(3, { train = loader(120), test = loader(30) }, function(line) lines[#lines + 1] = line end), lines
end

local function seen(score)
  return { time = 0.5, data = 0.125, score = score or { lossSum = 2.5, wrong1 = 1, wrong5 = 0, count = 2 },
    learningRate = 0.1 }
end

describe("the console", function()
  it("says times as people do", function()
    for text, seconds in pairs { ["0s"] = 0.2, ["45s"] = 45, ["1m00s"] = 59.7, ["3m20s"] = 200, ["2h05m"] = 7500,
      ["3d04h"] = 3 * 86400 + 4 * 3600 } do
      assert.equal(text, Console.duration(seconds))
    end
  end)

  it("prints a line for the first batch, every 50, and the last, with the time left", function()
    local c, lines = console()
    c:startTraining(1, 1, 120)
    for n = 1, 120 do c:trained(1, n, 120, seen()) end
    assert.equal("=> Training epoch # 1 (top1, top5: errors in %)", lines[1])
    -- 119 batches of 0.5 s, the test of 30 as 10, and two more epochs like it
    assert.equal(" | Epoch: [1][1/120]  Time 0.500  Data 0.125  Err 1.2500  top1  50.000  top5   0.000  lr 0.1000  "
      .. "left 1m00s (run 3m15s)", lines[2])
    assert.is_truthy(lines[3]:find(" | Epoch: [1][51/120]", 1, true))
    assert.is_truthy(lines[4]:find(" | Epoch: [1][101/120]", 1, true))
    assert.is_truthy(lines[5]:find(" | Epoch: [1][120/120]", 1, true))
    assert.is_truthy(lines[5]:find("left 0s", 1, true))
    assert.equal(5, #lines)
  end)

  it("shows the loss scale and the skipped steps where there is one", function()
    local c, lines = console()
    c:startTraining(1, 1, 2)
    local batch = seen()
    batch.lossScale = { scale = 32768.0, skipped = 3 }
    c:trained(1, 1, 2, batch)
    assert.is_truthy(lines[2]:find("  lr 0.1000  scale 32768  skipped 3  left ", 1, true), lines[2])
  end)

  it("averages over the batches since the line before, by samples", function()
    local c, lines = console()
    c:startTraining(1, 1, 3)
    c:trained(1, 1, 3, seen())
    c:trained(1, 2, 3, seen { lossSum = 4.0, wrong1 = 3, wrong5 = 3, count = 3 })
    c:trained(1, 3, 3, seen { lossSum = 2.0, wrong1 = 0, wrong5 = 0, count = 1 })
    assert.is_truthy(lines[3]:find("Err 1.5000  top1  75.000  top5  75.000", 1, true))
  end)

  it("says where an epoch goes on", function()
    local c, lines = console()
    c:startTraining(2, 41, 120)
    assert.equal("=> Training epoch # 2, from batch 41 of 120 (top1, top5: errors in %)", lines[1])
  end)

  it("labels errors as errors after a test", function()
    local c, lines = console()
    c:startTesting()
    c:finished("Test", 2, { top1 = 12.5, top5 = 0.25, count = 400 })
    assert.equal(" * Finished epoch # 2     top1:  12.500  top5:   0.250  (errors in %, of 400 images)", lines[1])
  end)
end)
