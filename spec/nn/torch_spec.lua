-- Torch7's conventions, module by module, on numbers worked out by hand: argument orders, defaults,
-- rounding, batches, initial weights.

local dn = require "densenet"
local compare = require "spec.support.compare"

local nn = dn.nn

local function values(tensor, expected, what)
  compare.values(tensor, expected, 1e-6, what)
end

local function ramp(...)
  local n = 1
  for _, size in ipairs { ... } do
    n = n * size
  end
  return dn.arange(1, n):view(...)
end

describe("nn.SpatialConvolution", function()
  it("takes widths before heights", function()
    local conv = nn.SpatialConvolution(2, 5, 3, 1, 2, 1, 1, 0)
    assert.are.same({ 5, 2, 1, 3 }, conv.weight:size())
    assert.are.same({ 1, 5, 4, 3 }, conv:forward(dn.zeros(1, 2, 4, 5)):size())
    assert.are.equal("nn.SpatialConvolution(2 -> 5, 3x1, 2,1, 1,0)", tostring(conv))
    assert.are.equal(2, nn.SpatialConvolution(1, 1, 5, 5, 1, 1, 2).padH) -- padH follows padW
  end)

  it("correlates, and adds its bias", function()
    local conv = nn.SpatialConvolution(1, 1, 2, 2)
    conv.weight:copy(dn.tensor { 1, 2, 3, 4 })
    conv.bias:fill(0.5)
    values(conv:forward(ramp(1, 1, 2, 3)), { 1 + 4 + 12 + 20 + 0.5, 2 + 6 + 15 + 24 + 0.5 }, "2x3 with 2x2")
    conv:noBias()
    values(conv:forward(ramp(1, 1, 2, 3)), { 37, 47 }, "without bias")
    assert.are.equal(1, #conv:parameters())
  end)

  it("works on groups of channels", function()
    local conv = nn.SpatialConvolution(2, 2, 1, 1, 1, 1, 0, 0, 2):noBias()
    conv.weight:copy(dn.tensor { 10, 100 })
    values(conv:forward(ramp(1, 2, 1, 2)), { 10, 20, 300, 400 }, "one channel each")
    assert.error_matches(function() nn.SpatialConvolution(3, 4, 1, 1, 1, 1, 0, 0, 2) end,
      "bad argument #9 to 'nn.SpatialConvolution'")
  end)

  it("takes one image without a batch", function()
    local conv, x = nn.SpatialConvolution(2, 3, 3, 3), dn.randn(2, 5, 6)
    local alone = conv:forward(x):clone()
    assert.are.same({ 3, 3, 4 }, alone:size())
    values(alone, conv:forward(x:view(1, 2, 5, 6)):totable()[1], "as a batch of one")
    assert.error_matches(function() conv:forward(dn.randn(2, 5)) end, "expected images N,C,H,W .*got 2x5")
  end)

  it("takes slices and transposed images", function()
    local conv, x = nn.SpatialConvolution(2, 3, 3, 3), dn.randn(3, 4, 6, 5)
    values(conv:forward(x:narrow(2, 2, 2)), conv:forward(x:narrow(2, 2, 2):clone()):totable(), "channels")
    local turned = x:narrow(2, 1, 2):transpose(3, 4)
    local expected = conv:forward(turned:clone()):clone()
    values(conv:forward(turned), expected:totable(), "transposed")
    local gradOutput = dn.randn(3, 3, 4, 3):transpose(3, 4)
    conv:forward(turned)
    expected = conv:backward(turned, gradOutput:clone()):clone()
    values(conv:backward(turned, gradOutput), expected:totable(), "transposed gradient")
  end)

  it("starts uniform in one over the root of its inputs", function()
    local conv = nn.SpatialConvolution(8, 50, 3, 3)
    local most = 1 / math.sqrt(8 * 9)
    for _, tensor in ipairs { conv.weight, conv.bias } do
      assert.is_true(tensor:max() <= most and tensor:max() > 0.9 * most)
      assert.is_true(tensor:min() >= -most and tensor:min() < -0.9 * most)
    end
  end)
end)

describe("nn.SpatialBatchNormalization", function()
  it("normalises with the biased variance and remembers the unbiased", function()
    local norm = nn.SpatialBatchNormalization(1, 0, 0.25)
    norm.weight:fill(2)
    norm.bias:fill(1)
    local root = math.sqrt(1.25)
    values(norm:forward(ramp(1, 1, 2, 2)), { 1 - 3 / root, 1 - 1 / root, 1 + 1 / root, 1 + 3 / root }, "training")
    values(norm.running_mean, { 0.25 * 2.5 }, "running mean")
    values(norm.running_var, { 0.75 + 0.25 * 5 / 3 }, "running variance")
    norm:evaluate()
    norm.running_mean:fill(1)
    norm.running_var:fill(4)
    values(norm:forward(ramp(1, 1, 2, 2)), { 1, 2, 3, 4 }, "evaluation")
    values(norm.running_mean, { 1 }, "left alone")
  end)

  it("has Torch's defaults and initial state", function()
    local norm = nn.SpatialBatchNormalization(400)
    assert.are.equal(1e-5, norm.eps)
    assert.are.equal(0.1, norm.momentum)
    assert.is_true(norm.weight:min() >= 0 and norm.weight:max() <= 1 and math.abs(norm.weight:mean() - 0.5) < 0.05)
    assert.are.equal(0, norm.bias:norm())
    assert.is_nil(nn.SpatialBatchNormalization(4, nil, nil, false).weight)
  end)
end)

describe("pooling", function()
  it("takes widths first and steps by the window (max) or by 1 (average)", function()
    assert.are.same({ 1, 1, 3, 2 }, nn.SpatialMaxPooling(2, 1):forward(ramp(1, 1, 3, 4)):size())
    assert.are.same({ 1, 1, 3, 3 }, nn.SpatialAveragePooling(2, 1):forward(ramp(1, 1, 3, 4)):size())
  end)

  it("rounds down, or up when told", function()
    local x = ramp(1, 1, 3, 3)
    values(nn.SpatialMaxPooling(2, 2, 2, 2):forward(x), { 5 }, "floor")
    values(nn.SpatialMaxPooling(2, 2, 2, 2):ceil():forward(x), { 5, 6, 8, 9 }, "ceil")
    values(nn.SpatialMaxPooling(2, 2, 2, 2):ceil():floor():forward(x), { 5 }, "floor again")
  end)

  it("counts padding, or not when told", function()
    local x = dn.ones(1, 1, 2, 2)
    local pool = nn.SpatialAveragePooling(2, 2, 2, 2, 1, 1)
    values(pool:forward(x), { 0.25, 0.25, 0.25, 0.25 }, "included")
    values(pool:setCountExcludePad():forward(x), { 1, 1, 1, 1 }, "excluded")
    values(pool:setCountIncludePad():forward(x), { 0.25, 0.25, 0.25, 0.25 }, "included again")
  end)

  it("over whole planes gives N,C", function()
    values(nn.GlobalAveragePooling():forward(ramp(2, 1, 1, 3)), { 2, 5 }, "batch")
    values(nn.GlobalAveragePooling():forward(ramp(2, 1, 3)), { 2, 5 }, "one image")
  end)
end)

describe("nn.Linear", function()
  it("multiplies with its transposed weight, for a matrix and a vector", function()
    local linear = nn.Linear(2, 3)
    linear.weight:copy(dn.tensor { 1, 2, 3, 4, 5, 6 })
    linear.bias:copy(dn.tensor { 0, 1, 2 })
    values(linear:forward(dn.tensor { { 1, 1 }, { 0, 1 } }), { 3, 8, 13, 2, 5, 8 }, "matrix")
    values(linear:forward(dn.tensor { 1, 1 }), { 3, 8, 13 }, "vector")
    values(linear:noBias():forward(dn.tensor { 1, 1 }), { 3, 7, 11 }, "without bias")
    values(linear:forward(dn.tensor { { 1, 0 }, { 1, 1 } }:t()), { 3, 7, 11, 2, 4, 6 }, "transposed input")
    assert.error_matches(function() linear:forward(dn.zeros(1, 1, 2)) end, "expected N,2 or 2, got 1x1x2")
  end)
end)

describe("nn.ReLU", function()
  it("overwrites its input only in place", function()
    local x = dn.tensor { -1, 2 }
    assert.are_not.equal(x, nn.ReLU():forward(x))
    values(x, { -1, 2 }, "kept")
    assert.are.equal(x, nn.ReLU(true):forward(x))
    values(x, { 0, 2 }, "overwritten")
  end)

  it("has its own output again after it has worked in place", function()
    local relu, x = nn.ReLU(true), dn.tensor { 1, 2 }
    relu:forward(x)
    relu.inplace = false
    relu:forward(dn.tensor { 7, 8 })
    values(x, { 1, 2 }, "an earlier input")
  end)
end)

describe("nn.Dropout", function()
  it("keeps the mean, zeroes a share p, and draws anew each time", function()
    dn.manualSeed(4)
    local dropout, x = nn.Dropout(0.25), dn.ones(20000)
    local y = dropout:forward(x):clone()
    assert.is_true(math.abs(y:mean() - 1) < 0.02)
    assert.is_true(math.abs(y:eq(0):float():mean() - 0.25) < 0.02)
    assert.is_true(math.abs(y:max() - 4 / 3) < 1e-6)
    values(dropout:backward(x, x), y:totable(), "the same mask backward")
    assert.is_true((dropout:forward(x) - y):norm() > 1)
    dn.manualSeed(4)
    values(dropout:forward(x), y:totable(), "the same seed")
  end)

  it("passes on in evaluation, and refuses a share of 1", function()
    local x = dn.randn(3)
    assert.are.equal(x, nn.Dropout():evaluate():forward(x))
    assert.are.equal(0.5, nn.Dropout().p)
    assert.error_matches(function() nn.Dropout(1) end, "0 <= p < 1 expected, got 1")
  end)
end)

describe("nn.View", function()
  it("finds the batch by what is left over", function()
    assert.are.same({ 4, 6 }, nn.View(6):forward(dn.zeros(4, 2, 3)):size())
    assert.are.same({ 6 }, nn.View(6):forward(dn.zeros(2, 3)):size())
    assert.are.same({ 4, 3, 2 }, nn.View(3, 2):forward(dn.zeros(4, 6)):size())
    assert.are.same({ 24 }, nn.View(-1):forward(dn.zeros(4, 6)):size())
  end)

  it("is told the batch by setNumInputDims", function()
    assert.are.same({ 4, 6 }, nn.View(-1):setNumInputDims(2):forward(dn.zeros(4, 2, 3)):size())
    assert.are.same({ 1, 6 }, nn.View(6):setNumInputDims(2):forward(dn.zeros(1, 2, 3)):size())
    assert.are.same({ 6 }, nn.View(6):setNumInputDims(2):forward(dn.zeros(2, 3)):size())
  end)

  it("refuses what does not divide, and sizes that are none", function()
    assert.error_matches(function() nn.View(5):forward(dn.zeros(4, 3)) end,
      "input of 4x3 does not divide into views of 5")
    assert.error_matches(function() nn.View(-1, -1) end, "bad argument #2 to 'nn.View'")
    assert.are.equal("nn.View(-1, 2)", tostring(nn.View(-1, 2)))
  end)
end)

describe("joining", function()
  it("counts dimensions within a sample when nInputDims is given", function()
    local parts = { dn.ones(2, 3), dn.zeros(2, 1) }
    values(nn.JoinTable(2):forward(parts), { 1, 1, 1, 0, 1, 1, 1, 0 }, "batch")
    values(nn.JoinTable(1, 1):forward(parts), { 1, 1, 1, 0, 1, 1, 1, 0 }, "sample")
    assert.are.same({ 4 }, nn.JoinTable(1, 1):forward({ dn.ones(3), dn.ones(1) }):size())
  end)

  it("by nn.Concat joins outputs and adds gradients", function()
    local model = nn.Concat(2):add(nn.Identity()):add(nn.Identity())
    local x = dn.tensor { { 1, 2 } }
    values(model:forward(x), { 1, 2, 1, 2 }, "output")
    values(model:backward(x, dn.tensor { { 1, 2, 10, 20 } }), { 11, 22 }, "gradient")
    model:remove()
    values(model:forward(x), { 1, 2 }, "after a child has gone")
  end)

  it("by nn.CAddTable adds, in place only when told", function()
    local a, b = dn.tensor { 1, 2 }, dn.tensor { 10, 20 }
    values(nn.CAddTable():forward { a, b }, { 11, 22 }, "sum")
    values(a, { 1, 2 }, "kept")
    nn.CAddTable(true):forward { a, b }
    values(a, { 11, 22 }, "in place")
  end)
end)

describe("criterions", function()
  it("of classes take labels from 1, weights and sizeAverage", function()
    local x = dn.tensor { { -1, -2 }, { -3, -5 } }
    local target = dn.tensor({ 1, 2 }, "long")
    assert.are.equal(3, nn.ClassNLLCriterion():forward(x, target))
    assert.are.equal(6, nn.ClassNLLCriterion(nil, false):forward(x, target))
    assert.are.equal(4, nn.ClassNLLCriterion(dn.tensor { 1, 3 }):forward(x, target))
    values(nn.ClassNLLCriterion():backward(x, target), { -0.5, 0, 0, -0.5 }, "gradient")
    for _, same in ipairs { { 1, 2 }, dn.tensor { 1, 2 }, dn.tensor({ 1, 2 }, "byte"), dn.tensor { { 1 }, { 2 } } } do
      assert.are.equal(3, nn.ClassNLLCriterion():forward(x, same))
    end
    assert.are.equal(2, nn.ClassNLLCriterion():forward(dn.tensor { -1, -2 }, 2))
    for _, wrong in ipairs { { 0, 1 }, { 1, 3 }, { 1 } } do
      assert.error_matches(function() nn.ClassNLLCriterion():forward(x, wrong) end, "bad argument #3 to 'nll_forward'")
    end
    assert.error_matches(function() nn.ClassNLLCriterion():forward(x, "cat") end, "target must be a tensor of labels")
  end)

  it("of cross-entropy agree with LogSoftMax and ClassNLL", function()
    local x, target = dn.randn { 4, 3, dtype = "double" }, dn.tensor({ 1, 3, 2, 3 }, "long")
    local softmax, nll, both = nn.LogSoftMax(), nn.ClassNLLCriterion(), nn.CrossEntropyCriterion()
    local loss = nll:forward(softmax:forward(x), target)
    assert.is_true(math.abs(both:forward(x, target) - loss) < 1e-14)
    local gradInput = softmax:backward(x, nll:backward(softmax.output, target))
    compare.near(both:backward(x, target), gradInput, 1e-14, "gradient")
  end)

  it("of squares average over elements, or sum", function()
    local x, y = dn.tensor { { 1, 2 }, { 3, 4 } }, dn.zeros(2, 2)
    assert.are.equal(7.5, nn.MSECriterion():forward(x, y))
    assert.are.equal(30, nn.MSECriterion(false):forward(x, y))
    values(nn.MSECriterion():backward(x, y), { 0.5, 1, 1.5, 2 }, "gradient")
  end)

  it("are converted with their weights", function()
    local criterion = nn.CrossEntropyCriterion(dn.ones(3)):double()
    assert.are.equal("double", criterion.weights:dtype())
    criterion:forward(dn.randn { 2, 3, dtype = "double" }, { 1, 2 })
    assert.are.equal("float", criterion:float().weights:dtype())
    assert.are.equal("float", criterion:to("cpu").weights:dtype())
  end)
end)
