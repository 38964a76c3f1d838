-- Weights in 16 bits beside the float ones: rounded once after each change, whoever makes it, and never stale.

local core = require "densenet.core"
local dn = require "densenet"
local compare = require "spec.support.compare"

local DEVICE = "cuda:0"

after_each(function()
  collectgarbage()
  core.testing.memory_trim(DEVICE)
end)

local function network(precision)
  dn.manualSeed(3)
  return dn.models.densenet { blocks = { 2, 2 }, growthRate = 3, nClasses = 5, precision = precision, optMemory = 4 }
end

-- The output of a network of the same parameters that are rounded at each use.
local function outputOf(model, input)
  local other = network(model:activationType()):to(DEVICE)
  other:loadStateDict(model:stateDict())
  other:getParameters() -- vectors without 16-bit weights beside them
  return other:evaluate():forward(input):clone()
end

for _, precision in ipairs { "half", "bfloat16" } do
  describe("weights in " .. precision, function()
    local model, input, weight
    before_each(function()
      model = network(precision):to(DEVICE):evaluate()
      input = dn.randn(2, 3, 8, 8):type(precision):to(DEVICE)
      model:forward(input)
      weight = model:findModules "nn.SpatialConvolution"[1].weight
    end)
    after_each(function() model, input, weight = nil, nil, nil end)

    local function follows(who, change)
      it("follow " .. who, function()
        local before = model:forward(input):clone()
        change()
        local after = model:forward(input):clone()
        assert.is_true((after:float() - before:float()):abs():max() > 0)
        compare.identical(after, outputOf(model, input), "output")
      end)
    end

    follows("an operation", function() weight:mul(2) end)
    follows("a fill", function() weight:fill(0.25) end)
    follows("a copy from the CPU", function() weight:copy(dn.randn(table.unpack(weight:size()))) end)
    follows("a number that is set", function() weight[{ 1, 1, 1, 1 }] = 3 end)
    follows("a copy from pinned memory", function()
      local pinned = core.tensor_new_pinned(DEVICE, "float", weight:size())
      core.copy(pinned, dn.randn(table.unpack(weight:size())))
      core.copy_async(weight, pinned)
      core.copy_join(DEVICE)
      core.copy_wait(DEVICE)
    end)
    follows("a state that is loaded", function()
      dn.manualSeed(4)
      local other = dn.models.densenet(model.config)
      model:loadStateDict(other:stateDict())
    end)
    follows("an optimizer", function()
      model:training()
      local sgd = dn.optim.SGD(model, { learningRate = 0.5 })
      model:zeroGradParameters()
      local output = model:forward(input)
      model:backward(input, dn.ones(2, 5):type(output:dtype()):to(DEVICE))
      sgd:step()
      model:evaluate()
    end)
    if core.device_find "cuda:1" then
      follows("a copy from another GPU", function()
        weight:copy(dn.randn(table.unpack(weight:size())):to "cuda:1")
      end)
    end

    it("go with the network, and are in its plan", function()
      local function live()
        for _ = 1, 3 do collectgarbage() end
        return core.memory(DEVICE).live
      end
      core.scratch_release(DEVICE)
      model, weight, input = nil, nil, nil
      local before = live()
      local function lives()
        local own, bytes = network(precision):to(DEVICE), nil
        for _, row in ipairs(own:plan({ 2, 3, 8, 8 }).rows) do
          if row.name == "parameters in 16 bits" then bytes = row.bytes end
        end
        local with = live()
        own:float()
        assert.equal(bytes, with - live())
        own:type(precision)
        assert.equal(with, live())
      end
      lives()
      assert.equal(before, live())
    end)
  end)
end

describe("weights_narrow", function()
  it("says what is wrong", function()
    local w, n = dn.ones { 8, device = DEVICE }, dn.ones { 8, dtype = "half", device = DEVICE }
    assert.error_matches(function() core.weights_narrow(dn.ones { 8, dtype = "double", device = DEVICE }, n) end,
      "#1 to 'weights_narrow' %(weights are double; expected float%)")
    assert.error_matches(function() core.weights_narrow(w, dn.ones { 8, device = DEVICE }) end,
      "#2 to 'weights_narrow' %(narrow is float; expected half or bfloat16%)")
    assert.error_matches(function() core.weights_narrow(w, dn.ones { 9, dtype = "half", device = DEVICE }) end,
      "#2 to 'weights_narrow' %(narrow is 9; expected N with N = 8, as in weights 8%)")
    assert.error_matches(function() core.weights_narrow(w, n:narrow(1, 2, 8 - 1)) end, "#2 to 'weights_narrow'")
    core.weights_narrow(w, n)
    core.weights_narrow(w)
  end)
end)
