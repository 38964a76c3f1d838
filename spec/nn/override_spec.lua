-- Methods overridden on an object or in a subclass are called, in every memory mode, or refused by name.

local dn = require "densenet"
local compare = require "spec.support.compare"

local nn = dn.nn
local MODES = { 0, 1, 2, 3, 4, 5 }
local FUSED = { 3, 4, 5 }

local function build(mode, options)
  local config = { blocks = { 2, 1 }, growthRate = 2, initChannels = 3, inputChannels = 2, nClasses = 3,
    optMemory = mode, precision = "double" }
  for name, value in pairs(options or {}) do config[name] = value end
  dn.manualSeed(5)
  return dn.models.densenet(config)
end

-- A step's results by name.
local function resultsOf(model)
  dn.manualSeed(3)
  local x, weights = dn.randn { 3, 2, 6, 6, dtype = "double" }, dn.randn { 3, 3, dtype = "double" }
  model:zeroGradParameters()
  local results = { output = model:forward(x):clone(), gradInput = model:backward(x, weights):clone() }
  for name, gradient in pairs(model:gradDict()) do results[name] = gradient:clone() end
  return results
end

-- A module of a network by its name.
local function at(model, path)
  for name in path:gmatch("[^.]+") do
    local child = model:get(name)
    while not child and model:get("") do -- a container that does not show in names
      model = model:get("")
      child = model:get(name)
    end
    model = child
  end
  return model
end

local CONVS = { "features.conv0", "features.denseblock1.denselayer2.conv1", "features.denseblock1.denselayer1.conv2",
  "features.transition1.conv" }

-- Every mode gives what mode 0 gives.
local function checkModes(change, options)
  local expected = resultsOf(change(build(0, options)))
  local free = resultsOf(build(0, options))
  local nDifferent = 0
  for name, tensor in pairs(expected) do
    nDifferent = nDifferent + (compare.norm_error(tensor, free[name]) > 1e-6 and 1 or 0)
  end
  assert.is_true(nDifferent > 0, "the override does nothing")
  for _, mode in ipairs(MODES) do
    local model = change(build(mode, options))
    for _ = 1, 2 do -- the second time with a plan
      local found = resultsOf(model)
      for name, tensor in pairs(expected) do
        compare.near(found[name], tensor, 1e-9, ("mode %d, %s"):format(mode, name))
      end
    end
  end
end

describe("an override is honoured in every mode:", function()
  for _, options in ipairs { {}, { dropRate = 0.3 } } do
    local title = options.dropRate and "dropout" or "no dropout"
    for _, path in ipairs(CONVS) do
      it(("an accGradParameters that does nothing, of %s, %s"):format(path, title), function()
        checkModes(function(model)
          at(model, path).accGradParameters = function() end
          return model
        end, options)
      end)
      it(("an accGradParameters that does more, of %s, %s"):format(path, title), function()
        checkModes(function(model)
          local conv = at(model, path)
          local own = conv.accGradParameters
          conv.accGradParameters = function(self, input, gradOutput, scale)
            own(self, input, gradOutput, 3 * scale)
          end
          return model
        end, options)
      end)
    end
  end

  it("an accGradParameters of a layer without bottleneck", function()
    checkModes(function(model)
      at(model, "features.denseblock1.denselayer2.conv1").accGradParameters = function() end
      return model
    end, { bottleneck = false })
  end)

  it("one put there after a first step", function()
    for _, mode in ipairs(MODES) do
      local model = build(mode)
      resultsOf(model)
      at(model, CONVS[2]).accGradParameters = function() end
      assert.are.equal(0, resultsOf(model)[CONVS[2] .. ".weight"]:norm())
    end
  end)

  for _, method in ipairs { "accGradParameters", "updateGradInput" } do
    it(method .. " of a whole block, of a transition and of the features", function()
      for _, path in ipairs { "features.denseblock1", "features.transition1", "features" } do
        checkModes(function(model)
          local module = at(model, path)
          local own = module[method]
          module[method] = function(self, input, gradOutput, scale)
            if method == "accGradParameters" then return end
            self.gradInput = own(self, input, gradOutput, scale):clone():mul(2)
            return self.gradInput
          end
          return model
        end)
      end
    end)
  end

  it("a backward and a forward of a transition or a block around the class's own", function()
    for _, path in ipairs { "features.denseblock1", "features.transition1" } do
      for _, method in ipairs { "backward", "updateOutput" } do
        checkModes(function(model)
          local module = at(model, path)
          local own = module[method]
          local field = method == "backward" and "gradInput" or "output"
          module[method] = function(self, ...)
            self[field] = own(self, ...) * 0.5
            return self[field]
          end
          return model
        end)
      end
    end
  end)

  it("both halves of a batch norm's", function()
    local function norm() return nn.SpatialBatchNormalization(2) end
    local x, g = dn.randn(3, 2, 2, 2), dn.randn(3, 2, 2, 2)
    for _, method in ipairs { "accGradParameters", "accumulateBatch" } do
      local Frozen = nn.class("Frozen", nn.SpatialBatchNormalization)
      Frozen[method] = function() end
      local one, other = norm(), Frozen(2)
      one[method] = function() end
      for _, frozen in ipairs { one, other } do
        local like = norm()
        like.weight:copy(frozen.weight)
        frozen:forward(x)
        like:forward(x)
        compare.near(frozen:backward(x, g), like:backward(x, g), 1e-6, "gradInput")
        assert.are.equal(0, frozen.gradWeight:norm())
        assert.is_true(like.gradWeight:norm() > 0)
      end
    end
    local doubled = norm()
    function doubled:updateGradInput(input, gradOutput)
      self.gradInput = nn.SpatialBatchNormalization.updateGradInput(self, input, gradOutput):clone():mul(2)
      return self.gradInput
    end
    local like = norm()
    like.weight:copy(doubled.weight)
    doubled:forward(x)
    like:forward(x)
    compare.near(doubled:backward(x, g), like:backward(x, g) * 2, 1e-6, "gradInput")
    compare.near(doubled.gradWeight, like.gradWeight, 1e-6, "gradWeight")
  end)

  it("halves of containers", function()
    local builders = {
      Sequential = function() return nn.Sequential():add(nn.Linear(2, 2)), dn.ones(1, 2), dn.ones(1, 2) end,
      Concat = function() return nn.Concat(2):add(nn.Linear(2, 2)), dn.ones(1, 2), dn.ones(1, 2) end,
      ConcatTable = function() return nn.ConcatTable():add(nn.Linear(2, 2)), dn.ones(1, 2), { dn.ones(1, 2) } end,
    }
    for name, builder in pairs(builders) do
      local container, x, g = builder()
      container:zeroGradParameters()
      container.accGradParameters = function() end
      local net = nn.Sequential():add(container)
      net:forward(x)
      assert.is_true(net:backward(x, g):norm() > 0, name)
      assert.are.equal(0, container:get(1).gradWeight:norm(), name)
    end
  end)

  it("updateParameters of a module inside", function()
    local a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    local net = nn.Sequential():add(a):add(nn.Sequential():add(b))
    for _, module in ipairs { a, b } do module.gradWeight:fill(1) end
    local beforeA, beforeB = a.weight:clone(), b.weight:clone()
    a.updateParameters = function() end
    function b:updateParameters(learningRate) nn.Linear.updateParameters(self, learningRate / 2) end
    net:updateParameters(1)
    compare.identical(a.weight, beforeA, "its own does nothing")
    compare.near(b.weight, beforeB - 0.5, 1e-6, "half a step")
  end)

  it("halves of the features put there after a plan was made for the whole", function()
    for _, mode in ipairs(MODES) do
      local model = build(mode)
      local expected = resultsOf(model)
      local features = at(model, "features")
      features.accGradParameters = function(...) return nn.Sequential.accGradParameters(...) end
      local found = resultsOf(model)
      for name, tensor in pairs(expected) do
        compare.near(found[name], tensor, 1e-9, ("mode %d, %s"):format(mode, name))
      end
    end
  end)

  it("a method put over a plan's is still there after another plan", function()
    local model = build(4)
    resultsOf(model)
    local nCalls, own = 0, model.backward
    model.backward = function(self, ...)
      nCalls = nCalls + (self == model and 1 or 0) -- a plan runs a copy
      return own(self, ...)
    end
    resultsOf(model)
    local larger = dn.randn { 5, 2, 6, 6, dtype = "double" }
    model:forward(larger)
    model:backward(larger, dn.randn { 5, 3, dtype = "double" })
    assert.are.equal(2, nCalls)
    assert.is_true(model:type("float").backward ~= nn.Sequential.backward)
  end)
end)

describe("what a fused stage would ignore is refused by name:", function()
  local function checkRefusal(model, pattern)
    local done, message = pcall(resultsOf, model)
    assert.is_false(done)
    local sentence = message:match("^[^\n]*")
    assert.is_truthy(sentence:find(pattern), sentence)
  end

  local function refuses(change, pattern)
    for _, mode in ipairs(FUSED) do
      for _, isEarly in ipairs { true, false } do
        local model = build(mode, { dropRate = 0.1 })
        if not isEarly then resultsOf(model) end
        change(model)
        checkRefusal(model, pattern)
      end
    end
    local plain = build(0, { dropRate = 0.1 })
    change(plain)
    resultsOf(plain)
  end

  for _, method in ipairs { "updateOutput", "updateGradInput", "backward", "forwardBatch" } do
    it(method .. " of a convolution", function()
      refuses(function(model)
        local conv = at(model, "features.denseblock1.denselayer2.conv1")
        conv[method] = function(...) return nn.SpatialConvolution[method](...) end
      end, "denselayer2.*conv1 %(nn%.SpatialConvolution%) has another " .. method
        .. " than nn%.SpatialConvolution, which a fused stage does not call; build the network with optMemory 0 to 2")
    end)
  end

  for _, method in ipairs { "updateOutput", "accGradParameters", "accumulateBatch" } do
    it(method .. " of a norm", function()
      for _, path in ipairs { "features.denseblock1.denselayer1.norm2", "features.transition1.norm" } do
        refuses(function(model) at(model, path)[method] = function(...)
            return nn.SpatialBatchNormalization[method](...)
          end end, "norm2? %(nn%.SpatialBatchNormalization%) has another " .. method)
      end
    end)
  end

  it("a subclass's", function()
    local Clipped = nn.class("Clipped", nn.SpatialConvolution)
    function Clipped:updateOutput(input) return nn.SpatialConvolution.updateOutput(self, input) end
    refuses(function(model)
      local layer = at(model, "features.denseblock1.denselayer1")
      while not layer:get("conv1") do layer = layer:get("") end
      local conv = layer:get("conv1")
      layer:replace("conv1", Clipped(conv.nInputPlane, conv.nOutputPlane, 1, 1):noBias():double())
    end, "conv1 %(Clipped%) has another updateOutput than nn%.SpatialConvolution")
  end)

  it("dropout's, and a convolution with a bias or another stride", function()
    refuses(function(model)
      local drop = at(model, "features.denseblock1.denselayer1.drop1")
      drop.updateOutput = function(self, input) return nn.Dropout.updateOutput(self, input) end
    end, "drop1 %(nn%.Dropout%) has another updateOutput")
    refuses(function(model)
      local conv = at(model, "features.transition1.conv")
      conv.bias, conv.gradBias = dn.ones { conv.nOutputPlane, dtype = "double" },
        dn.zeros { conv.nOutputPlane, dtype = "double" }
    end, "conv is nn%.SpatialConvolution%(.*1x1%); a fused stage computes a 1x1 convolution without bias there")
  end)

  it("a dense layer's", function()
    for _, mode in ipairs(FUSED) do
      local model = build(mode)
      local layer = at(model, "features.denseblock1.denselayer1")
      layer.updateOutput = function() end
      checkRefusal(model, "denseblock1.*denselayer1 %(nn%.DenseLayer%) has another updateOutput than nn%.DenseLayer")
    end
  end)
end)
