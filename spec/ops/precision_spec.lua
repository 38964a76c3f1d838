-- Activations in half and bfloat16, parameters in float: every case of every operation that takes
-- them, against the reference loops in double on the same rounded inputs. Activations are rounded
-- once, where they are written; parameters and their gradients are as exact as with float.

local core = require "densenet.core"
local compare = require "spec.support.compare"
local operation = require "spec.support.operation"

local NARROW = { "half", "bfloat16" }

-- Numbers on a coarse grid all lose the same when the sum's shift is taken off them in float, so a mean is
-- right to float's 2e-6 of their deviation, which is some 50 times the mean here.
local MEAN_OF_GRID = 1e-4

local function is_finite(tensor)
  local ones = {}
  for d = 1, tensor:dim() do ones[d] = 1 end
  local sum = core.tensor_new("cpu", "double", ones)
  core.reduce(sum, compare.clone(tensor, "double"), "sum", 0)
  return sum:item() - sum:item() == 0
end

local function check(case, dtype)
  local truth = operation.run(case, { dtype = "double", rounding = dtype, reference = true })
  local results = operation.run(case, { dtype = dtype })
  for i, result in ipairs(results) do
    local what, right = ("argument %d"):format(result.number), truth[i].tensor
    local tolerance = compare.tolerance[result.tensor:dtype()]
    if case.op == "batchnorm_forward" and result.number == 2 then tolerance = MEAN_OF_GRID end
    if right:nElement() == 0 or is_finite(right) then
      compare.near(result.tensor, right, tolerance, what)
    else
      compare.values(result.tensor, right:totable(), tolerance, what)
    end
  end
end

local cases = {}
for _, case in ipairs(operation.families().cases) do
  if operation.descriptions[case.op].widened and not case.dtypes then cases[#cases + 1] = case end
end

for _, dtype in ipairs(NARROW) do
  describe(dtype, function()
    for _, case in ipairs(cases) do
      it(operation.title(case), function() check(case, dtype) end)
    end
  end)
end

describe("which dtypes go together:", function()
  local function new(dtype, ...)
    local tensor = core.tensor_new("cpu", dtype, { ... })
    core.fill(tensor, 1)
    return tensor
  end

  local function linear(x, weight, y)
    core.linear_forward(new(y or x, 2, 4), new(x, 2, 3), new(weight, 4, 3), nil)
  end

  it("double beside double, float beside all others", function()
    linear("double", "double")
    for _, x in ipairs { "float", "half", "bfloat16" } do linear(x, "float") end
  end)

  it("anything else is refused in a sentence", function()
    for _, wrong in ipairs {
      { "double", "float", nil, "weight is float; expected double, as x is" },
      { "float", "double", nil, "weight is double; expected float, as x is" },
      { "float", "half", nil, "weight is half; expected float, as x is" },
      { "half", "half", nil, "weight is half; expected float, which goes with x in half" },
      { "bfloat16", "double", nil, "weight is double; expected float, which goes with x in bfloat16" },
      { "half", "float", "bfloat16", "y is bfloat16; expected half, as x is" },
      { "half", "float", "float", "y is float; expected half, as x is" },
    } do
      assert.error_matches(function() linear(wrong[1], wrong[2], wrong[3]) end, wrong[4], 1, true)
    end
  end)

  it("losses, tables among themselves and SGD stay float", function()
    for _, call in ipairs {
      function() core.log_softmax_forward(new("half", 2, 3), new("half", 2, 3)) end,
      function() core.mse_forward(new("half", 1), new("half", 3), new("half", 3), true) end,
      function() core.deferred_update(new("half", 3, 2), new("half", 2, 2), new("half", 4, 2), 8, false) end,
      function() core.sgd_step(new("bfloat16", 3), nil, new("bfloat16", 3), 0.1, 0, 0, 0, false, false) end,
    } do
      assert.error_matches(call, "expected float or double", 1, true)
    end
  end)
end)

describe("scratch for copies in float", function()
  local function call(device)
    local x, y = core.tensor_new(device, "half", { 4, 8, 6, 6 }), core.tensor_new(device, "half", { 4, 8, 6, 6 })
    core.relu_forward(y, x)
  end

  it("is planned as it is taken", function()
    core.scratch_planned(true)
    call("plan")
    local planned = core.scratch_planned(true)
    assert.are.equal(2 * 4 * 8 * 6 * 6 * 4, planned)
    core.scratch_release()
    collectgarbage("stop")
    local before = core.memory("cpu").live
    call("cpu")
    local halves = 2 * 4 * 8 * 6 * 6 * 2
    local taken = core.memory("cpu").live - before
    collectgarbage("restart")
    assert.is_true(taken >= planned + halves and taken < planned + halves + 1000)
  end)

  it("that lacks leaves the output as it was", function()
    local x, y = core.tensor_from("cpu", "half", { 1, 2, 3 }), core.tensor_from("cpu", "half", { 7, 7, 7 })
    core.scratch_release()
    collectgarbage()
    collectgarbage() -- nothing is left that a second try could collect
    core.memory_limit("cpu", core.memory("cpu").live)
    assert.error_matches(function() core.relu_forward(y, x) end, "out of memory", 1, true)
    core.memory_limit("cpu", 0)
    assert.are.same({ 7, 7, 7 }, y:totable())
    core.relu_forward(y, x)
    assert.are.same({ 1, 2, 3 }, y:totable())
  end)
end)
