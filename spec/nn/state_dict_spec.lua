-- Names of a tree's tensors; loading that fits, and that does not.

local dn = require "densenet"
local compare = require "spec.support.compare"

local nn = dn.nn

local function keysOf(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function dense()
  return dn.models.densenet { blocks = { 1, 1 }, growthRate = 2, nClasses = 3, inputChannels = 1 }
end

describe("stateDict", function()
  before_each(function() dn.manualSeed(3) end)

  it("names entries after children, by number from 0 where they have no name", function()
    local model = nn.Sequential()
      :add(nn.Linear(2, 2))
      :add(nn.Sequential():add(nn.ReLU()):add(nn.SpatialBatchNormalization(2), "norm"))
      :add(nn.Concat(2):add(nn.Identity()):add(nn.Sequential():add(nn.Linear(2, 1, false), "hidden"), ""), "join")
    assert.are.same({
      "0.bias", "0.weight", "1.norm.bias", "1.norm.running_mean", "1.norm.running_var", "1.norm.weight",
      "join.hidden.weight",
    }, keysOf(model:stateDict()))
    assert.are.same({ "0.bias", "0.weight", "1.norm.bias", "1.norm.weight", "join.hidden.weight" },
      keysOf(model:gradDict()))
    assert.are.equal(model:get(1).gradWeight, model:gradDict()["0.weight"])
  end)

  it("gives the model's own tensors", function()
    local model = nn.Linear(2, 2)
    model:stateDict().bias:fill(7)
    assert.are.equal(14, model.bias:sum())
  end)

  it("has torchvision's names for a DenseNet", function()
    local state = dense():stateDict()
    assert.are.same({
      "classifier.bias", "classifier.weight", "features.conv0.weight",
      "features.denseblock1.denselayer1.conv1.weight", "features.denseblock1.denselayer1.conv2.weight",
      "features.denseblock1.denselayer1.norm1.bias", "features.denseblock1.denselayer1.norm1.running_mean",
      "features.denseblock1.denselayer1.norm1.running_var", "features.denseblock1.denselayer1.norm1.weight",
      "features.denseblock1.denselayer1.norm2.bias", "features.denseblock1.denselayer1.norm2.running_mean",
      "features.denseblock1.denselayer1.norm2.running_var", "features.denseblock1.denselayer1.norm2.weight",
      "features.denseblock2.denselayer1.conv1.weight", "features.denseblock2.denselayer1.conv2.weight",
      "features.denseblock2.denselayer1.norm1.bias", "features.denseblock2.denselayer1.norm1.running_mean",
      "features.denseblock2.denselayer1.norm1.running_var", "features.denseblock2.denselayer1.norm1.weight",
      "features.denseblock2.denselayer1.norm2.bias", "features.denseblock2.denselayer1.norm2.running_mean",
      "features.denseblock2.denselayer1.norm2.running_var", "features.denseblock2.denselayer1.norm2.weight",
      "features.norm5.bias", "features.norm5.running_mean", "features.norm5.running_var", "features.norm5.weight",
      "features.transition1.conv.weight", "features.transition1.norm.bias", "features.transition1.norm.running_mean",
      "features.transition1.norm.running_var", "features.transition1.norm.weight",
    }, keysOf(state))
  end)

  it("refuses one name for two tensors", function()
    local model = nn.Sequential():add(nn.Linear(1, 1), ""):add(nn.Linear(1, 1), "")
    assert.error_matches(function() model:stateDict() end, "two tensors of nn.Sequential are called 'weight'")
  end)
end)

describe("loadStateDict", function()
  before_each(function() dn.manualSeed(3) end)

  it("copies, converting types", function()
    local from, to = dense(), dense():double()
    local x = dn.randn(2, 1, 8, 8)
    assert.are.equal(to, to:loadStateDict(from:stateDict()))
    compare.near(to:evaluate():forward(x:double()):float(), from:evaluate():forward(x), 1e-5, "same function")
    from:get("classifier").weight:fill(0)
    assert.is_true(to:get("classifier").weight:norm() > 0)
  end)

  it("understands wrapped, old and batch-counting files", function()
    local from, to, old = dense(), dense(), {}
    for name, tensor in pairs(from:stateDict()) do
      name = name:gsub("(denselayer%d+%.%a+)([12])%.", "%1.%2.") -- norm1.weight was norm.1.weight
      old["module." .. name] = tensor
    end
    assert.is_truthy(old["module.features.denseblock1.denselayer1.norm.1.weight"])
    old["module.features.norm5.num_batches_tracked"] = dn.tensor({ 3 }, "long")
    to:loadStateDict(old)
    for name, tensor in pairs(to:stateDict()) do
      compare.identical(tensor, from:stateDict()[name], name)
    end
  end)

  it("tells what does not fit in one error, and copies nothing", function()
    local model = nn.Sequential():add(nn.Linear(2, 3), "a"):add(nn.Linear(3, 1), "b")
    local before = model:get("a").weight:clone()
    local ok, message = pcall(model.loadStateDict, model, {
      ["a.weight"] = dn.zeros(3, 2), ["a.bias"] = dn.zeros(4), ["b.bias"] = 3, ["c.weight"] = dn.zeros(1),
      ["module.a.weight"] = dn.zeros(3, 2),
    })
    assert.is_false(ok)
    assert.is_truthy(message:find("missing (1): b.weight", 1, true))
    assert.is_truthy(message:find("unknown (2): ", 1, true))
    assert.is_truthy(message:find("c.weight", 1, true))
    assert.is_truthy(message:find("(a second a.weight)", 1, true))
    assert.is_truthy(message:find("a.bias (expected 3, got 4)", 1, true))
    assert.is_truthy(message:find("b.bias (expected a tensor of 1, got a number)", 1, true))
    compare.identical(model:get("a").weight, before, "untouched")
    assert.error_matches(function() model:loadStateDict(3) end, "bad argument #1 to 'loadStateDict'")
  end)

  it("names three of each kind and counts them, and says what the state and the model are", function()
    local small = dense():stateDict()
    local model = dn.models.densenet { depth = 10, growthRate = 4, bottleneck = true, nClasses = 10 }
    local ok, message = pcall(model.loadStateDict, model, small)
    assert.is_false(ok)
    local function lineOf(kind, count)
      local names = message:match(("\n  %s %%(%d%%): ([^\n]*)"):format(kind, count))
      assert.is_truthy(names, message)
      return names
    end
    assert.equal("features.denseblock3.denselayer1.conv1.weight, features.denseblock3.denselayer1.conv2.weight, "
      .. "features.denseblock3.denselayer1.norm1.bias, ...", lineOf("missing", 15))
    assert.equal("classifier.bias (expected 10, got 3), classifier.weight (expected 10x9, got 3x5), "
      .. "features.conv0.weight (expected 8x3x3x3, got 4x1x3x3), ...", lineOf("wrong shape", 32))
    assert.equal("\n  the state is of DenseNet-BC, growth rate 2, 2 blocks of 1 (1 input channel, 3 classes), "
      .. "the model is DenseNet-BC, growth rate 4, 3 blocks of 1 (3 input channels, 10 classes)",
      message:match("\n[^\n]*$"))
  end)

  it("shows names without control characters, and shortened", function()
    local ok, message = pcall(nn.Linear(1, 1).loadStateDict, nn.Linear(1, 1), { ["\27[2J"] = dn.zeros(1),
      [("x"):rep(999)] = dn.zeros(1) })
    assert.is_false(ok)
    assert.is_truthy(message:find("  unknown (2): ?[2J, " .. ("x"):rep(157) .. "...", 1, true), message)
  end)

  it("says why a file's tensor that is needed could not be read", function()
    local safetensors, temporary = require "densenet.io.safetensors", require "spec.support.temporary"
    local path = os.tmpname()
    temporary.write(path, string.pack("<s8", '{"weight":{"dtype":"U8","shape":[1,1],"data_offsets":[0,1]},'
      .. '"bias":{"dtype":"I8","shape":[1],"data_offsets":[1,2]},"mask":{"dtype":"BOOL","shape":[1],'
      .. '"data_offsets":[2,3]}}') .. "\1\2\3")
    local state = assert(safetensors.load(path))
    assert(os.remove(path))
    local model = nn.Linear(1, 1)
    assert.error_matches(function() model:loadStateDict(state) end, 'tensor "bias": dtype I8 is not supported')
    model = nn.Linear(1, 1, false):loadStateDict(state) -- nobody asks for the others
    assert.equal(1, model.weight:sum())
  end)
end)
