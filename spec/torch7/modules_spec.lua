-- nn, cudnn, cutorch of densenet.torch7.

local script = require "spec.support.torch7_script"

describe("torch7: modules", function()
  it("are converted by Torch7's names of types", function()
    script.passes [[
      local net = nn.Sequential():add(nn.Linear(2, 3))
      same("torch.DoubleTensor", net:type())
      same("torch.DoubleTensor", net:get(1).weight:type())
      assert(rawequal(net, net:type("torch.FloatTensor")))
      same("torch.FloatTensor", net:get(1).weight:type())
      same("torch.FloatTensor", net:forward(torch.FloatTensor(4, 2):fill(1)):type())
      net:cuda()
      same(torch.CudaTensor(1):type(), net:get(1).weight:type())
      same("torch.FloatTensor", net:float():get(1).weight:type())
      same("torch.HalfTensor", net:type("torch.HalfTensor"):type())
      refuses("a type of real numbers", net.type, net, "torch.ByteTensor")
      local criterion = nn.CrossEntropyCriterion():type("torch.CudaTensor")
      same("torch.CudaTensor", criterion:type())
      near(math.log(2), criterion:forward(torch.FloatTensor(3, 2):fill(0):cuda(), torch.CudaLongTensor { 1, 2, 1 }))
      near(math.log(2), nn.CrossEntropyCriterion():float():forward(torch.FloatTensor { 0, 0 }, 1))
    ]]
  end)

  it("of cudnn are nn's with other names and with the window's strides", function()
    script.passes [[
      local x = torch.Tensor(1, 1, 4, 4):fill(1)
      same({ 1, 1, 2, 2 }, cudnn.SpatialAveragePooling(2, 2):forward(x):size():totable())
      same({ 1, 1, 3, 3 }, nn.SpatialAveragePooling(2, 2):forward(x):size():totable())
      same({ 1, 1, 3, 3 }, cudnn.SpatialMaxPooling(2, 2, 1, 1):forward(x):size():totable())
      local net = nn.Sequential():add(cudnn.SpatialConvolution(1, 2, 3, 3)):add(nn.SpatialConvolution(2, 2, 1, 1))
      same(1, #net:findModules("cudnn.SpatialConvolution"))
      same(1, #net:findModules("nn.SpatialConvolution"))
      same("cudnn.SpatialConvolution(1 -> 2, 3x3)", tostring(net:get(1)))
      assert(torch.isTypeOf(net:get(1), "nn.SpatialConvolution") and net:get(1):setMode(1, 1, 1))
      assert(cudnn.version >= 4000)
      cudnn.benchmark, cudnn.fastest = true, true
      local before = net:forward(x):totable()
      cudnn.convert(net, nn)
      same(2, #net:findModules("nn.SpatialConvolution"))
      cudnn.convert(net, cudnn)
      same(2, #net:findModules("cudnn.SpatialConvolution"))
      same(before, net:forward(x))
      refuses("there is no cudnn.VolumetricConvolution", function() return cudnn.VolumetricConvolution end)
    ]]
  end)

  it("have Torch7's further methods", function()
    script.passes [[
      local net = nn.Sequential():add(nn.Linear(2, 2)):add(nn.ReLU()):add(nn.Sequential():add(nn.Tanh()))
      same(5, #net:listModules())
      net:replace(function(module) return torch.type(module) == "nn.ReLU" and nn.Sigmoid() or module end)
      same("nn.Sigmoid", torch.type(net:get(2)))
      net:replace(2, nn.ReLU())
      same("nn.ReLU", torch.type(net:get(2)))
      local linear = nn.Linear(1, 1)
      linear.weight:fill(2)
      linear.bias:fill(0)
      local x, g = torch.Tensor { { 3 } }, torch.Tensor { { 1 } }
      linear:forward(x)
      linear:zeroGradParameters()
      linear:accUpdateGradParameters(x, g, 0.5)
      same({ { 0.5 } }, linear.weight)
      same({ -0.5 }, linear.bias)
      same(0, linear.gradWeight:sum() // 1 | 0)
      local weights, gradients = nn.Linear(2, 2):getParametersByDevice()
      same({ 6, 6 }, { weights[1]:nElement(), gradients[1]:nElement() })
      refuses("getParameters", nn.Module.flattenParameters, {})
      local params = net:getParameters()
      assert(params:storage() == net:parameters()[1]:storage())
    ]]
  end)

  it("in nn.DataParallelTable compute on one device, and it says so once", function()
    local output = script.passes [[
      local net = nn.Sequential():add(nn.Linear(2, 2))
      local x = torch.rand(3, 2)
      local before = net:forward(x):totable()
      local parallel = nn.DataParallelTable(1, true, true):add(net, { 1, 2 }):threads(function() end)
      parallel.gradInput = nil
      nn.DataParallelTable(1)
      same("nn.DataParallelTable", torch.type(parallel:type("torch.DoubleTensor")))
      assert(rawequal(net, parallel:get(1)))
      same(before, parallel:forward(x))
      refuses("one module", parallel.add, parallel, net)
      same(2, select(2, pcall(function() return cutorch.createCudaHostTensor(2):nElement() end)))
      cutorch.manualSeedAll(1)
      refuses("the first GPU", cutorch.setDevice, 2)
      refuses("there is no cutorch.nothing", function() return cutorch.nothing end)
    ]]
    local _, nTimes = output:gsub("all of a batch is computed on one device", "")
    assert.are.equal(1, nTimes)
  end)

  it("of names that old scripts use are all there", function()
    script.passes [[
      local names = "Sequential Concat ConcatTable CAddTable JoinTable Identity View Linear SpatialConvolution "
        .. "SpatialBatchNormalization SpatialAveragePooling SpatialMaxPooling ReLU Dropout Container Module Criterion "
        .. "CrossEntropyCriterion ClassNLLCriterion MSECriterion LogSoftMax SoftMax Reshape MulConstant "
        .. "DataParallelTable Sigmoid Tanh BatchNormalization SpatialDropout LeakyReLU PReLU ELU ParallelCriterion "
        .. "MultiCriterion BCECriterion SmoothL1Criterion SplitTable SelectTable Narrow Mul CMul Padding "
        .. "SpatialZeroPadding SpatialFullConvolution SpatialUpSamplingNearest Parallel ParallelTable FlattenTable "
        .. "CMulTable Select Copy Contiguous SpatialAdaptiveAveragePooling SpatialAdaptiveMaxPooling"
      for name in names:gmatch("%S+") do same("nn." .. name, nn[name].__typename) end
      for _, package in ipairs { "torch", "nn", "cunn", "cudnn", "cutorch", "optim", "paths", "image", "sys", "threads",
        "ffi" } do
        assert(require(package), package)
      end
      assert(require "nn" == nn and require "cunn" == nn and require "torch" == torch)
      local copy = nn.Linear(2, 2):clone("weight")
      same("nn.Linear", torch.type(copy))
    ]]
  end)
end)

describe("densenet without torch7", function()
  it("is as it was", function()
    local temporary = require "spec.support.temporary"
    assert.are.equal("float\tnil\ttable\tfloat\tnil\n", temporary.output [[
      local t = dn.zeros(2)
      print(t:type(), getmetatable(t:size()), type(t:size()), dn.nn.Linear(1, 1):type(), rawget(_G, "torch"))
    ]])
  end)

  it("trains under torch7 as without: precisions and the best five are asked for by densenet's own names", function()
    script.passes [[
      local dn = require "densenet"
      local meters = require "densenet.train.meters"
      torch.setdefaulttensortype("torch.FloatTensor")
      local x = torch.FloatTensor { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 } }
      same(0, meters.score(x, torch.LongTensor { 10 }, 0).wrong1)
      local net = dn.nn.Sequential():add(dn.nn.Linear(4, 2)):type("torch.FloatTensor")
      assert(net:plan({ 3, 4 }).totalBytes > 0)
      same("float", net:activationType())
    ]]
  end)
end)
