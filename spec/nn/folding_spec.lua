-- Norms folded into convolutions change nothing but rounding, and are made anew whenever something that they were
-- made of may have changed: each way to change a network is tried between two evaluations, and the second one has to
-- be that of the modules one by one.
local core = require "densenet.core"
local dn = require "densenet"
local inForce = require "densenet.nn.plan.in_force"
local recalibrate = require "densenet.mlg.recalibrate"
local temporary = require "spec.support.temporary"
local nn = dn.nn

local NET = { blocks = { 2, 3 }, growthRate = 8, nClasses = 10, inputChannels = 3 }
local ALLOWED = { single = 1e-5, double = 1e-12, half = 2e-2, bfloat16 = 1e-1 }

-- A network whose norms all do something.
local function build(options)
  local config = { optMemory = 4 }
  for name, value in pairs(NET) do config[name] = value end
  for name, value in pairs(options or {}) do config[name] = value end
  dn.manualSeed(1)
  local model = dn.models.fromConfig(config)
  for name, tensor in pairs(model:stateDict()) do
    if name:find "norm.*weight$" or name:find "running_var$" then tensor:uniform(0.5, 1.5) end
    if name:find "norm.*bias$" or name:find "running_mean$" then tensor:uniform(-0.5, 0.5) end
  end
  return model
end

local function images(model, n, size)
  return dn.randn(n or 3, 3, size or 16, size or 16):type(model:activationType())
end

local function isPlanned(model)
  local plan = inForce.active(model)
  return plan ~= nil and plan.isOfEvaluation
end

-- What the modules give one by one, of a copy, so that nothing of the model changes.
local function reference(model, x)
  local copy = model:clone():evaluate()
  copy.keepsOutputs = true
  return copy:forward(x):clone()
end

local function distance(a, b)
  return (a:double() - b:double()):abs():max() / (1e-30 + b:double():abs():max())
end

local function assert_right(model, x, what)
  model:evaluate()
  local found = model:forward(x):clone()
  assert.is_true(isPlanned(model), what)
  local error = distance(found, reference(model, x))
  local most = ALLOWED[model.config.precision]
  assert.is_true(error <= most, ("%s: %g away, allowed %g"):format(what, error, most))
end

describe("folded evaluation", function()
  for _, precision in ipairs { "single", "double", "half", "bfloat16" } do
    for mode = 3, 5 do
      it(("is that of the modules one by one, mode %d in %s"):format(mode, precision), function()
        for _, options in ipairs { {}, { stem = "imagenet" }, { bottleneck = false }, { dropRate = 0.3 } } do
          options.optMemory, options.precision = mode, precision
          local model = build(options)
          for _, size in ipairs { 32, 33 } do
            assert_right(model, images(model, 3, size), "a batch")
            assert_right(model, images(model, 1, size), "one image")
          end
          local x = images(model, 1, 32)
          assert_right(model, x:select(1, 1), "an image without a batch")
        end
      end)
    end
  end

  it("of plain modules does not fold, and gives the same bits", function()
    for mode = 1, 2 do
      local model = build { optMemory = mode }
      local x = images(model)
      model:evaluate()
      assert.equal(0, distance(model:forward(x), reference(model, x)))
      assert.equal(mode == 1, isPlanned(model))
    end
  end)

  it("keeps NaN and infinities where they are", function()
    local model = build():evaluate()
    local x = images(model)
    x[2]:fill(0 / 0)
    local y = model:forward(x)
    assert.is_true(y[1]:abs():max() < 1e6)
    assert.is_true(y[3]:abs():max() < 1e6)
  end)
end)

-- Each changes what the network computes; the evaluation before has folded.
local CHANGES = {
  ["a step of the optimizer"] = function(model, x)
    local optimizer = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9 })
    local criterion, target = nn.CrossEntropyCriterion(), dn.tensor({ 1, 2, 3 }, "long")
    model:training()
    model:zeroGradParameters()
    local output = model:forward(x)
    criterion:forward(output, target)
    model:backward(x, criterion:backward(output, target))
    optimizer:step()
  end,
  ["a step of Adam without another forward"] = function(model)
    for _, gradient in pairs(model:gradDict()) do gradient:fill(1) end
    dn.optim.Adam(model, { learningRate = 0.05 }):step()
  end,
  ["updateParameters"] = function(model)
    for _, gradient in pairs(model:gradDict()) do gradient:fill(1) end
    model:updateParameters(0.1)
  end,
  ["loadStateDict"] = function(model)
    local state = {}
    for name, tensor in pairs(model:stateDict()) do state[name] = tensor:clone():mul(1.5) end
    model:loadStateDict(state)
  end,
  ["a weight's element"] = function(model)
    model:stateDict()["features.denseblock1.denselayer1.conv1.weight"]:put(9, 1, 1, 1, 1)
  end,
  ["a write through a view"] = function(model)
    model:stateDict()["features.denseblock2.denselayer2.conv2.weight"]:select(1, 3):narrow(1, 1, 2):fill(2)
  end,
  ["an index assignment"] = function(model)
    model:stateDict()["features.denseblock1.denselayer2.norm2.bias"][3] = 4
  end,
  ["a copy from another tensor"] = function(model)
    local weight = model:stateDict()["features.transition1.conv.weight"]
    weight:copy(dn.randn(weight:size()))
  end,
  ["getParameters' vector"] = function(model)
    model:getParameters():mul(1.25)
  end,
  ["a norm's weight"] = function(model)
    model:stateDict()["features.denseblock1.denselayer1.norm1.weight"]:fill(3)
  end,
  ["a running mean"] = function(model)
    model:stateDict()["features.denseblock1.denselayer1.norm2.running_mean"]:add(1)
  end,
  ["a running variance"] = function(model)
    model:stateDict()["features.transition1.norm.running_var"]:mul(7)
  end,
  ["the last norm's statistics"] = function(model)
    model:stateDict()["features.norm5.running_mean"]:sub(2)
  end,
  ["epsilon"] = function(model)
    for _, norm in ipairs(model:findModules "nn.SpatialBatchNormalization") do norm.eps = 0.5 end
  end,
  ["running statistics that training moves"] = function(model, x)
    model:training()
    for _ = 1, 3 do model:forward(x * 3 + 1) end
  end,
  ["running statistics of the layers, made anew"] = function(model, x)
    for _, norm in ipairs(model:findModules "nn.SpatialBatchNormalization") do norm:training() end
    model:forward(x * 2)
    model:evaluate()
  end,
  ["another tensor in the field"] = function(model)
    local conv = model:findModules("nn.SpatialConvolution")[3]
    conv.weight = conv.weight:clone():mul(2)
  end,
  ["a field that was set to another storage"] = function(model)
    local conv = model:findModules("nn.SpatialConvolution")[2]
    core.tensor_set(conv.weight, conv.weight:clone():mul(-1))
  end,
  ["share"] = function(model)
    local other = build()
    for _, tensor in pairs(other:stateDict()) do tensor:mul(1.125) end
    model:share(other, "weight", "bias", "running_mean", "running_var")
  end,
  ["reset"] = function(model) model:reset() end,
  ["double precision and back"] = function(model)
    model:double()
    model:stateDict()["features.conv0.weight"]:mul(2)
    model:float()
  end,
  ["clearState"] = function(model)
    model:clearState()
    model:stateDict()["features.conv0.weight"]:mul(2)
  end,
  ["freeze, and a change"] = function(model)
    model:freeze "^features%."
    model:stateDict()["features.conv0.weight"]:mul(2)
  end,
  ["a file that is read into a weight"] = function(model)
    local weight = model:stateDict()["features.denseblock1.denselayer2.conv1.weight"]
    local directory = temporary.directory()
    temporary.write(directory .. "/bytes", ("\0\0\128\63"):rep(weight:nElement()))
    local file = assert(core.file_open(directory .. "/bytes"))
    assert(core.file_read_into(file, 0, weight))
    core.file_close(file)
    temporary.remove(directory)
    assert.equal(1, weight:max())
  end,
}

describe("folded weights are made anew after", function()
  local names = {}
  for name in pairs(CHANGES) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it(name, function()
      local model = build()
      local x = images(model)
      assert_right(model, x, "before")
      local before = model:forward(x):clone()
      CHANGES[name](model, x)
      assert_right(model, x, "after")
      assert.is_true(distance(model:forward(x), before) > 1e-3, "the change changes nothing")
      assert_right(model, x, "once more")
    end)
  end

  it("a write into the arena, as a result kept from training has its memory there", function()
    local model = build()
    local x = images(model)
    model:training()
    local output = model:forward(x)
    local kept = {}
    for i, block in ipairs(model:findModules "nn.DenseBlock") do kept[i] = block.output end
    assert_right(model, x, "before")
    output:fill(3)
    for _, tensor in ipairs(kept) do tensor:fill(5) end
    assert_right(model, x, "after")
  end)

  it("a module inside that is called by itself", function()
    local model = build()
    local x = images(model)
    assert_right(model, x, "before")
    local inner = model:get("features"):get("denseblock1")
    inner:forward(dn.randn(3, inner.nInput, 16, 16))
    inner:training():forward(dn.randn(3, inner.nInput, 16, 16))
    assert_right(model, x, "after")
  end)

  it("new factors of generated weights", function()
    local model = build { mlg = { baseIn = 2, baseOut = 6, rule = "published" } }
    local x = images(model)
    assert_right(model, x, "before")
    local before = model:forward(x):clone()
    CHANGES["a step of the optimizer"](model, x)
    assert_right(model, x, "after a step")
    assert.is_true(distance(model:forward(x), before) > 1e-4)
    local state = {}
    for name, tensor in pairs(model:stateDict()) do state[name] = tensor:clone():mul(1.5) end
    model:loadStateDict(state)
    assert_right(model, x, "after loadStateDict")
  end)

  it("statistics that mlg.recalibrate takes anew", function()
    local model = build()
    local x = images(model)
    assert_right(model, x, "before")
    local before, n = model:forward(x):clone(), 0
    recalibrate(model, function()
      n = n + 1
      return n <= 2 and x * 2 + 1 or nil
    end)
    assert_right(model, x, "after")
    assert.is_true(distance(model:forward(x), before) > 1e-3)
  end)

  it("an evaluation that failed on its way", function()
    local model = build()
    local x = images(model)
    assert_right(model, x, "before")
    local block = model:get("features"):get("denseblock2")
    block.forwardBatch = function() error "on its way" end
    assert.has.error(function() model:forward(x) end)
    block.forwardBatch = nil
    model:stateDict()["features.conv0.weight"]:mul(2)
    assert_right(model, x, "after")
  end)

  it("no change at all: then they are not made anew", function()
    local model = build():evaluate()
    local x, n, pack = images(model), 0, core.folded_conv_pack
    model:forward(x)
    core.folded_conv_pack = function(...)
      n = n + 1
      return pack(...)
    end
    model:forward(x)
    model:forward(images(model, 2))
    assert.equal(0, n)
    model:stateDict()["features.denseblock1.denselayer1.norm2.running_var"]:mul(2)
    model:forward(x)
    assert.equal(1, n) -- the convolution that this norm is folded into
    core.folded_conv_pack = pack
  end)
end)

describe("a copy of an evaluated network", function()
  it("has folds of its own", function()
    local model = build():evaluate()
    local x = images(model)
    model:forward(x)
    local copy = model:clone()
    copy:stateDict()["features.conv0.weight"]:mul(2)
    assert_right(copy, x, "the copy")
    assert_right(model, x, "the original")
    assert.is_true(distance(copy:forward(x), model:forward(x)) > 1e-3)
  end)
end)
