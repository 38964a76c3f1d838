-- Operations on the GPU, but for those of dense layers, which have a file of their own because they take
-- as long as all others.

local core = require "densenet.core"
local cuda_cases = require "spec.support.cuda_cases"
local operation = require "spec.support.operation"

local families = {}
for _, family in ipairs(operation.FAMILIES) do
  if family ~= "dense" and family ~= "transition" then families[#families + 1] = family end
end
cuda_cases.describe(operation.families(families))

describe("misuse on a GPU", function()
  it("tensors of two devices", function()
    local here, there = core.tensor_new("cpu", "float", { 2 }), core.tensor_new("cuda:0", "float", { 2 })
    assert.error_matches(function() core.binary(there, there, here, "add") end,
      "b is on cpu; expected cuda:0, where a is")
  end)
end)
