-- Run again with as many threads, an operation gives the same bits.

local compare = require "spec.support.compare"
local operation = require "spec.support.operation"

describe("the same bits again:", function()
  local by_op, order = {}, {}
  for _, case in ipairs(operation.families().cases) do
    if not by_op[case.op] then order[#order + 1] = case.op end
    by_op[case.op] = by_op[case.op] or {}
    table.insert(by_op[case.op], case)
  end
  for _, op in ipairs(order) do
    it(op, function()
      for _, case in ipairs(by_op[op]) do
        local dtype = case.dtypes and case.dtypes[1] or "float"
        for _, threads in ipairs { 1, 3 } do
          local first = operation.run(case, { dtype = dtype, threads = threads })
          local second = operation.run(case, { dtype = dtype, threads = threads })
          for i, result in ipairs(first) do
            compare.identical(second[i].tensor, result.tensor,
              ("%s, argument %d, %d threads"):format(operation.title(case), result.number, threads))
          end
        end
      end
    end)
  end
end)
