-- What a training step takes of CUDA, counted by the emulation: launches by kernel, calls by function. A launch that
-- creeps in is seen here, without a GPU and without a clock. Whoever changes a step on purpose takes the new
-- figures from the failure, which prints them as they are written here.

local core = require "densenet.core"
local dn = require "densenet"
local tablex = require "pl.tablex"

local DEVICE = "cuda:0"
local N_STEPS = 3 -- the last one is counted: nothing is made for the first time then

-- Of a network with two blocks of two layers each, bottlenecks, and a transition.
local function countStep(mode, precision)
  dn.manualSeed(1)
  local model = dn.models.densenet { blocks = { 2, 2 }, growthRate = 4, nClasses = 5, inputChannels = 3,
    optMemory = mode, precision = precision }:to(DEVICE)
  local input = dn.randn(4, 3, 8, 8):type(model:activationType()):to(DEVICE)
  local target = dn.tensor({ 1, 2, 3, 4 }, "long"):to(DEVICE)
  local criterion = dn.nn.CrossEntropyCriterion()
  local optimizer = dn.optim.SGD(model, { learningRate = 0.05, momentum = 0.9, nesterov = true, weightDecay = 1e-4 })
  local lossScale = precision == "half" and dn.optim.LossScale(model)
  local launches, calls
  for _ = 1, N_STEPS do
    core.testing.cuda_counts()
    local output = model:forward(input)
    criterion:forward(output, target)
    local scale = lossScale and lossScale.scale or 1
    model:zeroGradParameters()
    model:backward(input, criterion:backward(output, target, scale), 1 / scale)
    if not lossScale or lossScale:check() then optimizer:step() end
    launches, calls = core.testing.cuda_counts()
  end
  local counted = { launch = 0 } -- all of them
  for name, n in pairs(launches) do
    counted["launch " .. name], counted.launch = n, counted.launch + n
  end
  for name, n in pairs(calls) do counted[name] = n end
  return counted
end

-- Memory mode and precision of each column, and what a step takes; "-" for nothing.
local CASES = { "0 half", "0 single", "4 half", "4 single" }
local EXPECTED = [[
blocking copy                                                     2      1      2      1
cublasGemmEx_64                                                   3      3      3     15
cublasGemmStridedBatchedEx_64                                    15     15      -      7
cublasSetWorkspace                                               18     18      3     22
cudaStreamSynchronize                                             2      1      2      1
cudnnBackendCreateDescriptor                                      -     15      -     19
cudnnBackendExecute                                               -     15      -     19
launch                                                          116     89     61    101
launch avg_pool2d_backward_kernel                                 1      1      -      -
launch avg_pool2d_forward_kernel                                  1      1      -      -
launch batchnorm_backward_kernel                                 10     10      -      -
launch batchnorm_forward_kernel                                  10     10      -      -
launch batchnorm_moments_kernel                                  10     10      -      -
launch batchnorm_slopes_kernel                                   10     10      -      -
launch bias_add_kernel                                            1      1      1      1
launch bias_backward_kernel                                       1      1      1      1
launch binary_kernel                                              4      4      -      -
launch binary_scalar_kernel                                       1      -      1      -
launch channel_stats_kernel                                       -      -      2     10
launch channel_sums_kernel                                        -      -      2     10
launch convert_kernel                                             3      -      3      -
launch deferred_add_kernel                                        -      -      2     14
launch fill_kernel                                                1      1      1      1
launch fused_parts_kernel                                         5      -     10      -
launch global_avg_pool_backward_kernel                            1      1      -      -
launch global_avg_pool_forward_kernel                             1      1      -      -
launch log_softmax_backward_kernel                                1      1      1      1
launch log_softmax_forward_kernel                                 1      1      1      1
launch move_kernel                                                8      8      2      2
launch nll_backward_kernel                                        1      1      1      1
launch nll_forward_kernel                                         1      1      1      1
launch norm_relu_backward_join_kernel                             -      -      1     10
launch norm_relu_backward_kernel                                  -      -      1     14
launch norm_relu_conv_1x1_backward_kernel                         -      -      4      -
launch norm_relu_conv_1x1_forward_kernel                          -      -      4      -
launch norm_relu_conv_3x3_backward_kernel                         5      -      5      -
launch norm_relu_conv_3x3_forward_kernel                         10      -      6      -
launch norm_relu_forward_kernel                                   -      -      -     20
launch norm_relu_pool_pairs_kernel                                -      -      -      1
launch norm_relu_pool_planes_kernel                               -      -      1      1
launch norm_table_kernel                                          -      -      4     10
launch parts_add_kernel                                           5      5      -      1
launch reduce_fold_kernel                                         1      -      1      -
launch reduce_join_kernel                                         1      -      1      -
launch relu_backward_kernel                                      10     10      -      -
launch relu_forward_kernel                                       10     10      -      -
launch sgd_step_kernel                                            1      1      1      1
launch transition_backward_kernel                                 -      -      1      -
launch transition_forward_kernel                                  -      -      1      -
launch weight_narrow_kernel                                       1      -      1      -
]]

-- The same table of what a step takes now.
local function found()
  local figures, lines = {}, {}
  for column, case in ipairs(CASES) do
    local mode, precision = case:match "^(%d) (%a+)$"
    for name, n in pairs(countStep(tonumber(mode), precision)) do
      figures[name] = figures[name] or { "-", "-", "-", "-" }
      figures[name][column] = n
    end
  end
  for name, row in tablex.sort(figures) do
    lines[#lines + 1] = ("%-60s%7s%7s%7s%7s\n"):format(name, table.unpack(row))
  end
  return table.concat(lines)
end

describe("a training step", function()
  if not core.testing.cuda_counts() then return end

  it("takes the launches and calls that it took before", function()
    assert.equal(EXPECTED, found())
  end)

  it("is counted anew each time", function()
    core.testing.cuda_counts()
    local t = dn.ones { 3, device = DEVICE }
    t:fill(2)
    local launches, calls = core.testing.cuda_counts()
    assert.equal(2, launches.fill_kernel)
    assert.is_nil(calls["blocking copy"])
    assert.same({ 2, 2, 2 }, t:totable())
    launches, calls = core.testing.cuda_counts()
    assert.same({}, launches)
    assert.equal(1, calls["blocking copy"])
    assert.equal(1, calls.cudaStreamSynchronize)
  end)
end)
