-- Misuse is refused before anything is read or written, by the number of the argument that is wrong
-- and with what was expected and what was given. First the mistakes that every operation can be offered,
-- made from its cases; then those that the case lists describe.

local core = require "densenet.core"
local operation = require "spec.support.operation"

local all = operation.families()

--- Calls, and checks that it raised the patterns.
local function expect_refusal(op, values, n, argument, patterns)
  local ok, message = pcall(core[op], table.unpack(values, 1, n))
  if ok then error(("no error; expected: %s"):format(table.concat(patterns, ", ")), 0) end
  -- pcall'd directly, a function has its module's name too.
  local wanted = { ("bad argument #%s to '[%%a.]-%s'"):format(argument or "%d+", op), table.unpack(patterns) }
  for _, pattern in ipairs(wanted) do
    if not tostring(message):find(pattern) then
      error(("'%s' is not in: %s"):format(pattern, message), 0)
    end
  end
end

-- Every operation ------------------------------------------------------------------------------

local WRITTEN = { output = true, sum = true, state = true }

-- What the cases of an operation say about it: the fullest one, which arguments may be left out and
-- which may be the same tensor.
local function learn(op)
  local known = { most = 0, optional = {}, in_place = {} }
  for _, case in ipairs(all.cases) do
    if case.op == op then
      local n_tensors, is_plain = 0, true
      for number, argument in ipairs(case.arguments) do
        if argument == "nil" then known.optional[number] = true end
        if type(argument) == "table" then
          if argument.role == "same" then
            known.in_place[number .. "," .. argument.number] = true
            known.in_place[argument.number .. "," .. number] = true
            is_plain = false
          elseif argument.role and argument.role ~= "number" then
            n_tensors = n_tensors + 1
            for d = 1, #argument do is_plain = is_plain and argument[d] > 1 end
            if WRITTEN[argument.role] and argument.layout then is_plain = false end
            if argument.dtype and case.op == "copy" then is_plain = false end
          end
        end
      end
      local dtype = case.dtypes and case.dtypes[1] or "float"
      -- Cases with sizes of 1 hide mistakes, except where an operation has nothing else.
      local worth = n_tensors * 2 + (is_plain and 1 or 0)
      if worth > known.most then known.most, known.case, known.dtype = worth, case, dtype end
    end
  end
  return known
end

local function tensor_arguments(case)
  local list = {}
  for number, argument in ipairs(case.arguments) do
    if type(argument) == "table" and argument.role and argument.role ~= "same" and argument.role ~= "number" then
      list[#list + 1] = { number = number, role = argument.role }
    end
  end
  return list
end

local function new_like(tensor, dtype, sizes)
  local made = core.tensor_new("cpu", dtype or tensor:dtype(), sizes or tensor:size())
  core.fill(made, 1)
  return made
end

local function expanded_like(tensor)
  local sizes = tensor:size()
  for d = 1, #sizes do
    if sizes[d] > 1 then
      local full = tensor:size()
      sizes[d] = 1
      return new_like(tensor, nil, sizes):expand(full)
    end
  end
end

-- Two views of one buffer, one row apart.
local function overlapping_like(tensor)
  local sizes = tensor:size()
  local n = sizes[1]
  if not n or n < 2 then return end
  sizes[1] = n + 1
  local buffer = new_like(tensor, nil, sizes)
  return buffer:narrow(1, 1, n), buffer:narrow(1, 2, n)
end

local function same_kind(a, b)
  return a:dtype() == b:dtype() and table.concat(a:size(), "x") == table.concat(b:size(), "x")
end

for _, op in ipairs(core.operations()) do
  describe(op, function()
    local known = learn(op)
    local case, dtype = known.case, known.dtype
    local arguments = tensor_arguments(case)
    local is_related = #arguments > 1 and op ~= "copy"
    local shares_dtype = is_related and op ~= "compare_scalar" -- y is byte, a anything

    -- Builds the case, changes it, and expects a refusal.
    local function refuse(change, argument, patterns)
      local call = operation.build(case, { dtype = dtype })
      if change(call.values, call) == false then return end
      expect_refusal(op, call.values, call.n, argument, patterns)
    end

    for _, argument in ipairs(arguments) do
      local number = argument.number
      it(("argument %d is freed"):format(number), function()
        refuse(function(values) values[number]:free() end, number, { "freed" })
      end)
      it(("argument %d is not a tensor"):format(number), function()
        refuse(function(values) values[number] = "tensor" end, number, { "tensor" })
        refuse(function(values) values[number] = {} end, number, { "tensor" })
      end)
      if not known.optional[number] then
        it(("argument %d is missing"):format(number), function()
          refuse(function(values) values[number] = nil end, number, { "tensor" })
        end)
      end
      if shares_dtype then
        it(("argument %d has another dtype"):format(number), function()
          refuse(function(values)
            local got = values[number]
            values[number] = new_like(got, got:dtype() == "byte" and "half" or "byte")
          end, nil, { "expected" })
        end)
      end
      if is_related then
        it(("argument %d has a dimension too many"):format(number), function()
          refuse(function(values)
            local sizes = values[number]:size()
            sizes[#sizes + 1] = 11
            values[number] = new_like(values[number], nil, sizes)
          end, nil, { "expected" })
        end)
      end
      if WRITTEN[argument.role] then
        it(("argument %d is an expanded view"):format(number), function()
          refuse(function(values)
            local view = expanded_like(values[number])
            if not view then return false end
            values[number] = view
          end, number, { "expected" })
        end)
        for _, other in ipairs(arguments) do
          if other.number ~= number then
            it(("argument %d overlaps argument %d"):format(number, other.number), function()
              refuse(function(values)
                local a, b = values[number], values[other.number]
                if not same_kind(a, b) then return false end
                local below, above = overlapping_like(a)
                if not below then return false end
                values[number], values[other.number] = below, above
              end, nil, { "overlaps" })
            end)
            if not known.in_place[number .. "," .. other.number] then
              it(("argument %d is argument %d"):format(number, other.number), function()
                refuse(function(values)
                  if not same_kind(values[number], values[other.number]) then return false end
                  values[number] = values[other.number]
                end, nil, { "overlaps" })
              end)
            end
          end
        end
      end
    end
  end)
end

-- The case lists' own --------------------------------------------------------------------------

for i, misuse in ipairs(all.misuse) do
  it(("%s, argument %d: %s [%d]"):format(misuse.op, misuse.argument, misuse.says[1], i), function()
    local call = operation.build(misuse, { dtype = misuse.arguments.dtype or "float" })
    expect_refusal(misuse.op, call.values, call.n, misuse.argument, misuse.says)
    for _, entry in ipairs(call.tensors) do entry.guard:check(misuse.op) end
  end)
end

-- Output sizes ---------------------------------------------------------------------------------

describe("output sizes", function()
  it("of convolutions", function()
    assert.are.same({ 32, 16 }, { core.conv2d_output_size(32, 32, 3, 3, 1, 2, 1, 1) })
    assert.are.same({ 1, 1 }, { core.conv2d_output_size(7, 9, 7, 9, 5, 5, 0, 0) })
    assert.are.same({ 112, 112 }, { core.conv2d_output_size(224, 224, 7, 7, 2, 2, 3, 3) })
  end)

  it("of pooling", function()
    assert.are.same({ 56, 56 }, { core.pool2d_output_size(112, 112, 3, 3, 2, 2, 1, 1, false) })
    assert.are.same({ 3, 3 }, { core.pool2d_output_size(5, 5, 2, 2, 2, 2, 0, 0, true) })
    assert.are.same({ 2, 2 }, { core.pool2d_output_size(5, 5, 2, 2, 2, 2, 0, 0, false) })
    -- Rounding up would give 3, but the third window would start in the padding.
    assert.are.same({ 2, 2 }, { core.pool2d_output_size(5, 5, 2, 2, 3, 3, 1, 1, true) })
  end)

  local most = math.maxinteger
  for _, wrong in ipairs {
    { "conv2d_output_size", 1, "input height is 0", 0, 5, 3, 3, 1, 1, 0, 0 },
    { "conv2d_output_size", 2, "input width is %-1", 5, -1, 3, 3, 1, 1, 0, 0 },
    { "conv2d_output_size", 3, "kernel height is 6", 5, 5, 6, 3, 1, 1, 0, 0 },
    { "conv2d_output_size", 4, "kernel width is 0", 5, 5, 3, 0, 1, 1, 0, 0 },
    { "conv2d_output_size", 5, "stride along the height is 0", 5, 5, 3, 3, 0, 1, 0, 0 },
    { "conv2d_output_size", 8, "padding along the width is 9223372036854775807", 5, 5, 3, 3, 1, 1, 0, most },
    { "pool2d_output_size", 3, "kernel height is 6", 5, 5, 6, 3, 1, 1, 0, 0, false },
    { "pool2d_output_size", 6, "stride along the width is %-2", 5, 5, 3, 3, 1, -2, 0, 0, false },
    { "pool2d_output_size", 7, "padding along the height is 2; expected 0 to 1", 5, 5, 3, 3, 1, 1, 2, 0, false },
  } do
    it(("%s refuses: %s"):format(wrong[1], wrong[3]), function()
      expect_refusal(wrong[1], table.move(wrong, 4, #wrong, 1, {}), #wrong - 3, wrong[2], { wrong[3] })
    end)
  end

  it("of the largest numbers there are", function()
    assert.are.same({ most, 1 }, { core.conv2d_output_size(most, most, 1, most, 1, 1, 0, 0) })
    assert.are.same({ 1, 1 }, { core.conv2d_output_size(most, most, 1, 1, most, most, 0, 0) })
    assert.are.same({ 2, 1 }, { core.pool2d_output_size(most, most, 2, most, most - 2, most, 0, 0, true) })
  end)
end)
