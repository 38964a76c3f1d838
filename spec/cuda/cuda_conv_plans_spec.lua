-- Execution plans of cuDNN: made once for each shape, the same on the device that only plans, never of an engine that
-- breaks a promise (the emulation's first one does), and a bounded number of them.

local core = require "densenet.core"
local dn = require "densenet"
local compare = require "spec.support.compare"
local temporary = require "spec.support.temporary"

local DEVICE = "cuda:0"

local function questions() return select(2, core.testing.cuda_counts())["a question for engines"] or 0 end

-- x N,C,H,W of ones times a weight of ones, 5x5, which no kernel of ours takes; without values on a device that plans.
local function forward(n, c, h, dtype, device)
  device, dtype = device or DEVICE, dtype or "float"
  local x = core.tensor_new(device, dtype, { n, c, h, h })
  local weight = core.tensor_new(device, dtype == "double" and "double" or "float", { 2, c, 5, 5 })
  local y = core.tensor_new(device, dtype, { n, 2, h, h })
  core.fill(x, 1)
  core.fill(weight, 1)
  core.conv2d_forward(y, x, weight, nil, 1, 1, 2, 2, 1)
  return y, x, weight
end

describe("plans of convolutions", function()
  if not core.testing.cuda_counts() then return end

  it("are made once for each shape and dtype", function()
    core.testing.cuda_counts()
    local before = dn.device(DEVICE).convolutionPlans
    forward(2, 3, 11)
    assert.equal(before + 1, dn.device(DEVICE).convolutionPlans) -- of asking for the workspace, and of the call
    assert.is_true(questions() >= 1)
    forward(2, 3, 11)
    assert.equal(0, questions())
    forward(2, 3, 11, "half")
    assert.is_true(questions() >= 1)
    forward(1, 3, 11)
    assert.is_true(questions() >= 1)
    forward(1, 3, 11)
    forward(2, 3, 11)
    forward(2, 3, 11, "half")
    assert.equal(0, questions())
  end)

  it("are anew for TF32, also of the device that plans", function()
    local function planned(tf32)
      core.tf32("plan:cuda:0", tf32)
      core.scratch_planned(true, "plan:cuda:0")
      forward(2, 3, 13, "float", "plan:cuda:0")
      return core.scratch_planned(true, "plan:cuda:0")
    end
    local exact, rounded = planned(false), planned(true)
    core.tf32("plan:cuda:0", false)
    assert.equal(4096, exact)
    assert.equal((3 + 2) * 2 * 13 * 13 * 4, rounded)
    local fine = 1 + 2 ^ -12 -- a number of float, and 1 in TF32
    local function product(tf32)
      core.tf32(DEVICE, tf32)
      local y, x, weight = forward(2, 3, 13)
      core.fill(x, fine)
      core.conv2d_forward(y, x, weight, nil, 1, 1, 2, 2, 1)
      core.tf32(DEVICE, false)
      return y:narrow(3, 6, 1):narrow(4, 6, 1):narrow(2, 1, 1):narrow(1, 1, 1):to("cpu"):totable()[1][1][1][1]
    end
    assert.equal(75 * fine, product(false))
    assert.equal(75, product(true))
  end)

  it("need no GPU, and are those of a GPU", function()
    local PROGRAM = [[
      local dn = require "densenet"
      for _, precision in ipairs { "single", "half", "tf32" } do
        require "densenet.core".tf32("plan:cuda:0", precision == "tf32")
        local options = { blocks = { 2, 2 }, growthRate = 4, precision = precision, optMemory = 4 }
        print(dn.models.withoutMemory(options, "cuda:0"):plan({ 4, 3, 16, 16 }).totalBytes)
      end]]
    local with = temporary.output(PROGRAM)
    assert.matches("^%d+\n%d+\n%d+\n$", with)
    assert.equal(with, temporary.output(PROGRAM, "DENSENET_EMULATED_GPUS='no driver'"))
  end)

  it("are given up when there are too many, as with a scale that changes at every step", function()
    local x, dy = dn.ones(1, 1, 4, 4):to(DEVICE), dn.ones(1, 1, 4, 4):to(DEVICE)
    local dweight = dn.zeros(1, 1, 3, 3):to(DEVICE)
    for i = 1, 1100 do core.conv2d_backward_weight(dweight, nil, dy, x, 1, 1, 1, 1, 1, i) end
    assert.is_true(dn.device(DEVICE).convolutionPlans <= 1024)
    local sum = 1100 * 1101 / 2
    compare.values(dweight, { { { { 9 * sum, 12 * sum, 9 * sum }, { 12 * sum, 16 * sum, 12 * sum },
      { 9 * sum, 12 * sum, 9 * sum } } } }, 1e-5, "gradient")
  end)
end)
