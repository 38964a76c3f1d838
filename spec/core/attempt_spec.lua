-- Ctrl-C before a program takes it over: Lua raises "interrupted!" wherever it is, and nothing may take that for an
-- answer and go on.
local attempt = require "densenet.attempt"
local dn = require "densenet"
local pretrained = require "spec.support.pretrained"
local temporary = require "spec.support.temporary"

local nn = dn.nn

-- Runs `action`, which ends with Ctrl-C after so many of Lua's instructions, as lua's own handler has it.
-- @return what pcall gives; and did Ctrl-C come at all
local function interruptedAfter(count, action)
  local hasCome = false
  local isDone, message = pcall(function()
    debug.sethook(function()
      debug.sethook()
      hasCome = true
      error("interrupted!")
    end, "", count)
    action()
    debug.sethook()
  end)
  return isDone, message, hasCome
end

describe("attempt", function()
  it("gives what pcall gives", function()
    assert.same({ true, 1, nil, 3 }, { attempt.call(function(...) return ... end, 1, nil, 3) })
    assert.same({ false, "no" }, { attempt.call(error, "no", 0) })
    local object = {}
    assert.same({ false, object }, { attempt.call(error, object) })
    assert.equal(0, select("#", select(2, attempt.call(function() end))))
  end)

  it("lets Ctrl-C through", function()
    local isDone, message = pcall(attempt.call, function() error("interrupted!") end)
    assert.is_false(isDone)
    assert.matches("^spec/core/attempt_spec.lua:%d+: interrupted!$", message)
    assert.is_true(attempt.isInterrupt(message))
    assert.is_true(attempt.isInterrupt("in module 3: interrupted!\nstack traceback:\n\t[C]: in ?"))
    for _, other in ipairs { "it was interrupted! twice", "interrupted", {}, 7 } do
      assert.is_false(attempt.isInterrupt(other))
    end
  end)

  it("stands wherever an error becomes an answer: others of the library raise it again", function()
    local mayCatch = { attempt = 1, capture = 2, captured = 1, ["models/graph"] = 1, ["io/byte_source"] = 2,
      ["io/json"] = 1, ["data/loader"] = 1, ["data/worker"] = 1, ["nn/container"] = 1, ["torch7/threads"] = 1,
      ["train/program"] = 1 }
    local found = {}
    local pipe = assert(io.popen("find lua -name '*.lua'"))
    for path in pipe:lines() do
      local _, count = temporary.read(path):gsub("x?pcall%(", "")
      if count > 0 then found[path:match("^lua/densenet/(.*)%.lua$")] = count end
    end
    pipe:close()
    assert.same(mayCatch, found)
  end)
end)

describe("Ctrl-C", function()
  -- Every so many instructions of the whole way; what pcall swallows would let one of these end well.
  local function everywhere(action, nTimes)
    assert.is_true((pcall(action)))
    local low, high = 1, 1
    while select(3, interruptedAfter(high, action)) do high = 2 * high end
    while high - low > 1 do
      local middle = (low + high) // 2
      if select(3, interruptedAfter(middle, action)) then low = middle else high = middle end
    end
    for i = 1, nTimes do
      local at = math.max(1, low * i // (nTimes + 1))
      local isDone, message, hasCome = interruptedAfter(at, action)
      assert.is_true(hasCome)
      assert.is_false(isDone, ("swallowed after %d of %d instructions"):format(at, low))
      assert.is_true(attempt.isInterrupt(message), message)
    end
  end

  it("ends a network's building, first step, plan and evaluation, wherever they are", function()
    local criterion = nn.CrossEntropyCriterion()
    local input, target = dn.randn(2, 3, 8, 8), dn.tensor({ 1, 2 }, "long")
    everywhere(function()
      local model = dn.models.fromConfig { family = "densenet", depth = 10, growthRate = 4, nClasses = 3 }
      model:freeze("conv0")
      model:plan { 2, 3, 8, 8 }
      model:getParameters()
      criterion:forward(model:forward(input), target)
      model:backward(input, criterion:backward(model.output, target))
      model:evaluate()
      model:forward(input)
    end, 300)
  end)

  it("ends the reading of models, wherever it is", function()
    local directory = temporary.directory()
    local path = pretrained.save(directory)
    everywhere(function()
      assert(dn.models.load(path, { device = "cpu", preprocess = "torchvision" }))
    end, 100)
    temporary.remove(directory)
  end)
end)
