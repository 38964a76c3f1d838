local dn = require "densenet"
local meters = require "densenet.train.meters"

describe("a score", function()
  -- Row by row, best guess first: 2 1 3 4 5 6 | 6 5 4 3 2 1 | 1 2 3 4 5 6
  local function output()
    return dn.tensor { { 5, 9, 4, 3, 2, 1 }, { 1, 2, 3, 4, 5, 6 }, { 6, 5, 4, 3, 2, 1 } }
  end

  it("counts wrong guesses", function()
    local score = meters.score(output(), dn.tensor({ 2, 1, 6 }, "long"), 0.5)
    assert.same({ lossSum = 1.5, wrong1 = 2, wrong5 = 2, count = 3 }, score)
    score = meters.score(output(), dn.tensor({ 1, 5, 3 }, "long"), 0.5)
    assert.same({ lossSum = 1.5, wrong1 = 3, wrong5 = 0, count = 3 }, score)
  end)

  it("asks for all classes where there are fewer than five", function()
    local score = meters.score(dn.tensor { { 1, 2, 3 }, { 3, 2, 1 } }, dn.tensor({ 1, 1 }, "long"), 1)
    assert.equal(1, score.wrong1)
    assert.equal(0, score.wrong5)
    score = meters.score(dn.tensor { { 7 } }, dn.tensor({ 1 }, "long"), 1)
    assert.same({ lossSum = 1, wrong1 = 0, wrong5 = 0, count = 1 }, score)
  end)
end)

describe("an error meter", function()
  it("weighs batches by their samples", function()
    local meter = meters.ErrorMeter()
    meter:add { lossSum = 6.0, wrong1 = 1, wrong5 = 0, count = 6 }
    meter:add { lossSum = 4.0, wrong1 = 2, wrong5 = 1, count = 2 }
    assert.same({ loss = 1.25, top1 = 37.5, top5 = 12.5, count = 8 }, meter:result())
  end)

  it("goes on exactly from its state", function()
    local whole, first = meters.ErrorMeter(), meters.ErrorMeter()
    local scores = {}
    for i = 1, 6 do scores[i] = { lossSum = math.random(), wrong1 = i, wrong5 = 0, count = 7 } end
    for i = 1, 6 do whole:add(scores[i]) end
    for i = 1, 3 do first:add(scores[i]) end
    local state = dn.json.decode(dn.json.encode(first:state()))
    local second = meters.ErrorMeter(state)
    for i = 4, 6 do second:add(scores[i]) end
    assert.equal(whole:result().loss, second:result().loss)
    assert.same(whole:state(), second:state())
  end)

  it("knows nothing before the first sample", function()
    local result = meters.ErrorMeter():result()
    assert.is_true(result.top1 ~= result.top1)
    assert.equal(0, result.count)
  end)
end)

describe("a stopwatch", function()
  it("measures the time that passes, not the processor's", function()
    local watch = meters.Stopwatch()
    os.execute("sleep 0.05")
    local seconds = watch:lap()
    assert.is_true(seconds >= 0.05 and seconds < 5)
    assert.is_true(watch:seconds() < seconds)
  end)
end)
