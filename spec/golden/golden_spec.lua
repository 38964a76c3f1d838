-- Three networks' training steps as PyTorch computes them in double (make_golden.py beside this
-- file): every tensor it wrote is compared, in double and in float, in every memory mode.

local dn = require "densenet"
local compare = require "spec.support.compare"

local TOLERANCE = { double = 1e-9, single = 2e-3 }
local MODES = { 0, 1, 2, 3, 4, 5 }

local cases = {
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
local function part(golden, prefix, except)
  local found = {}
  for name, tensor in pairs(golden) do
    local key = name:match("^" .. prefix .. "/(.+)$")
    if key and not (except and except[key]) then
      found[key] = tensor
    end
  end
  return found
end

-- One step of our model; returns our tensors under the file's names.
local function trainingStep(case, golden, precision, optMemory)
  local options = { nClasses = 7, precision = precision, optMemory = optMemory }
  for name, value in pairs(case.options) do
    options[name] = value
  end
  local dtype = precision == "double" and "double" or "float"
  local model = dn.models.densenet(options)
  model:loadStateDict(part(golden, "p"))
  local criterion = dn.nn.CrossEntropyCriterion()
  local x, target = golden["in/x"]:type(dtype), golden["in/target"] + 1 -- the file counts classes from 0
  local ours = {}
  local function keep(name, tensor)
    ours[name] = tensor:clone()
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

local function compareAll(ours, golden, tolerance)
  local bad, nCompared = {}, 0
  for name, expected in pairs(golden) do
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
  assert.are.equal("", table.concat(bad, "\n"))
  assert.is_true(nCompared > 50)
end

describe("PyTorch's training step", function()
  for _, case in ipairs(cases) do
    for precision, tolerance in pairs(TOLERANCE) do
      for _, optMemory in ipairs(MODES) do
        it(("of %s, every tensor, in %s precision, optMemory %d"):format(case.file, precision, optMemory), function()
          local golden = assert(dn.safetensors.load("spec/golden/" .. case.file .. ".safetensors"))
          compareAll(trainingStep(case, golden, precision, optMemory), golden, tolerance)
        end)
      end
    end
  end
end)
