-- Three networks' training steps as PyTorch computes them in double (make_golden.py beside this
-- file): every tensor it wrote is compared, in double and in float, in every memory mode.

local tablex = require "pl.tablex"
local golden = require "spec.support.golden"

local MODES = { 0, 1, 2, 3, 4, 5 }

describe("PyTorch's training step", function()
  for _, case in ipairs(golden.cases) do
    for precision, tolerance in tablex.sort(golden.tolerance) do
      for _, optMemory in ipairs(MODES) do
        it(("of %s, every tensor, in %s precision, optMemory %d"):format(case.file, precision, optMemory), function()
          local file = golden.load(case)
          golden.compare(golden.trainingStep(case, file, precision, optMemory, "cpu"), file, tolerance)
        end)
      end
    end
  end
end)
