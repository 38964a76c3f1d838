-- The recipe that a model carries is what its data set's test images go through, number for number.
local core = require "densenet.core"
local dn = require "densenet"
local ImageSet = require "densenet.data.image_set"
local setRecipe = require "densenet.data.set_recipe"
local temporary = require "spec.support.temporary"

local function isMissing(name)
  return select(3, dn.image.load("spec/golden/images/" .. name)) == "unsupported"
end

describe("a data set's recipe", function()
  it("gives what the loader gives, of a folder", function()
    if isMissing "cat_359x270.jpg" or isMissing "rgb8.png" then return pending("no JPEG or no PNG in this build") end
    local directory = temporary.directory()
    for class, name in pairs { a = "cat_359x270.jpg", b = "rgb8.png" } do
      core.directory_make(directory .. "/" .. class)
      temporary.write(("%s/%s/%s"):format(directory, class, name), temporary.read("spec/golden/images/" .. name))
    end
    for _, filter in ipairs { "bilinear", "bicubic", "torch" } do
      for _, rounding in ipairs { "even", "up" } do
        local set = assert(dn.data.folder(directory, { filter = filter, imageSize = 61, scaleSize = 72 }))
        set.rounding = rounding
        local recipe = assert(setRecipe(set))
        assert.same({ filter, rounding, 61, 72 }, { recipe.filter, recipe.rounding, recipe.crop, recipe.scale })
        local prepare = dn.data.recipe.transform(recipe)
        local loader = dn.data.Loader { set = set, batchSize = 2, nThreads = 0,
          transform = dn.data.preprocess(set, "test") }
        for _, batch in loader:run(1) do
          for i = 1, 2 do
            assert.equal(0, (batch.input:select(1, i) - assert(prepare(set:path(i)))):abs():max())
          end
        end
      end
    end
    temporary.remove(directory)
  end)

  local function small(channels, height, width)
    return ImageSet.new { images = (dn.rand(3, channels, height, width) * 255):type("byte"),
      labels = dn.tensor({ 1, 2, 1 }, "long"), classes = { "a", "b" }, name = "mnist", split = "test",
      mean = dn.rand(channels):totable(), std = (dn.rand(channels) + 0.5):totable(), directory = "here" }
  end

  it("leaves small images as they are", function()
    for _, channels in ipairs { 1, 3 } do
      local set = small(channels, 9, 9)
      local recipe = assert(setRecipe(set))
      assert.equal(channels, recipe.channels)
      local transform, prepare = dn.data.preprocess(set, "test"), dn.data.recipe.transform(recipe)
      for i = 1, 3 do
        local image = set:get(i).input
        assert.equal(0, (prepare(image) - transform(image:type("float"))):abs():max())
      end
    end
  end)

  it("is the set's own where it has one, and none for images that are no squares", function()
    assert.is_nil(setRecipe(small(3, 9, 12)))
    local set = small(1, 9, 12)
    set.recipe = { mean = { 1 }, std = { 2 }, range = 255 }
    assert.equal(2, setRecipe(set).std[1])
  end)
end)
