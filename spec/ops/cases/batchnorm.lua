-- Batch normalization, in training and in evaluation.

local operation = require "spec.support.operation"
local core = require "densenet.core"
local input, output, sum, state, same, literal =
  operation.input, operation.output, operation.sum, operation.state, operation.same, operation.literal
local lists = operation.lists()
local case, wrong = lists.case, lists.wrong

-- By PyTorch 1.13 (torch.nn.functional.batch_norm in double, and autograd).
local x = { { { { -4, 0 } }, { { 4, -1 } } }, { { { 3, -2 } }, { { 2, -3 } } } }
local dy = { { { { -1, 1 } }, { { 3, 0 } } }, { { { 2, -1 } }, { { 1, 3 } } } }
local gamma, beta = { 1.5, -0.5 }, { 0.25, 1 }
local mean, inv_std = { -0.75, 0.5 }, { 0.38666568711483346, 0.37136506585334206 }
local shape = { 2, 2, 1, 2 }
case("batchnorm_forward", "by hand", {
  output { table.unpack(shape) }, output { 2 }, output { 2 }, state { 2, values = { 1, 2 } },
  state { 2, values = { 1, 4 } }, literal(x), literal(gamma), literal(beta), 0.1, 1e-3,
}, {
  { { { { -1.634995224684813, 0.6849988980041877 } }, { { 0.35011113475665145, 1.2785237993900065 } } },
    { { { 2.4249944900209384, -0.47499816334031264 } }, { { 0.7214762006099935, 1.6498888652433488 } } } },
  mean, inv_std, { 0.825, 1.85 }, { 1.7916666666666665, 4.566666666666666 },
})
case("batchnorm_backward", "by hand, scaled", {
  output { table.unpack(shape) }, sum { 2, values = { 1, 1 } }, sum { 2, values = { 1, 1 } }, literal(dy), literal(x),
  literal(mean), literal(inv_std), literal(gamma), 2,
}, {
  { { { { 0.17332317607552658, 0.22769397352360932 } }, { { -0.19849286075684164, 0.31054001602103265 } } },
    { { { -0.021527193726453717, -0.3794899558726822 } }, { { 0.1536663162956449, -0.26571347155983593 } } } },
  { 1 + 2 * 4.929987510714126, 1 + 2 * 0.5570475987800131 }, { 3, 15 },
})
case("batchnorm_inference_forward", "by hand", {
  output { table.unpack(shape) }, literal(x), literal { 1, 2 }, literal { 1, 4 }, literal(gamma), literal(beta), 1e-3,
}, {
  { { { { -7.2462528101583, -1.2492505620316599 } }, { { 0.5000624882836908, 1.7499062675744634 } } },
    { { { 3.2485011240633197, -4.247751686094979 } }, { { 0.9999999999999999, 2.2498437792907726 } } } },
})
case("batchnorm_inference_backward", "by hand", {
  output { table.unpack(shape) }, sum { 2, values = { 0, 0 } }, sum { 2, values = { 0, 0 } }, literal(dy), literal(x),
  literal { 1, 2 }, literal { 1, 4 }, literal(gamma), 1e-3, 1,
}, {
  { { { { -1.4992505620316599, 1.4992505620316599 } }, { { -0.7499062675744637, 0 } } },
    { { { 2.9985011240633197, -1.4992505620316599 } }, { { -0.24996875585815453, -0.7499062675744637 } } } },
  { 10.994504121565505, -4.499437605446782 }, { 1, 7 },
})

--- All four operations on an input of `sizes`; `affine` false leaves gamma, beta and theirs out.
local function each_operation(sizes, name, options)
  options = options or {}
  local c, layout = sizes[2], options.layout
  local function image(make) return make { layout = layout, table.unpack(sizes) } end
  local function vector(make, values)
    if options.affine == false then return "nil" end
    return make { c, values = values }
  end
  local running = options.running ~= false
  case("batchnorm_forward", name, {
    image(output), output { c }, output { c }, running and state { c } or "nil", running and state { c } or "nil",
    image(input), vector(input), vector(input), 0.1, 1e-5,
  })
  local dx, dy_ = image(output), image(input)
  if options.in_place then dx = same(4) end
  case("batchnorm_backward", name, {
    dx, vector(sum), vector(sum), dy_, image(input), input { c }, input { c, values = "positive" }, vector(input), 1,
  })
  case("batchnorm_inference_forward", name, {
    image(output), image(input), input { c }, input { c, values = "positive" }, vector(input), vector(input), 1e-5,
  })
  case("batchnorm_inference_backward", name, {
    dx, vector(sum), vector(sum), dy_, image(input), input { c }, input { c, values = "positive" }, vector(input),
    1e-5, -0.5,
  })
end

for _, sizes in ipairs {
  { 2, 1, 1, 1 }, { 1, 1, 1, 2 }, { 1, 12, 31, 33 }, { 3, 150, 7, 7 }, { 2, 12, 32, 32 }, { 33, 3, 1, 1 },
  { 5, 4, 1, 31 }, { 2, 24, 100, 33 }, { 64, 32, 4, 4 },
} do
  each_operation(sizes, table.concat(sizes, "x"))
end
each_operation({ 33, 12 }, "a matrix")
each_operation({ 2, 1 }, "a matrix of one channel")
each_operation({ 3, 12, 5, 7 }, "no gamma and beta", { affine = false })
each_operation({ 3, 12, 5, 7 }, "no running statistics", { running = false })
each_operation({ 3, 12, 5, 7 }, "slices of channels", { layout = "channels" })
each_operation({ 3, 12, 33, 32 }, "slices of images", { layout = "images" })
each_operation({ 3, 12, 5, 7 }, "dx is dy", { in_place = true })
each_operation({ 3, 12, 5, 7 }, "dx is dy, slices of channels", { in_place = true, layout = "channels" })
case("batchnorm_backward", "frozen gamma and beta", {
  output { 3, 12, 5, 7 }, "nil", "nil", input { 3, 12, 5, 7 }, input { 3, 12, 5, 7 }, input { 12 },
  input { 12, values = "positive" }, input { 12 }, 1,
})

-- The batch's mean is large against its deviation: E[x^2] - E[x]^2 would lose it in float.
case("batchnorm_forward", "far from zero", {
  output { 2, 1, 1, 2 }, output { 1 }, output { 1 }, "nil", "nil",
  literal { { { { 4096, 4097 } } }, { { { 4098, 4099 } } } }, "nil", "nil", 0, 0,
}, { nil, { 4097.5 }, { 1 / math.sqrt(1.25) } })

local function forward_arguments(changes)
  local arguments = {
    output { 4, 6, 3, 3 }, output { 6 }, output { 6 }, state { 6 }, state { 6 }, input { 4, 6, 3, 3 }, input { 6 },
    input { 6 }, 0.1, 1e-5,
  }
  for number, value in pairs(changes) do arguments[number] = value end
  return arguments
end
wrong("batchnorm_forward", 1, { "y is 4x6x3x4", "N,C,H,W with W = 3", "x 4x6x3x3" },
  forward_arguments { [1] = output { 4, 6, 3, 4 } })
wrong("batchnorm_forward", 2, { "mean is 5", "C with C = 6" }, forward_arguments { [2] = output { 5 } })
wrong("batchnorm_forward", 5, { "running_var is missing", "together with running_mean" },
  forward_arguments { [5] = "nil" })
wrong("batchnorm_forward", 8, { "beta is missing", "together with gamma" }, forward_arguments { [8] = "nil" })
wrong("batchnorm_forward", 7, { "gamma is 7", "C with C = 6" }, forward_arguments { [7] = input { 7 } })
wrong("batchnorm_forward", 6, { "x is 1x6x1x1", "at least 2 values a channel" },
  forward_arguments { [1] = output { 1, 6, 1, 1 }, [6] = input { 1, 6, 1, 1 } })
wrong("batchnorm_forward", 6, { "x is 0x6x3x3", "at least one element" },
  forward_arguments { [1] = output { 0, 6, 3, 3 }, [6] = input { 0, 6, 3, 3 } })
wrong("batchnorm_forward", 6, { "x is 4x6x3", "4 dimensions, N,C,H,W" }, forward_arguments { [6] = input { 4, 6, 3 } })
wrong("batchnorm_forward", 6, { "gaps within its planes" },
  forward_arguments { [6] = input { 4, 6, 3, 3, layout = "gaps" } })
wrong("batchnorm_forward", 9, { "momentum is %-0.1", "0 or more" }, forward_arguments { [9] = -0.1 })
wrong("batchnorm_forward", 10, { "epsilon is %-1", "0 or more" }, forward_arguments { [10] = -1 })
wrong("batchnorm_forward", 1, { "y overlaps x" }, forward_arguments { [1] = same(6) })

local function backward_arguments(changes)
  local arguments = {
    output { 4, 6, 3, 3 }, sum { 6 }, sum { 6 }, input { 4, 6, 3, 3 }, input { 4, 6, 3, 3 }, input { 6 },
    input { 6 }, input { 6 }, 1,
  }
  for number, value in pairs(changes) do arguments[number] = value end
  return arguments
end
wrong("batchnorm_backward", 4, { "dy is 3x6x3x3", "N,C,H,W with N = 4" },
  backward_arguments { [4] = input { 3, 6, 3, 3 } })
wrong("batchnorm_backward", 3, { "dbeta is missing", "together with dgamma" }, backward_arguments { [3] = "nil" })
wrong("batchnorm_backward", 8, { "gamma is missing", "together with dgamma" }, backward_arguments { [8] = "nil" })
wrong("batchnorm_backward", 1, { "dx overlaps x" }, backward_arguments { [1] = same(5) })
wrong("batchnorm_backward", 9, { "scale is inf", "finite" }, backward_arguments { [9] = math.huge })
wrong("batchnorm_inference_forward", 3, { "running_mean is 5", "C with C = 6" },
  { output { 4, 6, 3, 3 }, input { 4, 6, 3, 3 }, input { 5 }, input { 6 }, input { 6 }, input { 6 }, 1e-5 })
wrong("batchnorm_inference_forward", 7, { "epsilon is %-?nan", "finite" },
  { output { 4, 6, 3, 3 }, input { 4, 6, 3, 3 }, input { 6 }, input { 6 }, input { 6 }, input { 6 }, 0 / 0 })
wrong("batchnorm_inference_backward", 7, { "running_var is 5", "C with C = 6" }, {
  output { 4, 6, 3, 3 }, sum { 6 }, sum { 6 }, input { 4, 6, 3, 3 }, input { 4, 6, 3, 3 }, input { 6 }, input { 5 },
  input { 6 }, 1e-5, 1,
})

for _, sizes in ipairs { { 3, 2, 2, 3 }, { 4, 3 } } do
  local function vector() return core.tensor_new("cpu", "double", { sizes[2] }) end
  lists.gradient {
    name = "batchnorm " .. table.concat(sizes, "x"),
    covers = { "batchnorm_forward", "batchnorm_backward" },
    inputs = { x = input { table.unpack(sizes) }, gamma = input { sizes[2] }, beta = input { sizes[2] } },
    output = sizes,
    forward = function(y, t)
      t.mean, t.inv_std = t.mean or vector(), t.inv_std or vector()
      core.batchnorm_forward(y, t.mean, t.inv_std, nil, nil, t.x, t.gamma, t.beta, 0.1, 1e-3)
    end,
    backward = function(d, dy_, t)
      core.batchnorm_backward(d.x, d.gamma, d.beta, dy_, t.x, t.mean, t.inv_std, t.gamma, 1)
    end,
  }
  lists.gradient {
    name = "batchnorm_inference " .. table.concat(sizes, "x"),
    covers = { "batchnorm_inference_forward", "batchnorm_inference_backward" },
    inputs = { x = input { table.unpack(sizes) }, gamma = input { sizes[2] }, beta = input { sizes[2] } },
    constants = { mean = input { sizes[2] }, var = input { sizes[2], values = "positive" } },
    output = sizes,
    forward = function(y, t)
      core.batchnorm_inference_forward(y, t.x, t.mean, t.var, t.gamma, t.beta, 1e-3)
    end,
    backward = function(d, dy_, t)
      core.batchnorm_inference_backward(d.x, d.gamma, d.beta, dy_, t.x, t.mean, t.var, t.gamma, 1e-3, 1)
    end,
  }
end

return lists
