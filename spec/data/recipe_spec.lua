-- Recipes as data: what is refused and in which words, JSON and back, changes, names; and what a recipe does to files,
-- their content and images of all kinds. Its numbers are pipeline_spec's matter.
local dn = require "densenet"
local compare = require "spec.support.compare"
local core = require "densenet.core"

local recipes = dn.data.recipe

local function with(changes)
  local given = recipes.named "torchvision"
  for field, value in pairs(changes) do given[field] = value ~= "none" and value or nil end
  return given
end

describe("a recipe", function()
  it("is refused with a sentence for what is wrong", function()
    local function refused(sentence, given)
      local valid, message, code = recipes.validate(given)
      assert.same({ nil, "recipe: " .. sentence, "argument" }, { valid, message, code })
    end
    refused("a table expected, got 'torchvision'", "torchvision")
    refused("there is no field fliter; did you mean 'filter'?", with { fliter = "bicubic" })
    refused("scale: 1 to 65536 pixels expected, got 0", with { scale = 0 })
    refused("crop: 1 to 65536 pixels expected, got 1.5", with { crop = 1.5 })
    refused("filter: bilinear, bicubic or torch expected, got 'lanczos'", with { filter = "lanczos" })
    refused("filter: bilinear, bicubic or torch expected, got nil", with { filter = "none" })
    refused("scale: pixels, because there is a filter, expected, got nil", with { scale = "none" })
    refused("rounding: even or up expected, got 'down'", with { rounding = "down" })
    refused("crop: pixels, because there is a rounding, expected, got nil", with { crop = "none" })
    refused("crop: at most 256 pixels expected, which scale leaves of the smaller edge, got 300", with { crop = 300 })
    refused("channels: 1 or more expected, got -1", with { channels = -1 })
    refused("mean: 1 numbers expected, one for each channel, got 3", with { channels = 1 })
    refused("mean: a list of a number for each channel expected, got nil", with { mean = "none" })
    refused("mean: numbers expected, got 'a'", with { mean = { 1, 2, "a" } })
    refused("mean: numbers expected, got inf", with { mean = { 1, 2, math.huge } })
    refused("std: 3 numbers expected, one for each channel, got 2", with { std = { 1, 1 } })
    refused("std: numbers above 0 expected, got 0", with { std = { 1, 0, 1 } })
    refused("range: 255 or 1 expected, got 256", with { range = 256 })
  end)

  it("is completed, and copied", function()
    local given = { mean = { 100 }, std = { 50 }, range = 255.0 }
    local valid = assert(recipes.validate(given))
    assert.same({ mean = { 100 }, std = { 50 }, range = 255, channels = 1 }, valid)
    assert.equal("integer", math.type(valid.range))
    valid.mean[1] = 3
    assert.equal(100, given.mean[1])
  end)

  it("goes to JSON and back, the same bytes each time", function()
    for _, name in ipairs(recipes.names()) do
      local given = assert(recipes.named(name))
      local text = recipes.toJson(given)
      assert.same(given, recipes.fromJson(text))
      assert.equal(text, recipes.toJson(recipes.fromJson(text)))
      assert.is_nil(text:find "\n")
    end
    local got, message, code = recipes.fromJson '{"scale": 256}'
    assert.same({ nil, "format" }, { got, code })
    assert.matches("recipe: filter: bilinear, bicubic or torch expected", message)
    got, message, code = recipes.fromJson "{"
    assert.same({ nil, "format" }, { got, code })
    assert.matches("recipe: JSON, line 1", message)
    local ok, raised = pcall(recipes.toJson, { scale = 3 })
    assert.is_false(ok)
    assert.matches("bad argument #1 to 'recipe.toJson' %(recipe: filter", raised)
  end)

  it("has names, each a table of its own", function()
    assert.same({ "fb.resnet", "timm", "torch7", "torchvision" }, recipes.names())
    local one, other = recipes.named "timm", recipes.named "timm"
    one.mean[1] = 7
    assert.equal(0.485, other.mean[1])
    assert.same({ "bilinear", "even", "bicubic", "even", "torch", "up" }, {
      recipes.named("torchvision").filter, recipes.named("torchvision").rounding, other.filter, other.rounding,
      recipes.named("torch7").filter, recipes.named("torch7").rounding })
    assert.same(recipes.named "torch7", recipes.named "fb.resnet")
    local got, message, code = recipes.named "torchvison"
    assert.same({ nil, "argument" }, { got, code })
    assert.matches("got 'torchvison'; did you mean 'torchvision'", message)
    assert.matches("there is no dn.data.recipe.validat; did you mean 'validate'",
      select(2, pcall(function() return recipes.validat end)))
  end)

  it("is changed by the command line's values, and checked again", function()
    local given = recipes.named "timm"
    local changed = assert(recipes.with(given, { scale = 320, crop = 288, filter = "bilinear" }))
    assert.same({ 320, 288, "bilinear", "even" }, { changed.scale, changed.crop, changed.filter, changed.rounding })
    assert.equal(256, given.scale)
    assert.matches("crop: at most 256 pixels", select(2, recipes.with(given, { crop = 299 })))
    assert.matches("there is no field imageSize", select(2, recipes.with(given, { imageSize = 299 })))
  end)
end)

describe("prepare", function()
  local small = { scale = 12, filter = "bicubic", crop = 10, rounding = "even", mean = { 0.5, 0.4, 0.3 },
    std = { 0.2, 0.3, 0.4 }, range = 1 }
  local PATH = "spec/golden/images/rgb.ppm"
  local picture
  setup(function() picture = assert(dn.image.load(PATH)) end)
  teardown(function() picture = nil end)

  local function changed(changes) return assert(recipes.with(small, changes)) end

  it("reads a file, its content, or an image of bytes, to the same numbers", function()
    local prepare = recipes.transform(small)
    local right = prepare(picture)
    assert.same({ 3, 10, 10 }, right:size())
    assert.equal("float", right:dtype())
    local file = assert(io.open(PATH, "rb"))
    local content = file:read "a"
    file:close()
    for _, source in ipairs { PATH, { content = content, name = "a.ppm" }, picture:transpose(2, 3):contiguous()
      :transpose(2, 3) } do
      assert.equal(0, (prepare(source) - right):abs():max())
    end
    -- PIL's steps, one after the other.
    local by = dn.image.crop(dn.image.scale(picture, 12, "bicubic"), 10):type("double"):div(255)
    for c = 1, 3 do by:select(1, c):add(-small.mean[c]):div(small.std[c]) end
    compare.near(right, by, 1e-6, "steps")
    local of255 = changed { range = 255, mean = { 127.5, 102, 76.5 }, std = { 51, 76.5, 102 } }
    compare.near(recipes.transform(of255)(picture), right, 1e-6, "0 to 255")
  end)

  it("takes float images from 0 to 1, which are not rounded, and no others", function()
    local prepare, float = recipes.transform(small), picture:type("float"):div(255)
    local difference = (prepare(float) - prepare(picture)):abs():max()
    assert.is_true(difference > 0 and difference < 0.05, difference)
    assert.matches("#1 to 'prepare' %(source: a float image has values from 0 to 1, got 2%d%d",
      select(2, pcall(prepare, float * 255)))
  end)

  it("makes the channels that the recipe wants", function()
    local grey = dn.image.load(PATH, { channels = 1 })
    local one = { scale = 12, filter = "bicubic", crop = 10, rounding = "up", mean = { 0.5 }, std = { 0.2 }, range = 1 }
    local right = recipes.transform(one)(grey)
    assert.same({ 1, 10, 10 }, right:size())
    assert.equal(0, (recipes.transform(one)(picture) - right):abs():max())
    assert.equal(0, (recipes.transform(one)(PATH) - right):abs():max())
    local three = changed { mean = { 0.5, 0.5, 0.5 }, std = { 0.2, 0.2, 0.2 }, rounding = "up" }
    local repeated = recipes.transform(three)(grey)
    for c = 1, 3 do assert.equal(0, (repeated:narrow(1, c, 1) - right):abs():max()) end
    compare.near(recipes.transform(one)(picture:type("float"):div(255)), right, 0.01, "grey of floats")
    local four = { mean = { 1, 1, 1, 1 }, std = { 1, 1, 1, 1 }, range = 255 }
    assert.same({ 4, 2, 3 }, recipes.transform(four)(core.tensor_new("cpu", "byte", { 4, 2, 3 })):size())
  end)

  it("leaves out scaling or cutting where the recipe does", function()
    local figures = { mean = { 0, 0, 0 }, std = { 1, 1, 1 }, range = 255 }
    assert.same(picture:totable(), recipes.transform(figures)(picture):totable())
    figures.scale, figures.filter = 6, "bilinear"
    local scaled = recipes.transform(figures)(picture)
    assert.same(dn.image.scale(picture, 6):totable(), scaled:totable())
    figures.scale, figures.filter, figures.crop, figures.rounding = nil, nil, 5, "up"
    assert.same(dn.image.crop(picture, 5):totable(), recipes.transform(figures)(picture):totable())
    figures.crop = 500
    assert.matches("prepare: a square of 500 pixels does not fit an image of %d+x%d+",
      select(2, pcall(recipes.transform(figures), picture)))
  end)

  it("scales as Torch7 did, in floats", function()
    local given = changed { filter = "torch", rounding = "up" }
    local scaled = dn.data.transforms.Scale(12, "torch")(picture)
    local by = dn.image.crop(scaled, 10):type("double"):div(255)
    for c = 1, 3 do by:select(1, c):add(-small.mean[c]):div(small.std[c]) end
    compare.near(recipes.transform(given)(picture), by, 1e-6, "torch")
    compare.near(recipes.transform(given)(picture:type("float"):div(255)), by, 1e-6, "torch, of floats")
  end)

  it("makes ten crops", function()
    local ten = recipes.transform(small, { tenCrop = true })(picture)
    assert.same({ 10, 3, 10, 10 }, ten:size())
    assert.equal(0, (ten:select(1, 1) - recipes.transform(small)(picture)):abs():max())
    assert.matches("tenCrop: a recipe with crop expected", select(2, pcall(recipes.transform,
      { mean = { 1 }, std = { 1 }, range = 1 }, { tenCrop = true })))
  end)

  it("says what is wrong with a file, and raises for misuse", function()
    local prepare = recipes.transform(small)
    local got, message, code = prepare "spec/golden/images/truncated.ppm"
    assert.same({ nil, "format" }, { got, code })
    assert.matches("^spec/golden/images/truncated.ppm: cut short", message)
    got, message, code = prepare { content = "GIF89a", name = "x.jpg" }
    assert.same({ nil, "format" }, { got, code })
    assert.matches("^x.jpg: is a GIF image", message)
    assert.equal("io", select(3, prepare "no/such.png"))
    local function refused(pattern, ...) assert.matches(pattern, select(2, pcall(...))) end
    refused("#1 to 'prepare' %(source: a path, { content =, name = } or a tensor expected, got 3", prepare, 3)
    refused("source: { content = a file's bytes", prepare, {})
    refused("source: a byte or float tensor C,H,W on cpu expected, got a byte tensor", prepare, picture:select(1, 1))
    refused("source: a byte or float tensor C,H,W on cpu", prepare, picture:type("double"))
    refused("source: an image of 3 channels expected", prepare, core.tensor_new("cpu", "byte", { 2, 9, 9 }))
    refused("source: a tensor, because no file has 4 channels, expected, got '", recipes.transform {
      mean = { 1, 1, 1, 1 }, std = { 1, 1, 1, 1 }, range = 255 }, PATH)
    refused("#1 to 'recipe.transform' %(recipe: range", recipes.transform, { mean = { 1 }, std = { 1 } })
    refused("#2 to 'recipe.transform' %(options: there is no tencrop", recipes.transform, small, { tencrop = true })
    refused("tenCrop: true or false expected", recipes.transform, small, { tenCrop = 1 })
  end)
end)
