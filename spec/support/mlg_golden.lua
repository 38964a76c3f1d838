--- What PyTorch computes of generated weights (spec/golden/mlg/make_mlg_golden.py), and ours, on any device.

local dn = require "densenet"
local compare = require "spec.support.compare"

local mlgGolden = {}

--- The tensors and the metadata of a file.
function mlgGolden.load(name)
  local tensors, about = dn.safetensors.load("spec/golden/mlg/mlg_" .. name .. ".safetensors")
  assert(tensors, about)
  return tensors, about
end

--- "3,6,4" as numbers.
function mlgGolden.numbers(text)
  local list = {}
  for digits in text:gmatch "%d+" do list[#list + 1] = tonumber(digits) end
  return list
end

--- The entries "prefix/KEY" as KEY → tensor.
function mlgGolden.part(file, prefix)
  local found = {}
  for name, tensor in pairs(file) do
    if name:sub(1, #prefix + 1) == prefix .. "/" then found[name:sub(#prefix + 2)] = tensor end
  end
  return found
end

-- Our name of a file's parameter: a weight that is quantised and not generated is a basis here.
local function ourName(name) return (name:gsub("^classifier%.weight$", "classifier.basis")) end
local function fileName(name) return (name:gsub("^classifier%.basis$", "classifier.weight")) end

local function matches(name, patterns)
  for _, pattern in ipairs(patterns or {}) do
    if name:find(pattern) then return true end
  end
end

--- Raises unless every tensor of the file is ours within `tolerance`; those that match `except`, and none of `but`, are
-- not looked at.
function mlgGolden.compare(ours, file, tolerance, except, but)
  local bad, nCompared = {}, 0
  for name, expected in pairs(file) do
    if not matches(name, except) or matches(name, but) then
      nCompared = nCompared + 1
      local isNear, message = pcall(function()
        local got = assert(ours[name], name .. ": not computed")
        if expected:dtype() == "long" then return compare.identical(got, expected, name) end
        compare.near(got:view(expected:size()), expected, tolerance, name)
      end)
      if not isNear then bad[#bad + 1] = tostring(message) end
    end
  end
  table.sort(bad)
  if #bad > 0 then error(table.concat(bad, "\n"), 0) end
  assert(nCompared > 5, "too few tensors to compare")
end

local function configOf(about, dtype, optMemory)
  local b = mlgGolden.numbers(about.bits)
  return { blocks = mlgGolden.numbers(about.blocks), growthRate = tonumber(about.growthRate), inputChannels = 3,
    nClasses = 5, optMemory = optMemory, precision = dtype == "double" and "double" or "single",
    mlg = { baseIn = tonumber(about.baseIn), baseOut = tonumber(about.baseOut), basisBits = b[1], coeffInBits = b[2],
      coeffOutBits = b[3], plainBits = tonumber(about.plainBits), rule = "published" } }
end

--- One step of the network file: our tensors, on the CPU, under the file's names.
function mlgGolden.trainingStep(file, about, dtype, optMemory, device)
  local model = dn.models.densenet(configOf(about, dtype, optMemory))
  local state, ours = {}, {}
  for name, tensor in pairs(mlgGolden.part(file, "p")) do state[ourName(name)] = tensor end
  model:loadStateDict(state):to(device)
  local function keep(name, tensor) ours[name] = tensor:clone():to("cpu") end
  local criterion = dn.nn.DistillationCriterion(tonumber(about.T), tonumber(about.beta))
  local x = file["in/x"]:type(dtype):to(device)
  local target = { (file["in/target"] + 1):to(device), file["in/teacher"]:type(dtype):to(device) }
  model:training()
  local logits = model:forward(x)
  keep("out/logits", logits)
  local loss = criterion:forward(logits, target)
  model:zeroGradParameters()
  local gradient = criterion:backward(logits, target)
  keep("g/logits", gradient)
  keep("g/x", model:backward(x, gradient))
  for name, weight in pairs(dn.mlg.dense(model)) do
    if file["w/" .. name] then keep("w/" .. name, weight) end
  end
  local modules = {}
  require("densenet.mlg.tree").walk(model, function(module, path) modules[path] = module end)
  for path, module in pairs(modules) do
    if module.factorBits then keep("gw/" .. path .. "weight", module.gradWeight) end
  end
  dn.mlg.pull(model)
  local lambda = tonumber(about.lambda)
  local penalty = dn.mlg.penalty(model, lambda)
  ours["out/distillation"], ours["out/ortho"] = dn.tensor(loss, "double"), dn.tensor(penalty, "double")
  ours["out/loss"] = dn.tensor(loss + lambda * penalty, "double")
  for name, each in pairs(model:gradDict()) do keep("g/" .. fileName(name), each) end
  for name, tensor in pairs(model:stateDict()) do
    if name:find "running_" then keep("after/" .. name, tensor) end
  end
  dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, nesterov = true, weightDecay = 1e-4 }):step()
  local gradients = model:gradDict()
  for name, tensor in pairs(model:stateDict()) do
    if gradients[name] then keep("sgd/" .. fileName(name), tensor) end
  end
  return ours
end

return mlgGolden
