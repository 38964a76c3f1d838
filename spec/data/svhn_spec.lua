-- SVHN: MATLAB files of every form against the arrays that scipy reads from them (spec/golden/mat), and what is
-- refused; the data set of three such files.
local core = require "densenet.core"
local data = require "densenet.data"
local safetensors = require "densenet.io.safetensors"
local tablex = require "pl.tablex"
local temporary = require "spec.support.temporary"

local GOLDEN = "spec/golden/mat/"

local function read(name) return core.mat_read_digits(GOLDEN .. name) end

describe("a file of SVHN", function()
  local expected
  setup(function() expected = safetensors.load(GOLDEN .. "expected.safetensors") end)
  teardown(function() expected = nil end)

  for _, name in ipairs { "svhn_compressed", "svhn_plain", "big_endian", "extra_variables" } do
    it("is read: " .. name, function()
      local images, labels = read(name .. ".mat")
      assert.same({ 6, 3, 32, 32 }, images:size())
      assert.same(expected.images:totable(), images:totable())
      assert.same(expected.labels_torch:totable(), labels:totable())
    end)
  end

  it("leaves room for images in front", function()
    local images, labels = core.mat_read_digits(GOLDEN .. "svhn_plain.mat", 2)
    assert.same({ 8, 3, 32, 32 }, images:size())
    assert.same(expected.images:totable(), images:narrow(1, 3, 6):totable())
    assert.equal(6, labels:size(1))
  end)

  for name, part in tablex.sort {
    svhn_y_first = "expected as many labels in y as images in X, got 6 labels and 3 images",
    x_double = "X: expected an array of uint8, got class 6", wrong_shape = "X: expected 32x32x3xN, got 31x32x3x6",
    label_0 = "label of image 3: expected 1 to 10, got 0", label_11 = "label of image 3: expected 1 to 10, got 11",
    missing_y = "expected variables X and y, got no y", v4 = "expected a MATLAB file of level 5",
    hdf5_v73 = "is MATLAB's level 7.3, which is HDF5; save with -v7",
    truncated_compressed = "cut short: a variable does not end within the file's 10106 bytes",
    truncated_header = "cut short", corrupt_zlib = "damaged: its compressed data cannot be unpacked",
    bomb_dims = "X: expected 3298534883328 bytes for its 1073741824 images, got 16", empty = "is empty",
  } do
    it("is refused: " .. name, function()
      collectgarbage()
      local before = core.memory("cpu").live
      local images, message, code = read(name .. ".mat")
      assert.same({ nil, "format" }, { images, code })
      assert.is_truthy(message:find(GOLDEN .. name .. ".mat: " .. part, 1, true), message)
      collectgarbage()
      assert.equal(before, core.memory("cpu").live)
    end)
  end

  describe("that is changed here", function()
    local directory
    before_each(function() directory = temporary.directory() end)
    after_each(function() temporary.remove(directory) end)

    local function message(content)
      local images, why, code = core.mat_read_digits(temporary.write(directory .. "/a.mat", content))
      assert.is_nil(images)
      assert.equal("format", code)
      return why
    end

    it("is refused wherever it is cut short, plain or compressed", function()
      for _, name in ipairs { "svhn_plain", "svhn_compressed" } do
        local content = temporary.read(GOLDEN .. name .. ".mat")
        for n = 1, #content - 1, 509 do message(content:sub(1, n)) end
        message(content:sub(1, -2))
      end
    end)

    it("is refused with a wrong checksum", function()
      local content = temporary.read(GOLDEN .. "svhn_compressed.mat")
      local n = string.unpack("<I4", content, 128 + 5)
      local last = 128 + 8 + n -- of X's compressed bytes
      local wrong = content:sub(1, last - 1) .. string.char(content:byte(last) ~ 1) .. content:sub(last + 1)
      assert.matches("damaged: its compressed data cannot be unpacked", message(wrong))
    end)

    it("takes no memory for images that only the header says", function()
      local body = string.pack("<I4I4I4I4 I4I4i4i4i4i4 I2I2c4 I4I4", 6, 8, 9, 0, 5, 16, 32, 32, 3, 1 << 20, 1, 1, "X",
        2, (1 << 20) * 3072)
      local content = "MATLAB 5.0" .. (" "):rep(114) .. string.pack("<I2", 0x0100) .. "IM"
        .. string.pack("<I4I4", 14, #body) .. body
      core.memory_reset_peak("cpu")
      local before = core.memory("cpu").peak
      assert.matches("more than its part of the file can hold", message(content))
      assert.is_true(core.memory("cpu").peak - before < 1 << 20)
    end)
  end)
end)

describe("the data set svhn", function()
  local directory
  before_each(function()
    directory = temporary.directory()
    for name, golden in pairs { train = "svhn_compressed", test = "svhn_plain", extra = "big_endian" } do
      temporary.write(("%s/%s_32x32.mat"):format(directory, name), temporary.read(GOLDEN .. golden .. ".mat"))
    end
  end)
  after_each(function() temporary.remove(directory) end)

  it("has training and test images, and the extra ones after those of training", function()
    local train = assert(data.open("svhn", { directory = directory }))
    assert.same({ 6, "0", "9" }, { train:size(), train.classes[1], train.classes[10] })
    assert.same({ { 0, 0, 0 }, { 255, 255, 255 }, "plain" }, { train.mean, train.std, train.family })
    assert.equal(2, train:get(1).target) -- digit 1
    local all = assert(data.open("svhn", { directory = directory, extra = true }))
    assert.equal(12, all:size())
    for i = 1, 6 do
      assert.same(train:get(i).input:totable(), all:get(i).input:totable())
      assert.same(train:get(i).input:totable(), all:get(6 + i).input:totable())
      assert.equal(train:get(i).target, all:get(6 + i).target)
    end
    assert.equal(6, data.open("svhn", { directory = directory, split = "test", extra = true }):size())
  end)

  it("says which file is missing", function()
    core.file_remove(directory .. "/extra_32x32.mat")
    local set, message, code = data.open("svhn", { directory = directory, extra = true })
    assert.same({ nil, "io" }, { set, code })
    assert.matches("there is no .*extra_32x32%.mat; name the directory with train_32x32%.mat", message)
    assert.matches("no directory given", (select(2, data.open("svhn"))))
  end)
end)
