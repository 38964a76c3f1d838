-- What a training does for classes of which there are few images: weights in the loss, balanced sampling, and the
-- errors of each class.
local dn = require "densenet"
local ImageSet = require "densenet.data.image_set"
local ClassErrors = require "densenet.train.class_errors"
local temporary = require "spec.support.temporary"

local train = dn.train

-- 8 images of class a, 2 of b, 6 of c and none of d.
local function set()
  local labels = { 1, 3, 1, 1, 3, 2, 1, 1, 3, 3, 1, 1, 3, 2, 1, 3 }
  return ImageSet.new { images = dn.zeros(16, 1, 2, 2):type("byte"), labels = dn.tensor(labels, "long"),
    classes = { "a", "b", "c", "d" }, name = "mine", split = "train", mean = { 0 }, std = { 1 }, directory = "here" }
end

local model = { config = { nClasses = 4, precision = "single" }, _device = "cpu" }

local function criterion(classWeights, labelSmoothing, sets)
  return train.criterion({ classWeights = classWeights, labelSmoothing = labelSmoothing or 0 },
    sets or { train = set() }, model)
end

describe("-classWeights", function()
  local path
  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  it("auto makes classes count alike, and tests are without", function()
    local training, test = criterion("auto")
    local weights = training.weights:totable()
    for class, expected in ipairs { 16 / (3 * 8), 16 / (3 * 2), 16 / (3 * 6), 0 } do
      assert.is_true(math.abs(weights[class] - expected) < 1e-6)
    end
    assert.is_nil(test.weights)
    assert.equal(0, test.labelSmoothing)
    training, test = criterion(nil, 0.1)
    assert.same({ 0.1, 0 }, { training.labelSmoothing, test.labelSmoothing })
    assert.is_nil(training.weights)
    training, test = criterion("auto", 0.1, {}) -- nothing is trained
    assert.equal(test, training)
  end)

  it("reads numbers, and files with and without names", function()
    assert.same({ 1, 0.5, 2, 0 }, criterion("1,0.5,2,0").weights:totable())
    temporary.write(path, "1\n0.5\r\n2\n0\n")
    assert.same({ 1, 0.5, 2, 0 }, criterion(path).weights:totable())
    temporary.write(path, "d\t0\nc\t2\n\na\t1\nb\t.5\n")
    assert.same({ 1, 0.5, 2, 0 }, criterion(path).weights:totable())
  end)

  it("refuses what are no weights for the classes", function()
    local function refused(text, content)
      if content then temporary.write(path, content) end
      local none, message, code = criterion(content and path or text)
      assert.same({ nil, "usage" }, { none, code })
      return message
    end
    assert.matches("expected 4 numbers, one for each class, got 3", refused "1,2,3")
    assert.matches("expected numbers of at least 0", refused "1,2,-3,4")
    assert.matches("expected numbers of at least 0", refused "1,2,e,4")
    assert.matches("expected a number above 0 among them", refused "0,0,0,0")
    assert.matches("cannot .*nowhere/at/all", refused "nowhere/at/all")
    assert.matches("line 2: 'x' is no class of the data set", refused(nil, "a\t1\nx\t1\n"))
    assert.matches("line 1: expected a number, got 'one'", refused(nil, "a\tone\n"))
    assert.matches("line 2: class a has a weight already", refused(nil, "a\t1\na\t2\n"))
    assert.matches("no weight for class d", refused(nil, "a\t1\nb\t1\nc\t1\n"))
    local none, message = criterion("auto", 0, { train = { name = "mine" } })
    assert.is_nil(none)
    assert.matches("%-classWeights auto: the data set mine does not say its labels", message)
  end)
end)

describe("balanced sampling", function()
  local function order(epoch, nThreads)
    local loader <close> = dn.data.Loader { set = set(), batchSize = 16, nThreads = nThreads or 0, seed = 2,
      shuffle = true, sampling = "balanced" }
    local labels = {}
    for _, sample in loader:run(epoch) do table.move(sample.target:totable(), 1, sample.size, #labels + 1, labels) end
    return labels
  end

  it("draws each class that has images as often as any other", function()
    local counts, n = { 0, 0, 0 }, 0
    for epoch = 1, 60 do
      for _, label in ipairs(order(epoch)) do counts[label], n = counts[label] + 1, n + 1 end
    end
    assert.equal(60 * 16, n)
    for _, count in ipairs(counts) do assert.is_true(math.abs(count - n / 3) < 70, count) end
  end)

  it("is the same for an epoch, whoever loads it, and another one for the next", function()
    assert.same(order(3), order(3, 2))
    assert.not_same(order(3), order(4))
  end)

  it("is refused where it cannot be", function()
    local function make(options)
      return function()
        options.batchSize = 1
        dn.data.Loader(options)
      end
    end
    local unknown = { size = function() return 1 end, get = function() end }
    assert.error_matches(make { set = set(), sampling = "fair", shuffle = true },
      "sampling must be shuffled or balanced")
    assert.error_matches(make { set = set(), sampling = "balanced" }, "shuffle must be true")
    assert.error_matches(make { set = unknown, sampling = "balanced", shuffle = true }, "needs to know the labels")
  end)
end)

describe("errors of classes", function()
  it("are counted, logged under the classes' names, and printed", function()
    local errors = ClassErrors.new { "a", "b\tc", "epoch", "d", "d" }
    errors:add(dn.tensor { { 9, 1, 0, 0, 0 }, { 9, 1, 0, 0, 0 } }, dn.tensor({ 1, 2 }, "long"))
    errors:add(dn.tensor { { 0, 1, 0, 0, 0 }, { 9, 1, 0, 0, 2 } }, dn.tensor({ 2, 5 }, "long"))
    assert.same({ "a", "b c", "epoch (3)", "d", "d (5)" }, ClassErrors.columns(errors.classes))
    assert.same({ a = 0, ["b c"] = 50, ["d (5)"] = 100 }, errors:row())
    local lines = {}
    errors:print { print = function(_, format, ...) lines[#lines + 1] = format:format(...) end }
    assert.same({ " |    0.000  a (of 1 images)", " |   50.000  b\tc (of 2 images)", " |        -  epoch (no images)",
      " |        -  d (no images)", " |  100.000  d (of 1 images)" }, lines)
  end)
end)
