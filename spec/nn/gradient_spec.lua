-- Every module's and criterion's backward against central differences of its forward, in double. The
-- figure differentiated is the sum of the output's elements times fixed random weights.

local dn = require "densenet"
local random = require "densenet.random"
local compare = require "spec.support.compare"
local finite_difference = require "spec.support.finite_difference"

local nn = dn.nn
local TOLERANCE = compare.finite_difference

local function randn(...)
  return dn.randn { dtype = "double", ... }
end

-- A case: class, a builder, and one input (a tensor, or a table of tensors). `evaluate`: in
-- evaluation mode too. Modules are built in double.
local cases = {
  { "SpatialConvolution", function() return nn.SpatialConvolution(3, 4, 3, 3, 1, 1, 1, 1), randn(2, 3, 5, 4) end },
  { "SpatialConvolution", function() return nn.SpatialConvolution(3, 2, 3, 2, 2, 1, 1, 0), randn(2, 3, 5, 7) end },
  {
    "SpatialConvolution",
    function() return nn.SpatialConvolution(4, 6, 3, 3, 1, 1, 1, 1, 2):noBias(), randn(2, 4, 3, 5) end,
  },
  { "SpatialConvolution", function() return nn.SpatialConvolution(3, 2, 3, 3), randn(3, 4, 5) end },
  {
    "SpatialBatchNormalization",
    function() return nn.SpatialBatchNormalization(3), randn(4, 3, 2, 3) end,
    evaluate = true,
  },
  {
    "SpatialBatchNormalization",
    function() return nn.SpatialBatchNormalization(3, 1e-3, 0.2, false), randn(4, 3, 2, 3) end,
    evaluate = true,
  },
  { "ReLU", function() return nn.ReLU(), randn(3, 4) end },
  { "ReLU", function() return nn.ReLU(true), randn(3, 4, 2, 2) end },
  { "Dropout", function() return nn.Dropout(0.3), randn(5, 7) end, evaluate = true },
  { "SpatialMaxPooling", function() return nn.SpatialMaxPooling(3, 3, 2, 2, 1, 1), randn(2, 2, 5, 6) end },
  { "SpatialMaxPooling", function() return nn.SpatialMaxPooling(2, 2, 2, 2):ceil(), randn(2, 2, 5, 5) end },
  { "SpatialAveragePooling", function() return nn.SpatialAveragePooling(2, 2, 2, 2), randn(2, 3, 5, 4) end },
  {
    "SpatialAveragePooling",
    function() return nn.SpatialAveragePooling(3, 2, 2, 1, 1, 1):ceil():setCountExcludePad(), randn(2, 2, 5, 4) end,
  },
  { "GlobalAveragePooling", function() return nn.GlobalAveragePooling(), randn(2, 3, 4, 5) end },
  { "Linear", function() return nn.Linear(4, 3), randn(5, 4) end },
  { "Linear", function() return nn.Linear(4, 3, false), randn(4) end },
  { "LogSoftMax", function() return nn.LogSoftMax(), randn(3, 5) end },
  { "LogSoftMax", function() return nn.LogSoftMax(), randn(5) end },
  { "View", function() return nn.View(6), randn(4, 2, 3) end },
  { "Flatten", function() return nn.Flatten(), randn(4, 2, 3) end },
  { "Identity", function() return nn.Identity(), randn(2, 3) end },
  { "JoinTable", function() return nn.JoinTable(2), { randn(2, 3), randn(2, 1), randn(2, 2) } end },
  { "JoinTable", function() return nn.JoinTable(1, 1), { randn(2, 3), randn(2, 1) } end },
  { "CAddTable", function() return nn.CAddTable(), { randn(2, 3), randn(2, 3), randn(2, 3) } end },
  { "CAddTable", function() return nn.CAddTable(true), { randn(2, 3), randn(2, 3) } end },
  { "Sigmoid", function() return nn.Sigmoid(), randn(3, 4) end },
  { "Tanh", function() return nn.Tanh(), randn(3, 4, 2) end },
  { "LeakyReLU", function() return nn.LeakyReLU(0.2), randn(3, 4) end },
  { "LeakyReLU", function() return nn.LeakyReLU(0.1, true), randn(4, 3) end },
  { "ELU", function() return nn.ELU(0.7), randn(3, 4) end },
  { "ELU", function() return nn.ELU(1, true), randn(3, 4) end },
  { "MulConstant", function() return nn.MulConstant(-3), randn(3, 4) end },
  { "MulConstant", function() return nn.MulConstant(0.5, true), randn(3, 4) end },
  { "Mul", function() return nn.Mul(), randn(3, 4) end },
  { "CMul", function() return nn.CMul(3, 1, 2), randn(4, 3, 5, 2) end },
  { "CMul", function() return nn.CMul(1, 3, 1, 1), randn(4, 3, 2, 2) end },
  { "CMul", function() return nn.CMul(4), randn(4) end },
  { "PReLU", function() return nn.PReLU(), randn(3, 4) end },
  { "PReLU", function() return nn.PReLU(3), randn(2, 3, 4, 2) end },
  { "PReLU", function() return nn.PReLU(4), randn(3, 4) end },
  { "PReLU", function() return nn.PReLU(3), randn(3, 2, 2) end },
  { "SoftMax", function() return nn.SoftMax(), randn(5) end },
  { "SoftMax", function() return nn.SoftMax(), randn(3, 5) end },
  { "SoftMax", function() return nn.SoftMax(), randn(3, 2, 4) end },
  { "SoftMax", function() return nn.SoftMax(), randn(2, 3, 2, 4) end },
  { "BatchNormalization", function() return nn.BatchNormalization(3), randn(5, 3) end, evaluate = true },
  {
    "BatchNormalization",
    function() return nn.BatchNormalization(3, 1e-3, 0.2, false), randn(5, 3) end,
    evaluate = true,
  },
  { "SplitTable", function() return nn.SplitTable(2), randn(2, 3, 2) end },
  { "SplitTable", function() return nn.SplitTable(-1), randn(2, 3) end },
  { "SplitTable", function() return nn.SplitTable(1, 2), randn(2, 3, 2) end },
  { "SelectTable", function() return nn.SelectTable(-2), { randn(2, 3), randn(2), randn(3) } end },
  { "SelectTable", function() return nn.SelectTable(1), { randn(2), { randn(2), randn(3) } } end },
  { "FlattenTable", function() return nn.FlattenTable(), { randn(2), { { randn(3) }, randn(2, 2) } } end },
  { "CMulTable", function() return nn.CMulTable(), { randn(2, 3), randn(2, 3), randn(2, 3) } end },
  {
    "ParallelTable",
    function()
      return nn.ParallelTable():add(nn.Linear(3, 2)):add(nn.Identity()), { randn(2, 3), { randn(2), randn(3) } }
    end,
  },
  {
    "Parallel",
    function() return nn.Parallel(2, 1):add(nn.Linear(3, 2)):add(nn.Linear(3, 2)), randn(4, 2, 3) end,
  },
  { "Reshape", function() return nn.Reshape(2, 6), randn(3, 4, 3) end },
  { "Reshape", function() return nn.Reshape({ 6, 2 }, false), randn(3, 4) end },
  { "Narrow", function() return nn.Narrow(2, 2, -1), randn(2, 4) end },
  { "Narrow", function() return nn.Narrow(-1, -3, 2), randn(2, 4) end },
  { "Select", function() return nn.Select(2, -1), randn(2, 4, 3) end },
  { "Padding", function() return nn.Padding(1, -2, 2, 0.5), randn(2, 4, 3) end },
  { "Padding", function() return nn.Padding(2, 2, nil, 1, 3), randn(2, 4) end },
  { "Copy", function() return nn.Copy("double", "double"), randn(2, 4) end },
  { "Contiguous", function() return nn.Contiguous(), randn(4, 2) end },
  { "SpatialZeroPadding", function() return nn.SpatialZeroPadding(1, 2, 0, 1), randn(2, 3, 2, 3) end },
  { "SpatialZeroPadding", function() return nn.SpatialZeroPadding(-1, 1, 2, -1), randn(3, 2, 3) end },
  { "SpatialUpSamplingNearest", function() return nn.SpatialUpSamplingNearest(3), randn(2, 3, 2, 3) end },
  { "SpatialDropout", function() return nn.SpatialDropout(0.4), randn(3, 4, 2, 2) end, evaluate = true },
  { "SpatialDropout", function() return nn.SpatialDropout(0.4), randn(5, 2, 2) end, evaluate = true },
  {
    "SpatialAdaptiveAveragePooling",
    function() return nn.SpatialAdaptiveAveragePooling(3, 2), randn(2, 2, 5, 4) end,
  },
  { "SpatialAdaptiveAveragePooling", function() return nn.SpatialAdaptiveAveragePooling(4, 5), randn(2, 3, 2) end },
  { "SpatialAdaptiveMaxPooling", function() return nn.SpatialAdaptiveMaxPooling(3, 2), randn(2, 2, 5, 4) end },
  { "SpatialAdaptiveMaxPooling", function() return nn.SpatialAdaptiveMaxPooling(2, 3), randn(2, 3, 6) end },
  { "SpatialFullConvolution", function() return nn.SpatialFullConvolution(3, 2, 3, 2), randn(2, 3, 3, 4) end },
  {
    "SpatialFullConvolution",
    function() return nn.SpatialFullConvolution(2, 3, 3, 3, 2, 3, 1, 0, 1, 2), randn(2, 2, 3, 2) end,
  },
  {
    "SpatialFullConvolution",
    function() return nn.SpatialFullConvolution(2, 3, 2, 2, 2, 2):noBias(), randn(2, 3, 2) end,
  },
  {
    "Concat",
    function()
      return nn.Concat(2):add(nn.Identity()):add(nn.Linear(3, 2)):add(nn.Linear(3, 4)), randn(4, 3)
    end,
  },
  { "Concat", function() return nn.Concat(2):add(nn.Linear(3, 2)), randn(4, 3) end },
  {
    "ConcatTable",
    function() return nn.ConcatTable():add(nn.Identity()):add(nn.Linear(3, 2)):add(nn.Linear(3, 1)), randn(4, 3) end,
  },
  {
    "Sequential",
    function()
      return nn.Sequential()
        :add(nn.SpatialBatchNormalization(2)):add(nn.ReLU(true)):add(nn.SpatialConvolution(2, 3, 3, 3, 1, 1, 1, 1))
        :add(nn.ConcatTable():add(nn.Identity()):add(nn.SpatialConvolution(3, 3, 1, 1)))
        :add(nn.CAddTable()):add(nn.Dropout(0.2)):add(nn.GlobalAveragePooling()):add(nn.Linear(3, 2)),
        randn(3, 2, 4, 4)
    end,
  },
  {
    "Sequential",
    function()
      return nn.Sequential()
        :add(nn.ConcatTable():add(nn.ConcatTable():add(nn.Identity()):add(nn.Linear(3, 3))):add(nn.Identity()))
        :add(nn.ConcatTable():add(nn.Identity()):add(nn.Identity())),
        randn(2, 3)
    end,
  },
}

for _, optMemory in ipairs { 0, 1, 4, 5 } do
  cases[#cases + 1] = {
    "Sequential",
    function()
      local model = dn.models.densenet {
        blocks = { 2, 1 }, growthRate = 2, nClasses = 3, dropRate = 0.2, precision = "double", inputChannels = 2,
        optMemory = optMemory,
      }
      -- Most rectifiers are kept away from their kink, where differences say nothing.
      for _, norm in ipairs(model:findModules("nn.SpatialBatchNormalization")) do
        for i = 1, norm.nChannels do
          norm.bias:put(i % 4 == 0 and -3 or 3, i)
        end
      end
      return model, randn(2, 2, 5, 4)
    end,
    evaluate = true,
  }
end

local function clone(input)
  if dn.isTensor(input) then
    return input:clone()
  end
  local copy = {}
  for i, part in ipairs(input) do
    copy[i] = clone(part)
  end
  return copy
end

-- Random numbers of the shapes of an output.
local function weightsLike(output)
  if dn.isTensor(output) then
    return dn.randn { dtype = "double", table.unpack(output:size()) }
  end
  local weights = {}
  for i, part in ipairs(output) do
    weights[i] = weightsLike(part)
  end
  return weights
end

local function weightedSum(output, weights)
  if dn.isTensor(output) then
    return (output * weights):sum()
  end
  local total = 0
  for i, part in ipairs(output) do
    total = total + weightedSum(part, weights[i])
  end
  return total
end

-- Checks `analytic` (a tensor, or a table of tensors) against differences of f with respect to `x`.
local function checkGradient(f, x, analytic, what)
  if not dn.isTensor(x) then
    for i, part in ipairs(x) do
      checkGradient(f, part, analytic[i], what .. " " .. i)
    end
    return
  end
  local numeric = dn.zeros { dtype = "double", table.unpack(x:size()) }
  finite_difference.gradient(f, x, numeric)
  compare.near(analytic, numeric, TOLERANCE, what)
end

-- What a backward left behind, copied: the gradient of the input and of each parameter.
local function results(module, gradInput)
  local gradients = {}
  for name, gradient in pairs(module:gradDict()) do
    gradients[name] = gradient:clone()
  end
  return clone(gradInput), gradients
end

local function near(value, expected, what)
  if dn.isTensor(value) then
    compare.near(value, expected, 1e-12, what)
  else
    for i, part in ipairs(value) do near(part, expected[i], what) end
  end
end

local function check(module, input, what)
  local start = random.state()
  local function forward()
    random.setState(start)
    return module:forward(clone(input)) -- a copy, for modules that work in place
  end
  local weights = weightsLike(forward())
  local function f()
    return weightedSum(forward(), weights)
  end

  local given = clone(input)
  random.setState(start)
  module:forward(given)
  module:zeroGradParameters()
  local gradInput, gradients = results(module, module:backward(given, clone(weights)))

  -- The two halves alone, and twice with a scale, come to the same.
  given = clone(input)
  random.setState(start)
  module:forward(given)
  module:zeroGradParameters()
  local kept = clone(weights)
  local second = module:updateGradInput(given, kept)
  module:accGradParameters(given, kept, 0.75)
  module:accGradParameters(given, kept, 0.25)
  second = clone(second)
  local state = module:gradDict()
  for name, gradient in pairs(gradients) do
    compare.near(state[name], gradient, 1e-12, what .. ": accGradParameters, " .. name)
  end
  near(second, gradInput, what .. ": updateGradInput")

  checkGradient(f, input, gradInput, what .. ": gradInput")
  local parameters = module:stateDict()
  for name, gradient in pairs(gradients) do
    checkGradient(f, parameters[name], gradient, what .. ": " .. name)
  end
end

describe("the gradient of nn.", function()
  before_each(function()
    dn.manualSeed(11)
    dn.threads(1) -- tiny tensors: waking a second thread costs more than it gives
  end)

  for i, case in ipairs(cases) do
    it(("%s, case %d"):format(case[1], i), function()
      local module, input = case[2]()
      module:double()
      for _, name in ipairs { "running_mean", "running_var" } do -- evaluation has something to do
        for _, class in ipairs { "nn.SpatialBatchNormalization", "nn.BatchNormalization" } do
          for _, norm in ipairs(module:findModules(class)) do norm[name]:uniform(0.5, 1.5) end
        end
      end
      check(module, input, "training")
      if case.evaluate then
        check(module:evaluate(), input, "evaluation")
      end
    end)
  end

  local classWeights = { 0.5, 2, 1 }
  -- Towards 0 and 1 the third derivative is too large for differences.
  local function probabilities(...) return dn.rand({ dtype = "double", ... }):mul(0.4):add(0.3) end
  local criterions = {
    {
      "ClassNLLCriterion",
      function() return nn.ClassNLLCriterion(), randn(4, 3), dn.tensor({ 1, 3, 3, 2 }, "long") end,
    },
    {
      "ClassNLLCriterion",
      function() return nn.ClassNLLCriterion(dn.tensor(classWeights, "double"), false), randn(3), 2 end,
    },
    {
      "CrossEntropyCriterion",
      function()
        return nn.CrossEntropyCriterion(dn.tensor(classWeights, "double")), randn(4, 3), dn.tensor({ 1, 3, 3, 2 })
      end,
    },
    { "CrossEntropyCriterion", function() return nn.CrossEntropyCriterion(nil, false), randn(2, 3), { 1, 3 } end },
    { "CrossEntropyCriterion", function() return nn.CrossEntropyCriterion(), randn(3), 3 end },
    { "MSECriterion", function() return nn.MSECriterion(), randn(2, 3), randn(2, 3) end },
    { "MSECriterion", function() return nn.MSECriterion(false), randn(2, 3), randn(2, 3) end },
    { "BCECriterion", function() return nn.BCECriterion(), probabilities(2, 3), probabilities(2, 3) end },
    {
      "BCECriterion",
      function()
        return nn.BCECriterion(dn.tensor(classWeights, "double"), false), probabilities(2, 3),
          dn.tensor({ { 1, 0, 0 }, { 0, 1, 1 } }, "double")
      end,
    },
    { "SmoothL1Criterion", function() return nn.SmoothL1Criterion(), randn(4, 3) * 2, randn(4, 3) end },
    { "SmoothL1Criterion", function() return nn.SmoothL1Criterion(false), randn(4, 3) * 2, randn(4, 3) end },
    {
      "MultiCriterion",
      function()
        return nn.MultiCriterion():add(nn.MSECriterion(), 0.5):add(nn.SmoothL1Criterion(false)), randn(4, 3),
          randn(4, 3)
      end,
    },
    {
      "ParallelCriterion",
      function()
        return nn.ParallelCriterion():add(nn.MSECriterion()):add(nn.CrossEntropyCriterion(), 3),
          { randn(4, 3), randn(2, 3) }, { randn(4, 3), dn.tensor({ 3, 1 }, "long") }
      end,
    },
    {
      "ParallelCriterion",
      function()
        return nn.ParallelCriterion(true):add(nn.MSECriterion()):add(nn.MSECriterion(), 3),
          { randn(4, 3), randn(4, 3) }, randn(4, 3)
      end,
    },
  }
  for i, case in ipairs(criterions) do
    it(("%s, case %d"):format(case[1], i), function()
      local criterion, input, target = case[2]()
      criterion:forward(input, target)
      local analytic = clone(criterion:backward(input, target))
      checkGradient(function() return criterion:forward(input, target) end, input, analytic, "input")
    end)
  end

  it("classes is checked for each class there is", function()
    local tested = { Module = true, Container = true, Criterion = true }
    for _, name in ipairs { "DenseBlock", "Transition", "NormReLUPool" } do
      tested[name] = true -- in dense_block_spec, alone and behind one another
    end
    for _, name in ipairs { "MLGConvolution", "MLGLinear", "DistillationCriterion" } do
      tested[name] = true -- in generated_weight_spec, and by PyTorch's numbers in golden
    end
    for _, list in ipairs { cases, criterions } do
      for _, case in ipairs(list) do
        tested[case[1]] = true
      end
    end
    local untested = {}
    for name, class in pairs(nn) do
      if type(class) == "table" and class.__typename and not tested[name] then
        untested[#untested + 1] = name
      end
    end
    assert.are.same({}, untested)
  end)
end)
