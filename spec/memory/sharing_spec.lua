-- Buffers that share bytes change no result, whatever a caller does with the module; and what happens
-- when there is no memory.
local core = require "densenet.core"
local dn = require "densenet"
local buffer = require "densenet.nn.buffer"
local nn = dn.nn

local NET = { blocks = { 2, 2 }, growthRate = 4, inputChannels = 3, nClasses = 10, dropRate = 0.2 }

local function build(mode, changes)
  local options = { optMemory = mode }
  for name, value in pairs(NET) do options[name] = value end
  for name, value in pairs(changes or {}) do options[name] = value end
  dn.manualSeed(1)
  return dn.models.densenet(options)
end

local function images(n, size) return dn.randn(n, 3, size or 8, size or 8) end

local function labels(n)
  local list = {}
  for i = 1, n do list[i] = i % 10 + 1 end
  return dn.tensor(list, "long")
end

local function optimizer_of(model)
  return dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, dampening = 0, nesterov = true })
end

-- A step of training; returns the loss.
local function train(model, optimizer, x)
  local criterion, y = nn.CrossEntropyCriterion(), labels(x:size(1))
  local output = model:training():forward(x)
  local loss = criterion:forward(output, y)
  model:zeroGradParameters()
  model:backward(x, criterion:backward(output, y))
  optimizer:step()
  return loss
end

-- Steps on batches of changing size, with evaluations between them: every number that comes out.
local function run(mode)
  local model = build(mode)
  local optimizer, results = optimizer_of(model), {}
  dn.manualSeed(2)
  for _, n in ipairs { 4, 4, 2, 6, 3, 6 } do
    local x = images(n)
    results[#results + 1] = train(model, optimizer, x)
    results[#results + 1] = model.gradInput:totable()
    results[#results + 1] = model:evaluate():forward(images(n + 1)):totable()
  end
  for name, tensor in pairs(model:stateDict()) do results[name] = tensor:totable() end
  for name, tensor in pairs(model:gradDict()) do results[name .. " gradient"] = tensor:totable() end
  return results
end

describe("modes 1 and 2", function()
  it("give mode 0's results bit for bit", function()
    local expected = run(0)
    assert.same(expected, run(1))
    assert.same(expected, run(2))
  end)
end)

describe("a bound model", function()
  local function arena(model) return core.storage_key(model:get("features"):get("conv0").scratch.output) end

  for mode = 1, 5 do
    it(("replans for a larger input and reuses its arena for a smaller, mode %d"):format(mode), function()
      local model = build(mode)
      local criterion, optimizer = nn.CrossEntropyCriterion(), optimizer_of(model)
      local inputs, targets = {}, {}
      for _, n in ipairs { 2, 4, 8 } do inputs[n], targets[n] = images(n), labels(n) end
      local function allocations(n)
        local before = core.memory("cpu").allocations
        local output = model:forward(inputs[n])
        criterion:forward(output, targets[n])
        model:zeroGradParameters()
        model:backward(inputs[n], criterion:backward(output, targets[n]))
        optimizer:step()
        return core.memory("cpu").allocations - before
      end
      allocations(4)
      local first = arena(model)
      assert.equal(0, allocations(2))
      assert.equal(first, arena(model))
      assert.is_true(allocations(8) > 0)
      local second = arena(model)
      for _, n in ipairs { 4, 2, 8 } do
        assert.equal(0, allocations(n))
        assert.equal(second, arena(model))
      end
    end)
  end

  it("returns to its arena after a larger evaluation", function()
    local model = build(1, { dropRate = 0 })
    local optimizer, x, large = optimizer_of(model), images(4), images(9)
    train(model, optimizer, x)
    model:evaluate():forward(large)
    train(model, optimizer, x)
    for _, module in ipairs(model:findModules("nn.SpatialConvolution")) do
      assert.equal(arena(model), core.storage_key(module.scratch.output))
    end
  end)

  it("returns to its arena after clearState and a change of type", function()
    local model = build(4, { dropRate = 0 })
    for _, dtype in ipairs { "float", "double", "float" } do
      model:type(dtype)
      for _ = 1, 2 do
        train(model, optimizer_of(model), images(2):type(dtype))
        local key = arena(model)
        assert.equal(key, core.storage_key(model:get("features"):get("denseblock1").output))
        assert.equal(dtype, model.output:dtype())
        model:clearState()
      end
    end
  end)

  it("computes the halves of backward as it computes the whole", function()
    for mode = 1, 5 do
      local whole, halves = build(mode, { dropRate = 0 }), build(mode, { dropRate = 0 })
      local x, gradOutput = images(3), dn.randn(3, 10)
      for _ = 1, 2 do
        whole:zeroGradParameters()
        halves:zeroGradParameters()
        whole:forward(x)
        whole:backward(x, gradOutput)
        halves:forward(x)
        halves:updateGradInput(x, gradOutput)
        halves:accGradParameters(x, gradOutput)
        local expected, found = whole:gradDict(), halves:gradDict()
        assert.is_true((whole.gradInput - halves.gradInput):abs():max() <= 1e-5)
        for name, gradient in pairs(expected) do
          assert.is_true((gradient - found[name]):abs():max() <= 1e-5 * (1 + gradient:norm()), name)
        end
      end
    end
  end)

  it("refuses a second backward after one forward where its input is gone, and not elsewhere", function()
    local x, gradOutput = images(2), dn.randn(2, 10)
    for mode = 0, 5 do
      local model = build(mode, { dropRate = 0 })
      model:forward(x)
      model:backward(x, gradOutput)
      local first = model.gradInput:totable()
      local done, message = pcall(model.backward, model, x, gradOutput)
      if mode == 0 or mode == 2 then
        assert.is_true(done, message)
        assert.same(first, model.gradInput:totable())
      else
        assert.is_false(done)
        assert.is_truthy(message:find("call forward again", 1, true))
        model:forward(x)
        model:backward(x, gradOutput)
      end
    end
  end)

  it("follows a change of mode, of type and of what is frozen", function()
    local model, x = build(1), images(2)
    model:forward(x)
    model.config.optMemory = 0
    model:forward(x)
    assert.is_nil(rawget(model, "backward"))
    model.config.optMemory = 1
    model:double()
    local output = model:forward(x:double())
    assert.equal("double", output:dtype())
    model:float()
    -- A frozen dropout passes its input on, which then lives longer than it did.
    local plain = build(0)
    for _, each in ipairs { model, plain } do
      for _, drop in ipairs(each:findModules("nn.Dropout")) do drop:evaluate() end
    end
    plain:loadStateDict(model:stateDict())
    assert.same(plain:forward(x):totable(), model:forward(x):totable())
  end)

  it("is planned as if it were not bound", function()
    local model, x = build(4), images(2)
    local before = model:plan({ 2, 3, 8, 8 }).totalBytes
    model:forward(x)
    model:backward(x, dn.randn(2, 10))
    assert.equal(before, model:plan({ 2, 3, 8, 8 }).totalBytes)
  end)
end)

describe("modules of one's own", function()
  -- Twice the input, in a kept buffer; and the same with a new tensor each time.
  local Kept, keptParent = nn.class("Kept", nn.Module)
  function Kept:__init() keptParent.__init(self) end
  function Kept:updateOutput(input)
    self.output = buffer.like(self.scratch, "double", input)
    core.add_scaled(self.output, input, input, 1)
    return self.output
  end
  function Kept:updateGradInput(_, gradOutput)
    self.gradInput = buffer.like(self.scratch, "gradDouble", gradOutput)
    core.add_scaled(self.gradInput, gradOutput, gradOutput, 1)
    return self.gradInput
  end
  local Fresh = nn.class("Fresh", nn.Module)
  function Fresh:updateOutput(input)
    self.output = input * 2
    return self.output
  end
  function Fresh:updateGradInput(_, gradOutput)
    self.gradInput = gradOutput * 2
    return self.gradInput
  end

  local function chain(class)
    dn.manualSeed(5)
    local net = nn.Sequential()
    for _ = 1, 6 do net:add(class()) end
    return net:add(nn.Linear(100, 3))
  end

  it("are planned, bound and right", function()
    for _, class in ipairs { Kept, Fresh } do
      local expected, bound = chain(class), chain(class)
      local plan = bound:plan({ 4, 100 }, { optMemory = 1 }):bind()
      assert.is_true(plan.totalBytes > 0)
      local x, gradOutput = dn.randn(4, 100), dn.randn(4, 3)
      for _ = 1, 2 do
        assert.same(expected:forward(x):totable(), bound:forward(x):totable())
        assert.same(expected:backward(x, gradOutput):totable(), bound:backward(x, gradOutput):totable())
      end
    end
    -- Of twelve kept buffers of 1600 bytes two live at once.
    local planned = chain(Kept):plan({ 4, 100 }, { optMemory = 1 })
    assert.is_true(planned.arenaBytes < 4 * 1600, planned.arenaBytes)
  end)

  it("that read values are refused with a reason", function()
    local Reader = nn.class("Reader", nn.Module)
    function Reader:updateOutput(input)
      self.output = input:at(1, 1) > 0 and input or input
      return self.output
    end
    local done, message = pcall(function() return nn.Sequential():add(Reader()):plan { 4, 100 } end)
    assert.is_false(done)
    assert.is_truthy(message:find("no values", 1, true), message)
  end)

  it("blocks alone are planned too", function()
    local block = nn.DenseBlock(4, 3, 2, { memory = "linear" })
    local alone, planned = block:plan({ 2, 4, 6, 6 }), block:plan({ 2, 4, 6, 6 }, { optMemory = 4 })
    assert.is_true(planned.totalBytes < alone.totalBytes)
    planned:bind()
    local other = nn.DenseBlock(4, 3, 2, { memory = "linear" })
    other:loadStateDict(block:stateDict())
    local x, gradOutput = dn.randn(2, 4, 6, 6), dn.randn(2, 10, 6, 6)
    assert.same(other:forward(x):totable(), block:forward(x):totable())
    assert.same(other:backward(x, gradOutput):totable(), block:backward(x, gradOutput):totable())
  end)
end)

describe("no memory", function()
  it("in the middle of a step is an error with the bytes asked for, and a smaller network trains", function()
    for mode = 0, 5 do
      collectgarbage()
      collectgarbage()
      do
        local model, x = build(mode), images(16, 16)
        local optimizer = optimizer_of(model)
        local needed = model:plan({ 16, 3, 16, 16 }).totalBytes
        core.memory_limit("cpu", core.memory("cpu").live + needed // 3)
        local done, message = pcall(train, model, optimizer, x)
        assert.is_false(done)
        assert.is_truthy(tostring(message):find("out of memory on cpu: %d+ bytes"), message)
        model:clearState() -- what it had got so far
        local small = images(1, 8)
        local loss = train(model, optimizer, small)
        assert.is_true(loss == loss)
      end
      collectgarbage()
      collectgarbage()
      local smaller = build(mode, { blocks = { 1 }, growthRate = 2 })
      local loss = train(smaller, optimizer_of(smaller), images(2, 8))
      assert.is_true(loss == loss)
      core.memory_limit("cpu", 0)
    end
  end)

  it("refused at any allocation of a bound model's first step leaves one that trains", function()
    local x = images(2, 8)
    for n = 1, 400, 13 do
      local model = build(1, { blocks = { 1 }, growthRate = 2, dropRate = 0 })
      local optimizer = optimizer_of(model)
      core.testing.alloc_refuse(n)
      local done, message = pcall(train, model, optimizer, x)
      core.testing.alloc_refuse(0)
      assert.is_true(done or tostring(message):find("memory", 1, true) ~= nil, message)
      local loss = train(model, optimizer_of(model), x)
      assert.is_true(loss == loss)
    end
  end)
end)

describe("a network that cannot be planned", function()
  -- Its tracing fails, where it meets tensors without values; computing does not.
  local Peeking, parent = nn.class("Peeking", nn.Module)

  function Peeking:__init()
    parent.__init(self)
    self.nCalls = 0
  end

  function Peeking:updateOutput(input)
    self.nCalls = self.nCalls + 1
    if input:at(1, 1) > math.huge then error("never") end
    self.output = input
    return input
  end

  function Peeking:updateGradInput(_, gradOutput)
    self.gradInput = gradOutput
    return gradOutput
  end

  local function network()
    local model = nn.Sequential():add(nn.Linear(3, 2)):add(Peeking())
    model.config = { optMemory = 1 }
    return model
  end

  it("trains without a plan, and says why", function()
    local model, x = network(), dn.randn(4, 3)
    assert.is_nil(model.planFailure)
    local y = model:forward(x)
    model:backward(x, y:clone())
    assert.matches("in module 2 of nn.Sequential %(Peeking%): .*have no values%)$", model.planFailure)
    assert.is_nil(model.planFailure:find("\n"))
    model:forward(dn.randn(2, 3))
    assert.matches("no values", model.planFailure)
    model:evaluate():forward(x)
    assert.matches("no values", model.planFailure)
    model:clearState()
    assert.is_nil(model.planFailure)
  end)

  it("is another thing than a wrong input, of which the forward complains", function()
    local model = nn.Sequential():add(nn.Linear(3, 2))
    model.config = { optMemory = 1 }
    local x = dn.randn(4, 3)
    model:forward(x)
    local done, message = pcall(model.forward, model, dn.randn(4, 5))
    assert.is_false(done)
    assert.matches("in module 1 of nn.Sequential .*: bad argument #3 to '[%a.]-linear_forward'", message)
    assert.is_nil(model.planFailure)
    local y = model:forward(x)
    model:backward(x, y:clone())
    assert.is_nil(model.planFailure)
  end)
end)
