-- CIFAR-10 and CIFAR-100: records of small files made here, and the sizes of the real ones.
local cifar = require "densenet.data.cifar"
local core = require "densenet.core"
local data = require "densenet.data"
local t7 = require "densenet.io.t7"
local temporary = require "spec.support.temporary"

local IMAGE_BYTES = 3 * 32 * 32

local TEN = {
  name = "ten", remedy = "unpack it", subdirectory = "ten-bin",
  files = { train = { "batch_1.bin", "batch_2.bin" }, test = { "test.bin" } },
  imagesPerFile = { train = 3, test = 2 },
  labelBytes = 1, mean = { 1, 2, 3 }, std = { 4, 5, 6 }, classes = { "a", "b", "c", "d" },
}

local HUNDRED = {
  name = "hundred", remedy = "unpack it", subdirectory = "hundred-bin",
  files = { train = { "train.bin" }, test = { "test.bin" } },
  imagesPerFile = { train = 3, test = 2 },
  labelBytes = 2, mean = { 1, 2, 3 }, std = { 4, 5, 6 }, classes = { "a", "b", "c", "d" },
}

describe("cifar", function()
  local directory

  before_each(function() directory = temporary.directory() end)
  after_each(function() temporary.remove(directory) end)

  -- One record: label bytes, then planes whose pixels say which image and plane they are.
  local function record(labels, image)
    local planes = {}
    for c = 1, 3 do planes[c] = string.char(image * 10 + c):rep(32 * 32 - 1) .. string.char(200 + c) end
    return string.char(table.unpack(labels)) .. table.concat(planes)
  end

  local function write(name, list, first)
    local parts = {}
    for i, labels in ipairs(list) do parts[i] = record(labels, first + i - 1) end
    return temporary.write(directory .. "/" .. name, table.concat(parts))
  end

  local function write_ten()
    write("batch_1.bin", { { 0 }, { 3 }, { 1 } }, 1)
    write("batch_2.bin", { { 2 }, { 2 }, { 0 } }, 4)
    return write("test.bin", { { 1 }, { 3 } }, 1)
  end

  local function assert_refused(code, parts, set, message, got)
    assert.is_nil(set)
    assert.equal(code, got)
    for _, part in ipairs(parts) do
      assert.is_truthy(message:find(part, 1, true), ("%q is missing in: %s"):format(part, message))
    end
  end

  it("joins the files of a split, in order", function()
    write_ten()
    local set = assert(cifar.open(TEN, { split = "train", directory = directory }))
    assert.same({ 6, 3, 32, 32 }, set.images:size())
    assert.same({ 1, 4, 2, 3, 3, 1 }, set.labels:totable())
    for i = 1, 6 do
      local image = set:get(i).input
      assert.same({ 3, 32, 32 }, image:size())
      for c = 1, 3 do
        assert.equal(i * 10 + c, image:at(c, 1, 1))
        assert.equal(i * 10 + c, image:at(c, 32, 31))
        assert.equal(200 + c, image:at(c, 32, 32))
      end
    end
    assert.same({ 1, 2, 3 }, set.mean)
    assert.same({ 4, 5, 6 }, set.std)
    assert.same({ 4, 3, 32, 32 }, { set.nClasses, set.channels, set.height, set.width })
    assert.equal("ten train: 6 images of 3x32x32 in 4 classes, from " .. directory, set:describe())
    assert.equal(2, assert(cifar.open(TEN, { split = "test", directory = directory })):size())
  end)

  it("takes the fine label where there are two", function()
    write("train.bin", { { 19, 0 }, { 7, 3 }, { 1, 2 } }, 1)
    local set = assert(cifar.open(HUNDRED, { split = "train", directory = directory }))
    assert.same({ 1, 4, 3 }, set.labels:totable())
    assert.equal(21, set.images:at(2, 1, 1, 1))
  end)

  it("is found in its usual subdirectory", function()
    assert(require("densenet.core").directory_make(directory .. "/ten-bin"))
    write("ten-bin/test.bin", { { 1 }, { 3 } }, 1)
    assert.same({ 2, 4 }, assert(cifar.open(TEN, { split = "test", directory = directory })).labels:totable())
  end)

  it("names a missing file in both places", function()
    write_ten()
    assert(os.remove(directory .. "/batch_2.bin"))
    assert_refused("io", { directory .. "/batch_2.bin", directory .. "/ten-bin/batch_2.bin", "unpack it" },
      cifar.open(TEN, { split = "train", directory = directory }))
    assert_refused("argument", { "no directory given" }, cifar.open(TEN, { split = "train" }))
  end)

  it("refuses a file of another length, an empty one and another set's included", function()
    local path = write_ten()
    local content = temporary.read(path)
    for _, case in ipairs({ "", content:sub(1, -2), content .. "x", content .. content:sub(1, 1 + IMAGE_BYTES) }) do
      temporary.write(path, case)
      assert_refused("format", { path, "expected 6146 bytes (2 images of 3073)", "got " .. #case },
        cifar.open(TEN, { split = "test", directory = directory }))
    end
    write("test.bin", { { 1, 1 }, { 3, 3 } }, 1)
    assert_refused("format", { "got 6148" }, cifar.open(TEN, { split = "test", directory = directory }))
  end)

  it("says what a file of another length is, where that is known", function()
    local path = write_ten()
    for content, part in pairs({ ["\x80\2}q\1"] = "got 5: a Python pickle", ["\x1f\x8b\8\0"] = "got 4: gzip data",
      ["<!DOCTYPE html>"] = "got 15: an HTML page" }) do
      temporary.write(path, content)
      assert_refused("format", { path, part }, cifar.open(TEN, { split = "test", directory = directory }))
    end
  end)

  it("refuses labels that are no class, naming file and image", function()
    write_ten()
    local path = write("batch_2.bin", { { 2 }, { 4 }, { 0 } }, 4)
    assert_refused("format", { path, "label of image 2: expected 0 to 3, got 4" },
      cifar.open(TEN, { split = "train", directory = directory }))
  end)

  it("has the real sets' sizes, classes and figures", function()
    assert.equal(10, #cifar.TEN.classes)
    assert.equal(100, #cifar.HUNDRED.classes)
    assert.same({ "apple", "worm" }, { cifar.HUNDRED.classes[1], cifar.HUNDRED.classes[100] })
    local sorted = table.move(cifar.HUNDRED.classes, 1, 100, 1, {})
    table.sort(sorted)
    assert.same(sorted, cifar.HUNDRED.classes)
    local path = temporary.write(directory .. "/test_batch.bin", "x")
    assert_refused("format", { path, "expected 30730000 bytes", "got 1" },
      data.open("cifar10", { split = "test", directory = directory }))
    path = temporary.write(directory .. "/train.bin", "x")
    assert_refused("format", { path, "expected 153700000 bytes", "got 1" },
      data.open("cifar100", { directory = directory }))
    path = temporary.write(directory .. "/test.bin", "x")
    assert_refused("format", { path, "expected 30740000 bytes", "got 1" },
      data.open("cifar100", { split = "test", directory = directory }))
  end)

  describe("in fb.resnet.torch's file", function()
    local function write_t7(value) assert(t7.save(directory .. "/ten.t7", value)) end
    local function images(n, value)
      local tensor = core.tensor_new("cpu", "byte", { n, 3, 32, 32 })
      core.fill(tensor, value)
      return tensor
    end
    local function labels(list) return core.tensor_from("cpu", "byte", list) end

    it("is read by split, with its labels as they are", function()
      write_t7 { train = { data = images(2, 7), labels = labels { 1, 4 } },
        val = { data = images(1, 9), labels = labels { 2 } } }
      local train = assert(cifar.open(TEN, { split = "train", directory = directory }))
      assert.same({ 2, 3, 32, 32 }, train.images:size())
      assert.same({ 1, 4 }, train.labels:totable())
      assert.equal("long", train.labels:dtype())
      assert.same({ 1, 2, 3 }, train.mean)
      assert.equal(9, assert(cifar.open(TEN, { split = "test", directory = directory })):get(1).input:at(1, 1, 1))
    end)

    it("is refused where it holds something else, and says what", function()
      local function refused(part, value)
        write_t7(value)
        assert_refused("format", { directory .. "/ten.t7: ", part },
          cifar.open(TEN, { split = "test", directory = directory }))
      end
      refused("val: images and labels expected, got nil", { train = {} })
      refused("val: images and labels expected", { 1 })
      refused("val.data: a byte tensor Nx3x32x32 expected, got nil", { val = {} })
      refused("got float tensor of size", { val = { data = core.tensor_new("cpu", "float", { 1, 3, 32, 32 }) } })
      refused("val.labels: 2 labels expected", { val = { data = images(2, 1), labels = labels { 1 } } })
      refused("val.labels: numbers from 1 to 4 expected, got 0 to 4",
        { val = { data = images(2, 1), labels = labels { 0, 4 } } })
      temporary.write(directory .. "/ten.t7", "nonsense")
      assert_refused("format", { "ten.t7: " }, cifar.open(TEN, { split = "test", directory = directory }))
    end)
  end)
end)
