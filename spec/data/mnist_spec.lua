-- Fashion-MNIST and MNIST: a small family of files made here, and the real ones where they are.
local core = require "densenet.core"
local data = require "densenet.data"
local mnist = require "densenet.data.mnist"
local tablex = require "pl.tablex"
local temporary = require "spec.support.temporary"

local SMALL = {
  name = "small", remedy = "look under the sofa", classes = { "a", "b", "c" },
  count = { train = 5, test = 2 }, height = 2, width = 3,
}

describe("mnist", function()
  local directory

  local function images(n, height, width)
    local pixels = {}
    for i = 1, n * height * width do pixels[i] = string.char(i * 7 % 256) end
    return string.pack(">I4I4I4I4", 0x803, n, height, width) .. table.concat(pixels)
  end

  local function labels(list)
    return string.pack(">I4I4", 0x801, #list) .. string.char(table.unpack(list))
  end

  local function write(name, content) return temporary.write(directory .. "/" .. name, content) end

  before_each(function()
    directory = temporary.directory()
    write("train-images-idx3-ubyte", images(5, 2, 3))
    write("train-labels-idx1-ubyte", labels({ 0, 2, 1, 1, 0 }))
    write("t10k-images-idx3-ubyte", images(2, 2, 3))
    write("t10k-labels-idx1-ubyte", labels({ 2, 0 }))
  end)

  after_each(function() temporary.remove(directory) end)

  local function open(split, options)
    local all = { split = split, directory = directory }
    for name, value in pairs(options or {}) do all[name] = value end
    return mnist.open(SMALL, all)
  end

  local function assert_refused(code, parts, set, message, got)
    assert.is_nil(set)
    assert.equal(code, got)
    for _, part in ipairs(parts) do
      assert.is_truthy(message:find(part, 1, true), ("%q is missing in: %s"):format(part, message))
    end
  end

  it("has the images, the labels from 1 and what is known of them", function()
    local set = assert(open("train"))
    assert.equal(5, set:size())
    assert.same({ 5, 1, 2, 3 }, set.images:size())
    assert.equal("byte", set.images:dtype())
    assert.equal("long", set.labels:dtype())
    assert.same({ 1, 3, 2, 2, 1 }, set.labels:totable())
    assert.same({ "a", "b", "c" }, set.classes)
    assert.same({ 3, 1, 2, 3 }, { set.nClasses, set.channels, set.height, set.width })
    assert.equal(("small train: 5 images of 1x2x3 in 3 classes, from %s"):format(directory), set:describe())
  end)

  it("gives one image as a view and its label", function()
    local set = assert(open("train"))
    local sample = set:get(2)
    assert.equal(3, sample.target)
    assert.same({ { { 49, 56, 63 }, { 70, 77, 84 } } }, sample.input:totable())
    assert.has_error(function() set:get(0) end)
    assert.has_error(function() set:get(6) end)
    assert.has_error(function() set:get(1.5) end)
  end)

  it("has the statistics of the whole training set, whatever part is open", function()
    local sum, squares = 0, 0
    for i = 1, 30 do
      sum = sum + i * 7 % 256
      squares = squares + (i * 7 % 256) ^ 2
    end
    local mean = sum / 30
    local std = math.sqrt(squares / 30 - mean ^ 2)
    local train, test = assert(open("train")), assert(open("test"))
    for _, set in ipairs({ train, test, train:subset(1, 2) }) do
      assert.equal(mean, set.mean[1])
      assert.near(std, set.std[1], 1e-12)
    end
  end)

  it("needs no training images for the test split when it is told the statistics", function()
    assert(os.remove(directory .. "/train-images-idx3-ubyte"))
    assert_refused("io", { "train-images-idx3-ubyte" }, open("test"))
    local set = assert(open("test", { mean = { 12.5 }, std = { 3 } }))
    assert.same({ 12.5 }, set.mean)
    assert.same({ 3 }, set.std)
  end)

  it("has parts that share its memory", function()
    local set = assert(open("train"))
    local part = set:subset(1, 3)
    assert.equal(3, part:size())
    assert.equal(5, set:size())
    assert.same({ 3, 2, 2 }, part.labels:totable())
    assert.same(set:get(2).input:totable(), part:get(1).input:totable())
    set.images:put(200, 2, 1, 1, 1)
    assert.equal(200, part.images:at(1, 1, 1, 1))
    assert.equal(("small train: 2 images (3 to 4 of 5) of 1x2x3 in 3 classes, from %s"):format(directory),
      part:subset(1, 2):describe())
  end)

  it("reads packed files", function()
    assert(os.execute("gzip " .. directory .. "/*"))
    assert.same({ 3, 1 }, assert(open("test")).labels:totable())
  end)

  it("finds files with a dot before idx, as some archives have them, packed or not", function()
    for _, name in ipairs({ "train-images-idx3-ubyte", "train-labels-idx1-ubyte" }) do
      assert(os.rename(directory .. "/" .. name, directory .. "/" .. name:gsub("%-idx", ".idx")))
    end
    assert.same({ 1, 3, 2, 2, 1 }, assert(open("train")).labels:totable())
    assert(os.execute("gzip " .. directory .. "/train*"))
    assert(core.file_exists(directory .. "/train-images.idx3-ubyte.gz"))
    assert.same({ 1, 3, 2, 2, 1 }, assert(open("train")).labels:totable())
    -- A directory of the usual name beside the file is passed over; alone it is what is complained of.
    assert(core.directory_make(directory .. "/train-labels-idx1-ubyte"))
    assert.same({ 1, 3, 2, 2, 1 }, assert(open("train")).labels:totable())
    assert(os.remove(directory .. "/train-labels.idx1-ubyte.gz"))
    assert_refused("io", { directory .. "/train-labels-idx1-ubyte", "a directory" }, open("train"))
  end)

  it("names missing files and what to do about them", function()
    assert(os.remove(directory .. "/t10k-labels-idx1-ubyte"))
    local path = directory .. "/t10k-labels-idx1-ubyte"
    assert_refused("io", { path, path .. ".gz", "look under the sofa" }, open("test"))
    assert_refused("argument", { "no directory given", "look under the sofa" }, mnist.open(SMALL, { split = "train" }))
  end)

  it("refuses another number or size of images", function()
    local path = write("train-images-idx3-ubyte", images(4, 2, 3))
    assert_refused("format", { path, "expected 5 images of 2x3 for train, got 4 of 2x3" }, open("train"))
    write("train-images-idx3-ubyte", images(5, 3, 2))
    assert_refused("format", { path, "expected 5 images of 2x3 for train, got 5 of 3x2" }, open("train"))
  end)

  it("refuses the test files under the training files' names", function()
    local path = write("train-images-idx3-ubyte", images(2, 2, 3))
    write("train-labels-idx1-ubyte", labels({ 2, 0 }))
    assert_refused("format", { path, "expected 5 images", "got 2" }, open("train"))
  end)

  it("refuses images and labels that were swapped", function()
    local path = write("train-images-idx3-ubyte", labels({ 0, 1, 2, 1, 0 }))
    assert_refused("format", { path, "magic number: expected 0x00000803" }, open("train"))
  end)

  it("refuses more or fewer labels than images", function()
    local path = write("train-labels-idx1-ubyte", labels({ 0, 1, 2, 1 }))
    assert_refused("format", { path, "expected 5 labels", "train-images-idx3-ubyte", "got 4" }, open("train"))
  end)

  it("refuses labels that are no class", function()
    local path = write("train-labels-idx1-ubyte", labels({ 0, 1, 2, 3, 0 }))
    assert_refused("format", { path, "label of image 4: expected 0 to 2, got 3" }, open("train"))
  end)

  it("refuses files that are empty or cut short", function()
    local path = write("train-labels-idx1-ubyte", "")
    assert_refused("format", { path, "empty" }, open("train"))
    path = write("train-images-idx3-ubyte", images(5, 2, 3):sub(1, -2))
    assert_refused("format", { path, "expected 46 bytes", "got 45" }, open("train"))
  end)

  it("that is refused holds no memory", function()
    write("t10k-labels-idx1-ubyte", labels({ 7, 0 }))
    collectgarbage()
    local before = core.memory("cpu").blocks
    assert.is_nil((open("test")))
    collectgarbage()
    assert.equal(before, core.memory("cpu").blocks)
  end)
end)

describe("data.open", function()
  it("knows its data sets", function()
    assert.same({ "cifar10", "cifar100", "fashion-mnist", "imagenet", "mnist", "svhn" }, data.names())
  end)

  for part, arguments in tablex.sort({
    ["no data set is called 'imagenet2' (did you mean imagenet?); known are cifar10,"] = { "imagenet2" },
    ["no data set is called 'nil'"] = {},
    ["unknown option trainSize"] = { "mnist", { trainSize = 3 } },
    ["split: expected train or test, got val"] = { "mnist", { split = "val" } },
    ["size: expected a whole number from 1, got 0"] = { "mnist", { size = 0 } },
    ["size: expected a whole number from 1, got 2.5"] = { "mnist", { size = 2.5 } },
    ["offset: expected a whole number from 0, got -1"] = { "mnist", { offset = -1 } },
  }) do
    it("refuses: " .. part, function()
      local set, message, code = data.open(table.unpack(arguments))
      assert.is_nil(set)
      assert.is_truthy(message:find(part, 1, true), message)
      assert.equal("argument", code)
    end)
  end

  it("of Fashion-MNIST tells what to install where it is missing", function()
    local set, message, code = data.open("fashion-mnist", { directory = "/nowhere" })
    assert.is_nil(set)
    assert.is_truthy(message:find("/nowhere/train-images-idx3-ubyte.gz", 1, true), message)
    assert.is_truthy(message:find("apt install dataset-fashion-mnist", 1, true), message)
    assert.equal("io", code)
  end)
end)

describe("Fashion-MNIST, the real one", function()
  local directory = os.getenv("FASHION_MNIST_DIR") or "/usr/share/datasets/fashion-mnist"
  if not core.file_exists(directory) then
    pending("is not installed: apt install dataset-fashion-mnist")
    return
  end

  it("is read whole", function()
    local train, test = assert(data.open("fashion-mnist")), assert(data.open("fashion-mnist", { split = "test" }))
    assert.same({ 60000, 1, 28, 28 }, train.images:size())
    assert.same({ 10000, 1, 28, 28 }, test.images:size())
    -- The figures everybody uses, 0.2860 and 0.3530, times 255.
    assert.near(72.940352, train.mean[1], 1e-6)
    assert.near(90.021182, train.std[1], 1e-6)
    assert.same(train.mean, test.mean)
    for set, each in pairs({ [train] = 6000, [test] = 1000 }) do
      local count = {}
      for _, label in ipairs(set.labels:totable()) do count[label] = (count[label] or 0) + 1 end
      assert.same({ each, each, each, each, each, each, each, each, each, each }, count)
    end
    assert.equal("Ankle boot", train.classes[train:get(1).target])
  end)

  it("can be opened in part: the first n after an offset", function()
    local part = assert(data.open("fashion-mnist", { split = "test", size = 3, offset = 1 }))
    assert.equal(3, part:size())
    assert.same({ 3, 2, 2 }, part.labels:totable()) -- Pullover, Trouser, Trouser
    local set, message, code = data.open("fashion-mnist", { split = "test", size = 10000, offset = 1 })
    assert.is_nil(set)
    assert.is_truthy(message:find("at most 10000 images, got 10000 after the first 1", 1, true), message)
    assert.equal("argument", code)
  end)
end)
