-- Networks with generated weights on a GPU: PyTorch's training step, projection, and files written there.

local dn = require "densenet"
local compare = require "spec.support.compare"
local mlgGolden = require "spec.support.mlg_golden"

local DEVICE = "cuda:0"

describe("a network with generated weights on a GPU", function()
  for _, case in ipairs {
    { "double", 1e-10, 0 }, { "double", 1e-10, 4 }, { "float", 2e-4, 3 }, { "float", 2e-4, 5 },
  } do
    local dtype, tolerance, optMemory = table.unpack(case)
    it(("takes PyTorch's step in %s, optMemory %d"):format(dtype, optMemory), function()
      local file, about = mlgGolden.load "network"
      mlgGolden.compare(mlgGolden.trainingStep(file, about, dtype, optMemory, DEVICE), file, tolerance,
        { "^in/", "^p/" })
    end)
  end

  it("is projected there, and packed as it is", function()
    dn.manualSeed(4)
    local config = { blocks = { 1, 1 }, growthRate = 4, inputChannels = 1, nClasses = 3 }
    local teacher = dn.models.densenet(config)
    config.mlg = { rule = "published" }
    local student = dn.models.densenet(config):to(DEVICE)
    local left = dn.mlg.project(student, teacher, { steps = 2 })
    assert.is_true(left > 0 and left < 1)
    assert.equal(4, dn.mlg.recalibrate(student, { dn.randn(2, 1, 8, 8):to(DEVICE), dn.randn(2, 1, 8, 8):to(DEVICE),
      dn.randn(2, 1, 8, 8):to(DEVICE), dn.randn(2, 1, 8, 8):to(DEVICE) }))
    local x = dn.randn(2, 1, 8, 8)
    local output = student:evaluate():forward(x:to(DEVICE)):clone():to("cpu")
    config.mlg = nil
    local ordinary = dn.models.densenet(config)
    ordinary:loadStateDict(assert(dn.mlg.unpack(dn.mlg.pack(student))))
    compare.near(ordinary:evaluate():forward(x), output, 1e-5, "outputs")
  end)
end)
