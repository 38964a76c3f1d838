-- nn.DenseBlock, nn.Transition and nn.NormReLUPool alone and in a network of one's own: gradients
-- against central differences in double, Torch's contract, and how they hand work to one another.

local dn = require "densenet"
local core = require "densenet.core"
local random = require "densenet.random"
local tablex = require "pl.tablex"
local compare = require "spec.support.compare"
local finite_difference = require "spec.support.finite_difference"

local nn = dn.nn
local EXACT = 1e-12
local STEP = 1e-5 -- norms over few values curve steeply

local function randn(...)
  return dn.randn { dtype = "double", ... }
end

-- In double, with parameters and running statistics that make a difference. Rectifiers open for part
-- of each channel; the seed keeps their inputs further from the kink than a difference's step reaches.
local function prepare(module)
  module:double()
  for _, norm in ipairs(module:findModules("nn.SpatialBatchNormalization")) do
    norm.running_mean:uniform(-0.5, 0.5)
    norm.running_var:uniform(0.5, 1.5)
    norm.weight:uniform(0.5, 1.5)
    norm.bias:uniform(-0.5, 0.5)
  end
  return module
end

-- A builder and the sizes of an input of it.
local cases = {}
for memory, growthRate in pairs { shared = 1, linear = 2, minimal = 1 } do
  cases["DenseBlock, " .. memory] = {
    function() return nn.DenseBlock(3, growthRate, 2, { memory = memory }) end, { 3, 3, 4, 3 },
  }
  cases["DenseBlock with dropout, " .. memory] = {
    function() return nn.DenseBlock(2, growthRate, 2, { memory = memory, dropRate = 0.3 }) end, { 3, 2, 3, 4 },
  }
end
cases["DenseBlock without bottlenecks"] = {
  function() return nn.DenseBlock(3, 2, 3, { bottleneck = false }) end, { 2, 3, 3, 5 },
}
cases["DenseBlock without bottlenecks, with dropout"] = {
  function() return nn.DenseBlock(2, 3, 2, { bottleneck = false, dropRate = 0.2 }) end, { 2, 2, 3, 5 },
}
for _, memory in ipairs { "linear", "minimal" } do
  cases["Transition, " .. memory] = {
    function() return nn.Transition(4, 3, { memory = memory }) end, { 3, 4, 5, 6 },
  }
end
cases["Transition with dropout"] = { function() return nn.Transition(4, 3, { dropRate = 0.4 }) end, { 2, 4, 5, 4 } }
cases["NormReLUPool"] = { function() return nn.NormReLUPool(5) end, { 3, 5, 4, 3 } }
cases["NormReLUPool of one image"] = { function() return nn.NormReLUPool(3) end, { 3, 5, 4 } }
cases["DenseBlock of one image"] = { function() return nn.DenseBlock(3, 2, 2) end, { 3, 5, 4 } }
cases["Transition of one image"] = { function() return nn.Transition(3, 2) end, { 3, 5, 4 } }

local function stages(isFollowing)
  local block, second = nn.DenseBlock(3, 1, 2), nn.DenseBlock(2, 1, 1, { memory = "minimal" })
  local transition, last = nn.Transition(5, 2), nn.NormReLUPool(3)
  if isFollowing then
    transition:follow(block)
    last:follow(second)
  end
  return nn.Sequential()
    :add(nn.SpatialConvolution(2, 3, 3, 3, 1, 1, 1, 1):noBias()):add(block):add(transition):add(second):add(last)
    :add(nn.Linear(3, 3))
end
cases["Sequential of all three"] = { function() return stages(false) end, { 2, 2, 4, 6 } }
cases["Sequential of all three, which follow"] = { function() return stages(true) end, { 2, 2, 4, 6 } }
cases["Sequential with plain modules around"] = {
  function()
    return nn.Sequential()
      :add(nn.Concat(2):add(nn.Identity()):add(nn.DenseBlock(2, 1, 1)))
      :add(nn.SpatialBatchNormalization(5)):add(nn.ReLU(true)):add(nn.DenseBlock(5, 1, 1)):add(nn.ReLU())
      :add(nn.GlobalAveragePooling())
  end,
  { 2, 2, 3, 4 },
}

local function check(module, x, what)
  local start = random.state()
  local function forward()
    random.setState(start)
    return module:forward(x)
  end
  local weights = randn(table.unpack(forward():size()))
  local function f()
    return (forward() * weights):sum()
  end

  local xBefore, weightsBefore = x:clone(), weights:clone()
  forward()
  module:zeroGradParameters()
  local gradInput = module:backward(x, weights):clone()
  local gradients = {}
  for name, gradient in pairs(module:gradDict()) do
    gradients[name] = gradient:clone()
  end
  compare.identical(x, xBefore, what .. ": input after a step")
  compare.identical(weights, weightsBefore, what .. ": gradOutput after a step")

  -- Torch's halves, twice with a scale, come to the same, and neither undoes the other.
  forward()
  module:zeroGradParameters()
  compare.near(module:updateGradInput(x, weights), gradInput, EXACT, what .. ": updateGradInput")
  for name, gradient in pairs(module:gradDict()) do
    assert.are.equal(0, gradient:norm(), name)
  end
  module:accGradParameters(x, weights, 0.75)
  module:accGradParameters(x, weights, 0.25)
  compare.near(module.gradInput, gradInput, EXACT, what .. ": gradInput after accGradParameters")
  for name, gradient in pairs(module:gradDict()) do
    compare.near(gradient, gradients[name], EXACT, what .. ": accGradParameters, " .. name)
  end

  -- Gradients add up, over a fresh forward each.
  forward()
  module:backward(x, weights, -2)
  for name, gradient in pairs(module:gradDict()) do
    compare.near(gradient, gradients[name] * -1, EXACT, what .. ": a second backward, " .. name)
  end

  local function differences(tensor, analytic, name)
    local numeric = dn.zeros { dtype = "double", table.unpack(tensor:size()) }
    finite_difference.gradient(f, tensor, numeric, STEP)
    compare.near(analytic, numeric, compare.finite_difference, what .. ": " .. name)
  end
  differences(x, gradInput, "gradInput")
  local state = module:stateDict()
  for name, gradient in pairs(gradients) do
    differences(state[name], gradient, name)
  end
end

describe("gradients of", function()
  before_each(function() dn.manualSeed(15) end)

  for name, case in tablex.sort(cases) do
    it(name .. ", training", function()
      check(prepare(case[1]()), randn(table.unpack(case[2])), "training")
    end)
    it(name .. ", evaluation", function()
      check(prepare(case[1]()):evaluate(), randn(table.unpack(case[2])), "evaluation")
    end)
  end
end)

describe("a fused stage", function()
  before_each(function() dn.manualSeed(12) end)

  it("takes slices and views", function()
    local block = prepare(nn.DenseBlock(3, 2, 2))
    local wide = randn(4, 7, 5, 4)
    local slice = wide:narrow(2, 3, 3):narrow(1, 2, 2)
    local turned = randn(2, 3, 4, 5):transpose(3, 4)
    local gradients = {
      [slice] = randn(3, 9, 5, 4):narrow(1, 1, 2):narrow(2, 2, 7), [turned] = randn(2, 7, 4, 5):transpose(3, 4),
    }
    for x, gradOutput in pairs(gradients) do
      local output, gradInput = block:forward(x):clone(), block:backward(x, gradOutput):clone()
      local whole, gradWhole = x:clone(), gradOutput:clone()
      compare.near(output, block:forward(whole), EXACT, "output")
      compare.near(gradInput, block:backward(whole, gradWhole), EXACT, "gradInput")
    end
  end)

  it("names its parameters as torchvision does", function()
    local names = {}
    for name in pairs(nn.DenseBlock(3, 2, 1):stateDict()) do
      names[#names + 1] = name
    end
    table.sort(names)
    assert.are.same({
      "denselayer1.conv1.weight", "denselayer1.conv2.weight",
      "denselayer1.norm1.bias", "denselayer1.norm1.running_mean", "denselayer1.norm1.running_var",
      "denselayer1.norm1.weight",
      "denselayer1.norm2.bias", "denselayer1.norm2.running_mean", "denselayer1.norm2.running_var",
      "denselayer1.norm2.weight",
    }, names)
    local state = nn.Sequential():add(nn.Transition(3, 2), "transition1"):add(nn.NormReLUPool(2), "norm5"):stateDict()
    for _, name in ipairs {
      "transition1.norm.weight", "transition1.norm.running_var", "transition1.conv.weight", "norm5.weight",
      "norm5.bias", "norm5.running_mean", "norm5.running_var",
    } do
      assert.is_truthy(state[name], name)
    end
  end)

  it("moves running statistics by its momentum, and adds its epsilon", function()
    local options = { epsilon = 0.5, momentum = 0.25 }
    for _, pair in ipairs {
      { nn.DenseBlock(3, 2, 1, { bottleneck = false, epsilon = 0.5, momentum = 0.25 }), "denselayer1.norm1." },
      { nn.Transition(3, 2, options), "norm." }, { nn.NormReLUPool(3, options), "" },
    } do
      local stage, prefix = pair[1]:double(), pair[2]
      local plain = nn.SpatialBatchNormalization(3, 0.5, 0.25):double()
      local x, state = randn(4, 3, 4, 4), stage:stateDict()
      plain:forward(x)
      stage:forward(x)
      compare.near(state[prefix .. "running_mean"], plain.running_mean, EXACT, "mean")
      compare.near(state[prefix .. "running_var"], plain.running_var, EXACT, "variance")
    end
    local pool, plain = nn.NormReLUPool(3, options):double(), nn.Sequential()
    plain:add(nn.SpatialBatchNormalization(3, 0.5, 0.25)):add(nn.ReLU()):add(nn.GlobalAveragePooling()):double()
    plain:get(1).weight:copy(pool:stateDict().weight)
    local x = randn(4, 3, 4, 4)
    compare.near(pool:forward(x), plain:forward(x), EXACT, "output")
  end)

  it("without dropout uses no random numbers, in evaluation not with it either", function()
    local before = random.state()
    local x = randn(2, 3, 4, 4)
    local position = random.state().position
    assert.is_true(position > before.position)
    local block = nn.DenseBlock(3, 2, 2, { dropRate = 0.5 }):double()
    position = random.state().position
    block:evaluate():forward(x)
    assert.are.equal(position, random.state().position)
    block:training():forward(x)
    -- 8 and 2 channels of 2x4x4 in each layer, four elements a position.
    assert.are.equal(position + 2 * (64 + 16), random.state().position)
  end)

  it("says what is wrong, and where", function()
    local block = nn.DenseBlock(3, 2, 2)
    assert.error_matches(function() block:forward(dn.randn(2, 4, 5, 5)) end, "input of 2x4x5x5; expected 3 channels")
    assert.error_matches(function() block:forward(dn.randn(2, 3)) end, "expected images N,C,H,W .* got 2x3")
    block:forward(dn.randn(2, 3, 5, 5))
    assert.error_matches(function() block:backward(dn.randn(2, 3, 5, 5), dn.randn(2, 6, 5, 5)) end,
      "gradOutput of 2x6x5x5; expected 2x7x5x5, as the output is")
    assert.error_matches(function() nn.Transition(3, 2):forward(dn.randn(2, 4, 4, 4)) end, "bad argument")
    assert.error_matches(function() nn.Transition(3, 2):forward(dn.randn(2, 3, 1, 4)) end, "bad argument")
    assert.error_matches(function() nn.NormReLUPool(3):forward(dn.randn(2, 4, 4, 4)) end, "bad argument")
    local _, message = pcall(block.forward, block, dn.randn(1, 3, 1, 1))
    assert.is_truthy(message:find("in module 1 'denselayer1' of nn.DenseBlock (nn.DenseLayer): ", 1, true), message)
    assert.is_truthy(message:find("number of values a channel is 1; expected 2 or more", 1, true), message)
    assert.error_matches(function() nn.DenseBlock(3, 2, 2, { memory = "some" }) end,
      "bad argument #4 to 'nn.DenseBlock' %(memory is shared, linear or minimal, not some%)")
    assert.error_matches(function() nn.DenseBlock(3, 2, 2, { drop = 1 }) end, "there is no option 'drop'")
    assert.error_matches(function() nn.DenseBlock(3, 2, 0) end, "bad argument #3 to 'nn.DenseBlock'")
    assert.error_matches(function() nn.DenseBlock(3, 2, 2, { dropRate = 1 }) end, "0 <= p < 1")
    assert.error_matches(function() nn.Transition(3, 2, { memory = "some" }) end,
      "bad argument #3 to 'nn.Transition' %(memory")
  end)

  it("keeps for backward what its memory says", function()
    -- Bytes that a forward leaves behind, in bottlenecks of 3 images, beside the output.
    local function kept(nLayers, memory, isTraining)
      local block, x = nn.DenseBlock(4, 2, nLayers, { memory = memory }):float(), dn.randn(3, 4, 32, 32)
      if not isTraining then
        block:evaluate()
      end
      local function live()
        collectgarbage()
        core.scratch_release()
        return dn.memory("cpu").live
      end
      local before = live()
      local output = block:forward(x)
      local bottleneckBytes = 3 * 8 * 32 * 32 * 4
      return math.floor((live() - before - output:nElement() * 4) / bottleneckBytes + 0.5)
    end
    for memory, perLayer in pairs { shared = 2, linear = 1 } do
      assert.are.equal(2 * perLayer, kept(2, memory, true), memory)
      assert.are.equal(5 * perLayer, kept(5, memory, true), memory)
      assert.are.equal(1, kept(5, memory, false), memory .. ", evaluation")
    end
    assert.are.equal(1, kept(2, "minimal", true))
    assert.are.equal(1, kept(5, "minimal", true))
    assert.are.equal(1, kept(5, "minimal", false))
  end)

  it("prints its sizes", function()
    assert.are.equal("nn.DenseBlock(3 -> 9, 3 layers of 2, bottleneck 8, linear memory)",
      tostring(nn.DenseBlock(3, 2, 3)))
    assert.are.equal("nn.DenseBlock(3 -> 5, 1 layer of 2, dropout 0.25, minimal memory)",
      tostring(nn.DenseBlock(3, 2, 1, { bottleneck = false, dropRate = 0.25, memory = "minimal" })))
    assert.are.equal("nn.Transition(4 -> 2, 2x2 means)", tostring(nn.Transition(4, 2)))
    assert.are.equal("nn.NormReLUPool(4)", tostring(nn.NormReLUPool(4)))
  end)
end)

describe("a stage that follows a block", function()
  before_each(function() dn.manualSeed(13) end)

  local function followed()
    local block, transition = prepare(nn.DenseBlock(3, 2, 2)), prepare(nn.Transition(7, 4))
    return block, transition:follow(block)
  end

  it("takes its statistics for the block's output only", function()
    local block, transition = followed()
    local x, other = randn(2, 3, 4, 4), randn(2, 7, 4, 4)
    block:forward(x)
    local expected = prepare(nn.Transition(7, 4)):loadStateDict(transition:stateDict())
    compare.near(transition:forward(other), expected:forward(other), EXACT, "another input")
    compare.near(transition:backward(other, randn(2, 4, 2, 2):fill(1)),
      expected:backward(other, randn(2, 4, 2, 2):fill(1)), EXACT, "its gradient")
  end)

  it("takes its own where the block took none", function()
    local block, transition = followed()
    local alone = prepare(nn.Transition(7, 4)):loadStateDict(transition:stateDict())
    block:forward(randn(2, 3, 4, 4))
    block:evaluate()
    local output = block:forward(randn(2, 3, 4, 4))
    compare.near(transition:forward(output), alone:forward(output), EXACT, "output")
  end)

  it("hands its gradient on whichever way the block goes on from it", function()
    local block, transition = followed()
    local x, gradOutput = randn(2, 3, 4, 4), randn(2, 4, 2, 2)
    local function halfway()
      transition:forward(block:forward(x))
      block:zeroGradParameters()
      return transition:backward(block.output, gradOutput)
    end
    local expected = block:backward(x, halfway()):clone()
    local weightGradient = block:gradDict()["denselayer1.conv1.weight"]:clone()

    local gradient = halfway()
    compare.near(block:updateGradInput(x, gradient), expected, EXACT, "updateGradInput")
    block:accGradParameters(x, gradient)
    compare.near(block:gradDict()["denselayer1.conv1.weight"], weightGradient, EXACT, "accGradParameters")
    compare.near(block:backward(x, gradient), expected, EXACT, "backward after both")
  end)

  it("must be the only one to give the block a gradient", function()
    local block, transition = followed()
    local x = randn(2, 3, 4, 4)
    transition:forward(block:forward(x))
    local gradient = transition:backward(block.output, randn(2, 4, 2, 2))
    assert.error_matches(function() block:backward(x, gradient:clone()) end,
      "not the gradInput of the module that follows")
  end)

  it("hands nothing over a new forward", function()
    local block, transition = followed()
    local x, gradient = randn(2, 3, 4, 4), randn(2, 7, 4, 4)
    block:forward(x)
    local expected = block:backward(x, gradient):clone()
    transition:forward(block.output)
    transition:backward(block.output, randn(2, 4, 2, 2))
    block:forward(x)
    compare.near(block:backward(x, gradient), expected, EXACT, "gradInput")
  end)
end)
