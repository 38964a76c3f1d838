-- An operation without cases does not pass: every name of dn_ops.def has cases, results written by
-- hand among them, and misuse; every forward and backward operation has a gradient case. Its cases use
-- each argument as dn_ops.def says. The CPU has every operation; what CUDA does not have yet is listed. Of
-- the runs that the emulation of a GPU makes, make test leaves out some, but no case, and no dtype of an
-- operation.

local core = require "densenet.core"
local cuda_cases = require "spec.support.cuda_cases"
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

  local names, descriptions = core.operations()
  local is_operation = {}
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

  -- What a case may call an argument of each role; "same" is looked up where it points.
  local MAY_BE = {
    written = { output = true },
    added = { output = true, sum = true, state = true }, -- output: an option says that it is overwritten
    read = { input = true },
  }

  -- Roles with a number that may be in memory.
  local TAKES_NUMBER = { slot = true, sgd = true }

  for _, op in ipairs(names) do
    it(op .. " has cases that use its arguments as dn_ops.def says", function()
      local is_added = {}
      for _, case in ipairs(all.cases) do
        for _, described in ipairs(case.op == op and descriptions[op].arguments or {}) do
          local given, may_be = case.arguments[described.number], MAY_BE[described.role]
          if given == nil and may_be then given = "nil" end -- the last ones
          local what = ("%s: argument %d, %s"):format(operation.title(case), described.number, described.name)
          if given == "nil" then
            assert.is_true(described.optional, what .. " may not be left out")
          elseif may_be then
            assert.equal("table", type(given), what)
            assert.is_true(given.role == "same" or may_be[given.role] or false, what .. " is " .. described.role)
            is_added[described.number] = is_added[described.number] or given.role == "sum" or given.role == "state"
          else
            local is_number = type(given) == "table" and given.role == "number" and TAKES_NUMBER[described.role]
            assert.is_true(is_number or type(given) ~= "table", what .. " is no tensor")
          end
        end
      end
      for _, described in ipairs(descriptions[op].arguments) do
        if described.role == "added" then
          assert.is_true(is_added[described.number] or false, described.name .. " is never added to")
        end
      end
    end)
  end

  it("the CPU has every operation", function()
    assert.same(names, (core.operations("cpu")))
    assert.same(names, (core.operations("plan")))
  end)

  -- Operations that a GPU does not have yet: it says so, and its specs leave their cases out.
  local CUDA_LACKS = { "folded_conv", "folded_conv_pack" }

  it("CUDA has every operation but those listed", function()
    local lacks, sources = {}, {}
    local pipe = assert(io.popen("cat cuda/*.cu"))
    for op in pipe:read("a"):gmatch("dn_status cuda_([%w_]+)%(") do sources[op] = true end
    pipe:close()
    for _, op in ipairs(names) do
      if not sources[op] then lacks[#lacks + 1] = op end
    end
    assert.same(CUDA_LACKS, lacks)
  end)

  it("no case is of an operation that does not exist", function()
    for op in pairs(has_case) do assert.is_true(is_operation[op], op) end
    for op in pairs(has_misuse) do assert.is_true(is_operation[op], op) end
    for op in pairs(has_gradient) do assert.is_true(is_operation[op], op) end
  end)

  describe("on an emulated GPU", function()
    local function set_of(runs)
      local set = {}
      for _, run in ipairs(runs) do
        set[run.case] = true
        set[run.case.op .. " in " .. run.dtype] = true
      end
      return set
    end
    local every, some = cuda_cases.runs(all.cases, true), cuda_cases.runs(all.cases, false)

    it("every case and every dtype of an operation has a run", function()
      assert.same(set_of(every), set_of(some))
      assert.is_true(#some < 0.6 * #every, ("%d of %d runs"):format(#some, #every))
    end)

    it("every operation runs in each dtype that it takes", function()
      local runs = set_of(some)
      for op in pairs(has_case) do
        assert.is_true(runs[op .. " in float"] or runs[op .. " in long"], op)
        for _, dtype in ipairs(operation.descriptions[op].widened and { "double", "half", "bfloat16" } or {}) do
          assert.is_true(runs[op .. " in " .. dtype], op .. " in " .. dtype)
        end
      end
    end)
  end)
end)
