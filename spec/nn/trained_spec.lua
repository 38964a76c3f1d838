-- What is trained and what is saved are two lists; parameters that share memory are one, however they
-- came to share it.

local dn = require "densenet"
local compare = require "spec.support.compare"

local nn = dn.nn

local function square(n) return nn.Linear(n, n, false) end

-- Ways for b to have a's weight, and the gradient with it.
local ways = {
  { "share", function(a, b) b:share(a, "weight", "gradWeight") end },
  { "view", function(a, b) b.weight, b.gradWeight = a.weight:view(2, 2), a.gradWeight:view(2, 2) end },
  { "transpose", function(a, b) b.weight, b.gradWeight = a.weight:t(), a.gradWeight:t() end },
  { "transpose, the other way round", function(a, b) a.weight, a.gradWeight = b.weight:t(), b.gradWeight:t() end },
}

local function pairOf(way)
  local a, b = square(2), square(2)
  way(a, b)
  a:zeroGradParameters()
  return nn.Sequential():add(a, "a"):add(b, "b"), a, b
end

-- A step by hand, in a's arrangement.
local function expectedStep(net, a, b)
  net:zeroGradParameters()
  a.gradWeight:copy(dn.randn(2, 2))
  assert.is_true(a.gradWeight:norm() > 0 and math.abs(a.gradWeight:norm() - b.gradWeight:norm()) < 1e-5)
  return a.weight - a.gradWeight * 0.1
end

describe("shared parameters are one:", function()
  for _, each in ipairs(ways) do
    local name, way = table.unpack(each)
    it("steps, counts, plans and vectors, by " .. name, function()
      for _, step in ipairs {
        function(net) net:updateParameters(0.1) end,
        function(net) dn.optim.SGD(net, { learningRate = 0.1 }):step() end,
        function(net) dn.optim.SGD({ net:parameters() }, { learningRate = 0.1 }):step() end,
      } do
        local net, a, b = pairOf(way)
        local expected = expectedStep(net, a, b)
        step(net)
        compare.near(a.weight, expected, 1e-6, "a")
      end
      local net, a, b = pairOf(way)
      assert.are.equal(4, net:parameterCount())
      local nRows = 0
      for _, row in ipairs(net:plan({ 3, 2 }).rows) do
        nRows = nRows + (row.lifetime == "parameter" and 1 or 0)
      end
      assert.are.equal(3, nRows) -- weight, gradient, momentum
      local expected = expectedStep(net, a, b)
      local weights, gradients = net:getParameters()
      assert.are.equal(4, weights:nElement())
      weights:add(-0.1, gradients)
      compare.near(a.weight, expected, 1e-6, "by vectors")
      compare.near(b.weight, name:find("transpose") and expected:t() or expected, 1e-6, "b, by vectors")
    end)

    it("converted, they are shared still: " .. name, function()
      local net, a, b = pairOf(way)
      local before = b.weight:clone()
      local copy = net:clone()
      copy:get("a").weight:fill(3)
      assert.are.equal(6, copy:get("b").weight:norm())
      compare.identical(b.weight, before, "the original")
      assert.are.equal(4, copy:parameterCount())
      net:type("double")
      compare.near(b.weight, before, 1e-6, "as it was")
      a.weight:fill(3)
      a.gradWeight:fill(4)
      assert.are.equal(6, b.weight:norm())
      assert.are.equal(8, b.gradWeight:norm())
      assert.are.equal(4, net:parameterCount())
    end)
  end

  it("a part of a weight, cut out with narrow, is stepped with the whole", function()
    local a, b = nn.Linear(2, 3, false), square(2)
    b.weight, b.gradWeight = a.weight:narrow(1, 2, 2), a.gradWeight:narrow(1, 2, 2)
    local net = nn.Concat(2):add(a):add(b)
    net:zeroGradParameters()
    local x, g = dn.randn(4, 2), dn.randn(4, 5)
    net:forward(x)
    net:backward(x, g)
    local expected = a.weight - a.gradWeight * 0.1
    net:updateParameters(0.1)
    compare.near(a.weight, expected, 1e-6, "whole")
    compare.near(b.weight, expected:narrow(1, 2, 2), 1e-6, "part")
    assert.are.equal(6, net:parameterCount())
    assert.are.equal(6, (net:getParameters()):nElement())
    net:double()
    a.weight:fill(2)
    assert.are.equal(4, b.weight:norm())
  end)

  it("parts side by side are two, also where their rows alternate", function()
    local whole, gradient = dn.randn(4, 6), dn.zeros(4, 6)
    for _, cut in ipairs { { 1, 2 }, { 2, 3 } } do
      local d, n = table.unpack(cut)
      local a, b = square(2), square(2)
      a.weight, b.weight = whole:narrow(d, 1, n), whole:narrow(d, n + 1, n)
      a.gradWeight, b.gradWeight = gradient:narrow(d, 1, n), gradient:narrow(d, n + 1, n)
      local net = nn.Sequential():add(a, "a"):add(b, "b")
      assert.are.equal(2 * a.weight:nElement(), net:parameterCount())
    end
  end)

  it("names what it cannot merge", function()
    local whole, gradient = dn.randn(3, 2), dn.zeros(3, 2)
    local a, b = square(2), square(2)
    local net = nn.Sequential():add(a, "a"):add(b, "b")
    a.weight, b.weight = whole:narrow(1, 1, 2), whole:narrow(1, 2, 2)
    a.gradWeight, b.gradWeight = gradient:narrow(1, 1, 2), gradient:narrow(1, 2, 2)
    for _, use in ipairs { "parameterCount", "getParameters", "updateParameters" } do
      assert.error_matches(function() net[use](net, 0.1) end,
        "a%.weight and b%.weight overlap in part: they can be neither one parameter nor two")
    end
    assert.error_matches(function() dn.optim.SGD(net) end, "a%.weight and b%.weight overlap in part")
    assert.error_matches(function() net:double() end, "a%.weight and b%.weight share their memory in a way")
    b.weight, b.gradWeight = a.weight, dn.zeros(2, 2)
    for _, use in ipairs { "parameterCount", "getParameters", "updateParameters" } do
      assert.error_matches(function() net[use](net, 0.1) end,
        "a%.weight and b%.weight share their memory, and their gradients do not")
    end
    b.gradWeight = nil
    b.weight = dn.randn(2, 2)
    assert.error_matches(function() net:updateParameters(0.1) end, "b%.weight is a parameter without a gradient")
  end)
end)

describe("what `parameters` leaves out", function()
  local function net()
    local body = nn.Sequential():add(nn.Linear(2, 2), "linear")
    return nn.Sequential():add(body, "body"):add(nn.Linear(2, 2), "head"), body
  end

  local function step(model)
    local x, g = dn.ones(1, 2), dn.ones(1, 2)
    model:zeroGradParameters()
    model:forward(x)
    model:backward(x, g)
  end

  local idioms = {
    { "of a container", function(body) body.parameters = function() end end },
    { "of a module", function(body) body:get(1).parameters = function() end end },
    { "of a class", function(body)
      local Frozen = nn.class("Frozen", nn.Linear)
      Frozen.parameters = function() end
      local frozen = Frozen(2, 2)
      body:replace(1, frozen)
    end },
  }
  for _, idiom in ipairs(idioms) do
    local name, freeze = table.unpack(idiom)
    it("is saved and not trained: " .. name, function()
      for _, train in ipairs {
        function(model) model:updateParameters(0.1) end,
        function(model) dn.optim.SGD(model, { learningRate = 0.1, weightDecay = 0.5 }):step() end,
        function(model)
          local weights, gradients = model:getParameters()
          dn.optim.SGD({ weights, gradients }, { learningRate = 0.1, weightDecay = 0.5 }):step()
        end,
      } do
        local model, body = net()
        freeze(body)
        step(model)
        local before = body:get(1).weight:clone()
        train(model)
        compare.identical(body:get(1).weight, before, "not trained")
        assert.are.equal(6, model:parameterCount())
        local names = {}
        for each in pairs(model:stateDict()) do names[#names + 1] = each end
        table.sort(names)
        assert.are.same({ "body.linear.bias", "body.linear.weight", "head.bias", "head.weight" }, names)
        local rows = {}
        for _, row in ipairs(model:plan({ 1, 2 }).rows) do rows[row.name] = row end
        assert.is_nil(rows["body.linear.weight momentum"])
        assert.is_truthy(rows["head.weight momentum"])
        local saved = {}
        for each, tensor in pairs(model:stateDict()) do saved[each] = tensor:clone():fill(7) end
        model:loadStateDict(saved)
        assert.are.equal(14, body:get(1).weight:norm())
      end
    end)
  end

  it("may be taken from a whole network, and parameters kept elsewhere are saved too", function()
    local model = net()
    local head = model:get("head")
    model.parameters = function() return { head.weight }, { head.gradWeight } end
    assert.are.equal(4, model:parameterCount())
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
    local mixed = nn.Sequential():add(Mixed():add(nn.Linear(2, 2, false), "linear"), "mixed")
    assert.is_truthy(mixed:stateDict()["mixed.mix"])
    assert.are.equal(5, mixed:parameterCount())
    mixed:get("mixed").gradMix:fill(1)
    mixed:updateParameters(0.25)
    assert.are.equal(0.75, mixed:stateDict()["mixed.mix"]:item())
    mixed:zeroGradParameters()
    assert.are.equal(0, mixed:get("mixed").gradMix:item())
  end)

  it("goes on with the list of the moment", function()
    local model = net()
    local optimizer = dn.optim.SGD(model, { learningRate = 0.1, weightDecay = 0.5 })
    step(model)
    local before = model:get("head").weight:clone()
    model:get("head").parameters = function() end
    optimizer:step()
    compare.identical(model:get("head").weight, before, "left out after the optimizer was made")
  end)
end)
