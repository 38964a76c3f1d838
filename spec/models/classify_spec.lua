-- Pictures through a trained network: its input, guesses, features, and where in a picture it looks.
local dn = require "densenet"
local golden = require "spec.support.pretrained"
local activationMap = require "densenet.models.activation_map"
local temporary = require "spec.support.temporary"

local CLASSES = { "ant", "bee", "cat", "dog", "elk", "fox" }

describe("a trained network", function()
  if golden.lacksFormats() then return it("needs libjpeg and libpng", function() pending("not in this build") end) end
  local directory, path
  before_each(function()
    directory = temporary.directory()
    path = golden.save(directory)
  end)
  after_each(function() temporary.remove(directory) end)

  local function load(options)
    local all = { classes = CLASSES, preprocess = "torchvision" }
    for name, value in pairs(options or {}) do all[name] = value end
    return assert(dn.models.load(path, all))
  end

  -- torchvision's soft maximum, in double.
  local function probabilities(logits)
    local list, sum = {}, 0.0
    for i, x in ipairs(logits:double():totable()) do
      list[i] = math.exp(x)
      sum = sum + list[i]
    end
    for i, x in ipairs(list) do list[i] = x / sum end
    return list
  end

  for _, pair in ipairs { { "torchvision", "bilinear" }, { "timm", "bicubic" } } do
    local recipe, filter = pair[1], pair[2]
    it("sees a photo as " .. recipe .. " does", function()
      local model = load { preprocess = recipe }
      local input = assert(model:preprocess(golden.photo))
      assert.same({ 1, 3, 224, 224 }, input:size())
      golden.assertClose(golden.tensor(filter .. "/logits"), model:forward(input):view(6), 1e-5)
      local crops = assert(model:preprocess(golden.photo, { tenCrop = true }))
      assert.same({ 10, 3, 224, 224 }, crops:size())
      golden.assertClose(golden.tensor(filter .. "/ten_crops"), model:forward(crops):sum(1):view(6), 1e-5)
    end)
  end

  it("gives probabilities with names, the likeliest first", function()
    local model = load()
    local guesses = assert(model:classify(golden.photo, { topK = 6 }))
    local expected = probabilities(golden.tensor "bilinear/logits")
    assert.equal(6, #guesses)
    for rank, guess in ipairs(guesses) do
      assert.equal(CLASSES[guess.index], guess.class)
      assert.is_true(math.abs(guess.probability - expected[guess.index]) < 1e-5)
      assert.is_true(rank == 1 or guess.probability <= guesses[rank - 1].probability)
    end
    assert.equal(5, #model:classify(golden.photo))
    local mean = golden.tensor "bilinear/ten_crops":double() / 10
    for _, guess in ipairs(model:classify(golden.photo, { tenCrop = true, batchSize = 3 })) do
      assert.is_true(math.abs(guess.probability - probabilities(mean)[guess.index]) < 1e-5)
    end
  end)

  it("does all good pictures of a list, in batches of any size, and says what is wrong with the others", function()
    local model = load()
    local bytes = temporary.read(golden.photo)
    local alone = model:classify(golden.photo)
    local list = { golden.photo, "/no/such.jpg", { content = bytes, name = "in memory" },
      "spec/golden/images/bad_crc.png", assert(dn.image.load(golden.photo)), { content = "nonsense", name = "text" } }
    for _, batchSize in ipairs { 1, 2, 16 } do
      local results = model:classify(list, { batchSize = batchSize })
      for _, i in ipairs { 1, 3, 5 } do
        assert.equal(5, #results[i])
        for rank, guess in ipairs(results[i]) do
          assert.equal(alone[rank].index, guess.index)
          assert.is_true(math.abs(alone[rank].probability - guess.probability) < 1e-6)
        end
      end
      assert.is_truthy(results[2].error:find("/no/such.jpg", 1, true))
      assert.equal("io", results[2].code)
      assert.is_truthy(results[4].error:find("bad_crc.png", 1, true))
      assert.is_truthy(results[6].error:find("text", 1, true))
    end
    assert.same({}, model:classify {})
    local none, message, code = model:classify("/no/such.jpg")
    assert.is_nil(none)
    assert.is_truthy(message:find("/no/such.jpg", 1, true))
    assert.equal("io", code)
    assert.is_nil((model:preprocess { golden.photo, "/no/such.jpg" }))
  end)

  it("is left in the mode of before, also when something raises", function()
    local model = load()
    local norm = model:findModules("nn.SpatialBatchNormalization")[1]
    model:training()
    norm.train = false
    local before = norm.running_mean:clone()
    model:classify(golden.photo)
    model:cam(golden.photo)
    model:features(golden.photo)
    model.classes = { "too few" }
    assert.error_matches(function() model:classify(golden.photo) end, "model.classes: expected 6 names")
    assert.is_true(model.train)
    assert.is_true(model:get("classifier").train)
    assert.is_false(norm.train)
    assert.equal(0, (norm.running_mean - before):abs():max())
  end)

  it("asks for what it does not know, and guesses nothing", function()
    local model = assert(dn.models.load(path))
    assert.error_matches(function() model:classify(golden.photo) end, "does not say what its 6 classes are called")
    assert.error_matches(function() model:preprocess(golden.photo) end,
      "does not say what images go through .*torchvision")
    model.classes = CLASSES
    assert.error_matches(function() model:classify(golden.photo) end, "does not say what images go through")
    model = load()
    assert.error_matches(function() model:classify() end, "a picture or a list of them expected, got nil")
    assert.error_matches(function() model:classify(golden.photo, { topk = 3 }) end, "did you mean 'topK'")
    assert.error_matches(function() model:classify(golden.photo, { topK = 0 }) end, "topK: an integer of 1 or more")
    assert.error_matches(function() model:preprocess {} end, "got an empty list")
  end)

  it("says so when its outputs are no numbers", function()
    local model = load()
    model:get("classifier").bias:fill(0 / 0)
    assert.equal("diverged", (select(3, model:classify(golden.photo))))
  end)

  it("gives features of its layers", function()
    for _, optMemory in ipairs { 1, 4 } do
      local model = load { optMemory = optMemory }
      golden.assertClose(golden.tensor "bilinear/pool5", model:features(golden.photo):view(16), 1e-5)
      local two = model:features({ golden.photo, golden.photo }, "features.denseblock2")
      assert.same({ 2, 16, 28, 28 }, two:size())
      local last = model:features(golden.photo, "features.norm5")
      golden.assertClose(golden.tensor "bilinear/pool5", last:mean(4):mean(3):view(16), 1e-5)
      golden.assertClose(golden.tensor "bilinear/logits", model:features(golden.photo, "classifier"):view(6), 1e-5)
      assert.equal("features.conv0 features.norm0 features.relu0 features.pool0 features.denseblock1 "
        .. "features.transition1 features.denseblock2 features.norm5 pool5 classifier",
        table.concat(model:layerNames(), " "))
      assert.error_matches(function() model:features(golden.photo, "block2") end, "no layer is called 'block2'")
    end
  end)

  it("has maps whose mean is the class's output, those of PyTorch", function()
    for _, optMemory in ipairs { 1, 4 } do
      local model = load { optMemory = optMemory }
      local cam = assert(model:cam(golden.photo, "ant"))
      golden.assertClose(golden.tensor "bilinear/cam", cam.map, 1e-5)
      assert.is_true(math.abs(cam.map:mean() + model:get("classifier").bias:at(1) - cam.output) < 1e-4)
      assert.same({ 224, 224 }, cam.large:size())
      assert.same({ 3, 224, 224 }, cam.picture:size())
      assert.equal(model:classify(golden.photo)[1].class, model:cam(golden.photo).class)
      assert.equal("cat", model:cam(golden.photo, 3).class)
      assert.error_matches(function() model:cam(golden.photo, "cow") end, "6 classes or its number expected, got 'cow'")
      assert.is_nil((model:cam("/no/such.jpg")))
      local overlay = activationMap.overlay(cam)
      assert.same({ 3, 224, 224 }, overlay:size())
      assert.equal("byte", overlay:dtype())
      -- Reddest where the map is largest, blue where it says nothing.
      local index = cam.large:contiguous():view(224 * 224):argmax(1):item() - 1
      local y, x = index // 224 + 1, index % 224 + 1
      assert.equal((cam.picture:at(3, y, x) + 1) // 2, overlay:at(3, y, x))
    end
  end)

  it("shows the picture that the network saw", function()
    local model = load { scale = 224 }
    local picture = assert(dn.image.load(golden.photo))
    local small = dn.image.scale(picture, 224)
    local expected = dn.image.crop(small, 224, 1, (small:size(3) - 224) // 2 + 1)
    assert.equal(0, (model:cam(picture).picture:double() - expected:double()):abs():max())
  end)

  it("refuses maps of networks that do not end in a mean", function()
    local model = dn.models.preresnet { depth = 20, nClasses = 6 }:evaluate()
    model.classes, model.recipe = CLASSES, load { scale = 40, crop = 32 }.recipe
    assert.equal(5, #model:classify(golden.photo))
    assert.error_matches(function() model:cam(golden.photo) end, "this one is of the family preresnet")
  end)

  it("trains on as if nobody had looked", function()
    local function train(isWatched)
      dn.manualSeed(4)
      local model = load { optMemory = 4 }:training()
      local criterion, sgd = dn.nn.CrossEntropyCriterion(), dn.optim.SGD(model, { learningRate = 0.1, momentum = 0.9 })
      local input, target = dn.rand(4, 3, 64, 64):float(), dn.tensor({ 1, 2, 3, 4 }, "long")
      for _ = 1, 3 do
        model:zeroGradParameters()
        criterion:forward(model:forward(input), target)
        model:backward(input, criterion:backward(model.output, target))
        sgd:step()
        if isWatched then
          model:classify { golden.photo, golden.photo }
          model:cam(golden.photo)
        end
      end
      return model:get("classifier").weight:clone()
    end
    assert.equal(0, (train(true) - train(false)):abs():max())
  end)
end)
