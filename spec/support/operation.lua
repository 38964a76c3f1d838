--- Cases: calls of an operation that are described instead of made, so that one list serves every
-- question asked of it (spec/ops/cases holds the lists, the specs in spec/ops ask).
--
-- A case is { op =, name =, arguments =, dtypes =, expected = }. An argument is what one of the
-- constructors below makes, or a plain value that is passed as it is; "nil" as a string stands for an
-- argument left out. `dtypes` are the dtypes it runs in (float and double by default). `expected` gives,
-- by argument number, results worked out by hand or by another framework. `margin` is what guarded.new takes.
-- `tiles` says that the operation
-- has loops for several instruction sets.

local core = require "densenet.core"
local compare = require "spec.support.compare"
local guarded = require "spec.support.guarded"

local operation = {}

-- Constructors. Each takes the sizes, and by name:
--   layout  as guarded.new says; "expanded" (inputs): one image, repeated along dimension 1
--   dtype   instead of the one that the case runs in
--   values  inputs: a kind of random numbers (see `fillers`) or a nested table
--   n       what the kind of values needs

local function constructor(role)
  return function(sizes)
    sizes.role = role
    return sizes
  end
end

operation.input = constructor "input"   -- read, and the same afterwards
operation.output = constructor "output" -- overwritten: NaN before
operation.sum = constructor "sum"       -- added to: random before
operation.state = constructor "state"   -- moved: positive before

--- The tensor of argument `number` again: in place.
function operation.same(number) return { role = "same", number = number } end

--- An input of given values; its sizes are theirs.
function operation.literal(values, options)
  local argument = { role = "input", values = values }
  local nested = values
  while type(nested) == "table" do
    argument[#argument + 1] = #nested
    nested = nested[1]
  end
  for name, value in pairs(options or {}) do argument[name] = value end
  return argument
end

--- A number in memory, where an operation takes one.
function operation.number(value)
  return { role = "number", values = { value }, dtype = "double", 1 }
end

local function uniform(low, high)
  return function(tensor, seed) core.random_uniform(tensor, low, high, seed, 0, 0) end
end

-- Whole numbers from low to high.
local function whole(tensor, seed, low, high)
  core.random_uniform(tensor, low, high + 1, seed, 0, 0)
  core.unary(tensor, tensor, "floor")
end

-- Kinds of random numbers; each fills a contiguous double tensor.
local fillers = {
  any = uniform(-1, 1),
  positive = uniform(0.5, 1.5),
  -- Away from 0, where relu and abs have no derivative.
  signed = function(tensor, seed)
    core.random_uniform(tensor, -1, 1, seed, 0, 0)
    local sign = compare.clone(tensor)
    core.unary(sign, tensor, "sign")
    core.add_scaled(tensor, tensor, sign, 0.1)
  end,
  -- All different, far enough apart for the order to survive a small step.
  distinct = function(tensor, seed)
    local n = tensor:nElement()
    local order = core.tensor_new("cpu", "long", { n })
    core.random_permutation(order, seed, 0, 0)
    local flat = tensor:view(n)
    core.copy(flat, order)
    core.binary_scalar(flat, flat, 2 / n, "mul")
    core.binary_scalar(flat, flat, 1, "sub")
  end,
  whole = function(tensor, seed) whole(tensor, seed, -5, 5) end,
  counts = function(tensor, seed) whole(tensor, seed, 1, 10) end,
  labels = function(tensor, seed, n) whole(tensor, seed, 1, n) end,
}

local function sizes_of(argument) return table.move(argument, 1, #argument, 1, {}) end

--- A contiguous tensor of the argument's values in `dtype`, rounded to `rounding` on the way.
function operation.values(argument, dtype, rounding, seed)
  local values = argument.values or argument.role == "state" and "positive" or "any"
  if type(values) ~= "string" then
    return compare.clone(core.tensor_from("cpu", rounding, values), dtype)
  end
  local exact = core.tensor_new("cpu", "double", sizes_of(argument))
  local fill = fillers[values]
  if exact:nElement() > 0 then fill(exact, seed, argument.n) end
  return compare.clone(compare.clone(exact, rounding), dtype)
end

--- What dn_ops.def says of the operations, by name.
operation.descriptions = select(2, core.operations())

local IS_NARROW = { half = true, bfloat16 = true }

-- The dtype of argument `number` of a call in `dtype`: parameters stay float beside 16 bits.
local function dtype_of(case, number, dtype)
  for _, argument in ipairs(operation.descriptions[case.op].arguments) do
    if argument.number == number and argument.parameter and IS_NARROW[dtype] then return "float" end
  end
  return dtype
end

local poison = { long = -77, byte = 119 }

-- One argument's tensor, guard and (for inputs) copy. `dtype` is the run's, `rounding` the dtype
-- whose numbers it starts from.
local function build_tensor(argument, dtype, rounding, seed, device, margin)
  dtype, rounding = argument.dtype or dtype, argument.dtype or rounding
  local sizes, layout = sizes_of(argument), argument.layout
  if layout == "expanded" then
    local full = sizes_of(argument)
    sizes[1], layout = 1, nil
    local tensor, guard = guarded.new(dtype, sizes, layout, device, margin)
    core.copy(tensor, operation.values({ role = "input", values = argument.values, table.unpack(sizes) },
      dtype, rounding, seed))
    return tensor:expand(full), guard
  end
  local tensor, guard = guarded.new(dtype, sizes, layout, device, margin)
  if argument.role == "output" then
    core.fill(tensor, poison[dtype] or 0 / 0)
  else
    core.copy(tensor, operation.values(argument, dtype, rounding, seed))
  end
  return tensor, guard
end

--- Everything a call needs: { values = arguments in order, n =, tensors = list of
-- { number =, role =, tensor =, guard =, before = copy of an input } }.
-- @param options dtype, rounding (the dtype by default), seed, device ("cpu" by default)
function operation.build(case, options)
  local dtype, seed = options.dtype, options.seed or 1
  local call = { values = {}, n = #case.arguments, tensors = {} }
  local written_in_place = {}
  for _, argument in ipairs(case.arguments) do
    if type(argument) == "table" and argument.role == "same" then written_in_place[argument.number] = true end
  end
  local function tensor_of(argument, number)
    seed = seed + 1
    local tensor, guard = build_tensor(argument, dtype_of(case, number, dtype),
      dtype_of(case, number, options.rounding or dtype), seed, options.device, case.margin)
    local role = written_in_place[number] and "output" or argument.role == "number" and "input" or argument.role
    call.tensors[#call.tensors + 1] = {
      number = number, role = role, tensor = tensor, guard = guard,
      before = role == "input" and compare.clone(tensor) or nil,
    }
    return tensor
  end
  for number, argument in ipairs(case.arguments) do
    if type(argument) == "table" and argument.role ~= "same" then
      call.values[number] = tensor_of(argument, number)
    elseif argument ~= "nil" and type(argument) ~= "table" then
      call.values[number] = argument
    end
  end
  for number, argument in ipairs(case.arguments) do
    if type(argument) == "table" and argument.role == "same" then
      call.values[number] = call.values[argument.number]
    end
  end
  return call
end

function operation.title(case)
  return case.name and ("%s: %s"):format(case.op, case.name) or case.op
end

--- Calls the operation on a built call.
function operation.call(case, call)
  core[case.op](table.unpack(call.values, 1, call.n))
end

--- Builds and calls, checks that nothing beside the outputs has been written, and returns copies of
-- what was: a list of { number =, tensor = }.
-- @param options as operation.build, and threads (1 by default), reference (false by default), tiles
-- (the name of an instruction set's loops; the best by default)
function operation.run(case, options)
  local call = operation.build(case, options)
  local title = operation.title(case)
  core.threads(options.threads or 1)
  core.testing.reference(options.reference or false)
  core.testing.tiles(options.tiles or core.testing.tiles()[1])
  operation.call(case, call)
  core.testing.reference(false)
  local results = {}
  for _, entry in ipairs(call.tensors) do
    local what = ("%s, argument %d"):format(title, entry.number)
    entry.guard:check(what)
    if entry.before then
      compare.identical(compare.clone(entry.tensor), entry.before, what .. ", an input")
    else
      results[#results + 1] = { number = entry.number, tensor = compare.clone(entry.tensor) }
    end
  end
  return results
end

--- What a file of spec/ops/cases returns, and the functions that fill it: cases, gradients and misuse.
-- case(op, name, arguments, expected); typed_case(op, name, arguments, dtypes, expected);
-- tiled_case, whose operation has loops for several instruction sets; gradient of what gradient_spec
-- differentiates; and wrong(op, argument, says, arguments): a call that raises for this argument, in
-- these words.
function operation.lists()
  local lists = { cases = {}, gradients = {}, misuse = {} }
  local function add(case) table.insert(lists.cases, case) end
  function lists.case(op, name, arguments, expected)
    add { op = op, name = name, arguments = arguments, expected = expected }
  end
  function lists.typed_case(op, name, arguments, dtypes, expected)
    add { op = op, name = name, arguments = arguments, dtypes = dtypes, expected = expected }
  end
  function lists.tiled_case(op, name, arguments, expected)
    add { op = op, name = name, arguments = arguments, expected = expected, tiles = true }
  end
  function lists.gradient(gradient) table.insert(lists.gradients, gradient) end
  function lists.wrong(op, argument, says, arguments)
    table.insert(lists.misuse, { op = op, argument = argument, says = says, arguments = arguments })
  end
  return lists
end

operation.FAMILIES = {
  "elements", "reductions", "random", "products", "convolution", "batchnorm", "activations",
  "pooling", "dense", "transition", "folded", "losses", "generated", "parameters",
}

--- The cases of these families, by default of all, in one list;
-- spec/ops/cases/<family>.lua returns its operation.lists().
function operation.families(families)
  local all = { cases = {}, gradients = {}, misuse = {} }
  for _, family in ipairs(families or operation.FAMILIES) do
    local lists = require("spec.ops.cases." .. family)
    for name, list in pairs(all) do
      table.move(lists[name], 1, #lists[name], #list + 1, list)
    end
  end
  return all
end

return operation
