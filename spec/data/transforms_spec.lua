-- Transforms of one image: what each does, what it draws, what it refuses, and that a description
-- makes the same transform again.

local core = require "densenet.core"
require "densenet.tensor"
local compare = require "spec.support.compare"
local preprocess = require "densenet.data.preprocess"
local random = require "densenet.random"
local temporary = require "spec.support.temporary"
local transforms = require "densenet.data.transforms"

local function tensor(values, dtype) return core.tensor_from("cpu", dtype or "double", values) end

-- channels x height x width, every element another number.
local function picture(channels, height, width, dtype)
  local values, n = {}, 0
  for c = 1, channels do
    values[c] = {}
    for y = 1, height do
      values[c][y] = {}
      for x = 1, width do
        n = n + 1
        values[c][y][x] = n
      end
    end
  end
  return tensor(values, dtype)
end

-- A generator that gives what it is told, in this order, and remembers what it was asked.
local function told(...)
  local answers, asked = { ... }, {}
  local function answer(kind)
    return function(_, a, b)
      asked[#asked + 1] = { kind, a, b }
      return table.remove(answers, 1)
    end
  end
  return { uniform = answer "uniform", integer = answer "integer", normal = answer "normal", asked = asked }
end

local function fails(pattern, ...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  assert.matches(pattern, message)
end

describe("a transform", function()
  it("leaves its image as it is and keeps the element type", function()
    local rng = random.generator(1, 2)
    for _, t in ipairs {
      transforms.ColorNormalize { mean = { 1, 2, 3 }, std = { 2, 2, 2 } }, transforms.HorizontalFlip(1),
      transforms.Scale(5), transforms.RandomScale(4, 9), transforms.CenterCrop(4), transforms.RandomCrop(6, 2),
      transforms.TenCrop(4), transforms.RandomSizedCrop(5), transforms.Rotation(30), transforms.Lighting(0.1),
      transforms.Brightness(0.4), transforms.Contrast(0.4), transforms.Saturation(0.4),
      transforms.ColorJitter { brightness = 0.4, contrast = 0.4, saturation = 0.4 },
    } do
      for _, dtype in ipairs { "float", "double" } do
        local image = picture(3, 6, 7, dtype)
        local out = t(image, rng)
        assert.same(picture(3, 6, 7, dtype):totable(), image:totable(), tostring(t))
        assert.equal(dtype, out:dtype(), tostring(t))
        assert.is_false(out:isSameView(image), tostring(t))
      end
    end
  end)

  it("leaves a byte image one where pixels only move or are resized, and else makes it what is asked for", function()
    local image = picture(3, 6, 7, "byte")
    local function dtypeOf(t, ...) return t(image, random.generator(1, 2), ...):dtype() end
    local normalize = transforms.ColorNormalize { mean = { 1, 2, 3 }, std = { 2, 2, 2 } }
    for _, t in ipairs {
      transforms.HorizontalFlip(1), transforms.Scale(5), transforms.RandomScale(4, 9), transforms.CenterCrop(4),
      transforms.RandomCrop(6, 2), transforms.TenCrop(4), transforms.RandomSizedCrop(5), transforms.Compose {},
      transforms.RandomOrder { transforms.CenterCrop(4), transforms.HorizontalFlip(1) },
    } do
      assert.equal("byte", dtypeOf(t), tostring(t))
    end
    for _, t in ipairs {
      normalize, transforms.Rotation(30), transforms.Lighting(0.1), transforms.Brightness(0.4),
      transforms.Contrast(0.4), transforms.Saturation(0.4), transforms.ColorJitter { brightness = 0.4 },
      transforms.Compose { transforms.Scale(5), normalize }, transforms.RandomSizedCrop(5, "torch"),
    } do
      assert.equal("float", dtypeOf(t), tostring(t))
      assert.equal("double", dtypeOf(t, "double"), tostring(t))
      -- Pixels that were resized as numbers were not rounded, as bytes are.
      if t.name ~= "Compose" then
        local real = t(compare.clone(image, "double"), random.generator(1, 2))
        compare.near(t(image, random.generator(1, 2), "double"), real, 0, tostring(t))
      end
    end
    local given
    transforms.Compose { transforms.CenterCrop(4), function(each) given = each:dtype() return each end }(image)
    assert.equal("float", given) -- functions of one's own are written for such images
  end)

  it("works with one thread of computing, and leaves the number as it was", function()
    local before, seen = core.threads(), {}
    core.threads(2)
    if core.threads() ~= 2 then return pending("this build computes with one thread") end
    local function step(image)
      seen[#seen + 1] = core.threads()
      return image
    end
    local inner = transforms.Compose { step }
    transforms.Compose { step, inner, step }(picture(1, 2, 2))
    seen[#seen + 1] = core.threads()
    pcall(transforms.Compose { function() error("no") end }, picture(1, 2, 2))
    seen[#seen + 1] = core.threads()
    local Loader = require "densenet.data.loader"
    local loader = Loader { batchSize = 1, set = { size = function() return 1 end, get = function()
      seen[#seen + 1] = core.threads()
      return { input = picture(1, 2, 2), target = 1 }
    end } }
    for _ in loader:run(1) do seen[#seen + 1] = core.threads() end
    core.threads(before)
    assert.same({ 1, 1, 1, 2, 2, 1, 2 }, seen)
  end)

  it("gives the same for the same generator and by default draws from the default one", function()
    local t = transforms.Compose {
      transforms.HorizontalFlip(0.5), transforms.RandomCrop(5, 4), transforms.Rotation(20),
    }
    local image = picture(2, 6, 7)
    local first = t(image, random.generator(3, 4)):totable()
    assert.same(first, t(image, random.generator(3, 4)):totable())
    assert.not_same(first, t(image, random.generator(3, 5)):totable())
    random.seed(5)
    local default = t(image):totable()
    assert.same(default, t(image, random.generator(5, 0)):totable())
    assert.not_same(default, t(image):totable())
  end)

  it("refuses what is no image", function()
    local t = transforms.CenterCrop(2)
    fails("CenterCrop: an image is a tensor C,H,W, not a table", t, { 1 })
    local expected = "CenterCrop: an image is a byte, float or double tensor C,H,W, not "
    fails(expected .. "double 2x2", t, tensor { { 1, 2 }, { 4, 5 } })
    fails(expected .. "long 1x4x4", t, picture(1, 4, 4, "long"))
  end)

  it("prints itself", function()
    assert.equal("RandomCrop(28, 4)", tostring(transforms.RandomCrop(28, 4)))
    assert.equal("ColorNormalize({...})", tostring(transforms.ColorNormalize { mean = { 1 }, std = { 1 } }))
  end)
end)

describe("constructors", function()
  it("refuse wrong parameters where they are called", function()
    local cases = {
      { "RandomCrop: size must be a whole number from 1 on, not 0", transforms.RandomCrop, 0 },
      { "RandomCrop: size must be a whole number from 1 on, not nil", transforms.RandomCrop },
      { "RandomCrop: padding must be a whole number from 0 on, not %-1", transforms.RandomCrop, 3, -1 },
      { "CenterCrop: size .*not 2.5", transforms.CenterCrop, 2.5 },
      { "CenterCrop: takes a table of options behind the size", transforms.CenterCrop, 2, "even" },
      { "CenterCrop: knows no option round", transforms.CenterCrop, 2, { round = "even" } },
      { "TenCrop: the rounding must be up or even, not down", transforms.TenCrop, 2, { rounding = "down" } },
      { "RandomSizedCrop: the filter must be bicubic, .* or torch, not box", transforms.RandomSizedCrop, 2, "box" },
      { "TenCrop: size .*not x", transforms.TenCrop, "x" },
      { "Scale: the filter must be bicubic, bilinear or torch, not nearest", transforms.Scale, 3, "nearest" },
      { "RandomScale: the largest size must be a whole number from 5 on, not 4", transforms.RandomScale, 5, 4 },
      { "RandomSizedCrop: size", transforms.RandomSizedCrop, -3 },
      { "HorizontalFlip: the probability must be a number from 0 to 1, not 1.5", transforms.HorizontalFlip, 1.5 },
      { "HorizontalFlip: the probability .*nan", transforms.HorizontalFlip, 0 / 0 },
      { "Rotation: the range in degrees must be a number from 0 to 360", transforms.Rotation, 400 },
      { "Lighting: the deviation", transforms.Lighting, -1 },
      { "Lighting: eigenvalues must be a list of 3 numbers", transforms.Lighting, 1, { 1, 2 } },
      { "Lighting: eigenvectors must be three lists", transforms.Lighting, 1, { 1, 2, 3 }, { 1 } },
      { "Brightness: the range", transforms.Brightness, "much" },
      { "ColorJitter: knows no hue", transforms.ColorJitter, { hue = 1 } },
      { "ColorNormalize: std must be a list of 2", transforms.ColorNormalize, { mean = { 1, 2 }, std = { 1 } } },
      { "ColorNormalize: std must be above 0", transforms.ColorNormalize, { mean = { 1 }, std = { 0 } } },
      { "ColorNormalize: mean must be a list of numbers", transforms.ColorNormalize, { std = { 0 } } },
      { "Compose: takes a list of transforms", transforms.Compose, transforms.CenterCrop(1) },
      { "RandomOrder: step 2 is a number, not a transform", transforms.RandomOrder, { transforms.CenterCrop(1), 3 } },
      { "FromModule: takes the name of a module", transforms.FromModule, nil },
    }
    for _, case in ipairs(cases) do fails(case[1], table.unpack(case, 2, 5)) end
    local _, message = pcall(function() return transforms.RandomCrop(0), nil end)
    assert.matches("^spec/data/transforms_spec.lua:%d+: RandomCrop", message)
  end)
end)

describe("crops", function()
  it("CenterCrop takes the middle, one lower and further right where there are two", function()
    local image = picture(1, 3, 6)
    assert.same({ { { 3, 4 }, { 9, 10 } } }, transforms.CenterCrop(2)(picture(1, 2, 6)):totable())
    assert.same({ { { 9, 10 }, { 15, 16 } } }, transforms.CenterCrop(2)(image):totable())
    assert.same({ { { 10 } } }, transforms.CenterCrop(1)(image):totable())
    fails("CenterCrop: a square of 4 pixels does not fit an image of 3x6", transforms.CenterCrop(4), image)
  end)

  it("RandomCrop draws column and row among all places, zeros around", function()
    local rng = told(1, 1, 3, 3)
    local t = transforms.RandomCrop(3, 1)
    assert.same({ { { 0, 0, 0 }, { 0, 1, 2 }, { 0, 4, 5 } } }, t(picture(1, 3, 3), rng):totable())
    assert.same({ { { 5, 6, 0 }, { 8, 9, 0 }, { 0, 0, 0 } } }, t(picture(1, 3, 3), rng):totable())
    rng = told(4, 2)
    assert.same({ { { 10, 11 }, { 16, 17 } } }, transforms.RandomCrop(2)(picture(1, 3, 6), rng):totable())
    assert.same({ { "integer", 5 }, { "integer", 2 } }, rng.asked)
    fails("RandomCrop: a square of 9 pixels does not fit an image of 3x6 padded by 2", transforms.RandomCrop(9, 2),
      picture(1, 3, 6))
  end)

  it("TenCrop gives the middle and the corners, then the same of the mirrored image", function()
    local crops = transforms.TenCrop(1)(picture(2, 3, 5))
    assert.same({ 10, 2, 1, 1 }, crops:size())
    local first = {}
    for i = 1, 10 do first[i] = crops:at(i, 1, 1, 1) end
    assert.same({ 8, 1, 5, 11, 15, 8, 5, 1, 15, 11 }, first)
    assert.equal(23, crops:at(1, 2, 1, 1))
  end)
end)

describe("Scale", function()
  it("brings the smaller edge to the size and keeps the proportions", function()
    for _, case in ipairs {
      { 6, 9, 4, { 2, 4, 6 } }, { 9, 6, 4, { 2, 6, 4 } }, { 5, 5, 7, { 2, 7, 7 } }, { 3, 10, 4, { 2, 4, 13 } },
    } do
      assert.same(case[4], transforms.Scale(case[3])(picture(2, case[1], case[2])):size())
    end
    local image = picture(1, 4, 9)
    assert.is_true(transforms.Scale(4)(image):isSameView(image))
  end)

  it("is image_resize with the filter asked for, bicubic by default", function()
    local image, right = picture(1, 6, 9), core.tensor_new("cpu", "double", { 1, 4, 6 })
    core.image_resize(right, image, "bicubic")
    assert.same(right:totable(), transforms.Scale(4)(image):totable())
    core.image_resize(right, image, "bilinear")
    assert.same(right:totable(), transforms.Scale(4, "bilinear")(image):totable())
  end)

  it("RandomScale draws the size, both ends included", function()
    local rng = told(1, 3)
    assert.same({ 1, 4, 8 }, transforms.RandomScale(4, 6)(picture(1, 5, 10), rng):size())
    assert.same({ 1, 6, 12 }, transforms.RandomScale(4, 6)(picture(1, 5, 10), rng):size())
    assert.same({ "integer", 3 }, rng.asked[1])
  end)
end)

describe("RandomSizedCrop", function()
  it("cuts the rectangle that it drew and resizes it", function()
    -- a quarter of 8x8 at 4:3 is 4.62 x 3.46, so 5 wide and 3 high; not turned; row 2, column 1
    local rng = told(0.25, 4 / 3, 0.9, 2, 1)
    local image, part = picture(1, 8, 8), core.tensor_new("cpu", "double", { 1, 3, 5 })
    core.image_crop(part, image, 1, 0)
    local right = core.tensor_new("cpu", "double", { 1, 6, 6 })
    core.image_resize(right, part, "bicubic")
    assert.same(right:totable(), transforms.RandomSizedCrop(6)(image, rng):totable())
    assert.same({ { "uniform", 0.08, 1 }, { "uniform", 3 / 4, 4 / 3 }, { "uniform", 0, 1 }, { "integer", 6 },
      { "integer", 4 } }, rng.asked)
  end)

  it("takes the middle after ten rectangles that do not fit", function()
    local answers = {}
    for i = 1, 30, 3 do answers[i], answers[i + 1], answers[i + 2] = 1, 4 / 3, 0.9 end
    local image = picture(1, 4, 12)
    local right = transforms.CenterCrop(3)(transforms.Scale(3)(image))
    assert.same(right:totable(), transforms.RandomSizedCrop(3)(image, told(table.unpack(answers))):totable())
  end)

  it("always has the size asked for", function()
    local rng = random.generator(1, 1)
    for _ = 1, 100 do
      assert.same({ 2, 5, 5 }, transforms.RandomSizedCrop(5)(picture(2, 3, 9), rng):size())
    end
  end)
end)

describe("HorizontalFlip and Rotation", function()
  it("flip when the number drawn is below the probability", function()
    local image = picture(1, 1, 3)
    assert.same({ { { 3, 2, 1 } } }, transforms.HorizontalFlip(0.3)(image, told(0.29)):totable())
    assert.is_true(transforms.HorizontalFlip(0.3)(image, told(0.3)):isSameView(image))
    assert.is_true(transforms.HorizontalFlip(0)(image, told(0)):isSameView(image))
  end)

  it("flip about half of many images", function()
    local rng, t, image, n = random.generator(9, 9), transforms.HorizontalFlip(), picture(1, 1, 2), 0
    for _ = 1, 1000 do n = n + (t(image, rng):isSameView(image) and 0 or 1) end
    assert.near(500, n, 80) -- five standard deviations
  end)

  it("turn by the angle drawn from plus to minus half the range", function()
    local rng = told(math.pi / 2)
    local out = transforms.Rotation(360)(picture(1, 2, 2), rng)
    compare.near(out, tensor { { { 2, 4 }, { 1, 3 } } }, 1e-14, "quarter turn")
    assert.same({ { "uniform", -math.pi, math.pi } }, rng.asked)
    local image = picture(1, 2, 2)
    assert.is_true(transforms.Rotation(0)(image):isSameView(image))
  end)
end)

describe("colours", function()
  local rgb = { { { 10, 20 } }, { { 30, 40 } }, { { 50, 90 } } }
  -- 0.299 R + 0.587 G + 0.114 B
  local grey = { 26.3, 39.72 }
  local mean = (grey[1] + grey[2]) / 2

  local function blended(weight, dull)
    local out = {}
    for c = 1, 3 do
      out[c] = { {} }
      for x = 1, 2 do out[c][1][x] = weight * rgb[c][1][x] + (1 - weight) * dull[x] end
    end
    return tensor(out)
  end

  it("Brightness, Contrast and Saturation blend with black, the mean and the grey image", function()
    for _, case in ipairs {
      { transforms.Brightness(0.4), { 0, 0 } },
      { transforms.Contrast(0.4), { mean, mean } },
      { transforms.Saturation(0.4), grey },
    } do
      local rng = told(-0.3)
      compare.near(case[1](tensor(rgb), rng), blended(0.7, case[2]), 1e-14, tostring(case[1]))
      assert.same({ { "uniform", -0.4, 0.4 } }, rng.asked)
    end
  end)

  it("Contrast of other than three channels uses the mean of all", function()
    local out = transforms.Contrast(1)(tensor { { { 1, 3 } }, { { 5, 7 } } }, told(-0.5))
    compare.near(out, tensor { { { 2.5, 3.5 } }, { { 4.5, 5.5 } } }, 1e-14, "two channels")
  end)

  it("Lighting shifts the channels along the axes", function()
    local rng = told(1, -2, 3)
    local out = transforms.Lighting(0.1, { 10, 20, 30 })(tensor(rgb), rng)
    -- the axes times 1*10, -2*20, 3*30
    local shift = {
      -0.5675 * 10 - 0.7192 * 40 + 0.4009 * 90,
      -0.5808 * 10 + 0.0045 * 40 - 0.8140 * 90,
      -0.5836 * 10 + 0.6948 * 40 + 0.4203 * 90,
    }
    local right = {}
    for c = 1, 3 do right[c] = { { rgb[c][1][1] + shift[c], rgb[c][1][2] + shift[c] } } end
    compare.near(out, tensor(right), 1e-14, "lighting")
    assert.same({ "normal", 0, 0.1 }, rng.asked[1])
    local image = tensor(rgb)
    assert.is_true(transforms.Lighting(0)(image):isSameView(image))
  end)

  it("Lighting and Saturation need three channels", function()
    fails("Lighting: needs the three channels R, G, B, the image has 1", transforms.Lighting(0.1), picture(1, 2, 2))
    fails("Saturation: needs the three channels R, G, B, the image has 4", transforms.Saturation(0.1), picture(4, 2, 2))
  end)

  it("ColorJitter does what has a range, in a drawn order", function()
    local jitter = transforms.ColorJitter { brightness = 0.4, contrast = 0.2, saturation = 0 }
    local rng = told(2, 0.1, 1, -0.2) -- contrast first, then brightness
    local right = transforms.Brightness(0.4)(transforms.Contrast(0.2)(tensor(rgb), told(0.1)), told(-0.2))
    compare.near(jitter(tensor(rgb), rng), right, 1e-15, "jitter")
    assert.same({ { "integer", 2 }, { "uniform", -0.2, 0.2 }, { "integer", 1 }, { "uniform", -0.4, 0.4 } }, rng.asked)
    assert.same(rgb, transforms.ColorJitter {}(tensor(rgb)):totable())
  end)
end)

describe("Compose and RandomOrder", function()
  local function add(n)
    return function(image)
      local out = compare.clone(image)
      core.binary_scalar(out, image, n, "add")
      return out
    end
  end
  local function double(image)
    local out = compare.clone(image)
    core.binary_scalar(out, image, 2, "mul")
    return out
  end

  it("Compose goes in order and takes functions", function()
    assert.same({ { { 8 } } }, transforms.Compose { add(3), double }(picture(1, 1, 1)):totable())
    assert.same({ { { 1 } } }, transforms.Compose {}(picture(1, 1, 1)):totable())
  end)

  it("RandomOrder does every step once, in any order", function()
    local found, rng = {}, random.generator(2, 2)
    for _ = 1, 200 do
      local out = transforms.RandomOrder { add(3), double, add(10) }(picture(1, 1, 1), rng)
      found[out:at(1, 1, 1)] = true
    end
    -- (1+3)*2+10, (1+3+10)*2, 1*2+3+10, (1+10)*2+3
    assert.same({ [18] = true, [28] = true, [15] = true, [25] = true }, found)
  end)
end)

describe("descriptions", function()
  it("make every transform again", function()
    local all = transforms.Compose {
      transforms.ColorNormalize { mean = { 1, 2, 3 }, std = { 4, 5, 6 } },
      transforms.RandomScale(9, 12), transforms.RandomSizedCrop(9), transforms.Scale(10, "bilinear"),
      transforms.Rotation(40), transforms.Lighting(0.3),
      transforms.RandomOrder { transforms.Brightness(0.1), transforms.Contrast(0.2), transforms.Saturation(0.3) },
      transforms.ColorJitter { brightness = 0.4, saturation = 0.2 },
      transforms.RandomCrop(9, 2), transforms.HorizontalFlip(), transforms.CenterCrop(8), transforms.TenCrop(7),
    }
    local description = transforms.describe(all)
    local again = transforms.build(description)
    local image = picture(3, 8, 11)
    assert.same(all(image, random.generator(1, 1)):totable(), again(image, random.generator(1, 1)):totable())
    assert.same(description, transforms.describe(again))
  end)

  it("consist of plain values", function()
    assert.same({ transform = "Compose", n = 1, { { transform = "RandomCrop", n = 2, 28, 4 } } },
      transforms.describe(transforms.Compose { transforms.RandomCrop(28, 4) }))
  end)

  it("refuse functions and say what to do", function()
    local hint = "put .*into a module and use FromModule"
    fails(hint, transforms.describe, function(image) return image end)
    fails(hint, transforms.describe, transforms.Compose { function(image) return image end })
    fails("describes no known transform", transforms.build, { transform = "Magic", n = 0 })
    fails("describes no known transform", transforms.build, 3)
  end)

  it("tell a module of one's own", function()
    local directory, path = temporary.directory(), package.path
    temporary.write(directory .. "/brighter_for_spec.lua", [[
      local core = require "densenet.core"
      return function(amount)
        return function(image)
          local out = core.tensor_new("cpu", image:dtype(), image:size())
          core.binary_scalar(out, image, amount, "add")
          return out
        end
      end]])
    package.path = directory .. "/?.lua;" .. path
    local description = transforms.describe(transforms.FromModule("brighter_for_spec", 40))
    local out = transforms.build(description)(picture(1, 1, 2))
    package.path, package.loaded.brighter_for_spec = path, nil
    temporary.remove(directory)
    assert.same({ { { 41, 42 } } }, out:totable())
    fails("module 'no.such.module' not found", transforms.FromModule, "no.such.module")
  end)
end)

describe("preprocess", function()
  local function steps(...)
    local list = {}
    for i, step in ipairs(preprocess(...).steps) do list[i] = tostring(step) end
    return list
  end

  it("knows the recipes of the data sets", function()
    local grey = { mean = { 73 }, std = { 90 }, height = 28, width = 28 }
    local colour = { mean = { 125, 123, 114 }, std = { 63, 62, 67 }, height = 32, width = 32 }
    local function named(info, name)
      info.name = name
      return info
    end
    assert.same({ "ColorNormalize({...})", "HorizontalFlip(0.5)", "RandomCrop(28, 4)" },
      steps(named(grey, "fashion-mnist"), "train"))
    assert.same({ "ColorNormalize({...})", "RandomCrop(28, 4)" }, steps(named(grey, "mnist"), "train"))
    assert.same({ "ColorNormalize({...})", "HorizontalFlip(0.5)", "RandomCrop(32, 4)" },
      steps(named(colour, "cifar10"), "train"))
    for _, name in ipairs { "cifar10", "cifar100", "mnist", "fashion-mnist" } do
      assert.same({ "ColorNormalize({...})" }, steps(named(colour, name), "test"))
      assert.same({ "ColorNormalize({...})" }, steps(named(colour, name), "val"))
    end
    colour.family = "plain"
    assert.same({ "ColorNormalize({...})" }, steps(named(colour, "plain"), "train"))
    colour.family = "imagenet"
    assert.same({ "RandomSizedCrop(224)", "ColorJitter({...})", "Lighting(0.1, {...})", "ColorNormalize({...})",
      "HorizontalFlip(0.5)" }, steps(named(colour, "imagenet"), "train"))
    assert.same({ "Scale(256)", "ColorNormalize({...})", "CenterCrop(224)" }, steps(named(colour, "imagenet"), "val"))
    assert.same({ "Scale(256)", "ColorNormalize({...})", "TenCrop(224)" },
      steps(named(colour, "imagenet"), "val", { tenCrop = true }))
  end)

  it("lets a data set of one's own name its family", function()
    local info = { name = "birds", family = "cifar", mean = { 0 }, std = { 1 }, height = 20, width = 20 }
    assert.same({ "ColorNormalize({...})", "HorizontalFlip(0.5)", "RandomCrop(20, 4)" }, steps(info, "train"))
    info.family = nil
    fails("no recipe for data set birds", preprocess, info, "train")
    info.family, info.width = "cifar", 30
    fails("random crops are square, the images are 20x30", preprocess, info, "train")
    fails("split must be train, val or test, not training", preprocess, info, "training")
    fails("ten crops are for imagenet", preprocess, info, "test", { tenCrop = true })
  end)

  it("pads with the mean colour: normalised first", function()
    local info = { name = "mnist", mean = { 100 }, std = { 50 }, height = 4, width = 4 }
    local black = core.tensor_new("cpu", "float", { 1, 4, 4 })
    core.fill(black, 0)
    local out = preprocess(info, "train")(black, told(1, 1)):totable()[1]
    assert.same({ 0, 0, 0, 0 }, out[1]) -- all of it padding
    out = preprocess(info, "train")(black, told(5, 5)):totable()[1]
    assert.same({ -2, -2, -2, -2 }, out[1])
  end)
end)
