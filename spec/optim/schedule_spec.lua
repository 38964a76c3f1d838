-- Learning rates over time.

local dn = require "densenet"

local schedule = dn.optim.schedule

local function near(a, b)
  assert.is_true(math.abs(a - b) < 1e-12, ("%.17g is not %.17g"):format(a, b))
end

describe("optim.schedule", function()
  it("multistep divides by 10 when half and three quarters of the epochs are over", function()
    local rate = schedule.multistep { learningRate = 0.1, nEpochs = 300 }
    for epoch, expected in pairs { [1] = 0.1, [150] = 0.1, [151] = 0.01, [225] = 0.01, [226] = 0.001, [300] = 0.001 } do
      near(rate(epoch, 1), expected)
      near(rate(epoch, 700), expected)
    end
    local short = schedule.multistep { learningRate = 1, nEpochs = 2 }
    near(short(1), 1)
    near(short(2), 0.1)
  end)

  it("multistep divides every so many epochs, or at milestones, by a factor", function()
    local every = schedule.multistep { learningRate = 1, every = 30 }
    for epoch, expected in pairs { [30] = 1, [31] = 0.1, [60] = 0.1, [61] = 0.01 } do
      near(every(epoch, 1), expected)
    end
    local given = schedule.multistep { learningRate = 1, milestones = { 2, 3 }, factor = 0.5 }
    near(given(2), 1)
    near(given(3), 0.5)
    near(given(4), 0.25)
  end)

  it("cosine falls with every iteration from the base to almost 0", function()
    local rate = schedule.cosine { learningRate = 0.1, nEpochs = 4 }
    near(rate(1, 1, 10), 0.1)
    near(rate(3, 1, 10), 0.05)
    near(rate(2, 6, 10), 0.05 * (1 + math.cos(math.pi * 15 / 40)))
    near(rate:learningRate(2, 6, 10), rate(2, 6, 10))
    near(rate(5, 1, 10), 0)
    near(rate(6, 1, 10), 0)
    local last = math.huge
    for epoch = 1, 4 do
      for iteration = 1, 10 do
        local now = rate(epoch, iteration, 10)
        assert.is_true(now < last and now > 0)
        last = now
      end
    end
    near(schedule.cosine({ learningRate = 1, nEpochs = 2, iterations = 2 })(1, 2), 0.5 * (1 + math.cos(math.pi / 4)))
  end)

  it("constant stays", function()
    near(schedule.constant({ learningRate = 0.3 })(7, 8, 9), 0.3)
  end)

  it("refuses rates and epochs that are none", function()
    assert.error_matches(function() schedule.cosine { learningRate = 0, nEpochs = 1 } end,
      "learningRate must be a number above 0, got 0")
    assert.error_matches(function() schedule.cosine { learningRate = 1 } end,
      "nEpochs must be a number of epochs, got nil")
    assert.error_matches(function() schedule.multistep { learningRate = 1, every = 1.5 } end,
      "every must be a number of epochs, got 1.5")
  end)
end)
