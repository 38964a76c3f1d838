-- A data set in memory: its statistics are exact, and labels from files are checked.
local core = require "densenet.core"
local ImageSet = require "densenet.data.image_set"

describe("ImageSet.statistics", function()
  it("are each channel's own", function()
    local images = core.tensor_from("cpu", "byte", {
      { { { 0, 10 } }, { { 255, 255 } }, { { 1, 2 } } },
      { { { 20, 30 } }, { { 255, 255 } }, { { 3, 4 } } },
    })
    local mean, std = ImageSet.statistics(images)
    assert.same({ 15, 255, 2.5 }, mean)
    assert.same({ math.sqrt(125), 0, math.sqrt(1.25) }, std)
  end)

  it("do not overflow on large white images", function()
    local images = core.tensor_new("cpu", "byte", { 2, 1, 300, 301 })
    core.fill(images, 255)
    images:put(0, 2, 1, 300, 301)
    local sum, squares = core.image_moments(images)
    assert.same({ 255 * (2 * 300 * 301 - 1) }, sum)
    assert.same({ 255 * 255 * (2 * 300 * 301 - 1) }, squares)
  end)

  it("take parts of a set", function()
    local images = core.tensor_from("cpu", "byte", {
      { { { 1 } }, { { 2 } } }, { { { 3 } }, { { 4 } } }, { { { 5 } }, { { 8 } } },
    })
    local sum, squares = core.image_moments(images:narrow(1, 2, 2):narrow(2, 2, 1))
    assert.same({ { 12 }, { 80 } }, { sum, squares })
    assert.same({ 0, 0 }, (core.image_moments(images:narrow(1, 1, 0))))
  end)

  it("take byte images with whole planes", function()
    local images = core.tensor_new("cpu", "byte", { 2, 3, 4, 5 })
    for _, wrong in ipairs({
      core.tensor_new("cpu", "float", { 2, 3, 4, 5 }), images:select(1, 1), images:transpose(3, 4),
      images:narrow(4, 1, 2),
    }) do
      assert.error_matches(function() core.image_moments(wrong) end, "bad argument #1")
    end
  end)
end)

describe("ImageSet.labelsFromBytes", function()
  it("counts from 1 and takes any stride", function()
    local bytes = core.tensor_from("cpu", "byte", { { 0, 9 }, { 2, 9 }, { 1, 9 } })
    local labels = assert(ImageSet.labelsFromBytes(bytes:select(2, 1), 3, "file"))
    assert.equal("long", labels:dtype())
    assert.same({ 1, 3, 2 }, labels:totable())
  end)

  it("reaches 256", function()
    local labels = assert(ImageSet.labelsFromBytes(core.tensor_from("cpu", "byte", { 255, 0 }), 256, "file"))
    assert.same({ 256, 1 }, labels:totable())
  end)

  it("names the image with a label that is no class", function()
    local labels, message, code = ImageSet.labelsFromBytes(core.tensor_from("cpu", "byte", { 0, 2, 3 }), 2, "file")
    assert.is_nil(labels)
    assert.equal("file: label of image 3: expected 0 to 1, got 3", message)
    assert.equal("format", code)
  end)
end)
