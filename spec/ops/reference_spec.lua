-- Every case of every operation: the path that runs by default, with one thread and with two,
-- against the reference loops in double; the loops of every instruction set likewise; the reference
-- loops themselves in the case's own dtype; and all against the results written in the case. Every
-- run also checks that nothing beside the outputs was written (spec/support/operation.lua), and
-- outputs hold NaN before it.

local core = require "densenet.core"
local compare = require "spec.support.compare"
local operation = require "spec.support.operation"

-- long and byte compute on their own; the other dtypes are judged by what double makes of their inputs.
local truth_of = {
  float = "double", double = "double", half = "double", bfloat16 = "double", long = "long", byte = "byte",
}

local ways = {
  { what = "1 thread", threads = 1 },
  { what = "2 threads", threads = 2 },
  { what = "reference", threads = 1, reference = true },
}

-- Loops of other instruction sets than the best one, which runs anyway.
local function ways_of(case, dtype)
  if not case.tiles or dtype ~= "float" then return ways end
  local all = table.move(ways, 1, #ways, 1, {})
  for i, name in ipairs((core.testing.tiles())) do
    if i > 1 then all[#all + 1] = { what = name .. " tiles", threads = 2, tiles = name } end
  end
  return all
end

local function check(case, dtype)
  local is_truth = truth_of[dtype] == dtype -- then the reference loops have nothing to be compared with
  local truth = operation.run(case, { dtype = truth_of[dtype], rounding = dtype, reference = true })
  for _, way in ipairs(ways_of(case, dtype)) do
    local results = way.reference and is_truth and truth or operation.run(case,
      { dtype = dtype, threads = way.threads, reference = way.reference, tiles = way.tiles })
    for i, result in ipairs(results) do
      local what = ("argument %d (%s)"):format(result.number, way.what)
      local expected = case.expected and case.expected[result.number]
      local tolerance = compare.tolerance[result.tensor:dtype()]
      if expected then
        compare.values(result.tensor, expected, tolerance, what .. ", by hand")
      elseif not case.expected then
        compare.near(result.tensor, truth[i].tensor, tolerance, what)
      end
    end
  end
end

local by_op, order = {}, {}
for _, case in ipairs(operation.families().cases) do
  if not by_op[case.op] then
    by_op[case.op] = {}
    order[#order + 1] = case.op
  end
  table.insert(by_op[case.op], case)
end

for _, op in ipairs(order) do
  describe(op, function()
    for _, case in ipairs(by_op[op]) do
      for _, dtype in ipairs(case.dtypes or { "float", "double" }) do
        it(("%s (%s)"):format(case.name, dtype), function() check(case, dtype) end)
      end
    end
  end)
end
