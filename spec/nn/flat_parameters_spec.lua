-- Parameters side by side in one vector: where they lie, who keeps them there, and that nobody sees it in the numbers.

local core = require "densenet.core"
local dn = require "densenet"
local flat = require "densenet.nn.flat_parameters"
local compare = require "spec.support.compare"

local nn = dn.nn
local OPTIONS = { blocks = { 2, 2 }, growthRate = 3, nClasses = 5 } -- an odd growth: sizes that fill no vector

local function network(options)
  dn.manualSeed(1)
  local all = { optMemory = 4 }
  for name, value in pairs(OPTIONS) do all[name] = value end
  for name, value in pairs(options or {}) do all[name] = value end
  return dn.models.densenet(all)
end

-- How many launches a step of its optimizer, or a fill with zeros, would take.
local function countSpans(tensors)
  local n = 0
  flat.eachSpan(tensors, function() n = n + 1 end)
  return n
end

local function assertFlat(model)
  assert.is_true(flat.isFlat(model))
  for _, tensors in ipairs { model:parameters() } do
    assert.equal(1, countSpans(tensors))
    for i, tensor in ipairs(tensors) do
      assert.equal(1, tensor:storageOffset() % 64, i)
      assert.equal(core.storage_key(tensors[1]), core.storage_key(tensor))
    end
  end
end

-- What lies between the parameters.
local function roomSum(tensors)
  local n, whole = 0, nil
  flat.eachSpan(tensors, function(span) whole = span end)
  for _, tensor in ipairs(tensors) do n = n + tensor:clone():abs():sum() end
  return math.abs(whole:clone():double():abs():sum() - n) / n
end

local function pass(model, seed)
  dn.manualSeed(seed)
  local x = dn.randn(2, 3, 8, 8):type(model:activationType())
  local y = model:forward(x)
  model:zeroGradParameters()
  model:backward(x, dn.randn(table.unpack(y:size())):type(y:dtype()))
end

describe("flat parameters", function()
  it("are what networks of models.* have, through conversions and copies", function()
    local model = network()
    assertFlat(model)
    local names = {}
    for name in pairs(model:stateDict()) do names[#names + 1] = name end
    assertFlat(model:double())
    assertFlat(model:half())
    assertFlat(model:clone())
    assertFlat(network { mlg = {} })
    assert.equal(#names, #require "pl.tablex".keys(model:stateDict()))
    local other = network()
    other:loadStateDict(model:stateDict())
    assertFlat(other)
  end)

  it("are those of a module that is converted, and of no other", function()
    local model = nn.Sequential():add(nn.Linear(3, 2)):add(nn.Tanh()):add(nn.Linear(2, 2))
    local weight = model:get(1).weight
    assert.is_false(flat.isFlat(model))
    assert.equal(weight, model:float():get(1).weight) -- nothing to convert: the same tensors
    assertFlat(model:double())
    model:get(1).weight = dn.randn(2, 3):double()
    assert.is_false(flat.isFlat(model))
    assert.equal(2, countSpans((model:parameters())))
  end)

  it("leave getParameters what it was: vectors without room", function()
    local model = network()
    local vector, gradients = model:getParameters()
    assert.equal(model:parameterCount(), vector:nElement())
    assert.equal(model:parameterCount(), gradients:nElement())
    vector:fill(2)
    for _, weight in ipairs((model:parameters())) do assert.equal(2, weight:max()) end
    local seen = dn.optim.LossScale(model)
    assert.equal(core.storage_key(gradients), core.storage_key(seen.gradient)) -- and nobody moves them again
    local sgd = dn.optim.SGD(model, { learningRate = 1 })
    gradients:fill(0.5)
    sgd:step()
    assert.equal(1.5, vector:max())
    assert.equal(1, #sgd:runs(false))
  end)

  it("share what modules share", function()
    local one, two = nn.Linear(3, 3), nn.Linear(3, 3)
    two:share(one, "weight", "gradWeight")
    local model = nn.Sequential():add(one):add(two):double()
    assert.is_true(model:get(1).weight:isSameView(model:get(2).weight))
    assert.equal(1, countSpans { one.weight, one.bias, two.bias })
  end)

  it("go on after freeze and unfreeze, without memory for gradients that are gone", function()
    local model = network()
    local sgd = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9 })
    pass(model, 2)
    sgd:step()
    assert.equal(1, #sgd:runs(true))
    model:freeze "^features%.denseblock1"
    local before = model:get(1):get(2):clone():stateDict()
    pass(model, 3)
    sgd:step()
    local _, gradients = model:parameters()
    assert.equal(1, countSpans(gradients))
    assert.equal(2, #sgd:runs(true)) -- on both sides of what is frozen
    for name, tensor in pairs(model:get(1):get(2):stateDict()) do
      if not name:find "running" then compare.identical(tensor, before[name], name) end
    end
    model:unfreeze()
    assertFlat(model)
    assert.equal(#gradients < #model:parameters(), true)
  end)

  it("notice a parameter whose size somebody changes in place", function()
    local model = network()
    local sgd = dn.optim.SGD(model, { learningRate = 1 })
    pass(model, 2)
    sgd:step()
    local last = model:findModules "nn.Linear"[1]
    last.bias:resize(9)
    last.gradBias:resize(9)
    last.bias:fill(1)
    last.gradBias:fill(0.25)
    sgd:step()
    assert.same({ 0.75, 0.75 }, { last.bias:min(), last.bias:max() })
  end)
end)

-- The same network with parameters that each lie alone, stepped one by one.
local function twin(model)
  local weights, gradients = {}, {}
  local ownWeights, ownGradients = model:parameters()
  for i, weight in ipairs(ownWeights) do weights[i], gradients[i] = weight:clone(), ownGradients[i]:clone() end
  return weights, gradients, function()
    for i, gradient in ipairs(gradients) do core.copy(gradient, ownGradients[i]) end
  end
end

describe("a step of flat parameters is, bit for bit, that of each by itself:", function()
  local function same(name, settings, precision)
    it(name .. ", " .. precision, function()
      local class = dn.optim[name:match "^%a+"]
      local model = network { precision = precision }
      local weights, gradients, follow = twin(model)
      local together, alone = class(model, settings), class({ weights, gradients }, settings)
      for i = 1, 3 do
        pass(model, i)
        follow()
        together:step()
        alone:step()
        assert.equal(1, #together:runs(true))
        for j, weight in ipairs((model:parameters())) do compare.identical(weight, weights[j], j) end
      end
      assert.is_true(#alone:runs(true) > 10)
      assert.is_true(roomSum((model:parameters())) < 1e-6)
      for ending, tensors in pairs(together.states) do
        for j, entry in ipairs(together:distinct()) do
          compare.identical(tensors[entry.name], alone.states[ending][tostring(j)], entry.name)
        end
      end
    end)
  end

  for _, precision in ipairs { "single", "double" } do
    same("SGD", { learningRate = 0.1, momentum = 0.9, nesterov = true, weightDecay = 1e-2 }, precision)
    same("SGD with dampening", { learningRate = 0.1, momentum = 0.9, dampening = 0.5 }, precision)
    same("Adam", { learningRate = 0.01, weightDecay = 1e-2 }, precision)
    same("AdamW", { learningRate = 0.01 }, precision)
    same("RAdam", { learningRate = 0.01 }, precision)
  end

  it("with groups of other settings, as many as there are runs of equal ones", function()
    local settings = { learningRate = 0.1, momentum = 0.9, weightDecay = 1e-2,
      groups = { { match = "^classifier", learningRate = 1 }, { match = "bias$", weightDecay = 0 } } }
    local model, other = network(), network()
    other:get("classifier").weight = other:get("classifier").weight:clone() -- has no place
    local together, apart = dn.optim.SGD(model, settings), dn.optim.SGD(other, settings)
    for i = 1, 3 do
      for _, one in ipairs { { model, together }, { other, apart } } do
        pass(one[1], i)
        one[2]:step()
      end
    end
    local n, before = 0, nil
    for _, entry in ipairs(together:distinct()) do
      local kind = (entry.name:find "^classifier" and "c" or "") .. (entry.name:find "bias$" and "b" or "")
      n, before = n + (kind ~= before and 1 or 0), kind
    end
    assert.equal(n, #together:runs(true))
    for name, tensor in pairs(model:stateDict()) do compare.identical(tensor, other:stateDict()[name], name) end
  end)

  it("from a state that was saved, also into a network that was moved", function()
    local model = network()
    local sgd = dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9 })
    pass(model, 1)
    sgd:step()
    local saved, copy = {}, network()
    for name, tensor in pairs(sgd:state()) do saved[name] = tensor:clone() end
    copy:loadStateDict(model:stateDict())
    local other = dn.optim.SGD(copy, { learningRate = 0.1, momentum = 0.9 })
    other:loadState(saved)
    copy:double():float() -- new vectors, the same numbers
    for i = 2, 3 do
      for _, one in ipairs { { model, sgd }, { copy, other } } do
        pass(one[1], i)
        one[2]:step()
      end
    end
    assert.equal(1, #other:runs(true))
    for name, tensor in pairs(model:stateDict()) do compare.identical(copy:stateDict()[name], tensor, name) end
    for name, tensor in pairs(sgd:state()) do compare.identical(other:state()[name], tensor, name) end
  end)
end)
