-- Frozen parts of a network: gradients of what is trained against central differences, in every memory
-- mode, and against plain modules whose norms are set to evaluation by hand; what is frozen stays as it is.

local core = require "densenet.core"
local dn = require "densenet"
local compare = require "spec.support.compare"

local nn = dn.nn
local MODES = { 0, 1, 2, 3, 4, 5 }
local STEP, TOLERANCE = 1e-5, 1e-6
local PREFIX = { "^features%.conv0", "^features%.denseblock1" }

local function build(mode, options)
  local config = { blocks = { 2, 1 }, growthRate = 2, initChannels = 3, inputChannels = 2, nClasses = 3,
    optMemory = mode, precision = "double" }
  for name, value in pairs(options or {}) do config[name] = value end
  dn.manualSeed(5)
  local model = dn.models.densenet(config)
  for _, norm in ipairs(model:findModules("nn.SpatialBatchNormalization")) do
    norm.weight:uniform(0.5, 1.5)
    norm.bias:uniform(-0.5, 0.5)
    norm.running_mean:uniform(-0.1, 0.1)
    norm.running_var:uniform(0.5, 1.5)
  end
  return model
end

local function isInPrefix(name)
  return name:find(PREFIX[1]) ~= nil or name:find(PREFIX[2]) ~= nil
end

local function images() return dn.randn { 3, 2, 6, 6, dtype = "double" } end

local function copies(tensors)
  local copy = {}
  for name, tensor in pairs(tensors) do copy[name] = tensor:clone() end
  return copy
end

-- One step's gradients by name, the input's as "input" where there is one.
local function gradientsOf(model, x, weights, inHalves)
  model:zeroGradParameters()
  dn.manualSeed(6) -- of the masks
  model:forward(x)
  local gradInput
  if inHalves then
    gradInput = model:updateGradInput(x, weights)
    model:accGradParameters(x, weights, 1)
  else
    gradInput = model:backward(x, weights)
  end
  local gradients = copies(model:gradDict())
  gradients.input = gradInput and gradInput:clone()
  return gradients
end

-- Patterns, how much of the network they freeze, and whether the images' gradient is left.
local cases = {
  { name = "the first convolution", "^features%.conv0$", isPrefix = true },
  { name = "a first block, with what stands before it", PREFIX, isPrefix = true },
  { name = "a block in the middle", "^features%.denseblock1" },
  { name = "a layer of a block", "denselayer2%." },
  { name = "the first layer of a block", "denseblock1%.denselayer1%." },
  { name = "the first layer of a block that nothing trained precedes",
    "^features%.conv0", "denseblock1%.denselayer1%.", isPrefix = true },
  { name = "half a layer that nothing trained precedes",
    "^features%.conv0", "denseblock1%.denselayer1%.[cn].*1$", isPrefix = true },
  { name = "every norm", "norm%d?$" },
  { name = "every norm, with the batch's statistics", "norm%d?$", options = { batchStatistics = true } },
  { name = "every convolution", "conv%d?$", isPrefix = true },
  { name = "norms before 3x3 convolutions", "norm2", "transition1%.norm" },
  { name = "a transition", "transition1" },
  { name = "all up to a transition's norm",
    "^features%.conv0", "denseblock1", "transition1%.norm", isPrefix = true },
  { name = "all up to the last norm", "^features%.[cdt]", isPrefix = true },
  { name = "all but the classifier", "^features", isPrefix = true },
  { name = "the classifier", "^classifier" },
  { name = "all but the classifier, asked for the images' gradient",
    "^features", options = { gradInput = true } },
  { name = "a block with the batch's statistics", "denseblock", options = { batchStatistics = true } },
}

local function freeze(model, case)
  for _, pattern in ipairs(case) do
    local hasLayersOfTwo = pattern ~= "norm2" or model.config.bottleneck
    if hasLayersOfTwo then model:freeze(pattern, case.options) end
  end
  return model
end

-- The derivative along a direction of each trained tensor and of the images.
local function checkDifferences(model, x, weights, gradients)
  local function loss()
    dn.manualSeed(6)
    return (model:forward(x) * weights):sum()
  end
  local checks = {}
  for name, gradient in pairs(gradients) do
    checks[name] = { name == "input" and x or model:stateDict()[name], gradient }
  end
  for name, check in pairs(checks) do
    local tensor, gradient = check[1], check[2]
    local direction, before = dn.randn { dtype = "double", table.unpack(tensor:size()) }, tensor:clone()
    tensor:copy(before):add(STEP, direction)
    local above = loss()
    tensor:copy(before):add(-STEP, direction)
    local below = loss()
    tensor:copy(before)
    local expected, found = (above - below) / (2 * STEP), (gradient * direction):sum()
    local scale = math.max(1e-2, math.abs(expected), gradient:norm() * direction:norm() / 10)
    assert(math.abs(found - expected) <= TOLERANCE * scale, ("%s: %.9g, by differences %.9g"):format(name, found,
      expected))
  end
end

describe("freeze:", function()
  for _, case in ipairs(cases) do
    for _, options in ipairs { {}, { bottleneck = false }, { dropRate = 0.3 } } do
      local title = ("%s%s%s"):format(case.name, options.dropRate and ", dropout" or "",
        options.bottleneck == false and ", no bottlenecks" or "")
      it("right gradients in every mode, whole and in halves: " .. title, function()
        local expected
        for _, mode in ipairs(MODES) do
          local model = freeze(build(mode, options), case)
          dn.manualSeed(3)
          local x, weights = images(), dn.randn { 3, 3, dtype = "double" }
          local gradients = gradientsOf(model, x, weights)
          assert.are.equal(not case.isPrefix, gradients.input ~= nil)
          for _, holder in ipairs(model:findModules("nn.SpatialConvolution")) do
            assert.are.equal(holder.frozen or false, holder.gradWeight == nil)
          end
          if not expected then
            expected = gradients
            checkDifferences(model, x, weights, gradients)
          end
          for key, gradient in pairs(expected) do compare.near(gradients[key], gradient, 1e-9, key) end
          for key in pairs(gradients) do assert.is_truthy(expected[key], key) end
          local halves = gradientsOf(model, x, weights, true)
          for key, gradient in pairs(expected) do
            compare.near(halves[key], gradient, 1e-9, key .. ", in halves")
          end
          assert.are.equal(not case.isPrefix, halves.input ~= nil)
        end
      end)
    end
  end

  -- What PyTorch does for requires_grad = False and eval() of the frozen norms, by hand: the same network
  -- of plain modules, nothing frozen, some norms in evaluation, and steps of those parameters alone.
  it("is what plain modules with norms in evaluation give, step by step", function()
    local x = images()
    local settings = { learningRate = 0.1, momentum = 0.9, weightDecay = 0.1 }
    local weights = dn.randn { 3, 3, dtype = "double" }
    local reference = build(0)
    local before = copies(reference:stateDict())
    local isTrained = {}
    for name in pairs(before) do isTrained[name] = not isInPrefix(name) end
    local byHand, gradients = {}, {}
    for name, gradient in pairs(reference:gradDict()) do
      if isTrained[name] then
        byHand[#byHand + 1], gradients[#gradients + 1] = reference:stateDict()[name], gradient
      end
    end
    for _, block in ipairs { reference:get("features"):get("denseblock1") } do block:evaluate() end
    local steps = dn.optim.SGD({ byHand, gradients }, settings)
    for _ = 1, 3 do
      reference:zeroGradParameters()
      reference:forward(x)
      reference:backward(x, weights)
      steps:step()
    end
    for _, mode in ipairs(MODES) do
      local model = build(mode)
      model:freeze(PREFIX)
      local optimizer = dn.optim.SGD(model, settings)
      for _ = 1, 3 do
        model:zeroGradParameters()
        model:forward(x)
        model:backward(x, weights)
        optimizer:step()
      end
      for name, tensor in pairs(model:stateDict()) do
        compare.near(tensor, reference:stateDict()[name], 1e-9, name)
        if not isTrained[name] then compare.identical(tensor, before[name], name .. " is frozen") end
      end
      for name in pairs(optimizer:state()) do assert.is_true(isTrained[name]) end
    end
  end)

  it("leaves names, conversions and checkpoints as they are, and survives them", function()
    for _, mode in ipairs { 0, 4 } do
      local free, model = build(mode), build(mode)
      local names = model:freeze "denseblock1"
      assert.are.equal(2 * 4, #names)
      local state = model:stateDict()
      for name, tensor in pairs(free:stateDict()) do compare.identical(state[name], tensor, name) end
      model:loadStateDict(build(0):stateDict())
      model = model:clone():type("float"):double():clearState():to("cpu")
      local conv = model:get("features"):get("denseblock1"):findModules("nn.SpatialConvolution")[1]
      assert.is_true(conv.frozen and conv.gradWeight == nil)
      assert.are.equal(free:parameterCount(), model:parameterCount() + model:frozenCount())
      assert.is_true(model:frozenCount() > 0)
      local vector = model:getParameters()
      assert.are.equal(model:parameterCount(), vector:nElement())
      model:forward(images())
      assert.are.equal(#names, #model:unfreeze "denseblock1")
      assert.are.equal(0, model:frozenCount())
      assert.are.equal(0, conv.gradWeight:norm())
      local x, weights = images(), dn.randn { 3, 3, dtype = "double" }
      local found, expected = gradientsOf(model, x, weights), gradientsOf(free, x, weights)
      for name, gradient in pairs(expected) do compare.near(found[name], gradient, 1e-5, name) end
    end
  end)

  it("goes on with an optimizer made before, which forgets the frozen ones' velocities", function()
    local model = nn.Sequential():add(nn.Linear(2, 2), "a"):add(nn.Linear(2, 2), "b")
    local optimizer = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, weightDecay = 0.5 })
    local x, g = dn.ones(1, 2), dn.ones(1, 2)
    local function step()
      model:zeroGradParameters()
      model:forward(x)
      model:backward(x, g)
      optimizer:step()
    end
    step()
    local whole = copies(optimizer:state())
    model:freeze "^a"
    local before = model:get("a").weight:clone()
    step()
    compare.identical(model:get("a").weight, before, "frozen")
    assert.is_nil(optimizer:state()["a.weight"])
    assert.is_truthy(optimizer:state()["b.weight"])
    dn.optim.SGD(model, { momentum = 0.9 }):loadState(whole) -- a frozen parameter's velocity has no use
    whole["c.weight"] = whole["b.weight"]
    assert.error_matches(function() dn.optim.SGD(model, { momentum = 0.9 }):loadState(whole) end, "unknown %(1%)")
    model:updateParameters(0.1)
    compare.identical(model:get("a").weight, before, "frozen, updateParameters")
    model:unfreeze()
    step()
    assert.is_true((model:get("a").weight - before):norm() > 0)
  end)

  it("has no backward for what is before the first trained parameter, nor memory for it", function()
    local size = { 4, 3, 16, 16 }
    for _, mode in ipairs(MODES) do
      local function planned(pattern)
        local model = dn.models.densenet { blocks = { 3, 3 }, growthRate = 12, optMemory = mode }
        if pattern then model:freeze(pattern) end
        local plan, rows = model:plan(size), {}
        for _, row in ipairs(plan.rows) do rows[row.name] = row end
        return plan, rows
      end
      local whole = planned()
      local frozen, rows = planned(PREFIX)
      assert.is_true(frozen.totalBytes < whole.totalBytes, ("mode %d"):format(mode))
      assert.is_truthy(rows["features.denseblock1.denselayer1.conv1.weight"])
      assert.is_nil(rows["features.denseblock1.denselayer1.conv1.weight gradient"])
      assert.is_nil(rows["features.denseblock1.denselayer1.conv1.weight momentum"])
      assert.is_truthy(rows["features.denseblock2.denselayer1.conv1.weight momentum"])
      if mode >= 3 then
        assert.is_nil(rows["features.denseblock1.denselayer1.bottleneck"])
        assert.are.equal(mode < 5, rows["features.denseblock2.denselayer1.bottleneck"] ~= nil)
      end
      for other = 0, 5 do -- the other modes' plans are of a network that is frozen alike
        assert.are.equal(planned("^features").totalBytes, planned("^features"):inMode(other):inMode(mode).totalBytes)
      end
      assert.is_truthy(frozen:table():find("frozen", 1, true))
    end
  end)

  for _, case in ipairs { { "a prefix", PREFIX }, { "a block", "denseblock2" },
    { "all but the classifier", "^features" } } do
    local name, pattern = table.unpack(case)
    for _, mode in ipairs(MODES) do
      it(("takes the memory that is planned: %s, mode %d"):format(name, mode), function()
        core.threads(1)
        local config = { blocks = { 3, 2 }, growthRate = 12, optMemory = mode }
        local function network() return dn.models.withoutImageGradient(dn.models.densenet(config)) end
        local function total()
          local shape = dn.models.withoutImageGradient(dn.models.withoutMemory(config))
          shape:freeze(pattern)
          return shape:plan({ 8, 3, 16, 16 }).totalBytes
        end
        local planned = total()
        collectgarbage()
        collectgarbage()
        core.scratch_release()
        local before = core.memory("cpu").live
        local model, x = network(), dn.randn(8, 3, 16, 16)
        model:freeze(pattern)
        local optimizer = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9 })
        local g = dn.randn(8, 10)
        collectgarbage()
        collectgarbage()
        core.memory_reset_peak("cpu")
        local allocations
        for step = 1, 3 do
          model:zeroGradParameters()
          model:forward(x)
          model:backward(x, g)
          optimizer:step()
          if step == 1 then allocations = core.memory("cpu").allocations end
        end
        local figures = core.memory("cpu")
        local measured = figures.peak - before
        assert.is_true(math.abs(measured / planned - 1) <= 0.02, ("planned %d, measured %d"):format(planned, measured))
        assert.equal(0, figures.allocations - allocations)
      end)
    end
  end

  it("makes a new plan when it comes or goes", function()
    for _, mode in ipairs { 1, 4, 5 } do
      local model, x, weights = build(mode), images(), dn.randn { 3, 3, dtype = "double" }
      local before = gradientsOf(model, x, weights)
      model:freeze(PREFIX)
      local expected = build(0)
      gradientsOf(expected, x, weights) -- moves the running statistics
      expected:freeze(PREFIX)
      expected = gradientsOf(expected, x, weights)
      for name, gradient in pairs(gradientsOf(model, x, weights)) do
        compare.near(gradient, expected[name], 1e-9, name)
      end
      model:unfreeze()
      for _, norm in ipairs(model:findModules("nn.SpatialBatchNormalization")) do norm:zeroGradParameters() end
      local after = gradientsOf(model, x, weights)
      for name, gradient in pairs(before) do compare.near(after[name], gradient, 1e-9, name) end

      model = build(mode) -- planned frozen, then thawed
      model:freeze(PREFIX)
      gradientsOf(model, x, weights)
      model:unfreeze()
      after = gradientsOf(model, x, weights)
      for name, gradient in pairs(before) do compare.near(after[name], gradient, 1e-9, name) end
    end
  end)

  it("goes with evaluation, half precision and a loss scale", function()
    for _, mode in ipairs { 0, 4 } do
      local model = dn.models.densenet { blocks = { 1, 1 }, growthRate = 4, optMemory = mode, precision = "half" }
      model:freeze(PREFIX)
      local before = copies(model:stateDict())
      local lossScale, sgd = dn.optim.LossScale(model), dn.optim.SGD(model, { learningRate = 0.1, weightDecay = 0.1 })
      local nReached = 0
      for _, gradient in ipairs((select(2, model:parameters()))) do
        local isReached = core.storage_key(gradient) == core.storage_key(lossScale.gradient)
        nReached = nReached + (isReached and gradient:nElement() or 0)
      end
      assert.are.equal(model:parameterCount(), nReached)
      local x, g = dn.randn(2, 3, 8, 8):half(), dn.ones(2, 10):half()
      model:zeroGradParameters()
      model:forward(x)
      model:backward(x, g)
      assert.is_true(lossScale:check())
      sgd:step()
      for name, tensor in pairs(model:stateDict()) do
        local isFrozen = isInPrefix(name)
        if isFrozen then
          compare.identical(tensor, before[name], name)
        elseif name:find("conv") then
          assert.is_true((tensor - before[name]):norm() > 0, name)
        end
      end
      model:evaluate()
      model:forward(x)
    end
  end)

  it("keeps a trained module behind one that is frozen and shares nothing with it", function()
    local a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    b:share(a, "weight", "gradWeight")
    local net = nn.Sequential():add(a, "a"):add(nn.Linear(2, 2), "middle"):add(b, "b")
    assert.error_matches(function() net:freeze "^a" end,
      "a%.weight and b%.weight share their memory: freeze both or neither")
    net:freeze "^[ab]$"
    assert.is_nil(a.gradWeight)
    net:unfreeze()
    assert.is_true(a.gradWeight:isSameView(b.gradWeight))
    b.weight, b.gradWeight = a.weight:t(), a.gradWeight:t()
    net:freeze "^[ab]$"
    net:unfreeze()
    a.gradWeight:put(3, 1, 2)
    assert.are.equal(3, b.gradWeight:at(2, 1))
  end)

  it("freezes a module of one's own, which is not asked for gradients", function()
    local Scale, parent = nn.class("Scale", nn.Module)
    function Scale:__init()
      parent.__init(self)
      self.factor, self.gradFactor = dn.ones(1), dn.zeros(1)
    end
    function Scale:parameters() return { self.factor }, { self.gradFactor } end
    function Scale:updateOutput(input)
      self.output = input * self.factor:item()
      return self.output
    end
    function Scale:updateGradInput(_, gradOutput)
      self.gradInput = gradOutput * self.factor:item()
      return self.gradInput
    end
    function Scale:accGradParameters(input, gradOutput) self.gradFactor:add((input * gradOutput):sum()) end
    local net = nn.Sequential():add(nn.Linear(2, 2), "a"):add(Scale(), "scale"):add(nn.Linear(2, 2), "b")
    net:freeze "^scale$"
    assert.are.equal(4, #net:parameters())
    for _, halves in ipairs { false, true } do
      assert.is_truthy(gradientsOf(net, dn.ones(1, 2), dn.ones(1, 2), halves)["a.weight"]:norm() > 0)
      assert.are.equal(0, net:get("scale").gradFactor:item())
    end
    dn.optim.SGD(net, { learningRate = 1, weightDecay = 1 }):step()
    assert.are.equal(1, net:get("scale").factor:item())
    assert.are.equal(1, net:stateDict()["scale.factor"]:item())
  end)

  it("tells a container's own parameters from its children's", function()
    local Mixed, parent = nn.class("Mixed", nn.Sequential)
    function Mixed:__init()
      parent.__init(self)
      self.mix, self.gradMix = dn.ones(1), dn.zeros(1)
    end
    function Mixed:parameters()
      local weights, gradients = parent.parameters(self)
      weights[#weights + 1], gradients[#gradients + 1] = self.mix, self.gradMix
      return weights, gradients
    end
    function Mixed:accGradParameters(input, gradOutput, scale)
      parent.accGradParameters(self, input, gradOutput, scale)
      self.gradMix:add(1)
    end
    local function build_mixed()
      return nn.Sequential():add(Mixed():add(nn.Linear(2, 2, false), "linear"), "mixed"):add(nn.Linear(2, 2), "b")
    end
    local x = dn.ones(1, 2)
    local net = build_mixed()
    net:freeze "mixed%.mix$"
    assert.are.equal(4 + 6, net:parameterCount())
    assert.are.equal(3, #net:parameters())
    assert.is_true(gradientsOf(net, x, x)["mixed.linear.weight"]:norm() > 0)
    net = build_mixed()
    net:freeze "mixed%.linear"
    assert.are.equal(1 + 6, net:parameterCount())
    assert.are.equal(1, gradientsOf(net, x, x)["mixed.mix"]:item())
  end)

  it("says what is wrong with what it is given", function()
    local model = build(0)
    assert.error_matches(function() model:freeze "denseblock7" end,
      "freeze: no name matches the pattern 'denseblock7'; the first name is 'features.conv0.weight'", 1, true)
    assert.error_matches(function() model:freeze "[" end, "bad argument #1 to 'freeze' %('%[' is not a Lua pattern")
    assert.error_matches(function() model:freeze() end, "Lua pattern for the names in stateDict expected, got a nil")
    assert.error_matches(function() model:freeze "%.weight$" end,
      "'%%.weight%$' means features%..*%.weight and not features%..*%.bias: a module is frozen as a whole")
    assert.error_matches(function() model:freeze("conv0", { statistics = "batch" }) end,
      "bad argument #2 to 'freeze' %(there is no option 'statistics'; there are batchStatistics, gradInput%)")
    assert.are.equal(0, model:frozenCount())
    assert.error_matches(function() model:unfreeze "denseblock7" end, "unfreeze: no name matches")
  end)
end)
