-- The functions of optim in densenet.torch7, beside their formulas written out on numbers.

local script = require "spec.support.torch7_script"

-- Steps of optim[name] on x² (gradient 2x) from 1, against a step on a number.
local function follows(name, config, step)
  script.passes(([[
    local x, config = torch.DoubleTensor { 1 }, %s
    local function feval(at) return at[1] ^ 2, at * 2 end
    local number, kept = 1, {}
    local step = %s
    for i = 1, 4 do
      local same, losses = optim.%s(feval, x, config)
      assert(rawequal(same, x))
      number = step(number, kept, i)
      near(number, x[1])
      assert(type(losses[1]) == "number")
    end
  ]]):format(config, step, name))
end

describe("torch7: optim.sgd", function()
  it("dampens by the momentum unless told", function()
    follows("sgd", "{ learningRate = 0.1, momentum = 0.9 }", [[function(x, kept)
      kept.v = kept.v and 0.9 * kept.v + (1 - 0.9) * 2 * x or 2 * x
      return x - 0.1 * kept.v
    end]])
  end)

  it("has decays of weights and of the rate, and Nesterov's momentum", function()
    follows("sgd", "{ learningRate = 0.1, momentum = 0.9, dampening = 0, nesterov = true, weightDecay = 0.01, "
      .. "learningRateDecay = 0.5 }", [[function(x, kept, i)
      local g = 2 * x + 0.01 * x
      kept.v = kept.v and 0.9 * kept.v + g or g
      return x - 0.1 / (1 + (i - 1) * 0.5) * (g + 0.9 * kept.v)
    end]])
  end)

  it("has rates and decays of each parameter", function()
    follows("sgd", "{ learningRate = 0.1, weightDecay = 0.01, learningRates = torch.DoubleTensor { 0.5 }, "
      .. "weightDecays = torch.DoubleTensor { 0.2 } }", "function(x) return x - 0.1 * 0.5 * (2 * x + 0.21 * x) end")
  end)

  it("keeps what goes on in a state of its own where one is given, and refuses a wrong one", function()
    script.passes [[
      local x, config, state = torch.DoubleTensor { 1 }, { learningRate = 0.1, momentum = 0.5 }, {}
      local function feval(at) return 0, at * 2 end
      optim.sgd(feval, x, config, state)
      same({ 2 }, state.dfdx:long())
      same(1, state.evalCounter)
      same(nil, config.dfdx)
      refuses("nesterov needs", optim.sgd, feval, x, { nesterov = true })
      refuses("feval", optim.sgd, 3, x)
      refuses("the gradient that feval returns", optim.sgd, function() return 0 end, x)
    ]]
  end)
end)

describe("torch7: optim's other functions", function()
  it("nag", function()
    follows("nag", "{ learningRate = 0.1, momentum = 0.8 }", [[function(x, kept)
      local v = kept.v or 0
      kept.v = 0.8 * v - 0.1 * 2 * (x + 0.8 * v)
      return x + kept.v
    end]])
  end)

  it("adam", function()
    follows("adam", "{ learningRate = 0.1 }", [[function(x, kept, i)
      local g = 2 * x
      kept.m = 0.9 * (kept.m or 0) + 0.1 * g
      kept.v = 0.999 * (kept.v or 0) + 0.001 * g * g
      return x - 0.1 * math.sqrt(1 - 0.999 ^ i) / (1 - 0.9 ^ i) * kept.m / (math.sqrt(kept.v) + 1e-8)
    end]])
  end)

  it("rmsprop", function()
    follows("rmsprop", "{ learningRate = 0.1, alpha = 0.9 }", [[function(x, kept)
      local g = 2 * x
      kept.v = 0.9 * (kept.v or 0) + 0.1 * g * g
      return x - 0.1 * g / (math.sqrt(kept.v) + 1e-8)
    end]])
  end)

  it("adagrad", function()
    follows("adagrad", "{ learningRate = 0.1, weightDecay = 0.1 }", [[function(x, kept)
      local g = 2 * x + 0.1 * x
      kept.v = (kept.v or 0) + g * g
      return x - 0.1 * g / (math.sqrt(kept.v) + 1e-10)
    end]])
  end)

  it("adadelta", function()
    follows("adadelta", "{ rho = 0.8 }", [[function(x, kept)
      local g = 2 * x
      kept.v = 0.8 * (kept.v or 0) + 0.2 * g * g
      local change = math.sqrt((kept.d or 0) + 1e-6) / math.sqrt(kept.v + 1e-6) * g
      kept.d = 0.8 * (kept.d or 0) + 0.2 * change * change
      return x - change
    end]])
  end)

  it("that are not there are refused", function()
    script.passes [[ refuses("optim.lbfgs is not there", optim.lbfgs, print, torch.rand(1), {}) ]]
  end)

  it("Logger writes rows under names; ConfusionMatrix counts", function()
    script.passes [[
      local logger = optim.Logger("log.txt")
      logger:add { loss = 0.5, accuracy = 90 }
      logger:add { loss = 0.25, accuracy = 95 }
      local lines = {}
      for line in io.lines("log.txt") do lines[#lines + 1] = line end
      same({ "accuracy\tloss", "90\t0.5", "95\t0.25" }, lines)
      refuses("no 'loss' in a row", logger.add, logger, { accuracy = 1 })
      refuses("draws nothing", logger.plot, logger)
      local confusion = optim.ConfusionMatrix(2)
      confusion:add(1, 1)
      confusion:add(2, 1)
      confusion:updateValids()
      near(0.5, confusion.totalValid)
    ]]
  end)
end)
