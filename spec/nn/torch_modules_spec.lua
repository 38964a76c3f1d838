-- What the modules beside those of a DenseNet compute, by hand; how they take views, 16 bits, smaller batches and
-- memory plans; what they refuse.

local dn = require "densenet"
local tablex = require "pl.tablex"
local compare = require "spec.support.compare"

local nn = dn.nn

local function values(tensor, expected, what)
  compare.values(tensor, expected, 1e-6, what or "output")
end

describe("values by hand:", function()
  it("functions of elements", function()
    local x = dn.tensor { -2, 0, 1 }
    values(nn.Sigmoid():forward(x), { 0.11920292202, 0.5, 0.73105857863 })
    values(nn.Tanh():forward(x), { -0.96402758, 0, 0.76159416 })
    values(nn.LeakyReLU():forward(x), { -0.02, 0, 1 })
    values(nn.LeakyReLU(0.5):forward(x), { -1, 0, 1 })
    values(nn.ELU(2):forward(x), { 2 * (math.exp(-2) - 1), 0, 1 })
    values(nn.PReLU():forward(x), { -0.5, 0, 1 })
    values(nn.MulConstant(3):forward(x), { -6, 0, 3 })
    values(x, { -2, 0, 1 }, "the input stays")
    assert.equal(x, nn.MulConstant(3, true):forward(x))
    values(x, { -6, 0, 3 }, "in place")
    assert.equal(x, nn.LeakyReLU(0.5, true):forward(x))
    assert.equal(x, nn.ELU(1, true):forward(x))
    local mul = nn.Mul()
    mul.weight:fill(2)
    values(mul:forward(dn.tensor { { 1, 2 } }), { { 2, 4 } })
    local cmul = nn.CMul(2, 1)
    cmul.weight:copy(dn.tensor { { 2 }, { 3 } })
    values(cmul:forward(dn.tensor { { { 1, 2 }, { 3, 4 } } }), { { { 2, 4 }, { 9, 12 } } })
  end)

  it("SoftMax is over C, wherever that is", function()
    local x = dn.randn(2, 3, 2, 2)
    local y = nn.SoftMax():forward(x):clone()
    for n = 1, 2 do
      for h = 1, 2 do
        for w = 1, 2 do
          local sum = 0
          for c = 1, 3 do sum = sum + math.exp(x:at(n, c, h, w)) end
          for c = 1, 3 do
            assert.is_true(math.abs(y:at(n, c, h, w) - math.exp(x:at(n, c, h, w)) / sum) < 1e-6)
          end
        end
      end
    end
    compare.near(nn.SoftMax():forward(x:select(1, 2)), y:select(1, 2):contiguous(), 1e-6, "one image")
    values(nn.SoftMax():forward(dn.tensor { { 0, math.log(3) }, { 1000, 1000 } }), { { 0.25, 0.75 }, { 0.5, 0.5 } })
    values(nn.SoftMax():forward(dn.tensor { 5, 5 }), { 0.5, 0.5 })
  end)

  it("tables", function()
    local x = dn.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    local parts = nn.SplitTable(2):forward(x)
    assert.equal(3, #parts)
    values(parts[2], { 2, 5 })
    values(nn.SplitTable(1, 1):forward(x)[3], { 3, 6 })
    assert.equal(x, nn.SelectTable(-1):forward { dn.zeros(1), x })
    local flat = nn.FlattenTable():forward { x, { { dn.zeros(1) }, x } }
    assert.equal(3, #flat)
    assert.equal(x, flat[3])
    values(nn.CMulTable():forward { x, x, x }, { { 1, 8, 27 }, { 64, 125, 216 } })
    local both = nn.ParallelTable():add(nn.MulConstant(2)):add(nn.Identity()):forward { x, x }
    values(both[1], { { 2, 4, 6 }, { 8, 10, 12 } })
    assert.equal(x, both[2])
    local joined = nn.Parallel(1, 1):add(nn.MulConstant(2)):add(nn.MulConstant(10)):forward(x)
    values(joined, { 2, 4, 6, 40, 50, 60 })
  end)

  it("parts, sizes and paddings", function()
    local x = dn.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    values(nn.Narrow(2, 2):forward(x), { { 2 }, { 5 } })
    values(nn.Narrow(2, 2, -1):forward(x), { { 2, 3 }, { 5, 6 } })
    values(nn.Narrow(2, 1, -2):forward(x), { { 1, 2 }, { 4, 5 } })
    values(nn.Select(1, -1):forward(x), { 4, 5, 6 })
    values(nn.Reshape(3, 1):forward(x), { { { 1 }, { 2 }, { 3 } }, { { 4 }, { 5 }, { 6 } } })
    values(nn.Reshape(3, 2):forward(x), { { 1, 2 }, { 3, 4 }, { 5, 6 } })
    values(nn.Reshape(3):forward(x:narrow(1, 1, 1)), { { 1, 2, 3 } })
    values(nn.Reshape(3, false):forward(x:narrow(1, 1, 1)), { 1, 2, 3 })
    values(nn.Padding(2, 2):forward(x), { { 1, 2, 3, 0, 0 }, { 4, 5, 6, 0, 0 } })
    values(nn.Padding(2, -1, nil, 9):forward(x), { { 9, 1, 2, 3 }, { 9, 4, 5, 6 } })
    values(nn.Padding(1, 1, 1, 9, 2):forward(x), { { 1, 2, 9, 3 }, { 4, 5, 9, 6 } })
    values(nn.Padding(1, -1, 1, 9, 2):forward(x), { { 1, 9, 2, 3 }, { 4, 9, 5, 6 } })
    values(nn.SpatialZeroPadding(1, 0, -1, 1):forward(x:view(1, 1, 2, 3)), { { { { 0, 4, 5, 6 }, { 0, 0, 0, 0 } } } })
    values(nn.SpatialUpSamplingNearest(2):forward(x:view(1, 2, 3)),
      { { { 1, 1, 2, 2, 3, 3 }, { 1, 1, 2, 2, 3, 3 }, { 4, 4, 5, 5, 6, 6 }, { 4, 4, 5, 5, 6, 6 } } })
    assert.equal("double", nn.Copy("float", "double"):forward(x):dtype())
    assert.equal("float", nn.Copy(nil, "double"):backward(x, x:double()):dtype())
    assert.equal(x, nn.Contiguous():forward(x))
    values(nn.Contiguous():forward(x:t()), { { 1, 4 }, { 2, 5 }, { 3, 6 } })
  end)

  it("adaptive poolings have Torch's windows", function()
    local x = dn.tensor { { { 1, 2, 3, 4, 5 }, { 6, 7, 8, 9, 10 }, { 11, 12, 13, 14, 15 } } }
    -- lines 1-2 and 2-3; columns 1-2, 2-4, 4-5
    values(nn.SpatialAdaptiveMaxPooling(3, 2):forward(x), { { { 7, 9, 10 }, { 12, 14, 15 } } })
    values(nn.SpatialAdaptiveAveragePooling(3, 2):forward(x), { { { 4, 5.5, 7 }, { 9, 10.5, 12 } } })
    values(nn.SpatialAdaptiveAveragePooling(1, 1):forward(x), { { { 8 } } })
    local large = dn.randn(2, 3, 6, 8)
    compare.near(nn.SpatialAdaptiveAveragePooling(4, 3):forward(large),
      nn.SpatialAveragePooling(2, 2, 2, 2):forward(large), 1e-6, "windows side by side")
    local adaptive, plain, dy = nn.SpatialAdaptiveMaxPooling(4, 3), nn.SpatialMaxPooling(2, 2), dn.randn(2, 3, 3, 4)
    compare.identical(adaptive:forward(large), plain:forward(large), "windows side by side")
    compare.identical(adaptive:backward(large, dy), plain:backward(large, dy), "their gradient")
  end)

  it("SpatialFullConvolution is a convolution's gradient", function()
    local conv, full = nn.SpatialConvolution(2, 3, 3, 3, 2, 2, 1, 1), nn.SpatialFullConvolution(3, 2, 3, 3, 2, 2, 1, 1)
    full.weight:copy(conv.weight)
    full.bias:zero()
    local x = dn.randn(2, 2, 5, 7)
    local dy = dn.randn(2, 3, 3, 4)
    conv:forward(x)
    compare.near(full:forward(dy), conv:backward(x, dy), 1e-6, "output")
    assert.same({ 2, 2, 6, 8 }, nn.SpatialFullConvolution(3, 2, 3, 3, 2, 2, 1, 1, 1, 1):forward(dy):size())
    full.bias:copy(dn.tensor { 1, -1 })
    local with = full:forward(dy):clone()
    full:noBias()
    compare.near(with - full:forward(dy), dn.tensor({ 1, -1 }):view(1, 2, 1, 1):expand(2, 2, 5, 7):contiguous(), 1e-5,
      "bias")
  end)

  it("SpatialDropout drops planes, and evaluation multiplies by 1 - p, as in Torch", function()
    dn.manualSeed(8)
    local dropout, x = nn.SpatialDropout(0.25), dn.ones(20, 50, 2, 2)
    local y = dropout:forward(x)
    local planes = y:view(1000, 4):sum(2)
    assert.equal(1000, planes:eq(0):sum() + planes:eq(4):sum())
    local share = planes:eq(0):sum() / 1000
    assert.is_true(share > 0.2 and share < 0.3, share)
    compare.identical(dropout:backward(x, x), y, "the same planes")
    assert.is_true((dropout:forward(x) - y:clone()):norm() == 0)
    dropout:evaluate()
    values(dropout:forward(dn.ones(1, 1, 1)), { { { 0.75 } } })
  end)

  it("BatchNormalization is SpatialBatchNormalization on planes of one pixel", function()
    local norm, spatial, x = nn.BatchNormalization(3), nn.SpatialBatchNormalization(3), dn.randn(6, 3)
    for _, field in ipairs { "weight", "bias" } do spatial[field]:copy(norm[field]) end
    for _ = 1, 2 do
      compare.near(norm:forward(x), spatial:forward(x:view(6, 3, 1, 1)):view(6, 3), 1e-6, "output")
      compare.near(norm.running_var, spatial.running_var, 1e-6, "running variance")
      norm:evaluate()
      spatial:evaluate()
    end
    assert.equal("nn.BatchNormalization(3)", tostring(norm))
  end)

  it("criterions", function()
    local x, t = dn.tensor { 0.25, 0.5 }, dn.tensor { 0, 1 }
    local expected = -(math.log(0.75) + math.log(0.5))
    assert.is_true(math.abs(nn.BCECriterion():forward(x, t) - expected / 2) < 1e-6)
    assert.is_true(math.abs(nn.BCECriterion(nil, false):forward(x, t) - expected) < 1e-6)
    assert.is_true(nn.BCECriterion():forward(dn.tensor { 0, 1 }, dn.tensor { 1, 1 }) > 10) -- -log(1e-12) / 2
    assert.equal((0.125 + 1.5) / 2, nn.SmoothL1Criterion():forward(dn.tensor { 0.5, -1 }, dn.tensor { 0, 1 }))
    local multi = nn.MultiCriterion():add(nn.MSECriterion(), 2):add(nn.SmoothL1Criterion(false))
    assert.equal(2 * 1.25 / 1 + 0.5 + 0.5, multi:forward(dn.tensor { 1, 2 }, dn.tensor { 0, 1 }) + 0.5)
    local parallel = nn.ParallelCriterion():add(nn.MSECriterion()):add(nn.MSECriterion(), 0.5)
    assert.equal(3, parallel:forward({ dn.tensor { 1 }, dn.tensor { 2 } }, { dn.tensor { 0 }, dn.tensor { 0 } }))
    local gradients = parallel:backward({ dn.tensor { 1 }, dn.tensor { 2 } }, { dn.tensor { 0 }, dn.tensor { 0 } }, 4)
    values(gradients[1], { 8 })
    values(gradients[2], { 8 })
    assert.equal("half", multi:backward(dn.tensor({ 1, 2 }, "half"), dn.tensor({ 0, 1 }, "half")):dtype())
  end)
end)

-- A module, an input's sizes.
local cases = {
  { function() return nn.Sigmoid() end, { 4, 6 } },
  { function() return nn.Tanh() end, { 4, 6 } },
  { function() return nn.LeakyReLU(0.1) end, { 4, 6 } },
  { function() return nn.ELU() end, { 4, 6 } },
  { function() return nn.PReLU(6) end, { 4, 6 } },
  { function() return nn.MulConstant(2) end, { 4, 6 } },
  { function() return nn.Mul() end, { 4, 6 } },
  { function() return nn.CMul(6) end, { 4, 6 } },
  { function() return nn.SoftMax() end, { 4, 6 } },
  { function() return nn.SoftMax() end, { 4, 3, 2, 2 } },
  { function() return nn.BatchNormalization(6) end, { 4, 6 } },
  { function() return nn.Narrow(2, 2, 3) end, { 4, 6 } },
  { function() return nn.Select(2, 2) end, { 4, 6 } },
  { function() return nn.Reshape(2, 3) end, { 4, 6 } },
  { function() return nn.Padding(2, 2) end, { 4, 6 } },
  { function() return nn.Contiguous() end, { 4, 6 } },
  { function() return nn.Copy() end, { 4, 6 } },
  { function() return nn.Parallel(2, 1):add(nn.Linear(3, 2)):add(nn.Linear(3, 2)) end, { 4, 2, 3 } },
  {
    function()
      return nn.Sequential():add(nn.SplitTable(2)):add(nn.ParallelTable():add(nn.Linear(3, 2)):add(nn.Linear(3, 2)))
        :add(nn.CMulTable())
    end,
    { 4, 2, 3 },
  },
  { function() return nn.SpatialZeroPadding(1) end, { 4, 3, 2, 2 } },
  { function() return nn.SpatialUpSamplingNearest(2) end, { 4, 3, 2, 2 } },
  { function() return nn.SpatialDropout(0.3) end, { 4, 3, 2, 2 } },
  { function() return nn.SpatialAdaptiveAveragePooling(2, 3) end, { 4, 3, 5, 4 } },
  { function() return nn.SpatialAdaptiveMaxPooling(2, 3) end, { 4, 3, 5, 4 } },
  { function() return nn.SpatialFullConvolution(3, 2, 2, 2, 2, 2) end, { 4, 3, 3, 2 } },
}

local function nameOf(case) return tostring(case[1]()):match "^[^\n]*" end

local function step(module, x, dy)
  module:zeroGradParameters()
  return module:forward(x), module:backward(x, dy)
end

describe("views of larger tensors give what contiguous ones give:", function()
  for _, case in ipairs(cases) do
    it(nameOf(case), function()
      local sizes = table.move(case[2], 1, #case[2], 1, {})
      sizes[2] = sizes[2] + 1
      local module, slice = case[1]():double(), dn.randn({ dtype = "double", table.unpack(sizes) })
        :narrow(2, 2, case[2][2])
      dn.manualSeed(2)
      local x = slice:clone()
      local y = module:forward(x):clone()
      local wide = y:size()
      wide[#wide] = wide[#wide] + 2
      local dySlice = dn.randn({ dtype = "double", table.unpack(wide) }):narrow(#wide, 1, y:size(#wide))
      dn.manualSeed(2)
      local _, dx = step(module, x, dySlice:clone())
      dx = dx:clone()
      dn.manualSeed(2)
      local y2, dx2 = step(module, slice, dySlice)
      compare.near(y2:contiguous(), y, 1e-12, "output")
      compare.near(dx2:contiguous(), dx, 1e-12, "gradInput")
    end)
  end
end)

describe("in 16 bits they are what they are in float, rounded:", function()
  for _, case in ipairs(cases) do
    for dtype, tolerance in tablex.sort { half = 2e-2, bfloat16 = 1e-1 } do
      it(("%s in %s"):format(nameOf(case), dtype), function()
        dn.manualSeed(5)
        local module = case[1]()
        local x = dn.randn(table.unpack(case[2])):type(dtype)
        dn.manualSeed(6)
        local y = module:forward(x:float()):clone()
        local dy = dn.randn { table.unpack(y:size()) }:type(dtype)
        dn.manualSeed(6)
        local _, dx = step(module, x:float(), dy:float())
        dx = dx:clone()
        local gradients = {}
        for name, gradient in pairs(module:gradDict()) do gradients[name] = gradient:clone() end
        module:type(dtype)
        dn.manualSeed(6)
        local y2, dx2 = step(module, x, dy)
        assert.equal(dtype, y2:dtype())
        assert.equal(dtype, dx2:dtype())
        compare.near(y2:float(), y, tolerance, "output")
        compare.near(dx2:float(), dx, tolerance, "gradInput")
        for name, gradient in pairs(module:gradDict()) do compare.near(gradient, gradients[name], tolerance, name) end
      end)
    end
  end
end)

describe("a step allocates nothing after the first:", function()
  for _, case in ipairs(cases) do
    it(nameOf(case), function()
      local module, x = case[1](), dn.randn(table.unpack(case[2]))
      local dy = dn.randn { table.unpack(module:forward(x):size()) }
      local small = x:narrow(1, 1, 3)
      local smallDy = dy:narrow(1, 1, module:forward(small):size(1))
      step(module, x, dy)
      step(module, small, smallDy)
      step(module, x, dy)
      local before = dn.memory("cpu").allocations
      step(module, x, dy)
      step(module, small, smallDy)
      step(module, x, dy)
      assert.equal(0, dn.memory("cpu").allocations - before)
    end)
  end
end)

describe("memory plans hold them:", function()
  local function network()
    dn.manualSeed(1)
    local model = nn.Sequential()
      :add(nn.SpatialConvolution(2, 4, 3, 3, 1, 1, 1, 1)):add(nn.LeakyReLU(0.1)):add(nn.SpatialDropout(0.2))
      :add(nn.SpatialZeroPadding(1)):add(nn.SpatialFullConvolution(4, 4, 2, 2, 2, 2)):add(nn.PReLU(4))
      :add(nn.SpatialAdaptiveAveragePooling(4, 4)):add(nn.SpatialUpSamplingNearest(2)):add(nn.ELU())
      :add(nn.SpatialAdaptiveMaxPooling(3, 2)):add(nn.CMul(4, 1, 1)):add(nn.SoftMax())
      :add(nn.ConcatTable():add(nn.Sigmoid()):add(nn.Tanh()):add(nn.MulConstant(0.5))):add(nn.CMulTable())
      :add(nn.Reshape(4, 6)):add(nn.Padding(2, 1, 2)):add(nn.Narrow(3, 2, 5)):add(nn.SplitTable(2))
      :add(nn.ParallelTable():add(nn.Linear(5, 6)):add(nn.Linear(5, 6)):add(nn.Linear(5, 6)):add(nn.Linear(5, 6)))
      :add(nn.FlattenTable()):add(nn.JoinTable(2)):add(nn.Reshape(4, 6)):add(nn.Mul())
      :add(nn.Parallel(2, 2):add(nn.Linear(6, 2)):add(nn.Linear(6, 2)):add(nn.Linear(6, 2)):add(nn.Linear(6, 2)))
      :add(nn.BatchNormalization(8)):add(nn.Copy()):add(nn.Contiguous()):add(nn.Linear(8, 3))
    return model
  end

  it("a network of them all takes the same steps bit for bit, in what was planned", function()
    local x, dy = dn.randn(4, 2, 6, 6), dn.randn(4, 3)
    local expected = {}
    for mode = 0, 2 do
      local model = network()
      model:plan({ 4, 2, 6, 6 }, { optMemory = mode }):bind()
      dn.manualSeed(3)
      for i = 1, 2 do
        local y, dx = step(model, x, dy)
        local results = { y = y:clone(), dx = dx:clone() }
        for name, gradient in pairs(model:gradDict()) do results[name] = gradient:clone() end
        if mode == 0 then expected[i] = results end
        for name, result in pairs(results) do
          compare.identical(result, expected[i][name], ("mode %d, step %d, %s"):format(mode, i, name))
        end
      end
    end
  end)

  it("planned memory is used memory", function()
    local model, x, dy = network(), dn.randn(4, 2, 6, 6), dn.randn(4, 3)
    local plan = model:plan({ 4, 2, 6, 6 }, { optMemory = 0, momentum = false })
    collectgarbage()
    collectgarbage()
    local before = dn.memory("cpu").live
    step(model, x, dy)
    collectgarbage()
    collectgarbage()
    local buffers = 0
    for _, row in ipairs(plan.rows) do
      if (row.lifetime == "step" or row.lifetime == "layer") and row.name ~= "input" and row.name ~= "gradOutput"
        and row.name ~= "scratch of kernels" then
        buffers = buffers + row.bytes
      end
    end
    local used = dn.memory("cpu").live - before
    -- Beyond the plan there is its own and the tensors' bookkeeping.
    assert.is_true(math.abs(used / buffers - 1) <= 0.02, ("%d bytes planned, %d used"):format(buffers, used))
  end)
end)

describe("what they do not expect is told in a sentence:", function()
  for message, call in tablex.sort {
    ["input of 2x4 for the weight 3 of nn.CMul"] = function() nn.CMul(3):forward(dn.ones(2, 4)) end,
    ["expected 3 channels %(C, N,C, C,H,W or N,C,H,W%), got 2x4"] = function() nn.PReLU(3):forward(dn.ones(2, 4)) end,
    ["expected C, N,C, C,H,W or N,C,H,W, got 1x1x1x1x1"] = function() nn.SoftMax():forward(dn.ones(1, 1, 1, 1, 1)) end,
    ["expected N,3, got 3"] = function() nn.BatchNormalization(3):forward(dn.ones(3)) end,
    ["nn.SplitTable along dimension 3 of an input of 2x2"] = function() nn.SplitTable(3):forward(dn.ones(2, 2)) end,
    ["#1 to 'nn.Select' %(dimension: an integer but 0 expected, got 0%)"] = function() nn.Select(0, 1) end,
    ["nn.Select of position 4 of an input of 2x3, which has 3 along dimension 2"] =
      function() nn.Select(2, 4):forward(dn.ones(2, 3)) end,
    ["nn.Narrow of 3 positions from 2 of an input of 2x3"] = function() nn.Narrow(2, 2, 3):forward(dn.ones(2, 3)) end,
    ["nn.SelectTable of entry 3 of an input of 1"] = function() nn.SelectTable(3):forward { dn.ones(1) } end,
    ["a table expected as input of nn.FlattenTable, got a float"] =
      function() nn.FlattenTable():forward(dn.ones(1)) end,
    ["a table of 1 entries, one a module, expected as input of nn.ParallelTable, got one of 2"] =
      function() nn.ParallelTable():add(nn.Identity()):forward { dn.ones(1), dn.ones(1) } end,
    ["1 positions along dimension 1, one a module, expected as input of nn.Parallel, got 2x2"] =
      function() nn.Parallel(1, 1):add(nn.Identity()):forward(dn.ones(2, 2)) end,
    ["input of 2x5 for nn.Reshape to 2x3"] = function() nn.Reshape(2, 3):forward(dn.ones(2, 5)) end,
    ["nn.Padding at position 5 of an input of 3"] = function() nn.Padding(1, 1, nil, 0, 5):forward(dn.ones(3)) end,
    ["leaves nothing of an input of 1x1x2x2"] = function() nn.SpatialZeroPadding(-1):forward(dn.ones(1, 1, 2, 2)) end,
    ["input of 1x2x2x2 for nn.SpatialFullConvolution%(3 %-> 1"] =
      function() nn.SpatialFullConvolution(3, 1, 2, 2):forward(dn.ones(1, 2, 2, 2)) end,
    ["adjW: less than dW, 2, expected, got 2"] = function() nn.SpatialFullConvolution(1, 1, 2, 2, 2, 2, 0, 0, 2) end,
    ["a double tensor expected as input of nn.Copy, got a float"] =
      function() nn.Copy("double"):forward(dn.ones(2)) end,
    ["negval: in place a number of 0 or more expected, got %-1"] = function() nn.LeakyReLU(-1, true) end,
    ["target of 3 for an input of 2 of nn.BCECriterion"] =
      function() nn.BCECriterion():forward(dn.ones(2), dn.ones(3)) end,
    ["nn.MultiCriterion has no criterions; add one"] =
      function() nn.MultiCriterion():forward(dn.ones(2), dn.ones(2)) end,
    ["#1 to 'add' %(a criterion expected, got a nn.Identity%)"] = function() nn.MultiCriterion():add(nn.Identity()) end,
    ["a table of 1 entries, one a criterion, expected as target of nn.ParallelCriterion, got one of 2"] =
      function() nn.ParallelCriterion():add(nn.MSECriterion()):forward({ dn.ones(1) }, { dn.ones(1), dn.ones(1) }) end,
  } do
    it(message, function() assert.error_matches(call, message) end)
  end
end)
