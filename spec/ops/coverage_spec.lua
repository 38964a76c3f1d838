-- An operation without cases does not pass: every name of dn_ops.def has cases, results written by
-- hand among them, and misuse; every forward and backward operation has a gradient case.

local core = require "densenet.core"
local operation = require "spec.support.operation"

describe("coverage:", function()
  local all = operation.families()
  local has_case, has_expected, has_misuse, has_gradient = {}, {}, {}, {}
  for _, case in ipairs(all.cases) do
    has_case[case.op] = true
    has_expected[case.op] = has_expected[case.op] or case.expected ~= nil
  end
  for _, misuse in ipairs(all.misuse) do has_misuse[misuse.op] = true end
  for _, gradient in ipairs(all.gradients) do
    for _, op in ipairs(gradient.covers) do has_gradient[op] = true end
  end

  local names, is_operation = core.operations(), {}
  for _, op in ipairs(names) do is_operation[op] = true end

  it("there are operations", function() assert.is_true(#names > 30) end)

  for _, op in ipairs(names) do
    it(op, function()
      assert.is_true(has_case[op], "no case")
      assert.is_true(has_expected[op], "no results by hand")
      -- fill's only misuse is that of every tensor, which misuse_spec makes for all operations.
      assert.is_true(has_misuse[op] or op == "fill", "no misuse")
      if op:find "_forward" or op:find "_backward" then
        assert.is_true(has_gradient[op], "no gradient case")
      end
    end)
  end

  it("no case is of an operation that does not exist", function()
    for op in pairs(has_case) do assert.is_true(is_operation[op], op) end
    for op in pairs(has_misuse) do assert.is_true(is_operation[op], op) end
    for op in pairs(has_gradient) do assert.is_true(is_operation[op], op) end
  end)
end)
