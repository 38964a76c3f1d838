-- Every public function, called with what it does not expect: it works, or raises one sentence about its
-- arguments, with the caller's line. Never an error of Lua's about the library's own variables.

local dn = require "densenet"
local core = require "densenet.core"
local random = require "densenet.random"

local ODD = { "x", {}, true, -1.5, function() end, 3 }

-- What the message of a call that raised must not be.
local function isOwnFault(message)
  return message:find "attempt to" or message:find "bad argument #%d to 'format'" or message:find "'for' "
    or message:find "bad argument #%d to 'i?pairs'" or message:find "value expected"
end

local faults

local function try(name, call, ...)
  local ok, message = pcall(call, ...)
  message = tostring(message):match "^[^\n]*"
  -- A container puts the line first and then the place; a plain call of C has the line of pcall's caller.
  if not ok and (isOwnFault(message) or not message:find "^spec/nn/arguments_spec.lua:%d+: ") then
    faults[#faults + 1] = ("%s: %s"):format(name, message)
  end
end

-- The call with what is right, followed by nothing and by one and two odd arguments.
local function tryAll(name, call, make)
  local function with(...)
    local right = make and table.pack(make()) or { n = 0 }
    local n = select("#", ...)
    for i = 1, n do right[right.n + i] = (select(i, ...)) end
    try(name, call, table.unpack(right, 1, right.n + n))
  end
  with()
  for _, first in ipairs(ODD) do
    with(first)
    for _, second in ipairs(ODD) do
      with(first, second)
      with(nil, second)
    end
  end
end

local function finish()
  assert.message(table.concat(faults, "\n")).equal(0, #faults)
end

local MAKERS = {
  Linear = { 2, 2 }, SpatialConvolution = { 1, 1, 1, 1 }, SpatialBatchNormalization = { 2 }, Concat = { 1 },
  MLGLinear = { 2, 2 }, MLGConvolution = { 1, 1, 1, 1 },
  JoinTable = { 1 }, View = { 2 }, SpatialMaxPooling = { 2, 2 }, SpatialAveragePooling = { 2, 2 },
  DenseBlock = { 2, 2, 1 }, Transition = { 2, 2 }, NormReLUPool = { 2 },
  SplitTable = { 1 }, SelectTable = { 1 }, Narrow = { 1, 1 }, Select = { 1, 1 }, Padding = { 1, 1 }, Reshape = { 2 },
  Parallel = { 1, 1 }, MulConstant = { 2 }, CMul = { 2 }, BatchNormalization = { 2 }, SpatialZeroPadding = { 1 },
  SpatialUpSamplingNearest = { 2 }, SpatialAdaptiveAveragePooling = { 1, 1 }, SpatialAdaptiveMaxPooling = { 1, 1 },
  SpatialFullConvolution = { 1, 1, 1, 1 },
}

-- What a program calls; other methods are between the classes.
local PUBLIC = {
  "forward", "backward", "updateOutput", "updateGradInput", "accGradParameters", "parameters", "parameterCount",
  "getParameters", "zeroGradParameters", "updateParameters", "share", "apply", "findModules", "training", "evaluate",
  "clearState", "type", "float", "double", "half", "bfloat16", "to", "plan", "stateDict", "gradDict", "loadStateDict",
  "add", "insert", "get", "remove", "replace", "size", "setNumInputDims", "reset", "noBias", "ceil", "floor",
  "setCountIncludePad", "setCountExcludePad", "labels", "clone", "freeze", "unfreeze", "frozenCount",
}

describe("wrong arguments", function()
  before_each(function() faults = {} end)
  after_each(function()
    dn.setDefaultType "float"
    dn.manualSeed(0)
  end)

  it("of what makes tensors", function()
    for _, name in ipairs { "tensor", "empty", "zeros", "ones", "full", "rand", "randn", "randperm", "arange", "cat",
      "setDefaultType", "isTensor", "manualSeed", "device", "synchronize", "memory", "threads" } do
      tryAll("dn." .. name, dn[name])
      dn.setDefaultType "float"
    end
    finish()
  end)

  it("of functions of tensors", function()
    for name, call in pairs(require "densenet.functions") do
      tryAll("dn." .. name, call)
      tryAll(("dn.%s(t)"):format(name), call, function() return dn.ones(2, 3) end)
    end
    finish()
  end)

  it("of tensors' methods", function()
    for name, method in pairs(core.tensor_methods) do
      if name ~= "free" then
        tryAll("t:" .. name, method, function() return dn.ones(2, 3) end)
        tryAll("t:" .. name .. "(t, ...)", method, function() return dn.ones(2, 3), dn.ones(2, 3) end)
        tryAll("t." .. name, method)
      end
    end
    finish()
  end)

  it("of generators", function()
    for name, call in pairs(random) do
      if type(call) == "function" then tryAll("random." .. name, call) end
    end
    for name, call in pairs(getmetatable(random.generator(1)).__index) do
      if type(call) == "function" then tryAll("generator:" .. name, call, function() return random.generator(1) end) end
    end
    finish()
  end)

  it("of optimizers and schedules", function()
    for _, name in ipairs { "multistep", "cosine", "constant" } do tryAll(name, dn.optim.schedule[name]) end
    tryAll("clipGradNorm", dn.optim.clipGradNorm)
    tryAll("clipGradNorm(module)", dn.optim.clipGradNorm, function() return dn.nn.Linear(2, 2) end)
    tryAll("ConfusionMatrix", dn.optim.ConfusionMatrix)
    for _, name in ipairs { "add", "batchAdd", "updateValids", "zero", "tostring" } do
      tryAll("ConfusionMatrix:" .. name, dn.optim.ConfusionMatrix[name], function()
        return dn.optim.ConfusionMatrix(3)
      end)
    end
    for _, class in ipairs { dn.optim.SGD, dn.optim.Adam, dn.optim.AdamW, dn.optim.RAdam, dn.optim.LossScale } do
      tryAll(class.__typename, class)
      for _, name in ipairs { "step", "state", "loadState", "check", "isLeast", "setState" } do
        if class[name] then
          tryAll(class.__typename .. ":" .. name, class[name], function() return class(dn.nn.Linear(2, 2)) end)
        end
      end
    end
    finish()
  end)

  it("of modules and criterions", function()
    tryAll("nn.class", dn.nn.class)
    for name, class in pairs(dn.nn) do
      if type(class) == "table" then
        tryAll("nn." .. name, class)
        for _, method in ipairs(PUBLIC) do
          if class[method] then
            tryAll(("nn.%s:%s"):format(name, method), class[method], function()
              return class(table.unpack(MAKERS[name] or {}))
            end)
          end
        end
      end
    end
    finish()
  end)
end)

describe("a constructor", function()
  it("names its argument, what it expects and what it got", function()
    for message, call in pairs {
      ["#1 to 'nn.SpatialConvolution' %(nInputPlane: an integer of 1 or more expected, got '3'%)"] =
        function() dn.nn.SpatialConvolution "3" end,
      ["#3 to 'nn.SpatialConvolution' %(kW: an integer of 1 or more expected, got nil%)"] =
        function() dn.nn.SpatialConvolution(3, 4) end,
      ["#7 to 'nn.SpatialConvolution' %(padW: an integer of 0 or more expected, got %-1%)"] =
        function() dn.nn.SpatialConvolution(3, 4, 1, 1, 1, 1, -1) end,
      ["#2 to 'nn.Linear' %(nOutputs: an integer of 1 or more expected, got 2.5%)"] =
        function() dn.nn.Linear(3, 2.5) end,
      ["#1 to 'nn.ReLU' %(inplace: true or false expected, got 1%)"] = function() dn.nn.ReLU(1) end,
      ["#1 to 'nn.Dropout' %(0 <= p < 1 expected, got 'half'%)"] = function() dn.nn.Dropout "half" end,
      ["#4 to 'nn.DenseBlock' %(dropRate: a number expected, got '0'%)"] =
        function() dn.nn.DenseBlock(3, 4, 1, { dropRate = "0" }) end,
      ["there is no option 'droprate'; did you mean 'dropRate'%?"] =
        function() dn.nn.DenseBlock(3, 4, 1, { droprate = 0 }) end,
      ["#1 to 'nn.ClassNLLCriterion' %(weights: a tensor expected, got a table%)"] =
        function() dn.nn.ClassNLLCriterion { 1, 2 } end,
      ["#1 to 'optim.SGD' %(a module, or a table {parameters, gradients}, expected, got nil%)"] =
        function() dn.optim.SGD() end,
    } do
      local ok, raised = pcall(call)
      assert.is_false(ok)
      assert.matches("^spec/nn/arguments_spec.lua:%d+: ", raised)
      assert.matches(message, raised)
    end
  end)
end)

describe("forward of nothing", function()
  it("says what is missing", function()
    local model = dn.nn.Sequential():add(dn.nn.Linear(2, 2))
    assert.error_matches(function() model:forward() end, "#1 to 'forward' %(an input expected, got nil%)")
    assert.error_matches(function() model:backward(dn.ones(2)) end,
      "#2 to 'backward' %(a gradOutput expected, got nil%)")
    assert.error_matches(function() model:forward { dn.ones(2) } end,
      "a tensor expected as input of nn.Linear, got a table")
    assert.error_matches(function() dn.nn.JoinTable(1):forward(dn.ones(2)) end,
      "a list of tensors expected as input of nn.JoinTable, got a float tensor of size 2")
    assert.error_matches(function() dn.nn.MSECriterion():forward(dn.ones(2)) end,
      "#2 to 'forward' %(a target expected, got nil%)")
  end)
end)

describe("a table of names", function()
  it("raises for one that is none, and rawget does not", function()
    for message, read in pairs {
      ["there is no dn.nn.Dropuot; did you mean 'Dropout'%?"] = function() return dn.nn.Dropuot end,
      ["there is no dn.nn.SpatialConvolutionMM; did you mean 'SpatialConvolution'%?"] =
        function() return dn.nn.SpatialConvolutionMM end,
      ["there is no dn.optim.Sgd; did you mean 'SGD'%?"] = function() return dn.optim.Sgd end,
      ["there is no dn.optim.schedule.cosin; did you mean 'cosine'%?"] = function() return dn.optim.schedule.cosin end,
      ["there is no dn.data.loader; did you mean 'Loader'%?"] = function() return dn.data.loader end,
      ["there is no dn.models.densnet; did you mean 'densenet'%?"] = function() return dn.models.densnet end,
      ["there is no dn.train.Trainr; did you mean 'Trainer'%?"] = function() return dn.train.Trainr end,
      ["there is no dn.zero; did you mean 'zeros'%?"] = function() return dn.zero end,
      ["there is no dn.model; did you mean 'models'%?"] = function() return dn.model end,
      ["there is no dn.nn.Quux$"] = function() return dn.nn.Quux end,
    } do
      local ok, raised = pcall(read)
      assert.is_false(ok)
      assert.matches("^spec/nn/arguments_spec.lua:%d+: " .. message, raised)
    end
    assert.is_nil(rawget(dn.nn, "Dropuot"))
    assert.is_nil(rawget(dn, "zero"))
  end)

  it("takes names of one's own", function()
    dn.nn.Mine = dn.nn.class("Mine", dn.nn.Module)
    assert.equal("Mine", dn.nn.Mine.__typename)
    dn.nn.Mine = nil
    assert.is_false(pcall(function() return dn.nn.Mine end))
  end)
end)
