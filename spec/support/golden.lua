--- Training steps of three networks as PyTorch computes them in double (spec/golden/make_golden.py),
-- and ours, on any device, to compare with them.

local dn = require "densenet"
local compare = require "spec.support.compare"

local golden = {}

golden.tolerance = { double = 1e-9, single = 2e-3 }

golden.cases = {
  { file = "bc", options = { blocks = { 2, 2, 2 }, growthRate = 4, inputChannels = 3 } },
  {
    file = "imagenet_stem",
    options = { blocks = { 2, 3, 2, 2 }, growthRate = 3, inputChannels = 3, stem = "imagenet" },
  },
  {
    file = "plain",
    options = {
      blocks = { 3, 2, 2 }, growthRate = 3, inputChannels = 1, bottleneck = false, reduction = 1, initChannels = 6,
    },
  },
}

-- The entries "prefix/KEY" as KEY → tensor, without the keys in `except`.
local function part(file, prefix, except)
  local found = {}
  for name, tensor in pairs(file) do
    local key = name:match("^" .. prefix .. "/(.+)$")
    if key and not (except and except[key]) then
      found[key] = tensor
    end
  end
  return found
end

--- One step of our model on `device`; returns our tensors, on the CPU, under the file's names.
function golden.trainingStep(case, file, precision, optMemory, device)
  local options = { nClasses = 7, precision = precision, optMemory = optMemory }
  for name, value in pairs(case.options) do
    options[name] = value
  end
  local dtype = precision == "double" and "double" or "float"
  local model = dn.models.densenet(options)
  model:loadStateDict(part(file, "p")):to(device)
  local criterion = dn.nn.CrossEntropyCriterion()
  local x = file["in/x"]:type(dtype):to(device)
  local target = (file["in/target"] + 1):to(device) -- the file counts classes from 0
  local ours = {}
  local function keep(name, tensor)
    ours[name] = tensor:clone():to("cpu")
  end

  model:training()
  local logits = model:forward(x)
  keep("out/logits", logits)
  local loss = criterion:forward(logits, target)
  keep("out/loss", dn.tensor(loss, dtype))
  model:zeroGradParameters()
  keep("g/x", model:backward(x, criterion:backward(logits, target)))
  for name, gradient in pairs(model:gradDict()) do
    keep("g/" .. name, gradient)
  end
  for name, tensor in pairs(model:stateDict()) do
    if name:find("running_") then
      keep("after/" .. name, tensor)
    end
  end
  model:evaluate()
  keep("eval/logits", model:forward(x))
  dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9, nesterov = true, weightDecay = 1e-4 }):step()
  local gradients = model:gradDict()
  for name, tensor in pairs(model:stateDict()) do
    if gradients[name] then
      keep("sgd/" .. name, tensor)
    end
  end
  return ours
end

--- Raises unless every tensor of the file is ours within `tolerance`, and none of ours is missing there.
function golden.compare(ours, file, tolerance)
  local bad, nCompared = {}, 0
  for name, expected in pairs(file) do
    if not name:find("^in/") and not name:find("^p/") then
      nCompared = nCompared + 1
      local isNear, message = pcall(function()
        compare.near(assert(ours[name], name .. ": not computed"), expected, tolerance, name)
      end)
      if not isNear then
        bad[#bad + 1] = message
      end
      ours[name] = nil
    end
  end
  for name in pairs(ours) do
    bad[#bad + 1] = name .. ": not in the file"
  end
  table.sort(bad)
  if #bad > 0 then
    error(table.concat(bad, "\n"), 0)
  end
  assert(nCompared > 50, "too few tensors to compare")
end

--- The tensors that PyTorch wrote, by name.
function golden.load(case)
  return assert(dn.safetensors.load("spec/golden/" .. case.file .. ".safetensors"))
end

return golden
