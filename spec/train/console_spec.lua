local Console = require "densenet.train.console"

local function loader(n) return { size = function() return n end } end

-- A console whose lines are kept; with `columns` also one that redraws a line, whose texts are kept.
local function console(columns, nEpochs)
  local lines, shown = {}, {}
  local screen = columns and {
    columns = function() return columns end,
    show = function(text) shown[#shown + 1] = text end,
  }
  local c = Console.new(nEpochs or 3, { train = loader(120), test = loader(30) },
    function(line) lines[#lines + 1] = line end, screen)
  return c, lines, shown
end

local function seen(score)
  return { time = 0.5, data = 0.0, score = score or { lossSum = 2.5, wrong1 = 1, wrong5 = 0, count = 2 },
    learningRate = 0.1 }
end

describe("the console", function()
  it("says times as people do", function()
    for text, seconds in pairs { ["0s"] = 0.2, ["45s"] = 45, ["1m00s"] = 59.7, ["3m20s"] = 200, ["2h05m"] = 7500,
      ["3d04h"] = 3 * 86400 + 4 * 3600 } do
      assert.equal(text, Console.duration(seconds))
    end
  end)

  it("prints a fact of the run, whole words on a terminal", function()
    local c, lines = console()
    c:fact("network:", "%s of %d layers and %d parameters, of which none is frozen", "a net", 40, 175042)
    assert.same({ "network:   a net of 40 layers and 175042 parameters, of which none is frozen" }, lines)
    c, lines = console(40)
    c:fact("network:", "%s of %d layers and %d parameters, of which none is frozen", "a net", 40, 175042)
    c:fact("validation:", "two  images")
    assert.same({ "network:   a net of 40 layers and 175042", "           parameters, of which none is",
      "           frozen", "validation: two  images" }, lines)
  end)
end)

describe("the console in a file", function()
  it("prints a line for the first batch, every 50, and the last, with the time left", function()
    local c, lines = console()
    c:startTraining(1, 1, 120, 0.1)
    for n = 1, 120 do c:trained(1, n, 120, seen()) end
    assert.equal("=> top1 and top5 are errors in %", lines[1])
    assert.equal("=> Training epoch # 1, lr 0.1", lines[2])
    -- 119 batches of 0.5 s, the test of 30 as 10, and two more epochs like it
    assert.equal(" | Epoch: [1][1/120]  Time 0.500 Loss 1.250 top1 50.0 top5  0.0 left 3m15s", lines[3])
    assert.is_truthy(lines[4]:find(" | Epoch: [1][51/120]", 1, true))
    assert.is_truthy(lines[5]:find(" | Epoch: [1][101/120]", 1, true))
    assert.is_truthy(lines[6]:find(" | Epoch: [1][120/120]", 1, true))
    assert.equal(6, #lines)
    c:startTraining(2, 1, 120, 0.01)
    assert.equal("=> Training epoch # 2, lr 0.01", lines[7])
  end)

  it("keeps lines within 80 characters: where there is no room, what is left is not said", function()
    local c, lines = console(nil, 100000)
    local batch = seen { lossSum = 250000.0, wrong1 = 2, wrong5 = 2, count = 2 }
    batch.time = 12.5
    c:startTraining(90000, 1, 10000, 0.1)
    c:trained(90000, 1, 10000, batch)
    assert.equal(" | Epoch: [90000][1/10000]  Time 12.500 Loss 125000.000 top1 100.0 top5 100.0", lines[3])
    c:startTesting()
    batch.score.lossSum = 2.5
    c:tested("Validation", 9000, 10000, 10000, batch)
    assert.equal(" | Validation: [9000][10000/10000]  Time 12.500 Loss 1.250 top1 100.0 top5 100.0", lines[4])
    c:finished("Validation", 900, { top1 = 100, top5 = 100, count = 10000 })
    for _, line in ipairs(lines) do assert.is_true(#line <= 80, #line .. line) end
  end)

  it("shows the loss scale and the skipped steps where they have changed", function()
    local c, lines = console()
    c:startTraining(1, 1, 100, 0.1)
    local batch = seen()
    batch.lossScale = { scale = 32768.0, skipped = 3 }
    for n = 1, 51 do c:trained(1, n, 100, batch) end
    assert.equal(" | loss scale 32768, skipped 3 steps that overflowed", lines[4])
    assert.equal(5, #lines)
    batch.lossScale = { scale = 16384.0, skipped = 4 }
    for n = 52, 100 do c:trained(1, n, 100, batch) end
    assert.equal(" | loss scale 16384, skipped 4 steps that overflowed", lines[7])
  end)

  it("averages over the batches since the line before, by samples", function()
    local c, lines = console()
    c:startTraining(1, 1, 3, 0.1)
    c:trained(1, 1, 3, seen())
    c:trained(1, 2, 3, seen { lossSum = 4.0, wrong1 = 3, wrong5 = 3, count = 3 })
    c:trained(1, 3, 3, seen { lossSum = 2.0, wrong1 = 0, wrong5 = 0, count = 1 })
    assert.is_truthy(lines[4]:find("Loss 1.500 top1 75.0 top5 75.0", 1, true))
  end)

  it("says where an epoch goes on", function()
    local c, lines = console()
    c:startTraining(2, 41, 120, 0.05)
    assert.equal("=> Training epoch # 2, from batch 41 of 120, lr 0.05", lines[2])
  end)

  it("says after an epoch that training waited for images", function()
    local c, lines = console()
    c:startTraining(1, 1, 2, 0.1)
    local batch = seen()
    batch.data = 0.125
    c:trained(1, 1, 2, batch)
    c:trained(1, 2, 2, batch)
    assert.equal(" | 25 % of the time went by waiting for images (-nThreads sets who loads them)", lines[5])
  end)

  it("labels errors as errors before a test too, and counts its images", function()
    local c, lines = console()
    c:startTesting()
    c:finished("Test", 2, { top1 = 12.5, top5 = 0.25, count = 400 })
    c:startTesting()
    c:finished("Validation", 2, { top1 = 12.5, top5 = 0.25, count = 400 })
    assert.same({ "=> top1 and top5 are errors in %",
      " * Finished epoch # 2     top1:  12.500  top5:   0.250  (of 400 images)",
      " * Finished validation # 2     top1:  12.500  top5:   0.250  (of 400 images)" }, lines)
  end)
end)

describe("the console on a terminal", function()
  local function train(columns, nBatches)
    local c, lines, shown = console(columns)
    c:startTraining(1, 1, 120, 0.1)
    for n = 1, nBatches do
      c.drawn = nil -- as if time had gone by since it was drawn
      c:trained(1, n, 120, seen())
    end
    return c, lines, shown
  end

  it("draws a line of what there is room for, with a bar", function()
    local _, lines, shown = train(80, 60)
    assert.same({ "=> top1 and top5 are errors in %" }, lines)
    assert.equal(60, #shown)
    assert.equal("epoch 1/3  60/120  loss 1.250  top1 error 50.0%  4.0 images/s  left 2m45s", shown[60])
    _, _, shown = train(150, 60)
    assert.equal("epoch 1/3  60/120  [================>                ]  loss 1.250  top1 error 50.0%  "
      .. "top5 error  0.0%  lr 0.1  4.0 images/s  left 2m45s  epoch 30s", shown[60])
    for columns = 20, 200 do
      for _, text in ipairs(select(3, train(columns, 2))) do assert.is_true(#text <= columns - 3, text) end
    end
    assert.equal("epoch 1/3   2/120", select(3, train(20, 2))[2])
  end)

  it("does not draw all the time", function()
    local c, _, shown = console(80)
    c:startTraining(1, 1, 1000, 0.1)
    for n = 1, 20 do c:trained(1, n, 1000, seen()) end
    assert.equal(1, #shown)
  end)

  it("leaves a line for an epoch and one for a test, of all their batches", function()
    local c, lines, shown = train(80, 119)
    c:trained(1, 120, 120, seen { lossSum = 0.0, wrong1 = 2, wrong5 = 2, count = 2 })
    assert.equal(119, #shown)
    assert.equal(" | Epoch: [1][120/120]  Time 0.500 Loss 1.240 top1 50.4 top5  0.8 left 2m15s", lines[2])
    assert.is_nil(lines[3])
    c:startTesting()
    c:tested("Test", 1, 15, 30, seen(), { result = function() return { loss = 1.25, top1 = 12.5, top5 = 3 } end })
    assert.equal("test 1 15/30  loss 1.250  top1 error 12.5%  top5 error  3.0%  4.0 images/s", shown[120])
    c:finished("Test", 1, { top1 = 12.5, top5 = 3, count = 60 })
    assert.equal(" * Finished epoch # 1     top1:  12.500  top5:   3.000  (of 60 images)", lines[3])
    assert.equal(3, #lines)
  end)

  it("goes over to lines where the terminal goes away", function()
    local c, lines, shown = console(80)
    c:startTraining(1, 1, 120, 0.1)
    c:trained(1, 1, 120, seen())
    c.screen.columns = function() return nil end
    for n = 2, 60 do c:trained(1, n, 120, seen()) end
    assert.equal(1, #shown)
    assert.is_truthy(lines[2]:find(" | Epoch: [1][50/120]", 1, true))
  end)
end)
