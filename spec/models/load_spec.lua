-- Networks from files that others wrote: names, shapes, classes, recipes, and what does not fit.
local dn = require "densenet"
local golden = require "spec.support.pretrained"
local temporary = require "spec.support.temporary"

local load = dn.models.load
local RECIPE = { preprocess = "torchvision" }

describe("models.load", function()
  if golden.lacksFormats() then return it("needs libjpeg and libpng", function() pending("not in this build") end) end
  local directory
  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  local function saved(tensors, metadata)
    local path = directory .. "/model.safetensors"
    assert(dn.safetensors.save(path, tensors, metadata))
    return path
  end

  -- golden's network with its names changed.
  local function renamed(change)
    local tensors = {}
    for name, tensor in pairs(golden.state()) do
      local new = change(name)
      if new then tensors[new] = tensor end
    end
    return saved(tensors)
  end

  local spellings = {
    { "torchvision's names of today", function(name) return name end },
    { "torchvision's names of before 2018", function(name)
      return (name:gsub("(denselayer%d+%.%a+)([12])%.", "%1.%2."))
    end },
    { "names behind module., without num_batches_tracked", function(name)
      return not name:find("num_batches_tracked") and "module." .. name or nil
    end },
    { "the names of a network inside another one, its classifier in a list", function(name)
      return "module.densenet121." .. name:gsub("^classifier%.", "classifier.0.")
    end },
    { "MONAI's names", function(name)
      return (name:gsub("(denselayer%d+)%.", "%1.layers."):gsub("^classifier%.", "class_layers.out."))
    end },
    { "names of efficient DenseNets", function(name) return (name:gsub("norm5", "norm_final")) end },
  }
  for _, spelling in ipairs(spellings) do
    local what, change = spelling[1], spelling[2]
    it("reads " .. what .. ", with the numbers of torchvision", function()
      local model = assert(load(renamed(change), RECIPE))
      local output = model:forward(assert(model:preprocess(golden.photo)))
      golden.assertClose(golden.tensor "bilinear/logits", output:view(6), 1e-5)
      assert.is_false(model.train)
      assert.same({ 2, 2 }, model.config.blocks)
      assert.equal("imagenet", model.config.stem)
      assert.equal(what:find("in a list") and 1 or 0, #model.notes)
    end)
  end

  it("tells a network of any shape from its tensors alone", function()
    for _, config in ipairs {
      { blocks = { 1, 2, 1 }, growthRate = 3, bottleneck = false, reduction = 1, inputChannels = 1, nClasses = 4 },
      { blocks = { 2, 1 }, growthRate = 5, reduction = 0.37, initChannels = 7, stem = "imagenet", nClasses = 9 },
      { blocks = { 3 }, growthRate = 4, inputChannels = 2, nClasses = 1 },
      { blocks = { 2, 2, 2 }, growthRate = 12, reduction = 0.25, optMemory = 2 },
    } do
      local model = dn.models.fromConfig(config):evaluate()
      local read = assert(load(saved(model:stateDict())))
      for _, field in ipairs { "growthRate", "bottleneck", "initChannels", "stem", "inputChannels", "nClasses" } do
        assert.equal(model.config[field], read.config[field], field)
      end
      assert.same(model.config.blocks, read.config.blocks)
      local input = dn.rand(2, model.config.inputChannels, 33, 33):float()
      golden.assertClose(model:forward(input), read:forward(input), 1e-5)
    end
  end)

  local function without(name)
    return function(tensors) tensors[name] = nil end
  end
  local function resized(name, ...)
    local sizes = { ... }
    return function(tensors) tensors[name] = dn.zeros(table.unpack(sizes)):float() end
  end
  for _, case in ipairs {
    { "a tensor that is missing", without "features.denseblock2.denselayer1.norm2.bias",
      "missing (1): features.denseblock2.denselayer1.norm2.bias" },
    { "a tensor of another shape, with both", resized("features.denseblock1.denselayer2.conv1.weight", 16, 11, 1, 1),
      "features.denseblock1.denselayer2.conv1.weight (expected 16x12x1x1, got 16x11x1x1)" },
    { "a bottleneck of other widths", resized("features.denseblock1.denselayer1.conv1.weight", 8, 8, 1, 1),
      "features.denseblock1.denselayer1.conv1.weight (expected 16x8x1x1, got 8x8x1x1)" },
    { "volumes", resized("features.conv0.weight", 8, 3, 7, 7, 7),
      "features.conv0.weight: expected outputs x inputs x height x width, got 8x3x7x7x7" },
    { "a stem of another size", resized("features.conv0.weight", 8, 3, 5, 5),
      "features.conv0.weight: expected 7x7 with features.norm0, or 3x3 without, got 8x3x5x5 with features.norm0" },
    { "a network without a classifier", without "classifier.weight",
      "classifier.weight (classes x channels) is missing" },
    { "a hole among the layers", function(tensors)
      for name in pairs(tensors) do
        if name:find("denseblock2%.denselayer1%.") then tensors[name] = nil end
      end
    end, "features.denseblock2.denselayer1 is missing, and layer 2 is there" },
    { "a tensor more", function(tensors) tensors["features.extra"] = dn.zeros(1):float() end,
      "unknown (1): features.extra" },
    { "two of one name", function(tensors)
      tensors["module.classifier.bias"] = dn.zeros(6):float()
      tensors["class_layers.out.bias"] = dn.zeros(6):float()
    end, "the tensors class_layers.out.bias and classifier.bias are both classifier.bias" },
    { "two networks", function(tensors) tensors["other.features.conv0.weight"] = dn.zeros(8, 3, 7, 7):float() end,
      "it holds 2 networks, whose names begin with '' and 'other.'" },
    { "no network known", function(tensors)
      for name in pairs(tensors) do tensors[name] = nil end
      tensors.weight = dn.zeros(2):float()
    end, "its tensors have the names of none that is known here" },
  } do
    it("refuses " .. case[1], function()
      local tensors = golden.state()
      case[2](tensors)
      local path = saved(tensors)
      local model, message, code = load(path)
      assert.is_nil(model)
      assert.equal("format", code)
      assert.is_truthy(message:find(case[3], 1, true), message)
      assert.equal(path, message:sub(1, #path))
    end)
  end

  it("refuses files that are no models, by what they are", function()
    local text = temporary.write(directory .. "/readme.txt", "hello there")
    for path, expected in pairs { [text] = "expected a model file (", ["/no/such/file"] = "cannot read",
      [directory] = "a directory without model_best.safetensors",
      ["spec/golden/images/rgb8.png"] = "got a PNG image" } do
      local model, message = load(path)
      assert.is_nil(model)
      assert.is_truthy(message:find(expected, 1, true), message)
    end
  end)

  it("takes names of classes from a list or a file, as many as there are classes", function()
    local path = saved(golden.state())
    local names = { "a", "b", "c", "d", "e", "f f" }
    assert.same(names, load(path, { classes = names }).classes)
    local file = temporary.write(directory .. "/names.txt", table.concat(names, "\r\n") .. "\r\n\r\n")
    assert.same(names, load(path, { classes = file }).classes)
    assert.is_nil(load(path).classes)
    for _, wrong in ipairs {
      { { "a" }, "classes: expected 6 names, as many as the network tells classes apart, got 1" },
      { { "a", "b", 3, "d", "e", "f" }, "got a number as the name of class 3" },
      { temporary.write(directory .. "/5.txt", "a\nb\nc\nd\ne\n"), "5.txt: expected 6 names" },
      { temporary.write(directory .. "/gap.txt", "a\n\nb\nc\nd\ne\nf"), "gap.txt: line 2 is empty" },
      { temporary.write(directory .. "/bytes.txt", "a\0b"), "got bytes of 0" },
      { directory .. "/none.txt", "cannot read" },
    } do
      local model, message = load(path, { classes = wrong[1] })
      assert.is_nil(model)
      assert.is_truthy(message:find(wrong[2], 1, true), message)
    end
  end)

  it("takes the recipe from the caller, by name, whole or in fields, and guesses none", function()
    local path = saved(golden.state())
    assert.is_nil(load(path).recipe)
    assert.equal("bilinear", load(path, RECIPE).recipe.filter)
    assert.equal("bicubic", load(path, { preprocess = "timm" }).recipe.filter)
    local small = load(path, { preprocess = "timm", scale = 64, crop = 48, mean = { 0.5, 0.5, 0.5 } }).recipe
    assert.same({ 64, 48, 0.5, 0.229 }, { small.scale, small.crop, small.mean[1], small.std[1] })
    local own = load(path, { mean = { 1, 2, 3 }, std = { 4, 5, 6 }, range = 255 }).recipe
    assert.same({ 1, 2, 3 }, own.mean)
    assert.is_nil(own.crop)
    for _, wrong in ipairs { { { mean = { 1, 2, 3 }, std = { 4, 5, 6 } }, "range: 255 or 1 expected" },
      { { mean = { 1 }, std = { 1 }, range = 1 }, "mean and std of 3 channels expected, as the network takes, got 1" },
      { { preprocess = "torchvison" }, "did you mean 'torchvision'" },
      { { preprocess = "timm", crop = 300 }, "crop: at most 256 pixels expected" } } do
      local model, message = load(path, wrong[1])
      assert.is_nil(model)
      assert.is_truthy(message:find(wrong[2], 1, true), message)
    end
  end)

  it("changes the first layer for other channels, and says so", function()
    local path = saved(golden.state())
    local colour = assert(load(path, RECIPE))
    local grey = assert(load(path, { inputChannels = 1, preprocess = "torchvision" }))
    assert.equal(1, grey.config.inputChannels)
    assert.equal("features.conv0.weight: its weights for 1 channel are summed over 3 channels", grey.notes[1])
    assert.equal("mean and std of 1 channel are the means of the 3 of the recipe", grey.notes[2])
    local plane = dn.rand(2, 1, 64, 64):float()
    golden.assertClose(colour:forward(dn.cat({ plane, plane, plane }, 2)), grey:forward(plane), 1e-5)
    -- And back: equal channels give what one of them gave.
    local wide = assert(load(saved(grey:stateDict()), { inputChannels = 4 }))
    assert.is_truthy(wide.notes[1]:find("repeated in turn from 1 channel, scaled by 1/4", 1, true), wide.notes[1])
    golden.assertClose(grey:forward(plane), wide:forward(dn.cat({ plane, plane, plane, plane }, 2)), 1e-5)
    local model, message = load(saved(golden.state()), { inputChannels = 2 })
    assert.is_nil(model)
    assert.is_truthy(message:find("has weights for 3, which can be summed to 1 or repeated to more", 1, true), message)
  end)

  for _, dtype in ipairs { "half", "bfloat16", "double" } do
    it("reads weights in " .. dtype, function()
      local tensors = golden.state()
      for name, tensor in pairs(tensors) do
        if tensor:dtype() == "float" then tensors[name] = tensor:type(dtype) end
      end
      local path = saved(tensors)
      local model = assert(load(path, RECIPE))
      local tolerance = ({ half = 5e-3, bfloat16 = 5e-2, double = 1e-5 })[dtype]
      local output = model:forward(model:preprocess(golden.photo)):view(6)
      golden.assertClose(golden.tensor "bilinear/logits", output, tolerance)
      assert.equal(dtype == "double" and 1 or 0, #model.notes)
      assert.equal(0, #load(path, { precision = "double" }).notes)
      assert.equal(1, load(path, { inputChannels = 1 }).config.inputChannels)
    end)
  end

  it("leaves the generator where it was", function()
    local path = saved(golden.state())
    dn.manualSeed(5)
    local expected = dn.rand(3):totable()
    dn.manualSeed(5)
    assert(load(path))
    assert.same(expected, dn.rand(3):totable())
  end)

  it("names a wrong option and a device that is missing", function()
    local path = saved(golden.state())
    assert.error_matches(function() load(path, { class = {} }) end, "did you mean 'classes'")
    assert.error_matches(function() load(path, { inputChannels = 0 }) end, "inputChannels: an integer of 1 or more")
    assert.error_matches(function() load(path, { classes = 5 }) end, "classes: a list of names, or")
    local model, message = load(path, { device = "nowhere" })
    assert.is_nil(model)
    assert.is_truthy(message:find("nowhere", 1, true))
    model, message = load(path, { precision = "triple" })
    assert.is_nil(model)
    assert.is_truthy(message:find("precision must be single or", 1, true), message)
  end)
end)
