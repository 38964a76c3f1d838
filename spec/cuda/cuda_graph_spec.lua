-- Steps captured as graphs: the same bits as without, whatever happens between them; what cannot be captured, and
-- what goes wrong.

local core = require "densenet.core"
local capturedStep = require "spec.support.captured_step"
local dn = require "densenet"
local sorted = require "spec.support.sorted"

local DEVICE = capturedStep.device

-- Runs the same steps both ways. body(step, parts, i) is called for i = 1..n with step(i, images) → loss, and may do
-- whatever a program does in between; what it returns is compared as well.
local function compare(options, n, body)
  local results = {}
  for _, way in ipairs { "plain", "captured" } do
    local parts = capturedStep.parts(options)
    local run, step = capturedStep[way](parts)
    dn.manualSeed(9)
    local seen = {}
    for i = 1, n do seen[i] = body(run, parts, i) end
    results[way] = { seen = seen, state = capturedStep.state(parts) }
    if step then
      results.graphs = step:graphs()
      step:free()
    end
  end
  assert.same(results.plain, results.captured)
  return results.plain, results.graphs
end

local function sixImages(run, parts, i)
  parts.optimizer.learningRate = 0.05 / i
  return run(i, 6)
end

describe("a captured step", function()
  for _, mode in ipairs { 0, 3, 4, 5 } do
    for _, precision in ipairs { "single", "half", "bfloat16" } do
      it(("gives the bits of a plain one: mode %d, %s"):format(mode, precision), function()
        local _, graphs = compare({ mode = mode, precision = precision }, 5, sixImages)
        assert.equal(1, graphs)
      end)
    end
  end

  it("skips in half the steps that overflow, and finds the scale", function()
    local plain = compare({ mode = 4, precision = "half" }, 6, function(run, parts, i)
      if i == 1 then parts.lossScale:setState { scale = 2.0 ^ 20, good = 0, skipped = 0 } end
      return run(i, 6)
    end)
    assert.is_true(plain.state.scale.skipped >= 2 and plain.state.scale.good >= 1, "the case is of no use")
  end)

  it("doubles the scale on the GPU", function()
    local plain = compare({ precision = "half" }, 5, function(run, parts, i)
      if i == 1 then parts.lossScale:setState { scale = 256.0, good = 1997, skipped = 3 } end
      return run(i, 6)
    end)
    assert.same({ scale = 512.0, good = 2, skipped = 3 }, plain.state.scale)
  end)

  local criterions = {
    ["smoothed labels"] = function() return dn.nn.CrossEntropyCriterion(nil, true, 0.1) end,
    ["smoothed labels and weights"] = function(device)
      return dn.nn.CrossEntropyCriterion(dn.tensor { 1, 2, 0.5, 1, 3 }:to(device), true, 0.1)
    end,
  }
  for name, criterion in sorted(criterions) do
    it("has the loss of a plain one with " .. name, function()
      compare({ criterion = criterion }, 4, sixImages)
    end)
  end

  it("learns from a teacher", function()
    local function distil()
      local criterion = dn.nn.DistillationCriterion(2, 0.7)
      local forward, backward = criterion.updateOutput, criterion.updateGradInput
      local function both(target) return { target, criterion.teacher } end
      criterion.teacher = dn.ones(6, 5):to(DEVICE)
      function criterion:updateOutput(input, target) return forward(self, input, both(target)) end
      function criterion:updateGradInput(input, target) return backward(self, input, both(target)) end
      return criterion
    end
    compare({ criterion = distil }, 4, sixImages)
  end)

  it("draws dropout anew at each launch, and moves the generator on", function()
    local input = dn.ones(64):to(DEVICE)
    local dropout = dn.nn.Dropout(0.5)
    local step <close> = dn.captured(function() return dropout:forward(input) end, { device = DEVICE })
    local plain, masks = dn.nn.Dropout(0.5), {}
    for i = 1, 4 do
      dn.manualSeed(i // 3)
      step()
      masks[i] = { step:results() }
      local state = require("densenet.random").state()
      dn.manualSeed(i // 3)
      assert.same(plain:forward(input):totable(), masks[i])
      assert.same(state, require("densenet.random").state())
    end
  end)

  -- ---- Between the steps ----

  it("has a graph of its own for a ragged batch", function()
    local _, graphs = compare({ mode = 4 }, 9, function(run, _, i) return run(i, i % 3 == 0 and 2 or 6) end)
    assert.equal(2, graphs)
  end)

  local interruptions = {
    ["an evaluation"] = function(parts)
      parts.model:evaluate()
      local input = capturedStep.batch(parts, 50, 3)
      local output = parts.model:forward(input:to(parts.device)):to("cpu"):totable()
      parts.model:training()
      return output
    end,
    ["an evaluation of a larger batch"] = function(parts)
      parts.model:evaluate()
      local input = capturedStep.batch(parts, 50, 9)
      local output = parts.model:forward(input:to(parts.device)):to("cpu"):totable()
      parts.model:training()
      return output
    end,
    ["clearState"] = function(parts) parts.model:clearState() end,
    ["model:type there and back"] = function(parts) parts.model:double():float() end,
    ["a frozen part"] = function(parts) parts.model:freeze "features.conv0" end,
    ["another weight decay"] = function(parts) parts.optimizer.weightDecay = 0.5 end,
    ["an optimizer's state"] = function(parts)
      local state = {}
      for name, tensor in pairs(parts.optimizer:state()) do state[name] = tensor:clone():mul(0.5) end
      parts.optimizer:loadState(state)
    end,
    ["another seed"] = function() dn.manualSeed(123) end,
  }
  for name, interrupt in sorted(interruptions) do
    for _, mode in ipairs { 0, 4 } do
      it(("is captured anew where it has to be: %s, mode %d"):format(name, mode), function()
        compare({ mode = mode }, 6, function(run, parts, i)
          local loss = run(i, 6)
          return { loss, i == 3 and interrupt(parts) or nil }
        end)
      end)
    end
  end

  it("keeps eight graphs at most, of which the oldest goes", function()
    local kind = 0
    local input = dn.ones(4):to(DEVICE)
    local step <close> = dn.captured(function() input:add(kind) end, { device = DEVICE,
      key = function() return "kind " .. kind end })
    for _ = 1, 3 do
      for k = 1, 10 do
        kind = k
        step()
      end
    end
    assert.equal(8, (step:graphs()))
    assert.same({ 166, 166, 166, 166 }, input:totable())
  end)

  -- ---- Memory ----

  it("keeps what it uses, and gives it back", function()
    collectgarbage()
    collectgarbage()
    core.scratch_release(DEVICE)
    local before = core.memory(DEVICE).blocks
    do
      local input, output = dn.ones(1000):to(DEVICE), dn.zeros(1000):to(DEVICE)
      local function make()
        local one, other = dn.ones(1000):to(DEVICE), dn.zeros(1000):to(DEVICE)
        return dn.captured(function()
          core.add_scaled(other, input, one, 2)
          core.add_scaled(output, output, other, 1)
        end, { device = DEVICE })
      end
      local step <close> = make()
      step()
      step()
      step.action = nil -- what the function holds is gone, and its memory anybody's
      collectgarbage()
      collectgarbage()
      local others = {}
      for i = 1, 100 do others[i] = dn.full({ 1000 }, 1e6):to(DEVICE) end
      step()
      step()
      assert.same({ 12.0, 12.0 }, output:narrow(1, 1, 2):totable())
      assert.equal(1e6, others[50]:sum() / 1000)
    end
    collectgarbage()
    collectgarbage()
    core.scratch_release(DEVICE)
    assert.equal(before, core.memory(DEVICE).blocks)
  end)

  it("keeps the scratch block that it was captured with", function()
    local x, y = dn.ones(300):to(DEVICE), dn.zeros(1):to(DEVICE)
    local step <close> = dn.captured(function() core.reduce(y, x, "sum", 0) return y end, { device = DEVICE })
    step()
    step()
    core.scratch_release(DEVICE)
    local large = dn.ones(300000):to(DEVICE)
    assert.equal(300000, large:sum())
    x:fill(2)
    step()
    assert.equal(600, step:results())
  end)

  -- ---- What cannot be captured ----

  local refused = {
    item = { function(x) x:item() end, "'item' waits for cuda:0" },
    totable = { function(x) x:totable() end, "'totable' waits for cuda:0" },
    synchronize = { function() dn.synchronize(DEVICE) end, "'synchronize' waits for cuda:0" },
    ["a copy to the CPU"] = { function(x) dn.zeros(1):copy(x) end, "'copy' waits for cuda:0" },
    ["a copy from the CPU"] = { function(x) x:copy(dn.zeros(1)) end, "'copy' waits for cuda:0" },
    ["a new tensor"] = { function() core.tensor_new(DEVICE, "float", { 100 }) end, "takes 400 bytes of new memory" },
    ["random numbers"] = { function(x) x:uniform() end, "random numbers, but those of dropout" },
    ["a captured step inside"] = { function(x)
      local inner = core.graph_begin(DEVICE)
      core.graph_free(inner)
      x:fill(0)
    end, "one is being captured on cuda:0 already" },
    ["a number as result"] = { function() return 3 end, "result 1 is 3, which would be the same" },
  }
  for name, case in sorted(refused) do
    it("refuses " .. name .. ", and the next plain step is right", function()
      local parts, other = capturedStep.parts { mode = 4 }, capturedStep.parts { mode = 4 }
      local x, isWrong = dn.ones(1):to(DEVICE), false
      local step <close> = dn.captured(function()
        x:add(1)
        if isWrong then return case[1](x) end
        return x
      end, { device = DEVICE })
      step()
      local random = require("densenet.random").state()
      isWrong = true
      local done, message = pcall(step)
      assert.is_false(done)
      assert.is_truthy(message:find("bad step: ", 1, true), message)
      assert.is_truthy(message:find(case[2], 1, true), message)
      assert.same(random, require("densenet.random").state())
      isWrong = false
      step()
      assert.equal(3, step:results())
      dn.manualSeed(3)
      local plain = capturedStep.plain(parts)(1, 6)
      dn.manualSeed(3)
      assert.equal(capturedStep.plain(other)(1, 6), plain)
    end)
  end

  it("refuses optimizers that count on the CPU, at the first call", function()
    local model = dn.nn.Linear(3, 2):to(DEVICE)
    local adam, input = dn.optim.Adam(model), dn.ones(1, 3):to(DEVICE)
    local step <close> = dn.captured(function()
      model:backward(input, model:forward(input))
      adam:step()
    end, { device = DEVICE })
    assert.error_matches(function() step() end, "bad step: optim.Adam counts its steps on the CPU")
  end)

  it("refuses more than 64 numbers that change", function()
    local x = dn.ones(1):to(DEVICE)
    local step <close> = dn.captured(function()
      for i = 1, 65 do core.fill(x, dn.graphNumber(function() return i end)) end
    end, { device = DEVICE })
    step()
    assert.error_matches(function() step() end, "more than 64 numbers")
    assert.equal(65, x:item())
  end)

  it("says what is wrong with its options", function()
    assert.error_matches(function() dn.captured(1, {}) end, "a function expected, got 1")
    assert.error_matches(function() dn.captured(print, { devise = "cpu" }) end, "no option 'devise'")
    assert.error_matches(function() dn.captured(print, { device = DEVICE, uses = { 3 } }) end, "uses%[1%]: a module")
    assert.error_matches(function() dn.captured(print, { device = DEVICE, key = 3 }) end, "key: a function expected")
    local step = dn.captured(print, { device = DEVICE })
    step:free()
    assert.error_matches(function() step() end, "it has been freed")
  end)

  it("runs plainly on the CPU", function()
    local x = dn.ones(2)
    local step <close> = dn.captured(function() return x:add(1):sum() end, { device = "cpu" })
    for _ = 1, 3 do step() end
    assert.equal(8, step:results())
    assert.equal(6, step:results(1))
    assert.equal(0, (step:graphs()))
  end)

  it("takes numbers of one's own anew at each launch", function()
    local x, n = dn.zeros(3):to(DEVICE), 0
    local step <close> = dn.captured(function()
      core.binary_scalar(x, x, dn.graphNumber(function() return n end), "add")
      return x
    end, { device = DEVICE })
    for i = 1, 5 do
      n = 10 ^ i
      step()
    end
    assert.same({ 111110, 111110, 111110 }, { step:results() })
    assert.same({ 11110, 11110, 11110 }, { step:results(1) })
  end)

  -- ---- Failures ----

  it("tells a wrong label of the third launch late, and once", function()
    local scores, labels = dn.zeros(2, 3):to(DEVICE), dn.tensor({ 1, 2 }, "long"):to(DEVICE)
    local criterion = dn.nn.CrossEntropyCriterion()
    local step <close> = dn.captured(function() return criterion:forward(scores, labels) end, { device = DEVICE })
    for i = 1, 5 do
      labels:copy(dn.tensor({ 1, i == 4 and 7 or 2 }, "long"))
      step()
      if i == 4 then
        assert.error_matches(function() step:results() end, "'nll_forward' met label 7 in argument #3, at element 2")
      else
        assert.is_true(math.abs(step:results() - math.log(3)) < 1e-6)
      end
    end
    dn.synchronize(DEVICE)
  end)

  it("raises what CUDA refuses, and can go on", function()
    if not core.testing.cuda_emulation "fail graph" then return pending "only the emulation fails as told" end
    local x = dn.zeros(1):to(DEVICE)
    local step <close> = dn.captured(function() return x:add(1) end, { device = DEVICE })
    step()
    core.testing.cuda_emulation("fail instantiate", 1)
    assert.error_matches(function() step() end, "cudaGraphInstantiateWithFlags: no memory")
    step()
    core.testing.cuda_emulation("refuse graph", 1)
    assert.error_matches(function() step() end, "cudaGraphLaunch failed: invalid argument")
    step()
    assert.equal(3, step:results())
    core.testing.cuda_emulation("refuse launch", 1)
    local other <close> = dn.captured(function() return x:add(1) end, { device = DEVICE })
    assert.error_matches(function() other() end, "launch of .* failed")
    other()
    core.testing.cuda_emulation("refuse launch", 1)
    assert.error_matches(function() other() end, "launch of .* failed")
    other()
    assert.equal(5, other:results())
  end)

  it("marks the device as failed when a kernel of a launch fails, in a process of its own", function()
    if not core.testing.cuda_emulation "fail graph" then return pending "only the emulation fails as told" end
    local script = [[
      local core, dn = require "densenet.core", require "densenet"
      local x = dn.zeros(1):to "cuda:0"
      local step = dn.captured(function() return x:add(1) end, { device = "cuda:0" })
      step() step() step()
      core.testing.cuda_emulation("fail graph", 1)
      step()
      print(select(2, pcall(step.results, step)))
      print(select(2, pcall(step)))
      print(select(2, pcall(dn.synchronize, "cuda:0")))
      step:free()
      print("end")
    ]]
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath), script)
    file:close()
    local pipe = assert(io.popen(("%s %s 2>&1"):format(os.getenv "LUA" or "lua5.4", path)))
    local lines = {}
    for line in pipe:lines() do lines[#lines + 1] = line end
    pipe:close()
    os.remove(path)
    assert.equal(4, #lines, table.concat(lines, "\n"))
    assert.is_truthy(lines[1]:find("a kernel of the graph was told to fail", 1, true), lines[1])
    for i = 2, 3 do
      assert.is_truthy(lines[i]:find("cuda:0 has failed and is not used any more; ", 1, true), lines[i])
    end
    assert.equal("end", lines[4])
  end)
end)

describe("the emulation's captures", function()
  it("give CUDA's errors", function()
    if not core.testing.cuda_emulation("fail graph") then return pending "there is a GPU" end
    local n = 0
    while core.testing.cuda_emulation("capture", n + 1) do n = n + 1 end
    assert.equal(15, n)
  end)
end)
