-- Cross entropy with label smoothing: PyTorch's numbers (spec/golden/make_smoothing.py), finite differences, types.
local dn = require "densenet"
local safetensors = require "densenet.io.safetensors"

local nn = dn.nn

local function criterionOf(name, weights)
  local share = tonumber(name:match("^[%d.]+"))
  return nn.CrossEntropyCriterion(name:find("weighted") and weights or nil, name:find("mean") ~= nil, share)
end

describe("label smoothing", function()
  local golden
  setup(function() golden = assert(safetensors.load "spec/golden/smoothing.safetensors") end)
  teardown(function() golden = nil end)

  for _, share in ipairs { "0.1", "0.75" } do
    for _, kind in ipairs { "plain_mean", "plain_sum", "weighted_mean", "weighted_sum" } do
      local name = share .. "_" .. kind
      it("has PyTorch's loss and gradient: " .. name, function()
        for dtype, tolerance in pairs { double = 1e-12, float = 2e-6, half = 4e-3 } do
          local scores = golden.scores:type(dtype)
          local weights = golden.weights:type(dtype == "half" and "float" or dtype)
          local criterion = criterionOf(name, weights)
          local expected = golden[name .. "/loss"]:item()
          local exact = dtype ~= "half" and 1 or 10
          assert.is_true(math.abs(criterion:forward(scores, golden.labels) - expected) <= exact * tolerance * expected)
          local gradient = criterion:backward(scores, golden.labels)
          assert.equal(dtype, gradient:dtype())
          local difference = (gradient:type("double") - golden[name .. "/gradient"]):abs():max()
          local largest = golden[name .. "/gradient"]:clone():abs():max()
          assert.is_true(difference <= tolerance * math.max(1, largest), difference)
        end
      end)
    end
  end

  it("has a gradient as finite differences give it, for one row as well", function()
    for _, weights in ipairs { false, dn.tensor({ 1, 0.25, 3 }, "double") } do
      local criterion = nn.CrossEntropyCriterion(weights or nil, true, 0.3)
      for _, case in ipairs { { dn.tensor({ 0.5, -1, 2 }, "double"), 2 },
        { dn.tensor({ { 0.5, -1, 2 }, { 3, 0, 1 } }, "double"), dn.tensor({ 1, 3 }, "long") } } do
        local scores, target = case[1], case[2]
        criterion:forward(scores, target)
        local gradient = criterion:backward(scores, target):clone():view(scores:nElement())
        local flat, step = scores:view(scores:nElement()), 1e-6
        for i = 1, scores:nElement() do
          local value = flat:at(i)
          flat:put(value + step, i)
          local above = criterion:forward(scores, target)
          flat:put(value - step, i)
          local below = criterion:forward(scores, target)
          flat:put(value, i)
          assert.is_true(math.abs((above - below) / (2 * step) - gradient:at(i)) < 1e-8)
        end
      end
    end
  end)

  it("of 0 changes no bit", function()
    local scores, labels = golden.scores:type("float"), golden.labels
    local plain, none = nn.CrossEntropyCriterion(), nn.CrossEntropyCriterion(nil, true, 0)
    assert.equal(plain:forward(scores, labels), none:forward(scores, labels))
    assert.same(plain:backward(scores, labels):totable(), none:backward(scores, labels):totable())
  end)

  it("is refused outside 0 to 1", function()
    for _, share in ipairs { -0.1, 1, 0 / 0, "0.1" } do
      assert.error_matches(function() nn.CrossEntropyCriterion(nil, true, share) end,
        "bad argument #3 to 'nn.CrossEntropyCriterion' %(labelSmoothing")
    end
  end)
end)
