--- Gives a network with generated weights those of a trained one, layer by layer and without data: the factors whose
-- weight is nearest, in the mean square, to the teacher's.
--
--    svd+train   singular value decompositions, then RAdam with the quantisers in the loop, keeping the best
--    train       random factors, then RAdam: the published way, with 3000 steps
--    svd         the decompositions alone
--    none        random factors
--
-- A quantised weight without levels starts at the teacher's, rounded, in every method.
-- @module densenet.mlg.project

local argument = require "densenet.argument"
local core = require "densenet.core"
local generatedWeight = require "densenet.nn.generated_weight"
local RAdam = require "densenet.optim.radam"
local latent = require "densenet.mlg.latent"
local svdStart = require "densenet.mlg.svd_start"
local tree = require "densenet.mlg.tree"

local project = {}

--- The words of the option `method`, the usual one first.
project.methods = { "svd+train", "train", "svd", "none" }

local RATE, STEPS = 0.02, 300

local function copyOf(tensor)
  local copy = core.tensor_new(tensor:device(), tensor:dtype(), tensor:size())
  core.copy(copy, tensor)
  return copy
end

local function lists(module)
  local tensors, gradients = {}, {}
  for i, factor in ipairs(module:factors()) do tensors[i], gradients[i] = factor.tensor, factor.gradient end
  return tensors, gradients
end

--- Moves a module's factors by RAdam so that its weight comes near to another; leaves them where the loss was least.
-- @param module an nn.MLGConvolution or nn.MLGLinear
-- @tparam tensor target of its weight's sizes, dtype and device
-- @tparam integer steps
-- @tparam[opt=true] boolean keepsBest false: the factors of the last step
-- @treturn table the losses, mean squares, before each step and after the last
-- @treturn number the least of them
function project.fit(module, target, steps, keepsBest)
  local tensors, gradients = lists(module)
  local optimizer = RAdam({ tensors, gradients }, { learningRate = RATE })
  local loss = core.tensor_new(target:device(), target:dtype(), { 1 })
  local losses, least, best = {}, math.huge, {}
  for i, tensor in ipairs(tensors) do best[i] = copyOf(tensor) end
  for step = 0, steps do
    module:generate()
    core.mse_forward(loss, module.weight, target, true)
    losses[step + 1] = loss:item()
    if losses[step + 1] < least then
      least = losses[step + 1]
      for i, tensor in ipairs(tensors) do core.copy(best[i], tensor) end
    end
    if step < steps then
      core.mse_backward(module.gradWeight, module.weight, target, true)
      for _, gradient in ipairs(gradients) do core.fill(gradient, 0) end
      module:pull()
      optimizer:step()
    end
  end
  for i, tensor in ipairs(keepsBest == false and {} or tensors) do core.copy(tensor, best[i]) end
  for _, gradient in ipairs(gradients) do core.fill(gradient, 0) end
  core.fill(module.gradWeight, 0)
  module.isGenerated = false
  return losses, least
end

local function sumOfSquares(tensor)
  local ones = {}
  for d = 1, tensor:dim() do ones[d] = 1 end
  local norm = core.tensor_new(tensor:device(), tensor:dtype(), ones)
  core.reduce(norm, tensor, "norm", 2)
  return norm:item() ^ 2
end

--- One layer.
-- @param module an nn.MLGConvolution or nn.MLGLinear
-- @tparam tensor weight of its weight's sizes
-- @tparam[opt] table options method ("svd+train") and steps (300)
-- @treturn number the sum of squares that is left
-- @treturn number the sum of squares of the weight
function project.layer(module, weight, options)
  local method, steps = options and options.method or project.methods[1], options and options.steps or STEPS
  local target = core.tensor_new(module.weight:device(), module.weight:dtype(), weight:size())
  core.copy(target, weight)
  local hasLevels = module.coeffIn or module.coeffOut
  if not hasLevels then
    latent.copy(module.basis, target, module.factorBits[1])
  elseif method:find "^svd" then
    svdStart.start(module, weight)
  else
    module:resetFactors()
  end
  local trains = method == "train" or method == "svd+train"
  local _, least = project.fit(module, target, trains and steps or 0)
  return least * target:nElement(), sumOfSquares(target)
end

local function checkOptions(options)
  for name in pairs(options or {}) do
    if name ~= "method" and name ~= "steps" then
      argument.raise("bad argument #3 to 'project' (there is no option '%s'; there are method, steps)", tostring(name))
    end
  end
  local method, known = options and options.method or project.methods[1], false
  for _, word in ipairs(project.methods) do known = known or word == method end
  if not known then argument.refuse(3, "project", method, table.concat(project.methods, ", "), "method") end
  if options and options.steps ~= nil then argument.integer(3, "project", options.steps, 0, "steps") end
end

local function refuseShape(name, ours, theirs)
  argument.raise("mlg.project: the teacher has %s for %s, which is %s here: it is another network",
    theirs and table.concat(theirs:size(), "x") or "nothing", name, table.concat(ours:size(), "x"))
end

local function sameSize(a, b) return b and table.concat(a:size(), "x") == table.concat(b:size(), "x") end

--- A whole network: its generated and quantised weights as above, everything else copied, running statistics included.
-- Those no longer fit; see densenet.mlg.recalibrate.
-- @param student a network that densenet.mlg.convert was given
-- @param teacher the same network, ordinary and trained, or its state, a table name → tensor
-- @tparam[opt] table options
--
--    method   "svd+train" (the usual one), "train", "svd" or "none"
--    steps    300: of RAdam, learning rate 0.02, a layer
--
-- @treturn number what is left of the weights' sum of squares, as a share of it
-- @raise one sentence, where the teacher lacks a tensor or has one of another size; nothing is changed then
function project.network(student, teacher, options)
  checkOptions(options)
  local state = type(teacher) == "table" and teacher.updateOutput and teacher:stateDict() or teacher
  if type(state) ~= "table" then argument.refuse(2, "project", teacher, "a network or its state") end
  local pathOf, isFactor, plain = {}, {}, {}
  tree.walk(student, function(module, path)
    if generatedWeight.is(module) then pathOf[#pathOf + 1] = { module = module, name = path .. "weight" } end
  end)
  for _, place in ipairs(pathOf) do
    if not sameSize(place.module.weight, state[place.name]) then
      refuseShape(place.name, place.module.weight, state[place.name])
    end
    for _, factor in ipairs(place.module:factors()) do isFactor[factor.tensor] = true end
  end
  for name, tensor in pairs(student:stateDict()) do
    if not isFactor[tensor] then
      if not sameSize(tensor, state[name]) then refuseShape(name, tensor, state[name]) end
      plain[tensor] = state[name]
    end
  end
  for tensor, value in pairs(plain) do core.copy(tensor, value) end
  local left, whole = 0, 0
  for _, place in ipairs(pathOf) do
    local missed, of = project.layer(place.module, state[place.name], options)
    left, whole = left + missed, whole + of
  end
  return whole > 0 and left / whole or 0.0
end

return project
