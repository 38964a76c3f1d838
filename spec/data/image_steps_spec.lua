-- Images of a batch made by one call each, against the chain of transforms with the same random numbers; in loaders
-- too, with bad files among the good ones.
local dn = require "densenet"
local compare = require "spec.support.compare"
local core = require "densenet.core"
local imageSteps = require "densenet.data.image_steps"
local random = require "densenet.random"
local temporary = require "spec.support.temporary"

local transforms = dn.data.transforms
local MEAN, STD = { 123.675, 116.28, 103.53 }, { 58.395, 57.12, 57.375 }
local EIGENVALUES = { 0.2175 * 255, 0.0188 * 255, 0.0045 * 255 }
local normalize = transforms.ColorNormalize { mean = MEAN, std = STD }
local jitter = transforms.ColorJitter { brightness = 0.4, contrast = 0.4, saturation = 0.4 }

-- Smooth and coloured, so that a wrong place or channel shows.
local function picture(channels, height, width)
  local planes = {}
  for c = 1, channels do
    planes[c] = {}
    for y = 1, height do
      planes[c][y] = {}
      for x = 1, width do planes[c][y][x] = (y * (2 + c) + x * (5 - c) + (x * y // (6 * c))) % 256 end
    end
  end
  return core.tensor_from("cpu", "byte", planes)
end

local function fails(pattern, ...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  assert.matches(pattern, message)
end

-- The training recipe of fb.resnet.torch.
local function training(size, filter)
  return transforms.Compose {
    transforms.RandomSizedCrop(size, filter), jitter, transforms.Lighting(0.1, EIGENVALUES), normalize,
    transforms.HorizontalFlip(0.5),
  }
end

local EXACT = {
  transforms.Compose { transforms.Scale(40), normalize, transforms.CenterCrop(33) },
  transforms.Compose { transforms.Scale(41, "bilinear"), transforms.CenterCrop(32, { rounding = "even" }), normalize },
  transforms.Compose { transforms.CenterCrop(20) }, transforms.CenterCrop(20, { rounding = "even" }),
  transforms.Compose { transforms.RandomSizedCrop(24), transforms.Compose { normalize, transforms.HorizontalFlip() } },
  transforms.Compose { transforms.RandomSizedCrop(48, "bilinear"), transforms.HorizontalFlip(0.3) },
  transforms.Compose { transforms.RandomSizedCrop(24), normalize, transforms.HorizontalFlip(0.5),
    transforms.RandomErasing(0.8) },
  transforms.Compose { transforms.CenterCrop(20), transforms.RandomErasing(1) },
  transforms.RandomSizedCrop(24, "bicubic", 0.7),
}
local ROUNDED = {
  training(24), training(30, "bilinear"),
  transforms.Compose { transforms.Scale(40), transforms.CenterCrop(33), transforms.Contrast(0.5),
    transforms.Brightness(0.2) },
  transforms.Compose { transforms.RandomSizedCrop(24), transforms.HorizontalFlip(), transforms.Saturation(0.9),
    transforms.Lighting(0), transforms.ColorJitter { contrast = 0.3, brightness = 0 }, normalize, normalize },
}
local SIZES = { { 50, 67 }, { 67, 50 }, { 40, 40 }, { 20, 90 }, { 90, 41 } }

describe("one call for an image", function()
  local function compared(chain, tolerance)
    local load, size = imageSteps(chain, 3)
    for _, dtype in ipairs { "float", "double" } do
      local out = core.tensor_new("cpu", dtype, { 3, 3, size, size })
      for seed, sides in ipairs(SIZES) do
        local image = picture(3, sides[1], sides[2])
        for stream = 1, 12 do
          core.fill(out, 77)
          assert.is_true(load(out, 2, image, seed, stream))
          compare.near(out:select(1, 2), compare.clone(chain(image, random.generator(seed, stream), dtype), dtype),
            tolerance[dtype], tostring(chain))
          for _, other in ipairs { 1, 3 } do
            assert.same({ 77, 77 }, { out:select(1, other):min(), out:select(1, other):max() })
          end
        end
      end
    end
  end

  it("is the chain to the bit where colours are normalised at most", function()
    for _, chain in ipairs(EXACT) do compared(chain, { float = 0, double = 0 }) end
  end)

  it("is the chain to the rounding of floats where they are changed", function()
    for _, chain in ipairs(ROUNDED) do compared(chain, { float = 2e-6, double = 1e-14 }) end
  end)

  it("takes grey images where no colours change", function()
    local chain = transforms.Compose { transforms.RandomSizedCrop(20),
      transforms.ColorNormalize { mean = { 100 }, std = { 50 } }, transforms.HorizontalFlip() }
    local load = imageSteps(chain, 1)
    local image, out = picture(1, 40, 50), dn.zeros(1, 1, 20, 20)
    assert.is_true(load(out, 1, image, 3, 4))
    compare.near(out:select(1, 1), chain(image, random.generator(3, 4)), 0, "grey")
    assert.is_nil(imageSteps(training(20), 1))
    assert.is_nil(imageSteps(transforms.Compose { transforms.CenterCrop(20), transforms.Brightness(0.4) }, 2))
  end)

  it("takes grey images through brightness and contrast", function()
    local figures = transforms.ColorNormalize { mean = { 100 }, std = { 50 } }
    for _, chain in ipairs {
      transforms.Compose { transforms.RandomSizedCrop(20), transforms.ColorJitter { brightness = 0.4, contrast = 0.4 },
        figures, transforms.HorizontalFlip() },
      transforms.Compose { transforms.CenterCrop(20), transforms.Contrast(0.6), transforms.Brightness(0.4), figures,
        figures },
    } do
      local load = imageSteps(chain, 1)
      for _, dtype in ipairs { "float", "double" } do
        local image, out = picture(1, 40, 50), core.tensor_new("cpu", dtype, { 1, 1, 20, 20 })
        for seed = 1, 10 do
          assert.is_true(load(out, 1, image, seed, 4))
          compare.near(out:select(1, 1), chain(image, random.generator(seed, 4), dtype),
            dtype == "float" and 2e-6 or 1e-14, tostring(chain))
        end
      end
    end
  end)

  it("is not for other chains", function()
    for _, chain in ipairs {
      transforms.Scale(40), transforms.Compose { transforms.Scale(40), transforms.TenCrop(20) }, normalize,
      transforms.Compose { transforms.RandomCrop(20, 4), normalize }, transforms.Compose {},
      transforms.Compose { transforms.Scale(40, "torch"), transforms.CenterCrop(20) },
      transforms.Compose { transforms.RandomSizedCrop(20, "torch") },
      transforms.Compose { transforms.RandomSizedCrop(20), function(image) return image end },
      transforms.Compose { transforms.RandomSizedCrop(20), transforms.Rotation(10) },
      transforms.Compose { transforms.Scale(40), transforms.Contrast(0.4), transforms.CenterCrop(20) },
      transforms.Compose { transforms.Scale(40), transforms.HorizontalFlip(), transforms.CenterCrop(20) },
      transforms.Compose { transforms.CenterCrop(20), transforms.RandomErasing(), normalize },
    } do
      assert.is_nil(imageSteps(chain, 3), tostring(chain))
    end
    assert.is_nil(imageSteps(nil, 3))
    assert.is_nil(imageSteps(function(image) return image end, 3))
  end)

  it("refuses what does not fit, and says what was wrong with a file", function()
    local load = imageSteps(EXACT[1], 3)
    local out, image = dn.zeros(2, 3, 33, 33), picture(3, 50, 60)
    fails("#2.*no such image in the batch", load, out, 3, image, 1, 1)
    fails("#1.*N,C,H,W", load, out:select(1, 1), 1, image, 1, 1)
    fails("#1.*has 3 channels, the image has 1", load, out, 1, picture(1, 50, 60), 1, 1)
    fails("#3.*must be byte", load, out, 1, compare.clone(image, "float"), 1, 1)
    fails("33x45 pixels at %(4, 8%) of a scaled image of 40x48", load, dn.zeros(1, 3, 33, 45), 1, picture(3, 40, 48), 1,
      1)
    fails("CenterCrop: a square of 20 pixels does not fit an image of 19x60", imageSteps(EXACT[3], 3),
      dn.zeros(1, 3, 20, 20), 1, picture(3, 19, 60), 1, 1)
    local path = "spec/golden/images/truncated.bmp"
    local ok, message, code = load(out, 1, path, 1, 1)
    assert.same({ nil, "format" }, { ok, code })
    assert.matches("^spec/golden/images/truncated%.bmp: cut short", message)
    ok, message, code = load(out, 1, "/no/such.png", 1, 1)
    assert.same({ nil, "io" }, { ok, code })
    assert.matches("/no/such%.png", message)
    assert.equal(0, out:abs():max())
    local four = imageSteps(transforms.CenterCrop(8), 4)
    assert.is_true(four(dn.zeros(1, 4, 8, 8), 1, picture(4, 9, 9), 1, 1))
    fails("#1.*1 or 3 channels", four, dn.zeros(1, 4, 8, 8), 1, path, 1, 1)
  end)

  it("refuses descriptions that are wrong", function()
    local function refused(pattern, change)
      local description = { cut = "middle", scale = 0, crop = 3, rounding = "up", filter = "bicubic" }
      for key, value in pairs(change) do description[key] = value end
      fails(pattern, core.image_steps, description)
    end
    refused("cut: no such cut", { cut = "all" })
    refused("scale: 0 to 2^24 pixels", { scale = -1 })
    refused("crop: 1 to 2^24 pixels", { cut = "randomSized", crop = 0 })
    refused("filter: no such filter", { filter = "torch" })
    refused("kind: no such kind", { { kind = "hue" } })
    refused("probability: a number expected", { { kind = "flip" } })
    refused("range: a number expected", { { kind = "contrast", range = 1 / 0 } })
    refused("std: numbers above 0", { { kind = "normalize", mean = { 1 }, std = { 0 } } })
    refused("std: a list of numbers", { { kind = "normalize", mean = { 1 }, std = { 1, 2 } } })
    refused("eigenvalues: a list of numbers", { { kind = "lighting", deviation = 1 } })
    refused("eigenvectors: three lists", { { kind = "lighting", deviation = 1, eigenvalues = { 1, 2, 3 },
      eigenvectors = { { 1, 2, 3 }, { 1 } } } })
    fails("too many steps", core.image_steps, dn.zeros(100):totable())
  end)

  it("leaves nothing behind where memory runs out", function()
    local load = imageSteps(training(24), 3)
    local out, image = dn.zeros(1, 3, 24, 24), picture(3, 60, 70)
    load(out, 1, "spec/golden/images/rgb24.bmp", 1, 1)
    collectgarbage()
    local before = core.memory("cpu").blocks
    for room = 500, 30000, 500 do
      for _, source in ipairs { image, "spec/golden/images/rgb24.bmp" } do
        core.memory_limit("cpu", core.memory("cpu").live + room)
        local ok, message = pcall(load, out, 1, source, 1, 1)
        core.memory_limit("cpu", 0)
        if not ok then assert.matches("out of memory", message) end
      end
    end
    collectgarbage()
    assert.equal(before, core.memory("cpu").blocks)
  end)
end)

local PHOTO = "spec/golden/pipeline/cat_451x300.jpg"
local hasJpeg = select(3, dn.image.load(PHOTO)) ~= "unsupported"

describe("fastDecode", function()
  it("leaves part of the shrinking to the JPEG decoder, and nothing else changes", function()
    if not hasJpeg then return pending("no JPEG in this build") end
    local chain = transforms.Compose { transforms.RandomSizedCrop(32), normalize, transforms.HorizontalFlip() }
    local exact, fast = imageSteps(chain, 3), imageSteps(chain, 3, true)
    local a, b, n = dn.zeros(1, 3, 32, 32), dn.zeros(1, 3, 32, 32), 0
    for seed = 1, 20 do
      assert.is_true(exact(a, 1, PHOTO, seed, 1))
      assert.is_true(fast(b, 1, PHOTO, seed, 1))
      local difference = compare.norm_error(b, a)
      assert.is_true(difference < 0.4, difference) -- the same part of the picture, the same way round
      if difference > 0 then n = n + 1 end
    end
    assert.is_true(n >= 15, n)
  end)

  it("changes nothing where nothing is shrunk that far, nor in a test, nor in other formats", function()
    local out = { dn.zeros(1, 3, 256, 256), dn.zeros(1, 3, 256, 256) }
    local function alike(chain, source)
      for seed = 1, 5 do
        local sizes = {}
        for i, fast in ipairs { false, true } do
          local load, size = imageSteps(chain, 3, fast)
          sizes[i] = out[i]:narrow(3, 1, size):narrow(4, 1, size):contiguous()
          assert(load(sizes[i], 1, source, seed, 2))
        end
        assert.equal(0, (sizes[1] - sizes[2]):abs():max())
      end
    end
    alike(training(24), picture(3, 90, 90))
    alike(training(8), "spec/golden/images/rgb24.bmp")
    if not hasJpeg then return end
    alike(transforms.Compose { transforms.RandomSizedCrop(256), normalize }, "spec/golden/images/baseline_444.jpg")
    alike(transforms.Compose { transforms.Scale(40), transforms.CenterCrop(32), normalize }, PHOTO)
  end)
end)

describe("a folder's fastDecode", function()
  it("is refused where it could do nothing", function()
    local function refused(pattern, options)
      assert.matches(pattern, select(2, pcall(dn.data.folder, "spec/golden/folder/train", options)))
    end
    refused("fastDecode: expected true or false, got 1", { fastDecode = 1 })
    refused("fastDecode: expected the filter bicubic or bilinear with it, got torch",
      { fastDecode = true, filter = "torch" })
    local options = require "densenet.train.options"
    local _, message = options.parse { "-dataset", "cifar10", "-fastDecode", "true" }
    assert.matches("%-fastDecode true: the data set cifar10 has no such option", message)
  end)
end)

describe("a loader of image files", function()
  local directory, names
  before_each(function()
    directory, names = temporary.directory(), {}
    for i = 1, 12 do
      local path = ("%s/%s/%02d.ppm"):format(directory, i <= 6 and "one" or "two", i)
      if not core.file_exists(path:match "^(.*)/") then core.directory_make(path:match "^(.*)/") end
      assert(dn.image.save(path, picture(3, 30 + i, 50 - i)))
      names[i] = path
    end
  end)
  after_each(function() temporary.remove(directory) end)

  local function batches(set, options)
    local all = { set = set, batchSize = 5, shuffle = true, seed = 3, transform = training(16) }
    for key, value in pairs(options or {}) do all[key] = value end
    local loader <close> = dn.data.Loader(all)
    local inputs, targets = {}, {}
    for _, sample in loader:run(2) do
      inputs[#inputs + 1], targets[#targets + 1] = sample.input:clone(), sample.target:clone()
    end
    return dn.cat(inputs, 1), dn.cat(targets, 1):totable(), loader:badImages()
  end

  local function open(options)
    local all = { mean = MEAN, std = STD, imageSize = 16 }
    for key, value in pairs(options or {}) do all[key] = value end
    return assert(dn.data.folder(directory, all))
  end

  -- The same files, read one by one for the chain.
  local function plain(set)
    return { size = function() return set:size() end, get = function(_, i) return set:get(i) end }
  end

  it("gives what the chain gives, in any number of threads", function()
    local set = open()
    local right, labels = batches(plain(set))
    local first = batches(set)
    compare.near(first, right, 2e-6, "one call")
    for nThreads = 1, 3, 2 do
      local got, gotLabels = batches(set, { nThreads = nThreads })
      assert.equal(0, (got - first):abs():max())
      assert.same(labels, gotLabels)
    end
    local double = batches(set, { precision = "double", nThreads = 1 })
    compare.near(double, batches(plain(set), { precision = "double" }), 1e-14, "double")
  end)

  it("stops at a bad image with its name, at once and in any number of threads", function()
    temporary.write(names[4], "P6 30 50 255 not all of it")
    for nThreads = 0, 2 do
      fails("^" .. names[4]:gsub("%p", "%%%0") .. ": cut short[^\n]*$", function()
        batches(open(), { nThreads = nThreads })
      end)
    end
    os.remove(names[4])
    temporary.write(names[9], "GIF89a") -- the set was opened before
    local set = open { classes = { "one", "two" } }
    os.remove(names[2])
    local ok, message = pcall(batches, set, { nThreads = 2 })
    assert.is_false(ok)
    assert.is_truthy(tostring(message):find(names[2], 1, true) or tostring(message):find(names[9], 1, true), message)
  end)

  it("passes over bad images where it may, and says which", function()
    local right, labels = batches(open())
    temporary.write(names[4], "P6 30 50 255 not all of it")
    temporary.write(names[12], "")
    for nThreads = 0, 2 do
      local got, gotLabels, bad = batches(open { badImages = "skip" }, { nThreads = nThreads })
      assert.same(labels, gotLabels)
      local changed = 0
      for n = 1, 12 do
        if (got:select(1, n) - right:select(1, n)):abs():max() > 0 then changed = changed + 1 end
      end
      assert.equal(2, changed)
      table.sort(bad)
      assert.equal(2, #bad)
      assert.matches("/04%.ppm: cut short", bad[1])
      assert.matches("/12%.ppm: is empty", bad[2])
    end
  end)
end)
